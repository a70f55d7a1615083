// The pictures of the repository's samples/test, beside the page.

const counts = { good: 2, blocked_hole: 2, chip: 2, corrosion: 2, dent: 2, fibre: 1, scratch: 1 };

export const samples = Object.entries(counts).flatMap(([kind, count]) =>
  Array.from({ length: count }, (_, index) => ({
    url: `samples/${kind}/${String(index).padStart(3, '0')}.png`,
    name: `${kind.replace('_', ' ')} ${index + 1}`,
  })),
);
