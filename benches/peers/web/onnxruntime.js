// onnxruntime-web: from a normalised tensor to a map that is not blurred yet.

import { blurred, normalised, picture, SIDE } from './input.js';

export async function open({ backend, normalization }) {
  const ort = await import(`./onnxruntime/ort.${backend}.bundle.min.mjs`);
  // More need a server that isolates the page.
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create('./network.onnx', { executionProviders: [backend] });
  const image = new ort.Tensor('float32', normalised(picture(), normalization), [1, 3, SIDE, SIDE]);
  return { run: async () => (await session.run({ image }, ['map'])).map.data, finish: blurred };
}
