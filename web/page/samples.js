// The pictures of the repository's samples/test, beside the page, and what the network found in them. The results are
// made by `cargo xtask precompute`.

import { DEFAULT_MODEL } from './state.js';

/** The first is what a visitor sees first. */
const kinds = { scratch: 1, good: 2, blocked_hole: 2, chip: 2, corrosion: 2, dent: 2, fibre: 1 };

const at = (path) => new URL(path, import.meta.url).href;

/** As pictures of the page's state. */
export const samples = Object.entries(kinds).flatMap(([kind, count]) =>
  Array.from({ length: count }, (_, index) => {
    const number = String(index).padStart(3, '0');
    return {
      id: `${kind}/${number}`,
      kind: 'sample',
      name: `${kind.replace('_', ' ')} ${index + 1}`,
      source: at(`samples/${kind}/${number}.png`),
    };
  }),
);

/** The default model's card and what it found: { card, results }, results by the samples' ids. */
export async function precomputed() {
  const answer = await fetch(at('samples/results.json'));
  if (!answer.ok) throw new Error(`the samples' results could not be loaded: the server answered ${answer.status}`);
  const { card, results } = await answer.json();
  return {
    card,
    results: new Map(Object.entries(results).map(([id, result]) => [id, expand(result, card.threshold)])),
  };
}

/** Maps are kept as bytes, the largest of which is the score. */
function expand({ map, regions, ...detection }, threshold) {
  const bytes = Uint8Array.from(atob(map), (character) => character.charCodeAt(0));
  return {
    ...detection,
    map: Float32Array.from(bytes, (byte) => (byte / 255) * detection.score),
    model: DEFAULT_MODEL,
    computed: 'before',
    regions: { threshold, found: regions },
  };
}
