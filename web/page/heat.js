// Heat: the colours of values, and how much of the picture they cover.

import turbo from './turbo.js';

/** The colour of a value, [r, g, b], where colours run from `low` to `high`. */
export function colourOf(value, [low, high]) {
  const position = Math.min(1, Math.max(0, (value - low) / (high - low)));
  const at = 3 * Math.round(255 * position);
  return turbo.subarray(at, at + 3);
}

/**
 * How much heat covers the picture, 0 to 1: nothing where the map is far below the threshold, all where it is above.
 */
export function coverOf(value, threshold, low) {
  if (threshold <= low) return value > threshold ? 1 : 0;
  const begin = (low + threshold) / 2;
  const position = Math.min(1, Math.max(0, (value - begin) / (threshold - begin)));
  return position * position * (3 - 2 * position);
}

/** Paints a result's map into a canvas, which gets the map's size. */
export function paintHeat(canvas, { map, mapWidth, mapHeight }, { colours, threshold }) {
  [canvas.width, canvas.height] = [mapWidth, mapHeight];
  const heat = new ImageData(mapWidth, mapHeight);
  map.forEach((value, at) => {
    heat.data.set(colourOf(value, colours), 4 * at);
    heat.data[4 * at + 3] = 255 * coverOf(value, threshold, colours[0]);
  });
  canvas.getContext('2d', { willReadFrequently: true }).putImageData(heat, 0, 0);
}
