// Small pictures.

const SIDE = 160;

/** Paints a bitmap into a canvas, once for each `id`. */
export function paintThumbnail(canvas, id, bitmap) {
  if (!bitmap || canvas.dataset.painted === id) return;
  const scale = SIDE / Math.max(bitmap.width, bitmap.height);
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(scale * side)));
  const paint = () =>
    canvas.getContext('2d', { willReadFrequently: true }).drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  paint();
  // With a lost graphics device browsers lose what was painted, too.
  canvas.oncontextrestored = paint;
  canvas.dataset.painted = id;
}
