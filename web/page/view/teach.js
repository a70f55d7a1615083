// The screen where a part is taught: viewfinder and shutter, the photographs, and what came of them.

import {
  accountOf,
  adviceOf,
  burstOf,
  canTeach,
  isTeaching,
  markOf,
  outcomeOf,
  teachingActivity,
  wishesOf,
} from '../teaching.js';
import { $, element, offerFile, renewChildren, setText, showActivity } from './dom.js';
import { paintThumbnail } from './thumbnail.js';

/** `photographs` takes and removes them; `keepWishes()` is called when the visitor has chosen. */
export function showTeach({ store, photographs, keepWishes }) {
  const { dispatch, follow } = store;

  listenToShutter($('shutter'), photographs.burst);
  $('remove-all').addEventListener('click', photographs.removeAll);
  $('teach-now').addEventListener('click', () => dispatch({ type: 'teaching asked' }));
  $('stop-teaching').addEventListener('click', () => dispatch({ type: 'teaching stopped' }));
  $('inspect-now').addEventListener('click', () => dispatch({ type: 'screen chosen', screen: 'inspect' }));
  const wish = (wishes) => {
    dispatch({ type: 'teaching wished', wishes });
    keepWishes();
  };
  $('poses').addEventListener('change', ({ target }) => wish({ poses: target.value }));
  $('effort').addEventListener('change', ({ target }) => wish({ effort: target.value }));
  $('alarms').addEventListener('change', ({ target }) => wish({ falseAlarmRate: Number(target.value) }));

  function make({ id, name }) {
    const texts = ['name', 'mark'].map((className) => element('span', { className }));
    const remove = element('button', { type: 'button', textContent: '\u00d7', className: 'remove' });
    remove.ariaLabel = `Remove ${name}`;
    remove.addEventListener('click', () => photographs.remove(id));
    return element('li', {}, element('canvas', { width: 1, height: 1, ariaHidden: 'true' }), ...texts, remove);
  }

  const renew = (state) => (item, photograph) => {
    const [canvas, name, mark] = item.children;
    const { tone, text } = markOf(state, photograph);
    paintThumbnail(canvas, photograph.id, photograph.thumbnail);
    setText(name, photograph.name);
    setText(mark, text);
    item.dataset.tone = tone;
  };

  follow((state) => {
    const { camera, teaching, model } = state;
    const isLive = camera.phase === 'live';
    $('finder').hidden = !isLive;
    $('finder-hint').hidden = isLive;
    setText($('finder-hint'), camera.phase === 'starting' ? 'Starting the camera' : HINT);
    $('shutter').disabled = !isLive;
    setText($('burst'), burstOf(state));

    renewChildren($('photographs'), teaching.photographs, { key: ({ id }) => id, make, renew: renew(state) });
    setText($('photograph-count'), teaching.photographs.length ? `(${teaching.photographs.length})` : '');
    $('remove-all').hidden = teaching.photographs.length === 0;
    setText($('advice'), adviceOf(state));

    $('teach-now').disabled = !canTeach(state);
    $('stop-teaching').hidden = !isTeaching(state);
    const { poses, effort, falseAlarmRate } = wishesOf(state);
    for (const [id, value] of Object.entries({ poses, effort, alarms: falseAlarmRate })) {
      $(id).value = value;
      $(id).disabled = isTeaching(state);
    }
    showActivity($('teaching-activity'), teachingActivity(state));
    $('teaching-problem').hidden = !teaching.problem;
    setText($('teaching-problem'), teaching.problem ? `No model was made: ${teaching.problem}` : '');
    showOutcome(isTeaching(state) ? undefined : outcomeOf(state), model);
  });
}

const HINT = 'Switch the camera on, or drop, paste or add pictures.';

function showOutcome(outcome, model) {
  $('taught').hidden = !outcome;
  if (!outcome) return;
  setText($('taught-account'), accountOf(outcome));
  const make = (warning) => element('li', { textContent: warning });
  renewChildren($('taught-notes'), outcome.warnings, { key: (warning) => warning, make });
  offerFile($('save-taught'), model.file);
}

/** One photograph a press, and more while it is held. */
function listenToShutter(shutter, burst) {
  let held = false;
  shutter.addEventListener('pointerdown', (event) => {
    if (event.button !== 0 || held) return;
    held = true;
    burst(() => held);
  });
  for (const type of ['pointerup', 'pointercancel', 'pointerleave', 'blur']) {
    shutter.addEventListener(type, () => (held = false));
  }
  // By keyboard or screen reader; a pointer's clicks are counted.
  shutter.addEventListener('click', (event) => event.detail === 0 && burst(() => false));
}
