// Compiled, never run: the package in a worker, whose types know no elements.

import { Detector, init } from 'pcsnet';
import 'pcsnet/worker';

export async function uses(file: File, canvas: OffscreenCanvas): Promise<number> {
  await init();
  const detector = await Detector.load('model.safetensors');
  return (await detector.detect(file)).score + (await detector.detect(canvas)).score;
}
