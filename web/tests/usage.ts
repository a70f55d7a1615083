// Compiled, never run: what the package's types must allow, and what not.

import { Detector, Photograph, init, type Detection } from 'pcsnet';

export async function uses(device: GPUDevice, file: File, frame: VideoFrame, texture: GPUTexture): Promise<number> {
  const { lost } = await init(device);
  lost.then((reason: string) => console.warn(reason));
  const detector = await Detector.load('model.safetensors', {
    progress: ({ stage, done, total }) => console.log(stage, done / (total ?? done)),
    precision: 'f16',
    convolutions: 'small',
  });
  const head = await Detector.load(new Uint8Array(8), { backbone: detector });
  const detection: Detection = await head.detect(file);
  await head.detect(frame);
  await head.detect(texture);
  const photograph = await Photograph.from(file);
  await detector.detect(photograph);
  const [first] = detector.regions(detection, 0.5);
  // @ts-expect-error: a texture stays on the GPU.
  await Photograph.from(texture);
  // @ts-expect-error: a path is no picture.
  await detector.detect('part.png');
  return (detection.map[0] ?? 0) + (first?.bounds.width ?? 0);
}
