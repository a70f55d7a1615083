// What the engines share: a picture, the blur of the map, and the measurement.

/** The side of the network's input. */
export const SIDE = 224;

/** A picture with structure at every size, of the network's own size, so that nothing is resized. */
export function picture() {
  // A linear congruential generator: the same picture everywhere.
  let state = 1;
  const noise = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5;
  const values = new Float64Array(3 * SIDE * SIDE).fill(0.5);
  for (const cells of [4, 16, 56, SIDE]) {
    const grid = Float64Array.from({ length: 3 * cells * cells }, noise);
    const size = SIDE / cells;
    for (let at = 0; at < SIDE * SIDE; at++) {
      const cell = Math.floor(Math.floor(at / SIDE) / size) * cells + Math.floor((at % SIDE) / size);
      for (let channel = 0; channel < 3; channel++) values[3 * at + channel] += 0.3 * grid[3 * cell + channel];
    }
  }
  const pixels = new ImageData(SIDE, SIDE);
  for (let at = 0; at < SIDE * SIDE; at++) {
    pixels.data.set(
      [0, 1, 2].map((channel) => 255 * values[3 * at + channel]),
      4 * at,
    );
    pixels.data[4 * at + 3] = 255;
  }
  return pixels;
}

/** A picture's pixels as the backbone wants them, whose `mean` and `deviation` are of bytes: 1 x 3 x SIDE x SIDE. */
export function normalised({ data }, { mean, deviation }) {
  return Float32Array.from({ length: 3 * SIDE * SIDE }, (_, at) => {
    const channel = Math.floor(at / (SIDE * SIDE));
    return (data[4 * (at % (SIDE * SIDE)) + channel] - mean[channel]) / deviation[channel];
  });
}

/** `scipy.ndimage.gaussian_filter(map, sigma=4)`: 33 taps, mirrored at the edges. */
export function blurred(map) {
  const taps = Array.from({ length: 33 }, (_, at) => Math.exp(-0.5 * ((at - 16) / 4) ** 2));
  const sum = taps.reduce((a, b) => a + b);
  const mirrored = (at) => (at < 0 ? -1 - at : at >= SIDE ? 2 * SIDE - 1 - at : at);
  const along = (values, index) =>
    Float64Array.from(values, (_, at) =>
      taps.reduce((total, tap, k) => total + (tap / sum) * values[index(at, k - 16)], 0),
    );
  const columns = along(map, (at, offset) => mirrored(Math.floor(at / SIDE) + offset) * SIDE + (at % SIDE));
  return along(columns, (at, offset) => at - (at % SIDE) + mirrored((at % SIDE) + offset));
}

/**
 * Opens an engine, and leaves in `globalThis.measured` when its first map was there, in milliseconds since the page was
 * opened, how long `runs` more took, and the map. After `budget` seconds no further run is begun, but for one after the
 * first. `open` gives { run, finish }: a run gives a map as it is computed, `finish` blurs it if the engine did not.
 */
export async function measure(open, { runs, budget }) {
  const { run, finish } = await open();
  let map = await run();
  const measured = { first: performance.now(), runs: [] };
  while (measured.runs.length < runs && (measured.runs.length === 0 || performance.now() < 1000 * budget)) {
    const start = performance.now();
    map = await run();
    measured.runs.push(performance.now() - start);
  }
  globalThis.measured = { ...measured, map: [...finish(map)] };
}
