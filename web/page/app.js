// The page: what it shows and asks of the network's thread (worker.js).

import { samples } from './samples.js';

const DEFAULT_MODEL = new URL('model/default.safetensors', import.meta.url).href;
const OUTLINE = 3;

const $ = (id) => document.getElementById(id);
const view = $('view');

/** The model's card, once one is loaded. */
let card;
/** The user's own model, loaded on top of the default one. */
let ownModel;
/** What is shown: a detection with its bitmap, the regions at the slider's threshold, and the heat's pixels. */
let shown;
/** The last picture asked for, to be looked at again with another model. */
let lastSource;
let colours;

// ---------------------------------------------------------------- the network's thread

const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
const waiting = new Map();
let calls = 0;

function ask(call, input, progress) {
  const id = ++calls;
  worker.postMessage({ id, call, input }, input?.source instanceof ImageBitmap ? [input.source] : []);
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject, progress }));
}

worker.onmessage = ({ data: { id, output, error, progress, lost } }) => {
  if (lost !== undefined) return deviceLost(lost);
  const call = waiting.get(id);
  if (progress) return call.progress?.(progress);
  waiting.delete(id);
  if (error === undefined) call.resolve(output);
  else call.reject(new Error(error));
};
worker.onerror = (event) => {
  // A module that fails to load says nothing.
  const reason = event.message || 'one of its files is missing or damaged';
  const failure = new Error(`The page's worker stopped: ${reason}. Reload the page.`);
  for (const { reject } of waiting.values()) reject(failure);
  waiting.clear();
};

// ---------------------------------------------------------------- messages

function say(text, canRetry = false) {
  $('notice-text').textContent = text;
  $('retry').hidden = !canRetry;
  $('notice').hidden = false;
}

function quiet() {
  $('notice').hidden = true;
}

function busy(text, fraction) {
  $('busy').hidden = text === undefined;
  if (text === undefined) return;
  if ($('busy-text').textContent !== text) $('busy-text').textContent = text;
  if (fraction === undefined) $('progress').removeAttribute('value');
  else $('progress').value = fraction;
}

function withoutGpu(reason) {
  const help = /no WebGPU|WebGPU is only|adapter/.test(reason)
    ? '\nThe network needs WebGPU. Current Chrome, Edge and Opera have it, Safari from version 26, Firefox on Windows and macOS. ' +
      'Where the browser has it, switch on hardware acceleration in its settings and update the graphics driver. ' +
      'Chrome on Linux also needs chrome://flags/#enable-unsafe-webgpu.'
    : '';
  return reason + help;
}

function deviceLost(reason) {
  stopCamera();
  card = undefined;
  say(`The graphics device was lost${reason ? ` (${reason.trim()})` : ''}: its driver was restarted, or another program took it.`, true);
}

// ---------------------------------------------------------------- models

async function load(source) {
  const name = source.name ?? 'the default model';
  const progress = ({ stage, done, total }) => {
    if (stage === 'upload' && done === total) return busy('Preparing the network');
    const what = stage === 'download' ? `Loading ${name}` : `Handing ${name} to the GPU`;
    busy(`${what}: ${megabytes(done)}${total ? ` of ${megabytes(total)}` : ''}`, total && done / total);
  };
  busy(`Loading ${name}`);
  try {
    card = await ask('load', { source }, progress);
    quiet();
    showCard(name);
  } finally {
    busy();
  }
}

async function loadAll() {
  try {
    await load(DEFAULT_MODEL);
    if (ownModel) await load(ownModel);
  } catch (error) {
    say(withoutGpu(error.message), true);
    return;
  }
  if (lastSource) await detect(lastSource);
}

async function loadOwn(file) {
  stopCamera();
  try {
    await load(file);
  } catch (error) {
    say(`${error.message}\n${card ? 'The model before it is still in use.' : ''}`.trim(), !card);
    return;
  }
  ownModel = file;
  if (lastSource) await detect(lastSource);
}

function showCard(name) {
  const { metadata, threshold, scale, input, adapter, gpuBytes } = card;
  const told = (key) => metadata[`pcsnet.${key}`];
  rows($('card'), [
    ['file', name],
    ['category', told('category')],
    ['trained on', told('shots') && `${told('shots')} good pictures`],
    ['sees', `${input} x ${input} pixels (${told('fit') ?? 'crop'})`],
    ['threshold', threshold === null ? 'none in the file' : `${number(threshold)}${told('threshold_rule') ? ` (${told('threshold_rule')})` : ''}`],
    ['GPU', `${adapter || 'not named by the browser'}, ${megabytes(gpuBytes)}`],
  ]);
  setRange(scale ?? [0, 2 * (threshold ?? 0.5)]);
  resetThreshold();
  $('threshold').disabled = false;
  $('legend-low').textContent = number(limits[0]);
  $('legend-high').textContent = number(limits[1]);
}

// ---------------------------------------------------------------- the threshold

/** The values of the first and the last colour. */
let limits = [0, 1];
let threshold = Infinity;

function setRange([low, high]) {
  limits = [low, high];
  const slider = $('threshold');
  slider.min = Math.min(low, card.threshold ?? low);
  slider.max = Math.max(high, card.threshold ?? high);
  slider.step = (high - low) / 1000;
}

function resetThreshold() {
  setThreshold(card.threshold ?? limits[1]);
  $('threshold').value = threshold;
}

function setThreshold(value) {
  threshold = value;
  $('threshold-value').textContent = number(value);
  $('threshold').setAttribute('aria-valuetext', number(value));
  $('reset').disabled = card.threshold === null || value === card.threshold;
}

// At most one question is on its way; what came meanwhile is answered by the last.
let asking = false;
async function updateRegions() {
  if (asking) return;
  asking = true;
  while (shown && shown.threshold !== threshold) {
    const [current, wanted] = [shown, threshold];
    try {
      const { map, width, height } = current;
      current.regions = await ask('regions', { detection: { map, width, height }, threshold: wanted });
      current.threshold = wanted;
    } catch (error) {
      say(error.message);
      break;
    }
    if (shown === current) showResult();
  }
  asking = false;
}

// ---------------------------------------------------------------- pictures

async function detect(source) {
  if (!card) return false;
  const live = source instanceof ImageBitmap;
  if (!live) {
    lastSource = source;
    busy(`Looking at ${source.name}`);
  }
  try {
    const detection = await ask('detect', { source });
    // A frame that comes after the camera was stopped, and after whatever was looked at since.
    if (live && !stream) return false;
    shown?.bitmap.close();
    shown = { ...detection, threshold: card.threshold, heat: paintHeat(detection) };
    if (!live) quiet();
    stretchRange(shown.score);
    showResult();
    updateRegions();
    if (!live) await showProfile();
    return true;
  } catch (error) {
    if (card) say(error.message);
    return false;
  } finally {
    if (!live) busy();
  }
}

// A score beyond the slider would leave it without effect.
function stretchRange(score) {
  const slider = $('threshold');
  if (score > slider.max) slider.max = 1.05 * score;
}

async function openPicture(file) {
  stopCamera();
  mark(undefined);
  await detect(file);
}

async function openSample({ url, name }, button) {
  stopCamera();
  try {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    mark(button);
    await detect(new File([await answer.blob()], name));
  } catch (error) {
    say(`${name} could not be loaded: ${error.message}`);
  }
}

function mark(button) {
  for (const other of $('samples').querySelectorAll('button')) other.removeAttribute('aria-current');
  button?.setAttribute('aria-current', 'true');
}

function openAny(files) {
  const [file] = files;
  if (!file) return;
  if (file.name.endsWith('.safetensors')) loadOwn(file);
  else openPicture(file);
}

// ---------------------------------------------------------------- camera

let stream;

async function startCamera() {
  try {
    if (!navigator.mediaDevices) throw new Error('this browser gives pages no camera, or only over https');
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  } catch (error) {
    const reason = { NotAllowedError: 'the browser was told not to allow it', NotFoundError: 'there is none' }[error.name];
    say(`The camera cannot be used: ${reason ?? error.message}.`);
    return;
  }
  mark(undefined);
  $('camera').setAttribute('aria-pressed', 'true');
  const video = document.createElement('video');
  Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
  const current = stream;
  current.getVideoTracks()[0].onended = stopCamera;
  await video.play();
  while (stream === current) {
    if (document.hidden) await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
    const frame = await createImageBitmap(video);
    if (stream !== current || !(await detect(frame))) break;
  }
  if (stream === current) stopCamera();
}

function stopCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = undefined;
  $('camera').setAttribute('aria-pressed', 'false');
}

// ---------------------------------------------------------------- drawing

/** Heat as the command line paints it: the higher, the more it covers. */
function paintHeat({ map, side }) {
  const [low, high] = limits;
  const heat = new ImageData(side, side);
  for (let at = 0; at < map.length; at++) {
    const position = Math.min(1, Math.max(0, (map[at] - low) / (high - low)));
    const colour = 3 * Math.round(255 * position);
    heat.data.set(colours.subarray(colour, colour + 3), 4 * at);
    heat.data[4 * at + 3] = 255 * position;
  }
  const canvas = new OffscreenCanvas(side, side);
  canvas.getContext('2d').putImageData(heat, 0, 0);
  return canvas;
}

function draw() {
  const { bitmap, width, height, inspected, heat, regions } = shown;
  // At least the screen's resolution, so that outlines of small pictures are sharp too.
  const onScreen = Math.min(view.clientWidth || bitmap.width, ((view.clientHeight || Infinity) * width) / height);
  const scale = Math.max(1, (onScreen * devicePixelRatio) / bitmap.width);
  [view.width, view.height] = [bitmap.width, bitmap.height].map((side) => Math.round(scale * side));
  const context = view.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.scale(view.width / width, view.height / height);
  context.drawImage(bitmap, 0, 0, width, height);
  const { x, y, width: w, height: h } = inspected;
  context.fillStyle = 'rgb(0 0 0 / 0.5)';
  const outside = new Path2D();
  outside.rect(0, 0, width, height);
  outside.rect(x, y, w, h);
  context.fill(outside, 'evenodd');
  context.globalAlpha = $('opacity').value / 100;
  context.drawImage(heat, x, y, w, h);
  context.globalAlpha = 1;
  // Lines as wide on the screen whatever the picture's size.
  const pixel = width / onScreen;
  regions.forEach(({ bounds }, index) => outline(context, bounds, index + 1, pixel));
}

function outline(context, { x, y, width, height }, label, pixel) {
  context.strokeStyle = 'black';
  context.lineWidth = OUTLINE * pixel;
  context.strokeRect(x, y, width, height);
  context.strokeStyle = 'white';
  context.lineWidth = (OUTLINE * pixel) / 3;
  context.strokeRect(x, y, width, height);
  context.font = `600 ${13 * pixel}px system-ui, sans-serif`;
  const text = String(label);
  const [boxWidth, boxHeight] = [context.measureText(text).width + 8 * pixel, 18 * pixel];
  const top = y >= boxHeight ? y - boxHeight : y;
  context.fillStyle = 'black';
  context.fillRect(x, top, boxWidth, boxHeight);
  context.fillStyle = 'white';
  context.fillText(text, x + 4 * pixel, top + 13.5 * pixel);
}

function showResult() {
  const { score, regions, times } = shown;
  $('hint').hidden = true;
  view.hidden = false;
  $('stage').classList.add('filled');
  draw();
  const verdict = score > threshold ? 'fail' : 'pass';
  $('verdict').dataset.verdict = verdict;
  $('verdict').dataset.score = score;
  setText($('verdict-text'), verdict === 'fail' ? 'Fail' : 'Pass');
  setText($('score'), `score ${number(score)}, threshold ${number(threshold)}`);
  view.setAttribute('aria-label', `Picture with heat: ${verdict}, ${regions.length} regions above the threshold`);

  $('region-count').textContent = regions.length ? `(${regions.length})` : '';
  $('no-regions').hidden = regions.length > 0;
  $('regions').hidden = regions.length === 0;
  table($('regions'), regions.map(({ bounds: { x, y, width, height }, area, peak }, index) => [
    index + 1, `${x}, ${y}`, `${width} x ${height}`, `${area} px`, number(peak),
  ]));
  table($('times'), [
    ['Decoding', milliseconds(times.decode)],
    ['Preprocessing', milliseconds(times.preprocess)],
    ['Network, results included', milliseconds(times.network)],
    ['Regions', milliseconds(times.regions)],
  ]);
}

async function showProfile() {
  if (!$('parts').open) return;
  const parts = await ask('profile');
  $('no-profile').hidden = parts !== null;
  $('no-profile').textContent = 'This browser gives no times of the GPU.';
  table($('profile'), Object.entries(parts ?? {}).map(([part, time]) => [part, milliseconds(time)]));
}

function setText(element, text) {
  // A status that is set to what it says already would be read out again.
  if (element.textContent !== text) element.textContent = text;
}

function table(element, cells) {
  const row = (texts) => {
    const line = document.createElement('tr');
    line.append(...texts.map((text) => Object.assign(document.createElement('td'), { textContent: text })));
    return line;
  };
  element.tBodies[0].replaceChildren(...cells.map(row));
}

function rows(list, entries) {
  const pair = ([term, text]) => [['dt', term], ['dd', text]].map(([tag, textContent]) => Object.assign(document.createElement(tag), { textContent }));
  list.replaceChildren(...entries.filter(([, text]) => text).flatMap(pair));
}

const number = (value) => value.toPrecision(4);
const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)}\u00a0MB`;

// ---------------------------------------------------------------- controls

for (const sample of samples) {
  const button = Object.assign(document.createElement('button'), { type: 'button' });
  const image = Object.assign(new Image(), { src: sample.url, alt: '', loading: 'lazy', width: 88, height: 88 });
  button.append(image, sample.name);
  button.onclick = () => openSample(sample, button);
  const item = document.createElement('li');
  item.append(button);
  $('samples').append(item);
}

$('open').onchange = ({ target }) => {
  openAny(target.files);
  target.value = '';
};
$('open-model').onchange = ({ target }) => {
  if (target.files[0]) loadOwn(target.files[0]);
  target.value = '';
};
$('camera').onclick = () => (stream ? stopCamera() : startCamera());
$('retry').onclick = loadAll;
$('dismiss').onclick = quiet;
$('threshold').oninput = ({ target }) => {
  setThreshold(Number(target.value));
  updateRegions();
};
$('reset').onclick = () => {
  resetThreshold();
  updateRegions();
};
$('opacity').oninput = () => {
  $('opacity-value').textContent = `${$('opacity').value} %`;
  if (shown) draw();
};
$('parts').ontoggle = () => {
  if (shown && !stream) showProfile().catch((error) => say(error.message));
};
addEventListener('resize', () => shown && draw());
addEventListener('paste', (event) => openAny(event.clipboardData.files));
for (const type of ['dragenter', 'dragover']) {
  addEventListener(type, (event) => {
    event.preventDefault();
    $('stage').classList.add('target');
  });
}
addEventListener('dragleave', (event) => event.relatedTarget ?? $('stage').classList.remove('target'));
addEventListener('drop', (event) => {
  event.preventDefault();
  $('stage').classList.remove('target');
  openAny(event.dataTransfer.files);
});

// ---------------------------------------------------------------- start

$('opacity').oninput();
navigator.serviceWorker?.register(new URL('service-worker.js', import.meta.url));
try {
  colours = await ask('colours');
  const strip = $('colours').getContext('2d');
  for (let at = 0; at < 256; at++) {
    strip.fillStyle = `rgb(${colours.subarray(3 * at, 3 * at + 3).join(' ')})`;
    strip.fillRect(at, 0, 1, 1);
  }
  await loadAll();
} catch (error) {
  busy();
  say(error.message);
}
