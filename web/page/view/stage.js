// The stage: the chosen picture, its heat and regions, or why it cannot be seen; and the camera's viewfinder.

import { activityOf, coloursOf, isUnlike, onStage, shown, verdictOf } from '../state.js';
import { paintHeat } from '../heat.js';
import { $, element, renewChildren, setText, showActivity } from './dom.js';

/** More pixels than a screen shows are not painted. */
const LONGEST_SIDE = 1600;

/** `preview(picture, longestSide)` decodes a picture as the network is given it. */
export function showStage({ store, preview }) {
  const { dispatch, follow } = store;
  const picture = $('picture');
  /** The `id` of the picture that is painted or about to be. */
  let wanted;
  /** What the heat was painted from. */
  let heated = {};

  async function bitmapOf({ kind, name, source }) {
    if (kind === 'frame') return source;
    if (kind === 'file') return preview({ name, source }, LONGEST_SIDE);
    // Samples are there before the network is.
    const answer = await fetch(source);
    if (!answer.ok) throw new Error(`${name} could not be loaded: the server answered ${answer.status}`);
    return createImageBitmap(await answer.blob());
  }

  function paint(bitmap) {
    [picture.width, picture.height] = [bitmap.width, bitmap.height];
    picture.getContext('2d', { willReadFrequently: true }).drawImage(bitmap, 0, 0);
    $('frame').style.setProperty('--ratio', bitmap.width / bitmap.height);
  }

  async function bring(next) {
    wanted = next.id;
    try {
      const bitmap = await bitmapOf(next);
      if (wanted === next.id) {
        paint(bitmap);
        dispatch({ type: 'picture painted', id: next.id });
      }
      if (next.kind !== 'frame') bitmap.close();
    } catch (error) {
      if (wanted === next.id) wanted = undefined;
      // Not the picture's fault: the thread was ended to start anew.
      if (error.name !== 'AbortError') dispatch({ type: 'picture refused', id: next.id, reason: error.message });
    }
  }

  // With a lost graphics device browsers lose what was painted, too.
  picture.oncontextrestored = () => {
    wanted = undefined;
    dispatch({ type: 'picture painted', id: undefined });
  };
  $('heat').oncontextrestored = () => heated.result && paintHeat($('heat'), heated.result, heated);

  function showHeat({ model, threshold }, result) {
    if (heated.result !== result || heated.threshold !== threshold) {
      heated = { result, threshold, colours: coloursOf(model.card) };
      paintHeat($('heat'), result, heated);
    }
    const { width, height } = result;
    place($('inspected'), result.inspected, { width, height });
    showRegions(result);
  }

  function showRegions({ regions: { found = [] }, inspected }) {
    renewChildren($('outlines'), [...found.entries()], {
      key: ([index]) => index,
      make: ([index]) => element('div', {}, element('span', { textContent: index + 1 })),
      renew(outline, [, { bounds }]) {
        const { x, y } = bounds;
        place(outline, { ...bounds, x: x - inspected.x, y: y - inspected.y }, inspected);
      },
    });
  }

  follow((state) => {
    const next = shown(state);
    if (!next) wanted = undefined;
    else if (next.id !== wanted && !next.problem) bring(next);

    const { picture: painted, result } = onStage(state);
    const { phase, frame } = state.camera;
    const isLive = phase === 'starting' || phase === 'live';
    $('frame').hidden = !painted || next.problem !== undefined;
    // Red all over would only hide what is there.
    $('inspected').hidden = !result || isUnlike(state, painted);
    if (painted && result) showHeat(state, result);
    picture.setAttribute('aria-label', describe(state));

    $('viewfinder').hidden = !isLive;
    $('viewfinder').classList.toggle('inset', frame !== undefined);
    $('problem').hidden = !next?.problem || isLive;
    setText($('problem'), next?.problem ?? '');
    $('hint').hidden = next !== undefined || isLive;
    setText($('caption'), captionOf(next, result));
    showActivity($('activity'), activityOf(state));
  });

  $('opacity').addEventListener('input', ({ target }) =>
    dispatch({ type: 'opacity set', opacity: Number(target.value) }),
  );
  follow(({ opacity }) => {
    $('heat').style.opacity = opacity / 100;
    setText($('opacity-value'), `${opacity} %`);
  });
}

function describe(state) {
  const { picture, result } = onStage(state);
  if (!picture) return 'No picture yet';
  if (!result) return `${picture.name}, without a result`;
  if (isUnlike(state, picture))
    return `${picture.name}, without heat: ${verdictOf(state, picture)}, nearly nothing is like the good parts`;
  const { found } = result.regions;
  const regions = found ? `, ${found.length} ${found.length === 1 ? 'region' : 'regions'} above the threshold` : '';
  return `${picture.name} with heat: ${verdictOf(state, picture)}${regions}`;
}

function captionOf(picture, result) {
  if (!picture) return '';
  if (!result) return picture.name;
  const { width, height, computed } = result;
  return `${picture.name}, ${width} x ${height}, ${computed === 'before' ? 'computed beforehand' : 'computed here'}`;
}

/** Lays an element over a part of a larger one. */
function place(target, { x, y, width, height }, whole) {
  const percent = (part, of) => `${(100 * part) / of}%`;
  Object.assign(target.style, {
    left: percent(x, whole.width),
    top: percent(y, whole.height),
    width: percent(width, whole.width),
    height: percent(height, whole.height),
  });
}
