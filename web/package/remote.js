// The package in a worker (worker.js), as if it were here. Types and documentation: remote.d.ts.

export function connect(worker) {
  return new Remote(new Line(worker));
}

/** Questions to the worker and their answers. */
class Line {
  #worker;
  #waiting = new Map();
  #last = 0;
  /** Why the worker answers no more. */
  #broken;
  /** Called with a device's number and the reason when it is lost. */
  onLost;

  constructor(worker) {
    this.#worker = worker;
    worker.addEventListener('message', ({ data }) => this.#hear(data));
    worker.addEventListener('error', (event) => {
      // A module that fails to load says nothing.
      const reason = event.message || 'one of its files is missing or damaged';
      this.#break(new Error(`pcsnet's worker stopped: ${reason}`));
    });
  }

  ask(call, input, { signal, progress } = {}) {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#broken) return Promise.reject(this.#broken);
    const id = ++this.#last;
    const { promise, resolve, reject } = deferred();
    const abort = () => {
      this.#worker.postMessage({ id, abort: true });
      this.#end(id);
      reject(signal.reason);
    };
    signal?.addEventListener('abort', abort);
    const done = () => signal?.removeEventListener('abort', abort);
    this.#waiting.set(id, { resolve, reject, progress, done });
    try {
      this.#worker.postMessage({ id, call, input });
    } catch (error) {
      // What cannot travel to a worker, such as an element of the page.
      this.#end(id);
      reject(error);
    }
    return promise;
  }

  close() {
    this.#worker.terminate();
    this.#break(new DOMException("pcsnet's worker was ended", 'AbortError'));
  }

  #hear({ id, output, error, progress, device, lost }) {
    if (lost !== undefined) return this.onLost?.(device, lost);
    // Answers to what was given up are for nobody.
    const call = this.#waiting.get(id);
    if (!call) return output?.preview?.close();
    if (progress) return call.progress?.(progress);
    this.#end(id);
    if (error) call.reject(Object.assign(new Error(error.message), { name: error.name }));
    else call.resolve(output);
  }

  #end(id) {
    this.#waiting.get(id)?.done();
    this.#waiting.delete(id);
  }

  #break(reason) {
    this.#broken = reason;
    for (const [id, { reject }] of this.#waiting) {
      this.#end(id);
      reject(reason);
    }
  }
}

/** A URL as the worker too understands it; anything else as it is. */
function absolute(source) {
  return typeof source === 'string' || source instanceof URL ? new URL(source, self.location?.href).href : source;
}

function deferred() {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

class Remote {
  #line;
  /** By device: a promise that settles when it is lost. */
  #losses = new Map();

  constructor(line) {
    this.#line = line;
    line.onLost = (device, reason) => this.#lossOf(device).resolve(reason);
  }

  async init(options = {}) {
    const wasm = absolute(options.wasm);
    const { adapter, device } = await this.#line.ask('init', { ...options, wasm });
    return { adapter, lost: this.#lossOf(device).promise };
  }

  async load(source, { progress, signal, backbone, ...options } = {}) {
    const input = { source: absolute(source), options: { ...options, backbone: backbone?.id } };
    const { detector, card } = await this.#line.ask('load', input, { progress, signal });
    return new RemoteDetector(this.#line, detector, card);
  }

  teach(photographs, { progress, signal, ...options } = {}) {
    const [backbone, model] = [options.backbone, options.model].map(absolute);
    const input = { photographs: [...photographs], options: { ...options, backbone, model } };
    return this.#line.ask('teach', input, { progress, signal });
  }

  preview(source, longestSide) {
    return this.#line.ask('preview', { source, longestSide });
  }

  regions({ map, tiles, side, fit, width, height }, threshold) {
    return this.#line.ask('regions', { detection: { map, tiles, side, fit, width, height }, threshold });
  }

  heatColours() {
    return this.#line.ask('heatColours');
  }

  close() {
    this.#line.close();
  }

  #lossOf(device) {
    if (!this.#losses.has(device)) this.#losses.set(device, deferred());
    return this.#losses.get(device);
  }
}

class RemoteDetector {
  #line;

  constructor(line, id, card) {
    this.#line = line;
    this.id = id;
    this.card = card;
  }

  detect(source, { signal, ...options } = {}) {
    return this.#line.ask('detect', { detector: this.id, source, options }, { signal });
  }

  async calibrate(sources, { signal, progress, ...options } = {}) {
    const { calibration, card } = await this.#line.ask(
      'calibrate',
      { detector: this.id, sources, options },
      { signal, progress },
    );
    this.card = card;
    return calibration;
  }

  profile() {
    return this.#line.ask('profile', { detector: this.id });
  }

  free() {
    return this.#line.ask('free', { detector: this.id });
  }
}
