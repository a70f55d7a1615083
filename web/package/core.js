// PCSNet in the browser, but for the wasm, which `init` must be told of. Types and documentation: index.d.ts.

import start, {
  Engine,
  Photograph as Pixels,
  heatColours as colours,
  isHead,
  regions as regionsOf,
} from './pcsnet_web.js';

const CACHE = 'pcsnet-models';

/** What `init` was last given. */
let settings = {};
/** What stands in for the `wasm` of the settings. */
let ownWasm;
/** A promise of the wasm. */
let starting;
/** A promise of the engine, of its adapter, and of a promise that settles when its device is lost. */
let opening;

export async function init(options = settings) {
  const isOther = options.device !== settings.device;
  settings = options;
  if (!opening || isOther) {
    const attempt = open(options);
    opening = attempt;
    // So that a later call tries again: with a driver that recovered, or where the page now has WebGPU.
    const forget = () => (opening = opening === attempt ? undefined : opening);
    attempt.then(({ lost }) => lost.then(forget), forget);
  }
  const { adapter, lost } = await opening;
  return { adapter, lost };
}

/** For index.js, which has the wasm in it. */
export function provideWasm(source) {
  ownWasm = source;
}

/** What the functions need that need no GPU. */
function startWasm() {
  if (!starting) {
    starting = wasmOf(settings.wasm).then((wasm) => start({ module_or_path: wasm }));
    starting.catch(() => (starting = undefined));
  }
  return starting;
}

/** What wasm-bindgen starts from. */
async function wasmOf(source = ownWasm) {
  if (source === undefined) throw new Error('pcsnet/core has no wasm in it: call init({ wasm }) first');
  if (typeof source !== 'string' && !(source instanceof URL)) return source;
  const url = new URL(source, self.location?.href).href;
  const answer = await fetch(url).catch((error) => {
    throw new Error(`${brief(url)} could not be loaded: ${error.message}`);
  });
  const type = answer.headers.get('content-type') ?? 'no type';
  if (!answer.ok) throw new Error(`${brief(url)} could not be loaded: the server answered ${answer.status}`);
  // Where servers answer with their page instead of a missing file.
  if (type.startsWith('text/')) throw new Error(`${brief(url)} is no wasm: the server answered with ${type}`);
  if (type !== 'application/gzip') return answer;
  const unpacked = answer.body.pipeThrough(new DecompressionStream('gzip'));
  return new Response(unpacked, { headers: { 'content-type': 'application/wasm' } });
}

const brief = (url) => (url.length > 200 ? `${url.slice(0, 200)}…` : url);

async function open({ device }) {
  const lack = device ? undefined : await lackOfGpu();
  if (lack) throw new DOMException(lack, 'NotSupportedError');
  await startWasm();
  const engine = await (device ? onlyWith(device, Engine.open) : Engine.open());
  const { vendor, architecture, description, isFallbackAdapter } = engine.device.adapterInfo ?? {};
  const name = description || [vendor, architecture].filter(Boolean).join(' ');
  const adapter = { name, software: isFallbackAdapter === true };
  return { engine, adapter, lost: new Promise((resolve) => engine.onLost(resolve)) };
}

/** Why there is no GPU to open, in words for people. */
async function lackOfGpu() {
  if (!self.isSecureContext) return 'WebGPU is only offered to pages that came over https or from localhost.';
  if (!navigator.gpu) return 'This browser has no WebGPU.';
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  return adapter ? undefined : 'This browser has WebGPU, but offers no graphics device for it.';
}

// wgpu opens its device through `navigator.gpu` alone; here it finds a GPU there whose only device is the caller's.
function onlyWith(device, open) {
  const { features, limits, adapterInfo: info } = device;
  const adapter = { features, limits, info, requestDevice: async () => device };
  const gpu = { requestAdapter: async () => adapter, wgslLanguageFeatures: navigator.gpu.wgslLanguageFeatures };
  Object.defineProperty(navigator, 'gpu', { value: gpu, configurable: true });
  try {
    return open();
  } finally {
    delete navigator.gpu;
  }
}

export class Photograph {
  #pixels;

  constructor(pixels) {
    this.#pixels = pixels;
  }

  static async from(source) {
    if (source instanceof Photograph) return source;
    if (isA('GPUTexture', source))
      throw new TypeError('a texture is given to Detector.detect, which leaves it on the GPU');
    await startWasm();
    if (source instanceof Blob) {
      const bytes = new Uint8Array(await source.arrayBuffer());
      return new Photograph(Pixels.decode(bytes, source.name ?? 'picture'));
    }
    const { data, width, height } = source instanceof ImageData ? source : draw(source);
    return new Photograph(Pixels.fromRgba(data, width, height));
  }

  get width() {
    return this.#pixels.width;
  }

  get height() {
    return this.#pixels.height;
  }

  async toImageBitmap(longestSide = Infinity) {
    const { width, height } = this;
    const scale = Math.min(1, longestSide / Math.max(width, height));
    const size = [width, height].map((side) => Math.max(1, Math.round(scale * side)));
    return createImageBitmap(new ImageData(this.#pixels.rgba(...size), ...size));
  }

  free() {
    this.#pixels.free();
  }

  /** @internal */
  get pixels() {
    return this.#pixels;
  }
}

function sizeOf(source) {
  const width = source.displayWidth ?? source.videoWidth ?? source.naturalWidth ?? source.width;
  const height = source.displayHeight ?? source.videoHeight ?? source.naturalHeight ?? source.height;
  if (!width || !height) throw new TypeError('a picture without pixels: is the image or video loaded?');
  return [width, height];
}

// Pixels of anything that a canvas draws.
function draw(source) {
  const [width, height] = sizeOf(source);
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

const isA = (type, source) => typeof self[type] === 'function' && source instanceof self[type];

// What browsers copy into textures by themselves.
const COPIED = ['ImageBitmap', 'VideoFrame', 'HTMLVideoElement', 'HTMLCanvasElement', 'OffscreenCanvas'];

export class Detector {
  #model;
  #device;
  // Holds pictures that are copied to the GPU, as long as they have one size.
  #texture;
  // Detections share one session's memory, so they run one after another.
  #last = Promise.resolve();

  constructor(model, device) {
    this.#model = model;
    this.#device = device;
    this.card = model.card();
  }

  static async load(source, options = {}) {
    const { signal, progress, backbone, precision = 'f32', convolutions } = options;
    signal?.throwIfAborted();
    const loading = async () => {
      // The file and the wasm come side by side.
      const [{ name, file }] = await Promise.all([fileOf(source, options), init()]);
      const { engine } = await opening;
      const reader = await readerOf(file, progress, signal);
      const shared = backbone && isHead(name, reader) ? backbone.#model : undefined;
      const onKernel = (done, total) => progress?.({ stage: 'kernels', done, total });
      const model = await (shared
        ? shared.withHead(name, reader, onKernel)
        : engine.load(name, reader, precision, convolutions === 'small', onKernel));
      if (signal?.aborted) model.free();
      signal?.throwIfAborted();
      return new Detector(model, engine.device);
    };
    return abortable(loading(), signal);
  }

  detect(source, { signal, preview, tiles, drift } = {}) {
    return this.#inTurn(async () => {
      const detection = await this.#look(source, preview, tiles);
      // Without a verdict it was inspected in another framing than the calibration's.
      const counts = drift && detection.verdict;
      return counts ? { ...detection, drift: this.#model.drift(detection.score) } : detection;
    }, signal);
  }

  async #look(source, preview, tiles) {
    // Tiles are cut from decoded pictures.
    const isWhole = isA('GPUTexture', source) || !(tiles ?? this.card.tiles);
    const texture = isWhole ? this.#textureOf(source) : undefined;
    if (texture) return this.#model.detectTexture(texture);
    const photograph = await Photograph.from(source);
    try {
      const detection = await this.#model.detect(photograph.pixels, tiles);
      return preview ? { ...detection, preview: await photograph.toImageBitmap(preview) } : detection;
    } finally {
      if (photograph !== source) photograph.free();
    }
  }

  async calibrate(sources, { rate, flips = false, tiles, signal, progress } = {}) {
    const parts = [];
    for (const source of sources) {
      progress?.({ done: parts.length, total: sources.length });
      parts.push(await this.#inTurn(() => this.#survey(source, sources.length, flips, tiles), signal));
    }
    const found = this.#model.calibrate(parts, rate, tiles);
    this.card = this.#model.card();
    return found;
  }

  async #survey(source, count, flips, tiles) {
    const photograph = await Photograph.from(source);
    try {
      return await this.#model.survey(photograph.pixels, count, flips, tiles);
    } finally {
      if (photograph !== source) photograph.free();
    }
  }

  regions(detection, threshold) {
    return above(detection, threshold);
  }

  profile() {
    return this.#inTurn(() => this.#model.profile());
  }

  free() {
    this.#inTurn(() => {
      this.#model.free();
      this.#texture?.destroy();
    });
  }

  // A texture with the picture, where it is one or the browser copies it into one.
  #textureOf(source) {
    if (isA('GPUTexture', source)) {
      if (!settings.device) throw new TypeError('a texture can only be read on the device that init() was given');
      return source;
    }
    if (!COPIED.some((type) => isA(type, source))) return undefined;
    const size = sizeOf(source);
    if (Math.max(...size) > this.#device.limits.maxTextureDimension2D) return undefined;
    const [width, height] = size;
    if (this.#texture?.width !== width || this.#texture.height !== height) {
      this.#texture?.destroy();
      const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT;
      this.#texture = this.#device.createTexture({ label: 'pcsnet picture', format: 'rgba8unorm', usage, size });
    }
    try {
      this.#device.queue.copyExternalImageToTexture({ source }, { texture: this.#texture }, size);
      return this.#texture;
    } catch {
      // Not every browser copies every kind. A canvas draws what can be seen at all, and says what is wrong with the
      // rest.
      return undefined;
    }
  }

  #inTurn(task, signal) {
    const result = this.#last.then(() => {
      signal?.throwIfAborted();
      return task();
    });
    this.#last = result.catch(() => {});
    return abortable(result, signal);
  }
}

/** What wasm's `Teacher` can be told. */
const TEACHING = ['poses', 'effort', 'maxBytes', 'falseAlarmRate', 'seed'];
/** What of that a model does not know already that is taught more. */
const TEACHING_MORE = ['falseAlarmRate'];

export async function teach(photographs, { backbone, model, cache, signal, progress, ...options } = {}) {
  if ((backbone === undefined) === (model === undefined))
    throw new TypeError(
      "teaching needs either a backbone, a model's file such as that of pcsnet/default-model, or a model to teach more",
    );
  const known = model === undefined ? TEACHING : TEACHING_MORE;
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown) {
    const knower = model === undefined ? 'teaching' : 'teaching a model more';
    throw new TypeError(`${knower} knows no option \`${unknown}\`; known are ${known.join(', ')}`);
  }
  const teaching = async () => {
    const [{ name, file }] = await Promise.all([fileOf(backbone ?? model, { cache, signal, progress }), init()]);
    const { engine } = await opening;
    const reader = await readerOf(file, progress, signal);
    const teacher = await (model === undefined
      ? engine.teacher(name, reader, options)
      : engine.teacherOfMore(name, reader, options.falseAlarmRate));
    try {
      const taken = await take(teacher, photographs, signal, progress);
      const onProgress = (stage, done, total) => progress?.({ stage, done, total });
      const found = await teacher.teach(onProgress, aborted(signal));
      signal?.throwIfAborted();
      const { file: bytes, heldOut, ...account } = found;
      const parts = taken.map(({ name, isNew }) => ({ ...(isNew && heldOut.shift()), name, copy: !isNew }));
      return { file: new Blob([bytes]), photographs: parts, ...account };
    } finally {
      teacher.free();
    }
  };
  signal?.throwIfAborted();
  return abortable(teaching(), signal);
}

/** Gives a teacher its photographs: their names, and whether each is another than those before. */
async function take(teacher, sources, signal, progress) {
  const taken = [];
  for (const source of sources) {
    progress?.({ stage: 'photographs', done: taken.length, total: sources.length });
    const name = source.name || `photograph ${taken.length + 1}`;
    const photograph = await Photograph.from(source);
    try {
      taken.push({ name, isNew: teacher.add(name, await sha256(source), photograph.pixels) });
    } finally {
      if (photograph !== source) photograph.free();
    }
    signal?.throwIfAborted();
  }
  return taken;
}

/** Of a file, in hexadecimal digits; there is none of other pictures, nor in insecure contexts. */
async function sha256(source) {
  if (!(source instanceof Blob) || !self.crypto?.subtle) return undefined;
  const digest = await crypto.subtle.digest('SHA-256', await source.arrayBuffer());
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Resolves when a signal is aborted. */
function aborted(signal) {
  return new Promise((resolve) => signal?.addEventListener('abort', resolve, { once: true }));
}

/** The promise, or the signal's reason as soon as it is aborted. */
function abortable(promise, signal) {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

// The model's file as a Blob, which the browser may keep on disk.
async function fileOf(source, { progress, signal, cache = CACHE }) {
  if (source instanceof Blob) return { name: source.name ?? 'model', file: source };
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return { name: 'model', file: new Blob([source]) };
  const url = new URL(source, self.location?.href);
  // What is in the program, or in memory, need not be kept a second time.
  const isRemote = url.protocol.startsWith('http');
  const name = isRemote ? url.pathname.split('/').pop() : 'model';
  return { name, file: await fetched(url.href, { progress, signal, cache: isRemote && cache }) };
}

async function fetched(url, { progress, signal, cache: cacheName }) {
  // There are no caches in insecure contexts and some private windows.
  const cache = cacheName && self.caches ? await caches.open(cacheName).catch(() => undefined) : undefined;
  const kept = await cache?.match(url);
  if (kept && (await isCurrent(url, kept, signal))) return kept.blob();
  try {
    const answer = await fetch(url, { signal });
    if (!answer.ok) throw new Error(`the server answered ${answer.status} ${answer.statusText}`.trim());
    const counted = new Response(counting(answer, progress), { headers: answer.headers });
    if (!cache) return await counted.blob();
    await cache.put(url, counted);
    return (await cache.match(url)).blob();
  } catch (error) {
    signal?.throwIfAborted();
    if (error.name === 'QuotaExceededError') return fetched(url, { progress, signal });
    throw new Error(`${brief(url)} could not be loaded: ${error.message}`);
  }
}

// Whether the server still has what was kept; without a server, what was kept serves.
async function isCurrent(url, kept, signal) {
  const answer = await fetch(url, { method: 'HEAD', cache: 'no-cache', signal }).catch(() => signal?.throwIfAborted());
  const same = (key) => !answer.headers.has(key) || answer.headers.get(key) === kept.headers.get(key);
  return !answer?.ok || ['etag', 'last-modified', 'content-length'].every(same);
}

function counting(answer, progress) {
  // Of compressed answers the length tells nothing of the bytes that come out.
  const total = answer.headers.has('content-encoding') ? 0 : Number(answer.headers.get('content-length'));
  let done = 0;
  const count = (chunk, controller) => {
    done += chunk.byteLength;
    progress?.({ stage: 'download', done, total: total || undefined });
    controller.enqueue(chunk);
  };
  return answer.body.pipeThrough(new TransformStream({ transform: count }));
}

// A file as wasm reads it, piece by piece. Outside of workers no file can be read at once, so there it is held whole,
// but never in wasm's memory.
async function readerOf(file, progress, signal) {
  const total = file.size;
  let read;
  if (typeof FileReaderSync === 'function') {
    const reader = new FileReaderSync();
    read = (begin, end) => new Uint8Array(reader.readAsArrayBuffer(file.slice(begin, end)));
  } else {
    const bytes = new Uint8Array(await file.arrayBuffer());
    read = (begin, end) => bytes.subarray(begin, end);
  }
  let done = 0;
  return {
    size: total,
    read(begin, end) {
      signal?.throwIfAborted();
      done = Math.min(done + end - begin, total);
      progress?.({ stage: 'upload', done, total });
      return read(begin, end);
    },
  };
}

function above({ map, tiles, side, fit, width, height }, threshold) {
  return regionsOf(map, { tiles, side, fit, width, height }, threshold);
}

export async function regions(detection, threshold) {
  await startWasm();
  return above(detection, threshold);
}

export async function heatColours() {
  await startWasm();
  return colours();
}
