// What the page knows of teaching, and what follows from it: the part `teaching` of state.js's state, and as pure.
//
// Photographs of good parts are { id, name, file, picture, model, thumbnail, brightness, problem }: `picture` is the
// `id` of the inspected picture that was found to be good, `model` that of the model that failed it, where only its
// file is here to be taught more, `brightness` a mean from 0 to 1, `problem` why it cannot be taught from.

export const initialTeaching = {
  photographs: [],
  /**
   * What the user says of the part: how it may lie, how much its model may cost, unless that is left to the device, and
   * the share of good parts that may fail.
   */
  wishes: { poses: 'auto', effort: undefined, falseAlarmRate: 0.05 },
  /** 'asked' until the network has time, then 'begun'. */
  phase: undefined,
  /**
   * What is to come of it: a 'new' model, the one in use taught 'more' from its file, or a 'threshold' for that.
   */
  aim: 'new',
  /** How far it is: { stage, done, total }; `ahead` while the quick model is made whose look is the first. */
  progress: undefined,
  /**
   * What a quick model of the same photographs found, until the model that is wished for is there: the `name` of the
   * picture, its `bitmap`, its `result`, and the model's `card`.
   */
  look: undefined,
  /** Why the last attempt made no model. */
  problem: undefined,
  /** Whether a photograph found no room in the browser's storage. */
  unkept: false,
  /** Of the last press of the shutter: how many shots were taken, and how many left out because they show the same. */
  burst: { taken: 0, leftOut: 0 },
  /**
   * What was last taught: the `id` of its `model`, `photographs` as { id, score, disagrees, copy }, the `seconds` it
   * took, and the package's account (`former`, `anyPose`, `threshold`, `falseAlarms`, `warnings`).
   */
  outcome: undefined,
};

const idle = { phase: undefined, progress: undefined, look: undefined };

export const teachingEvents = {
  'photographs taken': (teaching, { photographs }) => ({
    ...teaching,
    photographs: [...teaching.photographs, ...photographs],
    problem: undefined,
  }),
  'photograph seen': (teaching, { id, thumbnail, brightness }) => change(teaching, id, { thumbnail, brightness }),
  'photograph refused': (teaching, { id, reason }) => change(teaching, id, { problem: reason }),
  'photograph unkept': (teaching) => ({ ...teaching, unkept: true }),
  'photograph removed': (teaching, { id }) => ({
    ...teaching,
    photographs: teaching.photographs.filter((photograph) => photograph.id !== id),
    problem: undefined,
  }),
  'photographs removed': (teaching) => ({
    ...teaching,
    photographs: [],
    problem: undefined,
    unkept: false,
    burst: initialTeaching.burst,
  }),
  'burst begun': (teaching) => ({ ...teaching, burst: initialTeaching.burst }),
  shot: (teaching, { isTaken }) => {
    const { taken, leftOut } = teaching.burst;
    return { ...teaching, burst: isTaken ? { taken: taken + 1, leftOut } : { taken, leftOut: leftOut + 1 } };
  },

  'teaching wished': (teaching, { wishes }) => ({ ...teaching, wishes: { ...teaching.wishes, ...wishes } }),
  'teaching asked': (teaching, { aim = 'new' }) => ({
    ...teaching,
    ...idle,
    phase: 'asked',
    aim,
    problem: undefined,
  }),
  'teaching begun': (teaching) => ({ ...teaching, phase: 'begun' }),
  'teaching progress': (teaching, { stage, done, total, ahead }) =>
    teaching.phase === 'begun' ? { ...teaching, progress: { stage, done, total, ahead } } : teaching,
  'first look': (teaching, { look }) => (teaching.phase === 'begun' ? { ...teaching, look } : teaching),
  'teaching stopped': (teaching) => ({ ...teaching, ...idle }),
  'teaching refused': (teaching, { reason }) => ({ ...teaching, ...idle, problem: reason }),
  'teaching problem dismissed': (teaching) => ({ ...teaching, problem: undefined }),
  taught: (teaching, { outcome }) => ({ ...teaching, ...idle, outcome }),
  'threshold found': (teaching) => ({ ...teaching, ...idle }),
  // Of an earlier visit.
  'outcome known': (teaching, { outcome }) => ({ ...teaching, outcome: teaching.outcome ?? outcome }),
};

/** What becomes of teaching when the device is lost. */
export function interrupted(teaching) {
  if (!teaching.phase) return teaching;
  return { ...teaching, ...idle, problem: 'the graphics device was lost. The photographs are still here.' };
}

function change(teaching, id, changes) {
  const renew = (photograph) => (photograph.id === id ? { ...photograph, ...changes } : photograph);
  return { ...teaching, photographs: teaching.photographs.map(renew) };
}

// ---------------------------------------------------------------- what follows

/** Those that a new model can be taught from. */
export function usable({ teaching }) {
  return teaching.photographs.filter(({ problem, model }) => !problem && !model);
}

/** Those that the model in use, of which only the file is here, can be taught more from. */
export function additions({ teaching, model }) {
  if (!model) return [];
  return teaching.photographs.filter((photograph) => !photograph.problem && photograph.model === model.id);
}

/** Whether an inspected picture is among what the model in use was or is to be taught. */
export function isTaken(state, picture) {
  const known = new Set(outcomeOf(state)?.photographs.map(({ id }) => id));
  const isForIt = ({ id, model }) => !model || model === state.model?.id || known.has(id);
  return state.teaching.photographs.some((photograph) => photograph.picture === picture?.id && isForIt(photograph));
}

/** Those that the network is to teach from. */
export function taughtFrom(state) {
  return state.teaching.aim === 'more' ? additions(state) : usable(state);
}

/** Whether a model is the user's, and was made by teaching. */
export function isTaught(model) {
  return Boolean(model?.file) && JSON.parse(model.card.metadata['pcsnet.training'] ?? '{}').recipe === 'taught';
}

/** Whether photographs that the model in use was taught from are here: without them it can only be taught more. */
export function hasPhotographs(state) {
  const outcome = outcomeOf(state);
  if (!outcome || outcome.former?.length) return false;
  const here = new Set(usable(state).map(({ id }) => id));
  return outcome.photographs.some(({ id }) => here.has(id));
}

export function isTeaching({ teaching }) {
  return teaching.phase !== undefined;
}

/** Whether the network should begin to teach. */
export function wantsTeaching({ teaching, ready, loading, running }) {
  return teaching.phase === 'asked' && ready && !loading && running === undefined;
}

/** What is wished for, the device's part in it included: a processor makes a standard model in minutes at best. */
export function wishesOf({ teaching: { wishes }, device }) {
  return { ...wishes, effort: wishes.effort ?? (device.software ? 'small' : 'standard') };
}

/** Whether Teach can be pressed. */
export function canTeach(state) {
  return !isTeaching(state) && usable(state).length > 0 && state.device.phase !== 'absent';
}

/** What the model in use was taught from, where it was taught here. */
export function outcomeOf({ teaching: { outcome }, model }) {
  return outcome && outcome.model === model?.id ? outcome : undefined;
}

/** Whether there are other photographs now than the model in use was taught from. */
export function isOutdated(state) {
  if (!hasPhotographs(state)) return false;
  const now = usable(state);
  const before = new Set(outcomeOf(state).photographs.map(({ id }) => id));
  return now.length !== before.size || now.some(({ id }) => !before.has(id));
}

/** The scores of the good photographs, each compared with the others alone. */
export function heldOutScores({ former = [], photographs }) {
  return [...former, ...photographs.filter(({ copy }) => !copy)].map(({ score }) => score);
}

/** Below this mean brightness a photograph shows too little. */
const DARK = 0.12;

/** What is to be said of a photograph: { text, tone }, where 'fault' and 'doubt' want to be looked at. */
export function markOf({ teaching, model: inUse }, { id, problem, model, thumbnail, brightness }) {
  if (problem) return { tone: 'fault', text: 'not readable' };
  if (!thumbnail) return { tone: 'none', text: 'looking' };
  const found = teaching.outcome?.photographs.find((photograph) => photograph.id === id);
  if (found?.copy) return { tone: 'doubt', text: 'seen twice' };
  if (found?.disagrees) return { tone: 'doubt', text: 'unlike the others' };
  if (brightness < DARK) return { tone: 'doubt', text: 'very dark' };
  if (model && !found) return { tone: 'none', text: `for ${model === inUse?.id ? 'this' : 'another'} model alone` };
  return { tone: 'none', text: found ? `score ${found.score.toPrecision(3)}` : '' };
}

/** Photographs that are enough. */
const ENOUGH = 8;

/** Photographs that cannot be read are named, as many as are read with patience. */
const MOST_REASONS = 3;

/** What became of the shots while the shutter was held, in words. */
export function burstOf({ teaching: { burst } }) {
  const { taken, leftOut } = burst;
  if (!leftOut) return '';
  const [show, are] = leftOut === 1 ? ['shows', 'is'] : ['show', 'are'];
  const others = `${plural(leftOut, 'more shot')} ${show} the same as one before and ${are} left out.`;
  return `${plural(taken, 'photograph')} taken. ${others}`;
}

/** What to do next, in words. */
export function adviceOf(state) {
  const { device, teaching } = state;
  const count = usable(state).length;
  const sentences = [];
  if (device.phase === 'absent') sentences.push('Teaching needs WebGPU, which is missing here; the photographs stay.');
  else if (count === 0) sentences.push('None yet. Eight are enough to begin well.');
  else if (count < 4)
    sentences.push(`${ENOUGH} or more show better how good parts differ; with ${count} many defects pass.`);
  else if (count < ENOUGH) sentences.push(`Enough to begin; ${ENOUGH} or more are better.`);
  else sentences.push('Enough. More make the threshold surer.');
  const reasons = teaching.photographs.map(({ problem }) => problem).filter(Boolean);
  if (reasons.length) {
    const more = reasons.length > MOST_REASONS ? [`and ${reasons.length - MOST_REASONS} more`] : [];
    sentences.push(`Left out: ${[...reasons.slice(0, MOST_REASONS), ...more].join('; ')}.`);
  }
  if (teaching.unkept) sentences.push('The browser has no room to keep them: they are lost when this page is closed.');
  return sentences.join(' ');
}

const STAGES = {
  download: 'Loading the network',
  upload: 'Handing the network to the device',
  photographs: 'Reading photographs',
  poses: 'Looking at how the parts lie',
  describing: 'Describing photographs',
  choosing: 'Choosing what good parts look like',
  'holding-out': 'Comparing each photograph with the others',
  inspecting: 'Inspecting good photographs',
};
/** Counted in bytes or in the thousands, which tells nobody anything. */
const UNCOUNTED = ['download', 'upload', 'choosing'];

/** How far teaching is: { text, fraction }, or nothing. */
export function teachingActivity({ teaching: { phase, progress }, loading }) {
  if (phase === undefined) return undefined;
  if (loading && phase === 'begun') return { text: 'Taking the model into use' };
  if (phase === 'asked') return { text: 'Teaching begins when the network is ready' };
  if (!progress) return { text: 'Beginning' };
  const { stage, done, total, ahead } = progress;
  const count = UNCOUNTED.includes(stage) || !total ? '' : `: ${Math.min(done + 1, total)} of ${total}`;
  const purpose = ahead ? ', for a first look' : '';
  return { text: `${STAGES[stage]}${count}${purpose}`, fraction: total ? done / total : undefined };
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}\u00a0%`;

/** What was taught, in sentences. */
export function accountOf(taught) {
  const { photographs, former, seconds, lightDiffers, anyPose, flips, nearerWhenTurned } = taught;
  const { falseAlarms, pseudoDefects } = taught;
  const count = photographs.filter(({ copy }) => !copy).length;
  const what = former?.length
    ? `Taught ${plural(count, 'photograph')} more`
    : `Taught from ${plural(count, 'photograph')}`;
  const unturned = flips ? 'as photographed, mirrored or upside down' : 'always as photographed';
  const lie = anyPose ? 'at any angle' : unturned;
  const isAsked = nearerWhenTurned !== null;
  const why = isAsked ? `: turning one brought ${percent(nearerWhenTurned)} of their pairs nearer` : '';
  const sentences = [`${what} in ${plural(Math.round(seconds), 'second')}.`, `Parts lie ${lie}${why}.`];
  if (lightDiffers) sentences.push('Their light differs, so every picture is brought to one.');
  if (falseAlarms) {
    const { expected, low, high } = falseAlarms;
    sentences.push(`Of good parts ${percent(expected)} are expected to fail (${percent(low)} to ${percent(high)}).`);
  }
  if (pseudoDefects?.tried) {
    const { tried, found } = pseudoDefects;
    sentences.push(`Of ${plural(tried, 'made-up defect')} on photographs held out, ${found} would be found.`);
  }
  return sentences.join(' ');
}

export const plural = (count, thing) => `${count} ${thing}${count === 1 ? '' : 's'}`;
