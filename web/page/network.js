// Keeps the network's thread busy with what the state wants next, and tells the state what came of it.

import { DEFAULT_MODEL, isRunningWanted, nextPicture, resultOf, shown, wantsFrame } from './state.js';
import { isTeaching, taughtFrom, wantsTeaching, wishesOf } from './teaching.js';
import { forget, keep, recall } from './keep.js';
import { withMetadata } from './metadata.js';
import { noticeChange } from './novelty.js';
import { connect } from './pcsnet/remote.js';

const at = (path) => new URL(path, import.meta.url).href;
const WASM = at('pcsnet/pcsnet.wasm');
const MODEL = at('pcsnet/default.safetensors');

/** Files above this are loaded so that they take little memory, for the sake of phones. */
const LARGE = 100 << 20;
/** Longest side of the pictures in the strip, pixels. */
const THUMBNAIL = 160;
/** Longest side of a picture that a quick model looked at, pixels. */
const LOOK = 640;
/** Rest between two looks of a quick model, milliseconds: the device is needed for teaching. */
const REST = 500;

const idOf = (file) => `${file.name}, ${file.size} bytes, ${file.lastModified}`;

/** Connects a store to the network; `takeFrame` gives the camera's picture as an ImageBitmap. */
export function startNetwork({ store, takeFrame }) {
  const { dispatch, follow } = store;
  let remote;
  /** The default model, whose backbone the user's heads share, and the one in use. */
  let byDefault;
  let inUse;
  /** Gives up what is running. */
  let running;

  // ---------------------------------------------------------------- the device and its models

  function newThread() {
    remote?.close();
    remote = connect(new Worker(at('worker.js'), { type: 'module' }));
  }

  /** What opens devices and models goes on one after another. */
  let opening = Promise.resolve();
  function inTurn(task) {
    const done = opening.then(task);
    opening = done.catch(() => {});
    return done;
  }

  /** Opens the device, the default model, and the user's where one was kept. */
  async function start() {
    dispatch({ type: 'device opening' });
    // A lost device can leave much behind in a thread.
    newThread();
    byDefault = inUse = undefined;
    const opened = openDevice(remote);
    // The model comes while the wasm does.
    if (!(await load({ id: DEFAULT_MODEL, name: 'the default model', source: MODEL, retry: true, opened }))) return;
    const kept = await recall('model');
    const file = store.state.model?.file ?? ((await recall('aside')) ? undefined : kept);
    if (file) await openModel(file);
    else if (kept) dispatch({ type: 'model set aside', file: kept });
    const outcome = await recall('taught');
    if (outcome) dispatch({ type: 'outcome known', outcome });
  }

  /** Opens the device of a thread; false where there is none. */
  async function openDevice(mine) {
    try {
      const { adapter, lost } = await mine.init({ wasm: WASM });
      dispatch({ type: 'device open', software: adapter.software, adapter: adapter.name });
      lost.then((reason) => mine === remote && dispatch({ type: 'device lost', reason }));
      return true;
    } catch (error) {
      dispatch({ type: 'device absent', reason: error.message });
      return false;
    }
  }

  /** Takes a model into use once the device is `opened`, and gives it up where there is none. */
  async function load({ id, name, source, file, retry, opened = Promise.resolve(true) }) {
    dispatch({ type: 'model asked', name });
    const progress = (progress) => dispatch({ type: 'model progress', ...progress });
    const frugal = source.size > LARGE && { precision: 'f16', convolutions: 'small' };
    const giveUp = new AbortController();
    opened.then((isOpen) => isOpen || giveUp.abort());
    try {
      const { signal } = giveUp;
      const [detector] = await Promise.all([
        remote.load(source, { progress, signal, backbone: byDefault, ...frugal }),
        opened,
      ]);
      if (inUse && inUse !== byDefault) inUse.free();
      inUse = detector;
      if (id === DEFAULT_MODEL) byDefault = detector;
      const kept = await recall('threshold');
      const threshold = kept?.model === id ? kept.threshold : undefined;
      dispatch({ type: 'model loaded', model: { id, name, file, card: detector.card }, threshold });
      return true;
    } catch (error) {
      if ((await opened) && store.state.device.phase !== 'lost')
        dispatch({ type: 'model refused', name, reason: error.message, retry });
      return false;
    }
  }

  /** Takes the user's model into use, and keeps it for the next visit. */
  async function openModel(file) {
    const isLoaded = await load({ id: idOf(file), name: file.name, source: file, file });
    if (!isLoaded) return false;
    const isKept = await keep('model', file);
    if (!isKept) dispatch({ type: 'model unkept', name: file.name });
    await forget('aside');
    return true;
  }

  /** The user's model stays kept, to come back to. */
  async function useDefault() {
    await keep('aside', true);
    dispatch({ type: 'model set aside', file: store.state.model.file });
    if (await load({ id: DEFAULT_MODEL, name: 'the default model', source: MODEL })) return;
    dispatch({ type: 'model set aside', file: undefined });
    await forget('aside');
  }

  // ---------------------------------------------------------------- teaching

  /** Gives up teaching. */
  let teaching;

  async function teach() {
    const { signal } = (teaching = new AbortController());
    const start = performance.now();
    const photographs = taughtFrom(store.state);
    const wishes = wishesOf(store.state);
    const { aim } = store.state.teaching;
    const { file: former } = store.state.model;
    dispatch({ type: 'teaching begun' });
    const progress = (progress) => dispatch({ type: 'teaching progress', ...progress });
    try {
      const sources = photographs.map(({ file }) => file);
      if (aim === 'threshold') return await findThreshold(sources, { rate: wishes.falseAlarmRate, signal, progress });
      if (aim === 'new' && wishes.effort !== 'small') await lookAhead(sources, wishes, signal);
      const basis = aim === 'more' ? { model: former } : { ...wishes, backbone: MODEL };
      const taught = await remote.teach(sources, { ...basis, progress, signal });
      const { file: model, photographs: found, ...account } = taught;
      // Swedes write dates so that files sort by them.
      const file = new File([model], `taught ${new Date().toLocaleString('sv').replaceAll(':', '.')}.safetensors`);
      const seconds = (performance.now() - start) / 1000;
      const named = found.map((part, index) => ({ ...part, id: photographs[index].id }));
      const outcome = { ...account, model: idOf(file), photographs: named, seconds };
      signal.throwIfAborted();
      await inTurn(() => takeIntoUse(file, outcome));
    } catch (error) {
      // What stopped it is known.
      if (!signal.aborted) dispatch({ type: 'teaching refused', reason: error.message });
    }
  }

  /** Gives the model in use the threshold that good photographs have, and keeps it so. */
  async function findThreshold(sources, { rate, signal, progress }) {
    const { file } = store.state.model;
    const inspecting = (counts) => progress({ stage: 'inspecting', ...counts });
    const { changes } = await inUse.calibrate(sources, { rate, signal, progress: inspecting });
    const calibrated = new File([await withMetadata(file, changes)], file.name);
    signal.throwIfAborted();
    await inTurn(async () => {
      if (!(await openModel(calibrated))) throw new Error('the model with it could not be loaded, see above.');
    });
    dispatch({ type: 'threshold found' });
  }

  /** Makes a quick model of the same photographs, and begins to show what it finds. */
  async function lookAhead(sources, wishes, signal) {
    const progress = (progress) => dispatch({ type: 'teaching progress', ahead: true, ...progress });
    const { file } = await remote.teach(sources, { ...wishes, effort: 'small', backbone: MODEL, progress, signal });
    const quick = await remote.load(file, { backbone: byDefault, signal });
    // Should the device be lost, teaching itself says so.
    showLooks(quick, sources, signal)
      .catch(() => {})
      .finally(() => quick.free());
  }

  /** Shows what a quick model finds, on what the camera sees or else on each photograph once. */
  async function showLooks(quick, sources, signal) {
    const left = [...sources];
    while (!signal.aborted) {
      const isLive = store.state.camera.phase === 'live';
      const source = isLive ? await takeFrame() : left.shift();
      if (source) {
        const { preview: bitmap = source, ...result } = await quick.detect(source, { signal, preview: LOOK });
        const name = isLive ? 'what the camera sees' : source.name;
        const former = store.state.teaching.look;
        dispatch({ type: 'first look', look: { name, bitmap, result, card: quick.card } });
        former?.bitmap.close();
      }
      await new Promise((resolve) => setTimeout(resolve, REST));
    }
  }

  async function takeIntoUse(file, outcome) {
    if (!(await openModel(file))) throw new Error('it could not be loaded, see above.');
    dispatch({ type: 'taught', outcome });
    await keep('taught', outcome);
  }

  follow((state) => {
    if (teaching && !isTeaching(state)) teaching.abort();
    if (!isTeaching(state)) teaching = undefined;
    if (wantsTeaching(state)) teach();
  });

  // ---------------------------------------------------------------- pictures

  async function fileOf({ name, source }) {
    if (typeof source !== 'string') return source;
    const answer = await fetch(source);
    if (!answer.ok) throw new Error(`${name} could not be loaded: the server answered ${answer.status}`);
    return new File([await answer.blob()], name);
  }

  /** What the model in use finds: { result, preview }. */
  async function detect(source, options) {
    const { id, card } = store.state.model;
    const { regions, preview, ...detection } = await inUse.detect(source, options);
    return {
      preview,
      result: { ...detection, model: id, computed: 'here', regions: { threshold: card.threshold, found: regions } },
    };
  }

  async function lookAt(picture, signal) {
    const { id } = picture;
    try {
      const { result, preview } = await detect(await fileOf(picture), { signal, preview: THUMBNAIL });
      dispatch({ type: 'picture done', id, result, thumbnail: preview });
    } catch (error) {
      if (signal.aborted || store.state.device.phase !== 'open') dispatch({ type: 'picture given up' });
      else dispatch({ type: 'picture refused', id, reason: error.message });
    }
  }

  // A part that lies before the camera counts once, however long it lies there.
  const isAnother = noticeChange();

  async function lookAtFrame(signal) {
    try {
      const source = await takeFrame();
      const name = `camera, ${new Date().toLocaleTimeString()}`;
      const { result } = await detect(source, { signal, drift: isAnother(source) });
      const former = store.state.camera.frame;
      dispatch({
        type: 'frame done',
        frame: { id: `frame ${performance.now()}`, kind: 'frame', name, source, result },
      });
      former?.source.close();
    } catch (error) {
      dispatch({ type: 'picture given up' });
      if (!signal.aborted && store.state.device.phase === 'open')
        dispatch({ type: 'camera refused', reason: error.message });
    }
  }

  function run(id, look) {
    running = new AbortController();
    dispatch({ type: 'picture running', id });
    look(running.signal);
  }

  follow((state) => {
    if (state.running !== undefined && !isRunningWanted(state)) running.abort();
    const next = nextPicture(state);
    if (next) run(next.id, (signal) => lookAt(next, signal));
    else if (wantsFrame(state)) run('frame', lookAtFrame);
  });

  // ---------------------------------------------------------------- regions at the slider's threshold

  // At most one question is on its way; what came meanwhile is answered by the last.
  let asking = false;
  follow(async (state) => {
    const picture = shown(state);
    const result = resultOf(state, picture);
    if (asking || !result || result.regions.threshold === state.threshold) return;
    asking = true;
    const { threshold } = state;
    // Without an answer they are not known.
    const found = await remote.regions(result, threshold).catch(() => undefined);
    asking = false;
    dispatch({ type: 'regions found', id: picture.id, model: result.model, regions: { threshold, found } });
  });

  return {
    start: () => inTurn(start),
    openModel: (file) => inTurn(() => openModel(file)),
    useDefault: () => inTurn(useDefault),
    /** A picture as the network is given it, for display. */
    preview: async (picture, longestSide) => remote.preview(await fileOf(picture), longestSide),
    profile: async () => inUse?.profile(),
  };
}
