// Compiled, never run: what the package's types must allow, and what not.

import { Detector, Photograph, init, regions, teach, type Detection, type InitOptions, type Taught } from 'pcsnet';
import defaultModel from 'pcsnet/default-model';
import { connect, type RemoteDetector } from 'pcsnet/remote';

export async function uses(
  device: GPUDevice,
  file: File,
  frame: VideoFrame,
  texture: GPUTexture,
  video: HTMLVideoElement,
): Promise<number> {
  const { adapter, lost } = await init({ device, wasm: new URL('pcsnet.wasm', 'https://example.org/') });
  lost.then((reason: string) => console.warn(reason, adapter.name, adapter.software));
  const { signal } = new AbortController();
  const detector = await Detector.load(defaultModel, {
    progress: ({ stage, done, total }) => console.log(stage, done / (total ?? done)),
    precision: 'f16',
    convolutions: 'small',
    signal,
  });
  const head = await Detector.load(new Uint8Array(8), { backbone: detector });
  const detection: Detection = await head.detect(file, { signal, preview: 100 });
  const { drift } = await head.detect(frame, { drift: true });
  if (detection.unlike === true) console.warn('another part');
  if (drift?.alarm) console.warn(drift.parts, drift.median - drift.calibrated, drift.chance);
  await head.detect(texture);
  await head.detect(video);
  const photograph = await Photograph.from(file);
  await detector.detect(photograph);
  const [first] = detector.regions(detection, 0.5);
  const [same] = await regions(detection, 0.5);
  // @ts-expect-error: a texture stays on the GPU.
  await Photograph.from(texture);
  // @ts-expect-error: a path is no picture.
  await detector.detect('part.png');
  // @ts-expect-error: a device stands among the options.
  await init(device);
  return (detection.map[0] ?? 0) + (first?.bounds.width ?? 0) + (same?.area ?? 0) + (detection.preview?.width ?? 0);
}

export const wasms: InitOptions[] = [
  { wasm: 'pcsnet.wasm' },
  { wasm: new Uint8Array(8) },
  { wasm: new WebAssembly.Module(new Uint8Array(8)) },
];

export async function teaches(files: File[], worker: Worker): Promise<number> {
  const progress = ({ stage, done, total }: { stage: string; done: number; total?: number }) =>
    console.log(stage, done, total);
  const taught: Taught = await teach(files, {
    backbone: defaultModel,
    poses: 'any',
    effort: 'small',
    falseAlarmRate: 0.1,
    progress,
  });
  const remotely = await connect(worker).teach(files, {
    backbone: new URL(defaultModel),
    signal: AbortSignal.timeout(1000),
  });
  const detector = await Detector.load(taught.file);
  const scores = remotely.photographs.map((photograph) => (photograph.copy ? 0 : photograph.score));
  const more: Taught = await teach(files, { model: taught.file, falseAlarmRate: 0.02, progress });
  await connect(worker).teach(files, { model: 'part.safetensors' });
  console.log(more.former.map(({ name, score, disagrees }) => (disagrees ? name : score)));
  // @ts-expect-error: it needs a backbone or a model.
  await teach(files, {});
  // @ts-expect-error: a model knows how its parts lie.
  await teach(files, { model: taught.file, poses: 'any' });
  return Math.max(...scores) + (taught.falseAlarms?.high ?? 0) + (detector.card.threshold ?? 0);
}

export async function remotely(worker: Worker, bitmap: ImageBitmap, video: HTMLVideoElement): Promise<number> {
  const pcsnet = connect(worker);
  await pcsnet.init({ wasm: 'pcsnet.wasm' });
  const detector: RemoteDetector = await pcsnet.load(new URL('model.safetensors', 'https://example.org/'));
  const head = await pcsnet.load('head.safetensors', { backbone: detector });
  const { score } = await head.detect(bitmap, { signal: AbortSignal.timeout(1000) });
  // @ts-expect-error: an element cannot travel.
  await head.detect(video);
  pcsnet.close();
  return score;
}
