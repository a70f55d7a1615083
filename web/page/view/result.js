// The verdict, the threshold on its legend, the regions and the times: all of the picture on the stage.

import { coloursOf, isUnlike, legendOf, onStage, thresholdOf, verdictOf } from '../state.js';
import { isTaken, isTaught, isTeaching } from '../teaching.js';
import { colourOf } from '../heat.js';
import { $, milliseconds, number, setRows, setText } from './dom.js';

const STEPS = 1000;

/**
 * `keepThreshold()` is called when the user has settled on one; `profile()` gives the parts' times;
 * `takePicture(picture)` makes a picture one of those that the part is taught from.
 */
export function showResult({ store, keepThreshold, profile, takePicture }) {
  const { dispatch, follow } = store;
  const slider = $('threshold');

  let told;
  follow((state) => {
    const { picture, result } = onStage(state);
    showVerdict(state, picture, result);
    if (told === result) return;
    told = result;
    showRegions(result?.regions.found);
    showTimes(result?.times);
  });

  follow((state) => {
    slider.disabled = !state.model;
    if (state.model) showThreshold(state);
  });

  $('is-good').addEventListener('click', () => takePicture(onStage(store.state).picture));
  follow(showIsGood);

  slider.addEventListener('input', () => dispatch({ type: 'threshold set', threshold: Number(slider.value) }));
  slider.addEventListener('change', keepThreshold);
  $('reset').addEventListener('click', () => {
    dispatch({ type: 'threshold set', threshold: thresholdOf(store.state.model.card) });
    keepThreshold();
  });

  // On every picture while it is open.
  let profiled;
  async function showProfile() {
    const { picture, result } = onStage(store.state);
    if (!$('parts').open || profiled === result || result?.computed !== 'here' || picture.kind === 'frame') return;
    profiled = result;
    const parts = await profile().catch(() => null);
    $('no-profile').hidden = Boolean(parts);
    setText($('no-profile'), 'This browser gives no times of the GPU.');
    setRows(
      $('profile'),
      Object.entries(parts ?? {}).map(([part, time]) => [part, milliseconds(time)]),
    );
  }
  $('parts').addEventListener('toggle', showProfile);
  follow(showProfile);
}

const WORDS = { pass: 'Pass', fail: 'Fail' };

function showVerdict(state, picture, result) {
  const verdict = picture && verdictOf(state, picture);
  const panel = $('verdict');
  panel.dataset.verdict = verdict ?? 'none';
  if (result) panel.dataset.score = result.score;
  else delete panel.dataset.score;
  panel.dataset.computed = result?.computed ?? 'none';
  setText($('verdict-text'), WORDS[verdict] ?? 'No result yet');
  $('unlike').hidden = !picture || !isUnlike(state, picture);
  const drift = driftOf(state.camera);
  $('drift').hidden = !drift;
  setText($('drift'), drift);
  setText($('score'), result ? `score ${number(result.score)}, threshold ${number(state.threshold)}` : '');
}

function driftOf({ drift }) {
  if (!drift?.alarm) return '';
  const { parts, median, calibrated } = drift;
  const found = `The latest ${parts} that passed score ${number(median)}`;
  const expected = `the good parts of the calibration ${number(calibrated)}`;
  return `${found}, ${expected}: have the camera, the light or the parts changed?`;
}

/** A false alarm is one good photograph more, where the model was taught. */
function showIsGood(state) {
  const { picture } = onStage(state);
  const taken = isTaken(state, picture);
  const isAlarm = picture && verdictOf(state, picture) === 'fail';
  $('is-good').hidden = !isAlarm || !isTaught(state.model);
  $('is-good').disabled = taken || isTeaching(state);
  setText($('is-good'), taken ? 'Taken as a good part' : 'This part is good');
}

function showThreshold(state) {
  const { threshold, model } = state;
  const slider = $('threshold');
  const [low, high] = legendOf(state);
  const { result } = onStage(state);
  Object.assign(slider, { min: low, max: high, step: (high - low) / STEPS });
  slider.value = threshold;
  slider.setAttribute('aria-valuetext', number(threshold));
  setText($('threshold-value'), number(threshold));
  setText($('legend-low'), number(low));
  setText($('legend-high'), number(high));
  paintLegend($('legend'), [low, high], coloursOf(model.card));
  $('legend').oncontextrestored = () => paintLegend($('legend'), [low, high], coloursOf(model.card));
  mark($('score-mark'), result?.score, [low, high]);
  mark($('model-mark'), model.card.threshold ?? undefined, [low, high]);
  $('reset').disabled = threshold === thresholdOf(model.card);
}

function paintLegend(canvas, [low, high], colours) {
  const context = canvas.getContext('2d', { willReadFrequently: true });
  for (let at = 0; at < canvas.width; at++) {
    const value = low + ((high - low) * (at + 0.5)) / canvas.width;
    context.fillStyle = `rgb(${colourOf(value, colours).join(' ')})`;
    context.fillRect(at, 0, 1, canvas.height);
  }
}

/** Puts a mark on the legend, or hides it. */
function mark(target, value, [low, high]) {
  target.hidden = value === undefined;
  if (value !== undefined) target.style.setProperty('--at', (value - low) / (high - low));
}

function showRegions(found) {
  setText($('region-count'), found?.length ? `(${found.length})` : '');
  $('no-regions').hidden = found?.length !== 0;
  $('regions').hidden = !found?.length;
  setRows(
    $('regions'),
    (found ?? []).map(({ bounds: { x, y, width, height }, area, peak }, index) => [
      index + 1,
      `${x}, ${y}`,
      `${width} x ${height}`,
      `${area} px`,
      number(peak),
    ]),
  );
}

function showTimes(times) {
  $('times').hidden = !times;
  if (!times) return;
  setRows($('times'), [
    ['Decoding', milliseconds(times.decode)],
    ['Preprocessing', milliseconds(times.preprocess)],
    ['Network, results included', milliseconds(times.network)],
    ['Regions', milliseconds(times.regions)],
  ]);
}
