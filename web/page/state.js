// What the page knows, and what follows from it. All of it is pure: what is shown is a function of the state, so a
// verdict can stand beside no other picture than its own, and a message beside nothing but what caused it.
//
// Pictures are { id, kind, name, source, result, thumbnail, problem }: `kind` is 'sample', 'file' or 'frame', `source`
// what the network is given, `problem` why it could not be looked at. Results are detections with the `model` they come
// from, whether they were `computed` 'here' or 'before', and `regions`: { threshold, found }.

import {
  additions,
  heldOutScores,
  initialTeaching,
  interrupted,
  isOutdated,
  isTeaching,
  outcomeOf,
  plural,
  teachingActivity,
  teachingEvents,
  usable,
} from './teaching.js';

export const DEFAULT_MODEL = 'default';

export const initial = {
  /** What the visitor does: 'inspect' or 'teach'. */
  screen: 'inspect',
  /** See teaching.js. */
  teaching: initialTeaching,

  /**
   * 'opening', 'open', 'absent' (no WebGPU) or 'lost'; `software` where a processor stands in for the graphics card.
   */
  device: { phase: 'opening', software: false, problem: undefined },
  /**
   * The model in use: { id, name, card, file }; `file` where it is the user's. Its card stays when the device is lost.
   */
  model: undefined,
  /** The user's model while the default one is in use in its stead: a file. */
  aside: undefined,
  /** The name of the user's model where it found no room in the browser's storage. */
  unkept: undefined,
  /** Whether the model is on the device, so that pictures can be looked at. */
  ready: false,
  /** The model on its way: { name, stage, done, total }. */
  loading: undefined,
  /** Why the last model that was asked for is not in use: { name, reason, retry }. */
  modelProblem: undefined,

  /** Samples first, then what the user opened, in order. */
  pictures: [],
  /** The `id` of the picture on the stage. */
  chosen: undefined,
  /** The `id` of the picture that is painted on the stage: later than chosen, by as long as decoding takes. */
  painted: undefined,
  /** The `id` of the picture the network is looking at. */
  running: undefined,

  /**
   * 'off', 'starting', 'live' or 'refused'; `frame` is the last one looked at: a picture with its result; `drift` how
   * the latest that passed compare with the good parts of the calibration.
   */
  camera: { phase: 'off' },

  /** The largest score that passes; by default the model's. */
  threshold: undefined,
  /** Of the heat, percent. */
  opacity: 70,
};

// ---------------------------------------------------------------- what happens

const events = {
  'screen chosen': (state, { screen }) => ({ ...state, screen }),

  'device opening': (state) => ({ ...state, device: initial.device, ready: false }),
  'device open': (state, { software, adapter }) => ({ ...state, device: { phase: 'open', software, adapter } }),
  'device absent': (state, { reason }) => ({
    ...state,
    device: { phase: 'absent', problem: reason },
    loading: undefined,
  }),
  'device lost': (state, { reason }) => ({
    ...state,
    device: { phase: 'lost', problem: reason },
    ready: false,
    loading: undefined,
    teaching: interrupted(state.teaching),
  }),

  // What was wrong with the model before is settled by asking for another.
  'model asked': (state, { name }) => ({ ...state, loading: { name }, modelProblem: undefined, unkept: undefined }),
  // What was given up may have told more.
  'model progress': (state, { stage, done, total }) =>
    state.loading ? { ...state, loading: { ...state.loading, stage, done, total } } : state,
  'model loaded': (state, { model, threshold }) => ({
    ...state,
    model,
    aside: model.file ? undefined : state.aside,
    ready: true,
    loading: undefined,
    threshold: threshold ?? thresholdOf(model.card),
    camera: { ...state.camera, drift: undefined },
    pictures: state.pictures.map((picture) => ({ ...picture, problem: undefined })),
  }),
  'model refused': (state, { name, reason, retry }) => ({
    ...state,
    loading: undefined,
    modelProblem: { name, reason, retry },
  }),
  'model set aside': (state, { file }) => ({ ...state, aside: file }),
  'model unkept': (state, { name }) => ({ ...state, unkept: name }),
  'model unkept dismissed': (state) => ({ ...state, unkept: undefined }),
  'model problem dismissed': (state) => ({ ...state, modelProblem: undefined }),
  // What the page knows of its own model before it is loaded, to show the samples' results by.
  'card known': (state, { model }) => (state.model ? state : { ...state, model, threshold: thresholdOf(model.card) }),

  'pictures opened': (state, { pictures }) =>
    choose({ ...state, pictures: [...state.pictures, ...pictures] }, pictures[0].id),
  'picture chosen': (state, { id }) => choose(state, id),
  'picture running': (state, { id }) => ({ ...state, running: id }),
  'picture done': (state, { id, result, thumbnail }) => ({
    ...change(state, id, (picture) => ({ ...picture, result, thumbnail: thumbnail ?? picture.thumbnail })),
    running: undefined,
  }),
  'picture refused': (state, { id, reason }) => ({
    ...change(state, id, (picture) => ({ ...picture, problem: reason, result: undefined })),
    running: state.running === id ? undefined : state.running,
  }),
  'picture painted': (state, { id }) => ({ ...state, painted: id }),
  'picture given up': (state) => ({ ...state, running: undefined }),
  // Results that came with the page; those from here are better.
  'result known': (state, { id, result }) =>
    change(state, id, (picture) => (picture.result ? picture : { ...picture, result })),
  'regions found': (state, { id, model, regions }) => {
    const renew = (picture) =>
      picture.result?.model === model ? { ...picture, result: { ...picture.result, regions } } : picture;
    const { frame } = state.camera;
    if (frame?.id === id) return { ...state, camera: { ...state.camera, frame: renew(frame) } };
    return change(state, id, renew);
  },
  'files removed': (state) => {
    const pictures = state.pictures.filter(({ kind }) => kind === 'sample');
    const chosen = pictures.some(({ id }) => id === state.chosen) ? state.chosen : pictures[0]?.id;
    return { ...state, pictures, chosen };
  },

  'camera asked': (state) => ({ ...state, camera: { phase: 'starting' } }),
  'camera live': (state) => ({ ...state, camera: { phase: 'live' } }),
  'camera refused': (state, { reason }) => ({ ...state, camera: { phase: 'refused', problem: reason } }),
  'camera problem dismissed': (state) => ({ ...state, camera: initial.camera }),
  // A frame that comes after the camera was stopped is shown no more.
  'frame done': (state, { frame }) => ({
    ...state,
    running: undefined,
    camera: state.camera.phase === 'live' ? withFrame(state.camera, frame) : state.camera,
  }),
  // The last frame stays, as a picture like others.
  'camera stopped': (state) => {
    const { frame } = state.camera;
    const stopped = { ...state, camera: initial.camera };
    return frame ? { ...stopped, pictures: [...state.pictures, frame], chosen: frame.id } : stopped;
  },

  'threshold set': (state, { threshold }) => ({ ...state, threshold }),
  'opacity set': (state, { opacity }) => ({ ...state, opacity }),
};

export function reduce(state, event) {
  const renew = teachingEvents[event.type];
  return renew ? { ...state, teaching: renew(state.teaching, event) } : events[event.type](state, event);
}

/** Frames that are not counted as another part leave what is known of the line. */
function withFrame(camera, frame) {
  return { ...camera, frame, drift: frame.result.drift ?? camera.drift };
}

/** A picture that could not be looked at gets another try when it is chosen again. */
function choose(state, id) {
  const chosen = { ...state, chosen: id, camera: initial.camera };
  return change(chosen, id, (picture) => ({ ...picture, problem: undefined }));
}

function change(state, id, renew) {
  return { ...state, pictures: state.pictures.map((picture) => (picture.id === id ? renew(picture) : picture)) };
}

// ---------------------------------------------------------------- what follows

/** The picture on the stage; with the camera on, its last frame. */
export function shown({ camera, pictures, chosen }) {
  return camera.phase === 'live' ? camera.frame : pictures.find(({ id }) => id === chosen);
}

/** What is on the stage: the picture once it is painted, and its result by the model in use. */
export function onStage(state) {
  const picture = shown(state);
  return picture && picture.id === state.painted ? { picture, result: resultOf(state, picture) } : {};
}

/** A picture's result by the model in use. There is no other way to a result. */
export function resultOf({ model }, picture) {
  return picture?.result && picture.result.model === model?.id ? picture.result : undefined;
}

/** 'pass' or 'fail', where there is a result. */
export function verdictOf(state, picture) {
  const result = resultOf(state, picture);
  return result && (result.score > state.threshold ? 'fail' : 'pass');
}

/** Whether a picture shows another part or view, rather than a defect, as the model in use sees it. */
export function isUnlike(state, picture) {
  return Boolean(resultOf(state, picture)?.unlike);
}

/**
 * The picture to look at next: the chosen one, then the user's files in order. Samples passed over are not looked at.
 */
export function nextPicture(state) {
  if (!isFree(state) || isLive(state)) return undefined;
  return inOrder(state).find((picture) => wants(state, picture));
}

/** Whether the running picture is still wanted; otherwise another waits for nothing. */
export function isRunningWanted(state) {
  if (state.loading || !state.ready || isTeaching(state)) return false;
  if (isLive(state)) return state.screen === 'inspect';
  const [first] = inOrder(state).filter((picture) => wants(state, picture));
  return first?.id === state.running;
}

/** Whether the camera's next frame is to be looked at. */
export function wantsFrame(state) {
  return isFree(state) && state.screen === 'inspect' && state.camera.phase === 'live';
}

/** Whether the network has nothing to do. */
function isFree(state) {
  return state.ready && !state.loading && state.running === undefined && !isTeaching(state);
}

function isLive({ camera }) {
  return camera.phase === 'starting' || camera.phase === 'live';
}

function inOrder({ pictures, chosen }) {
  const first = pictures.find(({ id }) => id === chosen);
  return [first, ...pictures.filter(({ kind }) => kind !== 'sample')].filter(Boolean);
}

function wants(state, picture) {
  return !picture.problem && resultOf(state, picture)?.computed !== 'here';
}

/** The values of the first and the last colour. */
export function coloursOf(card) {
  return card?.scale ?? [0, 2 * (card?.threshold ?? 0.5)];
}

/** A model's threshold; where it has none, what its colours run to. */
export function thresholdOf(card) {
  return card.threshold ?? coloursOf(card)[1];
}

/**
 * The values at the ends of the legend: the colours', and where the threshold or a score lie beyond them, these; a
 * score with a margin, so that the threshold can be set above it.
 */
export function legendOf(state) {
  const [low, high] = coloursOf(state.model?.card);
  const results = [...state.pictures, state.camera.frame].map((picture) => resultOf(state, picture)).filter(Boolean);
  const outcome = outcomeOf(state);
  const good = outcome ? heldOutScores(outcome) : [];
  const above = results.map(({ score }) => score + (high - low) / 50);
  const values = [low, high, state.threshold ?? low, ...above, ...good];
  return [Math.min(...values), Math.max(...values)];
}

/** What the page is busy with: { text, fraction }, or nothing. */
export function activityOf(state) {
  const { device, loading, camera, running } = state;
  const picture = shown(state);
  const waiting = !isLive(state) && picture && !picture.problem && !resultOf(state, picture);
  const then = waiting && (device.phase === 'open' || device.phase === 'opening') ? `, then ${picture.name}` : '';
  if (device.phase === 'opening' && !loading) return { text: `Starting${then}` };
  if (loading) return { ...loadingText(loading, then) };
  if (isTeaching(state)) return teachingActivity(state);
  if (camera.phase === 'starting') return { text: 'Starting the camera' };
  if (camera.phase === 'live') return camera.frame || !state.ready ? undefined : { text: 'Looking at the first frame' };
  if (running === undefined) return undefined;
  const looked = state.pictures.find(({ id }) => id === running);
  if (!looked) return undefined;
  return { text: looked.id === picture?.id ? `Looking at ${looked.name}` : `Looking at ${looked.name}${then}` };
}

function loadingText({ name, stage, done, total }, then) {
  // A model whose kernels are all there has none to wait for.
  if (stage === 'kernels') return { text: `Preparing the network${then}`, fraction: total ? done / total : undefined };
  if (stage === undefined) return { text: `Loading ${name}${then}` };
  const what = stage === 'download' ? `Loading ${name}` : `Handing ${name} to the device`;
  return {
    text: `${what}: ${megabytes(done)}${total ? ` of ${megabytes(total)}` : ''}${then}`,
    fraction: total && done / total,
  };
}

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)}\u00a0MB`;

/** Messages, each with what it can be answered with: { id, tone, text, action, dismiss }, where both are names. */
export function messagesOf(state) {
  const { screen, device, modelProblem, camera, model, ready, unkept, teaching } = state;
  const messages = [];
  const add = (id, tone, text, answers = {}) => messages.push({ id, tone, text, ...answers });
  if (device.phase === 'absent') {
    add('absent', 'note', `${device.problem} ${ADVICE}`, { action: 'retry' });
  }
  if (device.phase === 'lost') {
    const reason = device.problem?.trim();
    add(
      'lost',
      'fault',
      `The graphics device was lost${reason ? ` (${reason})` : ''}: its driver was restarted, or another program \
took it.`,
      { action: 'retry' },
    );
  }
  if (device.software) {
    add(
      'software',
      'note',
      'This browser computes without a graphics card here: a picture takes seconds and teaching a part minutes, so the \
fastest kind of model is made unless you choose another.',
    );
  }
  if (modelProblem) {
    const { reason, retry } = modelProblem;
    const still = ready ? `\n${model.file ? model.name : 'The default model'} is still in use.` : '';
    add('model', 'fault', `${reason}${still}`, retry ? { action: 'retry' } : { dismiss: 'model problem dismissed' });
  }
  if (unkept) {
    const text = `The browser has no room to keep ${unkept}: it is lost when this page is closed. Save it as a file.`;
    add('unkept', 'note', text, { dismiss: 'model unkept dismissed' });
  }
  if (screen === 'inspect' && isOutdated(state) && !isTeaching(state)) {
    add('outdated', 'note', 'The photographs of good parts are others than this model was taught from.', {
      action: 'teach',
    });
  }
  const more = additions(state).length;
  if (screen === 'inspect' && more && !isTeaching(state)) {
    const [are, them] = more === 1 ? ['is', 'it'] : ['are', 'them'];
    const what = `${plural(more, 'picture')} ${are} good although this model fails ${them}`;
    const text = `${what}. It can be taught that without the photographs that it was made of.`;
    add('more', 'note', text, { action: 'teach more' });
  }
  if (screen === 'inspect' && model?.file && model.card.threshold === null && !isTeaching(state)) {
    const good = usable(state).length;
    const lack = `${model.name} has no threshold: what passes here is a guess.`;
    if (good < 2)
      add('guess', 'note', `${lack} Two or more photographs of good parts give it one.`, { action: 'photographs' });
    else add('guess', 'note', `${lack} Your ${good} photographs of good parts give it one.`, { action: 'threshold' });
  }
  if (screen === 'inspect' && teaching.problem) {
    const what = teaching.aim === 'threshold' ? 'No threshold was found' : 'No model was made';
    add('teaching', 'fault', `${what}: ${teaching.problem}`, { dismiss: 'teaching problem dismissed' });
  }
  if (camera.phase === 'refused') {
    add('camera', 'fault', `The camera cannot be used: ${camera.problem}.`, { dismiss: 'camera problem dismissed' });
  }
  return messages;
}

const ADVICE = `Pictures of your own cannot be inspected here; the samples show what it does. Current Chrome and Edge \
have WebGPU, Safari from version 26, Firefox on Windows and macOS; where the browser has it, let it use hardware \
acceleration and update the graphics driver (Chrome on Linux also needs \
chrome://flags/#enable-unsafe-webgpu).`;
