// Stands in for the page's worker.js where the page's conduct is tested, not the network: a picture's score is the grey
// of its first pixel, and answers come when the test says so or after a random while. See `withStandIn` in
// states.test.js.

const channel = new BroadcastChannel('stand-in');
/** Calls that wait until the test releases them. */
const held = new Set();
const releases = [];
const detectors = new Map();

channel.onmessage = ({ data }) => {
  if (data.lose) postMessage({ device: 1, lost: data.lose });
  if (data.hold) held.add(data.hold);
  if (data.release) {
    held.delete(data.release);
    for (const release of releases.splice(0)) release();
  }
};

async function released(call) {
  while (held.has(call)) await new Promise((resolve) => releases.push(resolve));
}

const pause = (most) => new Promise((resolve) => setTimeout(resolve, Math.random() * most));

async function greyOf(source) {
  const bitmap = source instanceof ImageBitmap ? source : await createImageBitmap(source);
  const context = new OffscreenCanvas(1, 1).getContext('2d');
  context.drawImage(bitmap, 0, 0);
  return { grey: context.getImageData(0, 0, 1, 1).data[0], width: bitmap.width, height: bitmap.height };
}

function thresholdIn(model) {
  const { __metadata__: metadata } = JSON.parse(model.slice(8, model.lastIndexOf('}') + 1));
  return Number(metadata['pcsnet.threshold'] ?? NaN) || null;
}

// One after another, as in the package.
let last = Promise.resolve();

const calls = {
  async init() {
    return { adapter: { name: 'stand-in', software: STAND_IN.software }, device: 1 };
  },
  async load({ source }, progress) {
    const text = source.name && (await source.text());
    if (text === 'bad') throw new Error(`${source.name}: not a usable safetensors file`);
    progress({ stage: 'upload', done: 50, total: 100 });
    progress({ stage: 'kernels', done: 1, total: 4 });
    if (detectors.size) progress({ stage: 'kernels', done: 0, total: 0 });
    const name = source.name ?? 'default';
    const id = detectors.size + 1;
    // Every model has scores of its own, in steps that no two greys of the tests share.
    detectors.set(id, name === 'default' ? 0 : 0.001);
    const metadata = name.startsWith('taught')
      ? { 'pcsnet.training': '{ "recipe": "taught", "images": ["a.png"] }' }
      : {};
    return {
      detector: id,
      card: {
        threshold: name.startsWith('bare') ? thresholdIn(text) : 0.5,
        scale: [0, 1],
        input: 224,
        adapter: '',
        gpuBytes: 1,
        metadata,
      },
    };
  },
  detect({ detector, source, options }) {
    const look = async () => {
      await pause(STAND_IN.pause);
      const { grey, width, height } = await greyOf(source);
      const score = grey / 255 + detectors.get(detector);
      const preview = options.preview ? await createImageBitmap(source) : undefined;
      const inspected = { x: 0, y: 0, width, height };
      const regions = score > 0.5 ? [{ bounds: inspected, area: width * height, peak: score, mean: score }] : [];
      const times = { decode: 1, preprocess: 1, network: 1, regions: 1 };
      return {
        score,
        verdict: null,
        unlike: grey > 210,
        regions,
        map: new Float32Array(64).fill(score),
        side: 8,
        mapWidth: 8,
        mapHeight: 8,
        fit: 'stretch',
        width,
        height,
        inspected,
        times,
        preview,
        drift: options.drift ? { parts: 20, median: score, calibrated: 0.125, alarm: STAND_IN.drifted } : undefined,
      };
    };
    const result = last.then(look);
    last = result.catch(() => {});
    return result;
  },
  async teach({ photographs, options }, progress) {
    progress({ stage: 'describing', done: 1, total: 4 });
    await released('teaching');
    await released(options.effort);
    const greys = await Promise.all(photographs.map(async (photograph) => (await greyOf(photograph)).grey));
    if (greys.length === 1 && !options.model) throw new Error('normal images: expected at least 2, found 1');
    const middle = greys.toSorted((a, b) => a - b)[greys.length >> 1];
    const found = greys.map((grey, index) => {
      const { name } = photographs[index];
      return greys.indexOf(grey) < index
        ? { name, copy: true }
        : { name, copy: false, score: grey / 255, disagrees: Math.abs(grey - middle) > 60 };
    });
    return {
      file: new Blob(['good']),
      photographs: found,
      former: options.model ? [{ name: 'a.png', score: 0.25, disagrees: false }] : [],
      lightDiffers: false,
      anyPose: false,
      flips: false,
      nearerWhenTurned: 0,
      prototypes: [4, 4],
      threshold: 0.5,
      falseAlarms: { expected: 0.05, low: 0.01, high: 0.3, confidence: 0.9 },
      warnings: ['more photographs make the threshold surer'],
    };
  },
  async calibrate({ detector, sources }, progress) {
    progress({ done: 1, total: sources.length });
    await released('threshold');
    const greys = await Promise.all(sources.map(async (source) => (await greyOf(source)).grey));
    const threshold = Math.max(...greys) / 255 + detectors.get(detector);
    return { calibration: { changes: { 'pcsnet.threshold': `${threshold}`, 'pcsnet.tiles': null } }, card: {} };
  },
  preview: ({ source }) => createImageBitmap(source),
  regions: ({ detection: { map }, threshold }) =>
    map[0] > threshold ? [{ bounds: { x: 0, y: 0, width: 1, height: 1 }, area: 1, peak: map[0], mean: map[0] }] : [],
  profile: () => null,
  free: () => {},
};

for (const call of STAND_IN.held) held.add(call);

onmessage = async ({ data: { id, call, input, abort } }) => {
  if (abort) return;
  try {
    await released(call);
    const output = await calls[call](input, (progress) => postMessage({ id, progress }));
    postMessage({ id, output });
  } catch (error) {
    postMessage({ id, error: { name: error.name, message: error.message } });
  }
};
