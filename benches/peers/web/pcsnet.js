// Our package: from pixels to a blurred map.

import { Detector, init } from './pcsnet/core.js';
import { picture } from './input.js';

export async function open() {
  init({ wasm: './pcsnet/pcsnet.wasm' });
  const detector = await Detector.load('./model.safetensors', { cache: null });
  const pixels = picture();
  return { run: async () => (await detector.detect(pixels)).map, finish: (map) => map };
}
