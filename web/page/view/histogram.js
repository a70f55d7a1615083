// How the scores of good photographs lie about the threshold, above the slider.

import { legendOf } from '../state.js';
import { heldOutScores, outcomeOf, plural } from '../teaching.js';
import { $, element, number, renewChildren, setText } from './dom.js';

const BINS = 40;

export function showHistogram({ store }) {
  store.follow((state) => {
    const outcome = outcomeOf(state);
    $('histogram').hidden = $('histogram-words').hidden = !outcome;
    if (!outcome) return;
    const scores = heldOutScores(outcome);
    const bars = barsOf(scores, legendOf(state), state.threshold);
    renewChildren($('histogram'), bars, { key: ({ bin }) => bin, make: () => element('span'), renew: renewBar });
    const above = scores.filter((score) => score > state.threshold).length;
    const range = `${number(Math.min(...scores))} to ${number(Math.max(...scores))}`;
    const words = `Of ${plural(scores.length, 'good photograph')} (each held out, ${range}) ${above} would fail.`;
    setText($('histogram-words'), words);
  });
}

function renewBar(bar, { left, height, isAbove }) {
  Object.assign(bar.style, { left: `${100 * left}%`, height: `${100 * height}%` });
  bar.dataset.above = isAbove;
}

/** The bins that hold scores: { bin, left, height, isAbove }, shares of the width and height. */
export function barsOf(scores, [low, high], threshold) {
  const counts = new Map();
  for (const score of scores) {
    const bin = Math.min(BINS - 1, Math.floor((BINS * (score - low)) / (high - low)));
    const { count = 0, highest = -Infinity } = counts.get(bin) ?? {};
    counts.set(bin, { count: count + 1, highest: Math.max(highest, score) });
  }
  const most = Math.max(...[...counts.values()].map(({ count }) => count));
  return [...counts].map(([bin, { count, highest }]) => ({
    bin,
    left: bin / BINS,
    height: count / most,
    isAbove: highest > threshold,
  }));
}
