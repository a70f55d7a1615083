/// <reference types="@webgpu/types" />

/**
 * Opens the GPU; everything else does it by itself where it was not done before.
 *
 * With a `device` of one's own, which needs no feature and WebGPU's default limits, the network runs there and
 * {@link Detector.detect} reads its textures. Rejects where there is no WebGPU, and says why.
 *
 * `lost` resolves to the reason when the device is lost; then load the model again.
 */
export function init(device?: GPUDevice): Promise<{ lost: Promise<string> }>;

/** What a picture can come from. A `Blob` is an image file: PNG, JPEG, BMP, TIFF, WebP, GIF or PNM. */
export type PictureSource =
  | Photograph
  | Blob
  | ImageBitmap
  | VideoFrame
  | ImageData
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  /** 8-bit RGBA or BGRA with `TEXTURE_BINDING` usage, on the device given to {@link init}; it never leaves the GPU. */
  | GPUTexture;

/** A decoded picture. Files are decoded as in training, not by the browser. */
export class Photograph {
  static from(source: Exclude<PictureSource, GPUTexture>): Promise<Photograph>;
  readonly width: number;
  readonly height: number;
  /** For display: the pixels that the network is given, shrunk to `longestSide` where they are more. */
  toImageBitmap(longestSide?: number): Promise<ImageBitmap>;
  /** Frees its memory. */
  free(): void;
}

/** `download` counts bytes from the network, where `total` may be unknown, `upload` bytes on their way to the GPU. */
export interface Progress {
  stage: 'download' | 'upload';
  done: number;
  total?: number;
}

export interface LoadOptions {
  progress?: (progress: Progress) => void;
  /** Name of the cache (`window.caches`) that keeps files from URLs, by default `pcsnet-models`; `null` keeps none. */
  cache?: string | null;
  /**
   * How weights and activations are kept on the GPU; by default `f32`. `f16` takes half the memory for weights,
   * `f16-activations` also less for activations; both move scores slightly.
   */
  precision?: 'f32' | 'f16' | 'f16-activations';
  /**
   * How 3x3 convolutions are computed; by default `fast`, with Winograd's F(4x4, 3x3) where images are large enough. `small`, with
   * F(2x2, 3x3), keeps less than half of their weights' memory, for more arithmetic.
   */
  convolutions?: 'fast' | 'small';
  /** For a file that holds a head alone: the model whose backbone it is put on, and then shares. */
  backbone?: Detector;
}

/** A rectangle of pixels. */
export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A connected part of a picture whose map is above the threshold. */
export interface Region {
  bounds: Rect;
  /** Pixels. */
  area: number;
  /** The map's largest value in it. */
  peak: number;
  /** The map's mean in it. */
  mean: number;
}

export interface Detection {
  /** The largest value of the map; the larger, the more anomalous. */
  score: number;
  /** By the model's threshold; `null` where it has none. */
  verdict: 'pass' | 'fail' | null;
  /** Where the map is above the model's threshold, in the picture's pixels; the highest peak comes first. */
  regions: Region[];
  /** The anomaly map, `side` x `side`, row by row; it covers `inspected`. */
  map: Float32Array;
  side: number;
  /** The picture's size. */
  width: number;
  height: number;
  /** The part of the picture that the network saw. */
  inspected: Rect;
  /** Milliseconds. Pictures that are or become textures are resized on the GPU. */
  times: { decode: number; preprocess: number; network: number; regions: number };
}

/** What a model says of itself. */
export interface Card {
  /** The largest score that passes. */
  threshold: number | null;
  /** The map's values of the first and the last colour. */
  scale: [number, number] | null;
  /** Side of the network's input, pixels. */
  input: number;
  /** The GPU, as far as the browser tells. */
  adapter: string;
  /** GPU memory of the model and its activations. */
  gpuBytes: number;
  /** What the model's file says. */
  metadata: Record<string, string>;
}

/** A model on the GPU. */
export class Detector {
  /**
   * Loads a safetensors file: a backbone and a head, or see {@link LoadOptions.backbone}. From a URL it is kept for next time, and loaded
   * again when the server has another one. In a worker the file is read tensor by tensor; elsewhere it is held in memory
   * while it loads. Rejects with what is wrong with the file.
   */
  static load(source: string | URL | Blob | ArrayBuffer | ArrayBufferView<ArrayBuffer>, options?: LoadOptions): Promise<Detector>;
  readonly card: Card;
  /** Finds anomalies. Calls wait for one another. */
  detect(source: PictureSource): Promise<Detection>;
  /** The regions of a detection above another threshold. */
  regions(detection: Pick<Detection, 'map' | 'width' | 'height'>, threshold: number): Region[];
  /** Runs the network once more on the last picture; milliseconds of each part, or `null` without GPU timestamps. */
  profile(): Promise<Record<string, number> | null>;
  /** Frees its memory. */
  free(): void;
}

/** The 256 colours of heatmaps (Turbo), from normal to anomalous: RGB, a byte each. */
export function heatColours(): Promise<Uint8Array>;
