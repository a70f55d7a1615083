// The network's thread: everything slow happens here. Messages are { id, call, input }; answers { id, output } or
// { id, error }, with { id, progress } before them; { lost } comes when the GPU is gone.

import { Detector, Photograph, heatColours, init } from './pcsnet/index.js';

// Files above this are loaded so that they take little memory, for the sake of phones.
const LARGE = 100 << 20;
// More pixels than a screen shows need not travel.
const LONGEST_SIDE = 1600;

let detector;
/** Of the device that is watched: see `init`. */
let watched;

const calls = {
  colours: heatColours,

  async load({ source }, progress) {
    const { lost } = await init();
    if (lost !== watched) lost.then((reason) => postMessage({ lost: reason }));
    watched = lost;
    const frugal = source.size > LARGE && { precision: 'f16', convolutions: 'small' };
    const loaded = await Detector.load(source, { progress, backbone: detector, ...frugal });
    detector?.free();
    detector = loaded;
    return detector.card;
  },

  async detect({ source }) {
    // A camera's frame goes to the GPU as it is.
    if (source instanceof ImageBitmap) return { ...(await detector.detect(source)), bitmap: source };
    const photograph = await Photograph.from(source);
    try {
      const detection = await detector.detect(photograph);
      return { ...detection, bitmap: await photograph.toImageBitmap(LONGEST_SIDE) };
    } finally {
      photograph.free();
    }
  },

  regions: ({ detection, threshold }) => detector.regions(detection, threshold),

  profile: () => detector.profile(),
};

async function answer({ id, call, input }) {
  try {
    const output = await calls[call](input, (progress) => postMessage({ id, progress }));
    postMessage({ id, output }, output?.bitmap ? [output.bitmap] : []);
  } catch (error) {
    postMessage({ id, error: error.message ?? String(error) });
  }
}

// One after another.
let last = Promise.resolve();
onmessage = ({ data }) => (last = last.then(() => answer(data)));
