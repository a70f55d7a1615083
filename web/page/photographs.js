// Photographs of good parts: taken from files, the camera and inspected pictures, looked at, and kept on this device.

import { startBurst } from './burst.js';
import { forget, keep, recallAll } from './keep.js';
import { pixelsOf } from './pixels.js';
import { hasPhotographs } from './teaching.js';

/** Longest side of a thumbnail, pixels. */
const THUMBNAIL = 160;
/** Milliseconds between the photographs of a burst, at least. */
const BURST = 300;

const key = (id) => `photograph ${id}`;

/** Connects a store to what was kept; `preview(picture, side)` decodes, `takeFrame()` gives the camera's picture. */
export function startPhotographs({ store, preview, takeFrame }) {
  const { dispatch } = store;
  let last = 0;

  /**
   * Takes files as photographs of good parts; `inspected` names the `picture` that one of them shows, and the `model`
   * that alone is to be taught it.
   */
  async function take(files, inspected = {}) {
    // In the order in which they were taken, also among those of earlier visits; pictures have their numbers for one.
    const photographs = [...files].map((file) => ({
      id: `${Date.now()} ${++last}`,
      name: file.name,
      file,
      ...inspected,
    }));
    if (photographs.length) dispatch({ type: 'photographs taken', photographs });
    for (const photograph of photographs) {
      const isKept = await keep(key(photograph.id), { ...photograph, picture: undefined });
      if (!isKept) dispatch({ type: 'photograph unkept' });
      await look(photograph);
    }
  }

  async function look({ id, name, file }) {
    try {
      const thumbnail = await preview({ name, source: file }, THUMBNAIL);
      dispatch({ type: 'photograph seen', id, thumbnail, brightness: brightnessOf(thumbnail) });
    } catch (error) {
      // Not the photograph's fault: the thread was ended to start anew.
      if (error.name !== 'AbortError') dispatch({ type: 'photograph refused', id, reason: error.message });
    }
  }

  async function recall() {
    const photographs = await recallAll(key(''));
    if (photographs.length) dispatch({ type: 'photographs taken', photographs });
    for (const photograph of photographs) await look(photograph);
  }

  /** Takes what the camera sees now, where `isAnother` says that it is not one of those before. */
  async function takeNow(isAnother) {
    const frame = await takeFrame();
    const isTaken = isAnother(frame);
    dispatch({ type: 'shot', isTaken });
    if (isTaken) await take([await fileOfBitmap(frame)]);
    else frame.close();
  }

  return {
    take,
    recall,

    /** Takes photographs for as long as `isHeld()`, and one at least. */
    async burst(isHeld) {
      const isAnother = startBurst();
      dispatch({ type: 'burst begun' });
      try {
        do {
          const soon = new Promise((resolve) => setTimeout(resolve, BURST));
          await takeNow(isAnother);
          await soon;
        } while (isHeld());
      } catch (error) {
        dispatch({ type: 'camera refused', reason: error.message });
      }
    },

    /** Takes an inspected picture, as one of a good part. */
    async takePicture({ id, name, kind, source }) {
      const model = hasPhotographs(store.state) ? undefined : store.state.model.id;
      const file = async () => {
        if (kind === 'file') return source;
        if (kind === 'frame') return fileOfBitmap(await createImageBitmap(source));
        return new File([await (await fetch(source)).blob()], `${name}.png`);
      };
      return take([await file()], { picture: id, model });
    },

    remove(id) {
      dispatch({ type: 'photograph removed', id });
      return forget(key(id));
    },

    removeAll() {
      const { photographs } = store.state.teaching;
      dispatch({ type: 'photographs removed' });
      return Promise.all(photographs.map(({ id }) => forget(key(id))));
    },
  };
}

/** A bitmap as a file of the same pixels; the bitmap is used up. */
async function fileOfBitmap(bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  canvas.getContext('bitmaprenderer').transferFromImageBitmap(bitmap);
  const blob = await canvas.convertToBlob({ type: 'image/png' });
  return new File([blob], `camera ${new Date().toLocaleTimeString()}.png`, { type: blob.type });
}

/** The mean of a bitmap's channels, 0 to 1. */
function brightnessOf(bitmap) {
  const side = 16;
  const data = pixelsOf(bitmap, side);
  const sum = data.reduce((sum, value, at) => (at % 4 === 3 ? sum : sum + value), 0);
  return sum / (3 * side * side * 255);
}
