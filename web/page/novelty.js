// Whether the camera sees something else than before.

import { pixelsOf } from './pixels.js';

/** Pixels a side in which pictures are compared. */
const SIDE = 16;
/** Levels of 255 by which pixels differ on average; noise and flicker move them less. */
const DIFFERENCE = 6;

/** Gives a function that tells of a picture whether it differs from the last one of which it said so. */
export function noticeChange() {
  let last;
  return function isAnother(picture) {
    const data = pixelsOf(picture, SIDE);
    const difference = last ? data.reduce((sum, value, at) => sum + Math.abs(value - last[at]), 0) : Infinity;
    // Every fourth value is the opacity, which is always the same.
    const isOther = difference > 3 * SIDE * SIDE * DIFFERENCE;
    if (isOther) last = data;
    return isOther;
  };
}
