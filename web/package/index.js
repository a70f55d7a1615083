// PCSNet in the browser. Types and documentation: index.d.ts.

import start, { Engine, Photograph as Pixels, heatColours as colours, isHead } from './pcsnet_web.js';

const CACHE = 'pcsnet-models';

let hostDevice;
// Of the engine and a promise that settles when its device is lost.
let opening;

export async function init(device) {
  if (!opening || device !== hostDevice) {
    hostDevice = device;
    const attempt = open(device);
    opening = attempt;
    // So that a later call tries again: with a driver that recovered, or where the page now has WebGPU.
    const forget = () => (opening = opening === attempt ? undefined : opening);
    attempt.then(({ lost }) => lost.then(forget), forget);
  }
  const { lost } = await opening;
  return { lost };
}

async function open(device) {
  if (!navigator.gpu) {
    const why = self.isSecureContext
      ? 'This browser offers no WebGPU.'
      : 'WebGPU is only offered to pages that came over https or from localhost.';
    throw new Error(why);
  }
  await start();
  const engine = await (device ? onlyWith(device, Engine.open) : Engine.open());
  return { engine, lost: new Promise((resolve) => engine.onLost(resolve)) };
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
    await init(hostDevice);
    if (source instanceof Photograph) return source;
    if (source instanceof Blob) {
      const bytes = new Uint8Array(await source.arrayBuffer());
      return new Photograph(Pixels.decode(bytes, source.name ?? 'picture'));
    }
    if (isA('GPUTexture', source)) throw new TypeError('a texture is given to Detector.detect, which leaves it on the GPU');
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
    const size = { resizeWidth: Math.max(1, Math.round(scale * width)), resizeHeight: Math.max(1, Math.round(scale * height)) };
    const image = new ImageData(this.#pixels.rgba(), width, height);
    return createImageBitmap(image, scale < 1 ? { ...size, resizeQuality: 'high' } : {});
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
    await init(hostDevice);
    const { engine } = await opening;
    const { name, file } = await fileOf(source, options);
    const reader = await readerOf(file, options.progress);
    const backbone = options.backbone && isHead(name, reader) ? options.backbone.#model : undefined;
    const { precision = 'f32', convolutions } = options;
    const load = backbone ? backbone.withHead(name, reader) : engine.load(name, reader, precision, convolutions === 'small');
    return new Detector(await load, engine.device);
  }

  detect(source) {
    return this.#inTurn(async () => {
      const texture = this.#textureOf(source);
      if (texture) return this.#model.detectTexture(texture);
      const photograph = await Photograph.from(source);
      try {
        return await this.#model.detect(photograph.pixels);
      } finally {
        if (photograph !== source) photograph.free();
      }
    });
  }

  regions({ map, width, height }, threshold) {
    return this.#model.regions(map, width, height, threshold);
  }

  profile() {
    return this.#inTurn(() => this.#model.profile());
  }

  free() {
    this.#model.free();
    this.#texture?.destroy();
  }

  // A texture with the picture, where it is one or the browser copies it into one.
  #textureOf(source) {
    if (isA('GPUTexture', source)) {
      if (!hostDevice) throw new TypeError('a texture can only be read on the device that init() was given');
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
      // Not every browser copies every kind. A canvas draws what can be seen at all, and says what is wrong with the rest.
      return undefined;
    }
  }

  #inTurn(task) {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }
}

// The model's file as a Blob, which the browser may keep on disk.
async function fileOf(source, { progress, cache = CACHE }) {
  if (source instanceof Blob) return { name: source.name ?? 'model', file: source };
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return { name: 'model', file: new Blob([source]) };
  const url = new URL(source, self.location?.href).href;
  return { name: url.split('/').pop(), file: await fetched(url, progress, cache) };
}

async function fetched(url, progress, cacheName) {
  // There are no caches in insecure contexts and some private windows.
  const cache = cacheName && self.caches ? await caches.open(cacheName).catch(() => undefined) : undefined;
  const kept = await cache?.match(url);
  if (kept && (await isCurrent(url, kept))) return kept.blob();
  try {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`the server answered ${answer.status} ${answer.statusText}`.trim());
    const counted = new Response(counting(answer, progress), { headers: answer.headers });
    if (!cache) return await counted.blob();
    await cache.put(url, counted);
    return (await cache.match(url)).blob();
  } catch (error) {
    if (error.name === 'QuotaExceededError') return fetched(url, progress, null);
    throw new Error(`${url} could not be loaded: ${error.message}`);
  }
}

// Whether the server still has what was kept; without a server, what was kept serves.
async function isCurrent(url, kept) {
  const answer = await fetch(url, { method: 'HEAD', cache: 'no-cache' }).catch(() => undefined);
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

// A file as wasm reads it, piece by piece. Outside of workers no file can be read at once, so there it is held whole, but
// never in wasm's memory.
async function readerOf(file, progress) {
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
      done = Math.min(done + end - begin, total);
      progress?.({ stage: 'upload', done, total });
      return read(begin, end);
    },
  };
}

export async function heatColours() {
  await start();
  return colours();
}
