// Pictures shrunk to few pixels, by which they are compared and measured.

/** A picture's pixels, shrunk to `side` x `side`: RGBA, a byte each. */
export function pixelsOf(picture, side) {
  const context = new OffscreenCanvas(side, side).getContext('2d', { willReadFrequently: true });
  // Each pixel is to be a mean, not one of those it stands for.
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, 0, 0, side, side);
  return context.getImageData(0, 0, side, side).data;
}
