import type {
  CalibrateOptions,
  Calibration,
  Card,
  Detection,
  DetectOptions,
  InitOptions,
  LoadOptions,
  MapOfPicture,
  Opened,
  Region,
  Taught,
  TeachMoreOptions,
  TeachOptions,
} from './index.js';

/**
 * The package in a worker of one's own, so that nothing holds the page up and models are read tensor by tensor. The
 * worker's module is `import 'pcsnet/worker';`, made into a worker as one's bundler does it:
 *
 * ```js
 * const pcsnet = connect(new Worker(new URL('./detector.js', import.meta.url), { type: 'module' }));
 * ```
 */
export function connect(worker: Worker): Remote;

/** Pictures that can travel to a worker; they are copied, so the page keeps its own. */
export type RemoteSource = Blob | ImageBitmap | ImageData;

/** The package's functions, see its main module; each rejects when the worker fails or is ended. */
export interface Remote {
  init(options?: Omit<InitOptions, 'device'>): Promise<Opened>;
  load(
    source: string | URL | Blob | ArrayBuffer | ArrayBufferView<ArrayBuffer>,
    options?: Omit<LoadOptions, 'backbone'> & { backbone?: RemoteDetector },
  ): Promise<RemoteDetector>;
  teach(photographs: RemoteSource[], options: TeachOptions | TeachMoreOptions): Promise<Taught>;
  /** A picture of a file, as the network is given it, of at most `longestSide` pixels a side. */
  preview(source: Blob, longestSide: number): Promise<ImageBitmap>;
  regions(detection: MapOfPicture, threshold: number): Promise<Region[]>;
  heatColours(): Promise<Uint8Array>;
  /** Ends the worker. */
  close(): void;
}

/** A model in the worker. */
export interface RemoteDetector {
  readonly card: Card;
  detect(source: RemoteSource, options?: DetectOptions): Promise<Detection>;
  calibrate(sources: RemoteSource[], options: CalibrateOptions): Promise<Calibration>;
  profile(): Promise<Record<string, number> | null>;
  free(): Promise<void>;
}
