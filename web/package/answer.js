// The worker's side of remote.js, but for the wasm: answers what is asked of the package. Messages are { id, call,
// input }, answers { id, output } or { id, error }, with { id, progress } before them; { id, abort: true } gives a call
// up, and { device, lost } comes when a GPU is gone.

import { Detector, Photograph, heatColours, init, regions, teach } from './core.js';

const detectors = new Map();
let lastDetector = 0;
/** Of the calls that can be given up. */
const controllers = new Map();
/** The device that is watched, as a promise of its loss, and how many there were before. */
let watched;
let devices = 0;

const calls = {
  async init(options) {
    const { adapter, lost } = await init(options);
    if (lost !== watched) {
      watched = lost;
      const device = ++devices;
      lost.then((reason) => postMessage({ device, lost: reason }));
    }
    return { adapter, device: devices };
  },

  async load({ source, options }, { progress, signal }) {
    const backbone = detectors.get(options.backbone);
    const detector = await Detector.load(source, { ...options, backbone, progress, signal });
    detectors.set(++lastDetector, detector);
    return { detector: lastDetector, card: detector.card };
  },

  async detect({ detector, source, options }, { signal }) {
    const output = await detectors.get(detector).detect(source, { ...options, signal });
    return { output, transfer: [output.map.buffer, output.preview].filter(Boolean) };
  },

  async calibrate({ detector, sources, options }, { progress, signal }) {
    const own = detectors.get(detector);
    const calibration = await own.calibrate(sources, { ...options, progress, signal });
    return { calibration, card: own.card };
  },

  teach: ({ photographs, options }, { progress, signal }) => teach(photographs, { ...options, progress, signal }),

  async preview({ source, longestSide }) {
    const photograph = await Photograph.from(source);
    try {
      const output = await photograph.toImageBitmap(longestSide);
      return { output, transfer: [output] };
    } finally {
      photograph.free();
    }
  },

  regions: ({ detection, threshold }) => regions(detection, threshold),
  profile: ({ detector }) => detectors.get(detector).profile(),
  heatColours,

  free({ detector }) {
    detectors.get(detector).free();
    detectors.delete(detector);
  },
};

async function answer({ id, call, input }) {
  const controller = new AbortController();
  controllers.set(id, controller);
  try {
    const progress = (progress) => postMessage({ id, progress });
    const answer = await calls[call](input, { progress, signal: controller.signal });
    postMessage({ id, output: answer?.transfer ? answer.output : answer }, answer?.transfer ?? []);
  } catch (error) {
    postMessage({ id, error: { name: error.name ?? 'Error', message: error.message ?? String(error) } });
  } finally {
    controllers.delete(id);
  }
}

self.addEventListener('message', ({ data }) => {
  if (data.abort) controllers.get(data.id)?.abort();
  else answer(data);
});
