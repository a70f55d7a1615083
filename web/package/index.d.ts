/** What the global class of this name makes, where the types of the page or worker know it. */
type Known<Name extends string> =
  typeof globalThis extends Record<Name, { prototype: infer Instance }> ? Instance : never;

export interface InitOptions {
  /**
   * Where the wasm is, or the wasm itself: a URL of the file that `pcsnet/pcsnet.wasm` names, its bytes, or a module.
   * By default it is a part of the program, which works with every bundler; a file of its own is compiled while it
   * loads, and kept compiled. With that import `pcsnet/core` (in workers `pcsnet/core/worker`), which is the same
   * without the wasm in it.
   */
  wasm?: string | URL | Response | BufferSource | WebAssembly.Module;
  /**
   * A `GPUDevice` of one's own, which needs no feature and WebGPU's default limits: the network runs there, and
   * {@link Detector.detect} reads its textures.
   */
  device?: Known<'GPUDevice'>;
}

export interface Opened {
  adapter: {
    /** As far as the browser tells. */
    name: string;
    /** Whether a processor stands in for the graphics card, so that everything takes long. */
    software: boolean;
  };
  /** Resolves to the reason when the device is lost; then load the model again. */
  lost: Promise<string>;
}

/**
 * Opens the GPU; everything else does it by itself where it was not done before. Rejects with an error of the name
 * `NotSupportedError` where there is none, and says why.
 */
export function init(options?: InitOptions): Promise<Opened>;

/**
 * What a picture can come from. A `Blob` is an image file: PNG, JPEG, BMP, TIFF, WebP, GIF or PNM. A `GPUTexture` is
 * 8-bit RGBA or BGRA with `TEXTURE_BINDING` usage, on the device given to {@link init}; it never leaves the GPU.
 */
export type PictureSource =
  | Photograph
  | Blob
  | ImageData
  | ImageBitmap
  | OffscreenCanvas
  | Known<'VideoFrame'>
  | Known<'HTMLImageElement'>
  | Known<'HTMLVideoElement'>
  | Known<'HTMLCanvasElement'>
  | Known<'GPUTexture'>;

/** A decoded picture. Files are decoded as in training, not by the browser. */
export class Photograph {
  static from(source: Exclude<PictureSource, Known<'GPUTexture'>>): Promise<Photograph>;
  readonly width: number;
  readonly height: number;
  /** For display: the pixels that the network is given, shrunk to `longestSide` where they are more. */
  toImageBitmap(longestSide?: number): Promise<ImageBitmap>;
  /** Frees its memory. */
  free(): void;
}

/**
 * `download` counts bytes from the network, where `total` may be unknown, `upload` bytes on their way to the GPU,
 * `kernels` the kernels that the GPU's driver has compiled.
 */
export interface Progress {
  stage: 'download' | 'upload' | 'kernels';
  done: number;
  total?: number;
}

export interface LoadOptions {
  /** Gives loading up; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
  progress?: (progress: Progress) => void;
  /** Name of the cache (`window.caches`) that keeps files from URLs, by default `pcsnet-models`; `null` keeps none. */
  cache?: string | null;
  /**
   * How weights and activations are kept on the GPU; by default `f32`. `f16` takes half the memory for weights,
   * `f16-activations` also less for activations, and `f16-products` multiplies so, too, where the device can; all move
   * scores slightly.
   */
  precision?: 'f32' | 'f16' | 'f16-activations' | 'f16-products';
  /**
   * How 3x3 convolutions are computed; by default `fast`, with Winograd's F(4x4, 3x3) where images are large enough.
   * `small`, with F(2x2, 3x3), keeps less than half of their weights' memory, for more arithmetic.
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

export interface DetectOptions {
  /** Gives the detection up; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Adds {@link Detection.preview} for sources that are decoded or read back, of at most so many pixels a side. */
  preview?: number;
  /**
   * The side of overlapping tiles in which the picture is inspected, in its own pixels; 0 for the whole picture. By
   * default as the model was calibrated; for another framing than that it has no threshold. A `GPUTexture` is always
   * inspected whole.
   */
  tiles?: number;
  /** Counts the picture as a line's next part, and adds {@link Detection.drift}. Show each part once. */
  drift?: boolean;
}

/**
 * How the latest parts that passed, 100 at most, compare with the good parts of the calibration. Scores that move say
 * that camera, light or parts have changed, so that the threshold no longer means what it meant.
 */
export interface Drift {
  parts: number;
  /** Of their scores. */
  median: number;
  /** Of the scores of the calibration's good parts. */
  calibrated: number;
  /** How likely so many of the scores, or more, would lie on one side of `calibrated` if nothing had changed. */
  chance: number;
  /** Whether that is less likely than 1 in 100,000. */
  alarm: boolean;
}

export interface CalibrateOptions {
  /** The share of good parts that may fail, above 0 and below 1/2. */
  rate: number;
  /** Whether parts may lie mirrored, too. */
  flips?: boolean;
  /** As in {@link DetectOptions.tiles}. */
  tiles?: number;
  signal?: AbortSignal;
  /** How many of the pictures are inspected. */
  progress?: (progress: { done: number; total: number }) => void;
}

/** What a calibration found; the detector goes by it from then on. */
export interface Calibration {
  threshold: number | null;
  /** The map's values of the first and the last colour. */
  scale: [number, number] | null;
  /** Changes to the metadata of the model's file that store it; `null` takes a key out. */
  changes: Record<string, string | null>;
}

export interface Detection {
  /** The largest value of the map; the larger, the more anomalous. */
  score: number;
  /** By the model's threshold; `null` where it has none. */
  verdict: 'pass' | 'fail' | null;
  /**
   * Whether the picture shows something else than the parts that the model knows: another part, another view, or none.
   * Even the tenth of the map that is most like good parts is then less like them than they commonly are; score and
   * regions say little. `null` where the model was never calibrated.
   */
  unlike: boolean | null;
  /** Where the map is above the model's threshold, in the picture's pixels; the highest peak comes first. */
  regions: Region[];
  /**
   * The anomaly map, `mapWidth` x `mapHeight`, row by row; it covers `inspected`. Of whole pictures both are `side`.
   */
  map: Float32Array;
  side: number;
  mapWidth: number;
  mapHeight: number;
  /** How the picture, or each tile of it, became a square. */
  fit: 'crop' | 'stretch';
  /** The side of the tiles in which the picture was inspected, if it was. */
  tiles?: number | null;
  /** The picture's size. */
  width: number;
  height: number;
  /** The pixels that the network was given, shrunk; see {@link DetectOptions.preview}. */
  preview?: ImageBitmap;
  /** The part of the picture that the network saw. */
  inspected: Rect;
  /** See {@link DetectOptions.drift}; `null` where the model remembers no good parts, or none has passed. */
  drift?: Drift | null;
  /** Milliseconds. Pictures that are or become textures are resized on the GPU. */
  times: { decode: number; preprocess: number; network: number; regions: number };
}

/** What a model says of itself. */
export interface Card {
  /** The largest score that passes. */
  threshold: number | null;
  /** The map's values of the first and the last colour. */
  scale: [number, number] | null;
  /** The side of the tiles in which the threshold was found; `null` for whole pictures. */
  tiles: number | null;
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
   * Loads a safetensors file: a backbone and a head, or see {@link LoadOptions.backbone}. From a URL it is kept for
   * next time, and loaded again when the server has another one. In a worker the file is read tensor by tensor;
   * elsewhere it is held in memory while it loads. Rejects with what is wrong with the file.
   */
  static load(
    source: string | URL | Blob | ArrayBuffer | ArrayBufferView<ArrayBuffer>,
    options?: LoadOptions,
  ): Promise<Detector>;
  readonly card: Card;
  /** Finds anomalies. Calls wait for one another. */
  detect(source: PictureSource, options?: DetectOptions): Promise<Detection>;
  /**
   * Finds the threshold that a share of good parts is expected to exceed, from pictures of at least two, not those of
   * the training. Of few pictures each is inspected altered too, 10 times or with `flips` 32.
   */
  calibrate(sources: Exclude<PictureSource, Known<'GPUTexture'>>[], options: CalibrateOptions): Promise<Calibration>;
  /** The regions of a detection above another threshold. */
  regions(detection: MapOfPicture, threshold: number): Region[];
  /** Runs the network once more on the last picture; milliseconds of each part, or `null` without GPU timestamps. */
  profile(): Promise<Record<string, number> | null>;
  /** Frees its memory, after the detections that are under way. */
  free(): void;
}

interface AnyTeachOptions {
  /** The share of good parts that may fail, above 0 and at most 1/2; by default 0.05, or as it was for the model. */
  falseAlarmRate?: number;
  /** As in {@link LoadOptions.cache}. */
  cache?: string | null;
  /** Gives teaching up; the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
  progress?: (progress: TeachProgress) => void;
}

/** To make a new model. */
export interface TeachOptions extends AnyTeachOptions {
  model?: undefined;
  /**
   * A model's file, of which the backbone is used: `pcsnet/default-model`, or torchvision's or timm's weights as
   * safetensors.
   */
  backbone: string | URL | Blob | ArrayBuffer | ArrayBufferView<ArrayBuffer>;
  /**
   * How good parts may lie: always as photographed; as photographed, mirrored, upside down or both (`flips`); at any
   * angle; or (`auto`, the default) as the photographs tell, of which fewer than four tell nothing: then at any angle.
   */
  poses?: 'auto' | 'fixed' | 'flips' | 'any';
  /**
   * What the model may cost; `accurate` sees smaller defects and takes about four times as long as `standard`, the
   * default.
   */
  effort?: 'small' | 'standard' | 'accurate';
  /**
   * The largest file that the model may be, in bytes: it then has as many prototypes as fit. On a device a model takes
   * about twice its file.
   */
  maxBytes?: number;
  /** Of what is drawn at random; by default 0. */
  seed?: number;
}

/**
 * To make a model that knows more photographs than one that was taught, such as of parts that it failed although they
 * are good. Its first photographs are not needed, and how parts lie and what the model costs stay as they are.
 */
export interface TeachMoreOptions extends AnyTeachOptions {
  /** The file of the model that was taught before. */
  model: string | URL | Blob | ArrayBuffer | ArrayBufferView<ArrayBuffer>;
  backbone?: undefined;
}

/** The stages come in this order; `download` and `upload` are the backbone's. */
export interface TeachProgress {
  stage: 'download' | 'upload' | 'photographs' | 'poses' | 'describing' | 'choosing' | 'holding-out';
  done: number;
  total?: number;
}

/** A photograph that was taught from. */
export type TaughtPhotograph =
  | {
      name: string;
      copy: false;
      /** Its score when it is compared with the others alone. */
      score: number;
      /** Whether it is far from all others: perhaps no good part. */
      disagrees: boolean;
    }
  | {
      name: string;
      /** It shows what an earlier one shows, or one that the model was made of before, and was left out. */
      copy: true;
    };

export interface Taught {
  /** The model as a safetensors file, for {@link Detector.load} here or anywhere. */
  file: Blob;
  /** In the order they were given. */
  photographs: TaughtPhotograph[];
  /**
   * Those that the model was made of before it was taught more, with their scores compared with all others; one that
   * was alone before has none and is missing. Empty for a new model.
   */
  former: { name: string; score: number; disagrees: boolean }[];
  /** Whether the photographs differ in light, so that every one that is inspected is brought to theirs. */
  lightDiffers: boolean;
  /** Whether parts lie at any angle. */
  anyPose: boolean;
  /** Whether parts may be mirrored, upside down or both. */
  flips: boolean;
  /** The share of pairs of photographs that turning one of them, by quarters or sixths, brought nearer, where asked. */
  nearerWhenTurned: number | null;
  /** Prototypes of each level of the backbone. */
  prototypes: number[];
  /** The largest score that passes. */
  threshold: number | null;
  /** The share of good parts that is expected to fail, and bounds of it that hold with the given confidence. */
  falseAlarms: { expected: number; low: number; high: number; confidence: number } | null;
  /** How many made-up defects, one on a copy of each photograph held out, were tried, and how many would be found. */
  pseudoDefects: { tried: number; found: number };
  /** What to know before relying on the model, in sentences. */
  warnings: string[];
}

/**
 * Makes a model of photographs of good parts, 1 to some hundred, better 8, or teaches them to one that was made so: no
 * defects and no gradients are needed, and nothing leaves the device. Names of files are kept in the model. Rejects
 * with what is wrong with a photograph, which it names.
 */
export function teach(
  photographs: Exclude<PictureSource, Known<'GPUTexture'>>[],
  options: TeachOptions | TeachMoreOptions,
): Promise<Taught>;

/** What is needed of a {@link Detection} to find its regions. */
export type MapOfPicture = Pick<Detection, 'map' | 'tiles' | 'side' | 'fit' | 'width' | 'height'>;

/** As {@link Detector.regions}, without a model or a GPU. */
export function regions(detection: MapOfPicture, threshold: number): Promise<Region[]>;

/** The 256 colours of heatmaps (Turbo), from normal to anomalous: RGB, a byte each. */
export function heatColours(): Promise<Uint8Array>;
