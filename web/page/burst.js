// Which shots of a burst show a part anew: copies of one would make good parts look more alike than they are, and the
// threshold too low.

import { pixelsOf } from './pixels.js';

/** Pixels a side in which shots are compared. */
const SIDE = 32;
/** How far a hand may shake meanwhile, in such pixels: a tenth of the picture. */
const SHIFT = 3;
/**
 * Grey levels of 255 by which they differ on average, where they are best laid over one another. Shots of one part,
 * moved by up to 6 % and turned by up to 4 degrees, mostly differ by 4 to 7; different screws and tiles by more than
 * 10. Of parts drawn in one place a twentieth look the same by that.
 */
const DIFFERENCE = 7;

/** Gives a function that tells of a burst's next shot whether it shows something else than all that it said so of. */
export function startBurst() {
  const taken = [];
  return function isAnother(picture) {
    const greys = greysOf(picture);
    if (taken.some((earlier) => isSame(greys, earlier))) return false;
    taken.push(greys);
    return true;
  };
}

function greysOf(picture) {
  const data = pixelsOf(picture, SIDE);
  return Float32Array.from(
    { length: SIDE * SIDE },
    (_, at) => (data[4 * at] + data[4 * at + 1] + data[4 * at + 2]) / 3,
  );
}

function isSame(one, other) {
  for (let y = -SHIFT; y <= SHIFT; y++) {
    for (let x = -SHIFT; x <= SHIFT; x++) {
      if (differenceOf(one, other, x, y) <= DIFFERENCE) return true;
    }
  }
  return false;
}

/** Of where two shots overlap, once the other is moved by x and y. */
function differenceOf(one, other, x, y) {
  let sum = 0;
  for (let row = Math.max(0, y); row < SIDE + Math.min(0, y); row++) {
    for (let column = Math.max(0, x); column < SIDE + Math.min(0, x); column++) {
      sum += Math.abs(one[row * SIDE + column] - other[(row - y) * SIDE + column - x]);
    }
  }
  return sum / ((SIDE - Math.abs(x)) * (SIDE - Math.abs(y)));
}
