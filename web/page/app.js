// The page, put together: the state, what changes it, and what shows it.

import { DEFAULT_MODEL, initial, reduce } from './state.js';
import { createStore } from './store.js';
import { startNetwork } from './network.js';
import { startCamera } from './camera.js';
import { startPhotographs } from './photographs.js';
import { listenForFiles, listenToInput, takeFiles } from './intake.js';
import { keep, recall } from './keep.js';
import { precomputed, samples } from './samples.js';
import { $, setText } from './view/dom.js';
import { showStage } from './view/stage.js';
import { showResult } from './view/result.js';
import { showPictures } from './view/pictures.js';
import { showMessages } from './view/messages.js';
import { showModel } from './view/model.js';
import { showTeach } from './view/teach.js';
import { showLook } from './view/look.js';
import { showHistogram } from './view/histogram.js';
import { keepFocus } from './view/focus.js';

const store = createStore(reduce, { ...initial, pictures: samples, chosen: samples[0].id });
const takeFrame = startCamera({ store, videos: [$('viewfinder'), $('finder')] });
const network = startNetwork({ store, takeFrame });
const photographs = startPhotographs({ store, preview: network.preview, takeFrame });

showMessages({ store, retry: network.start });
showStage({ store, preview: network.preview });
showResult({ store, keepThreshold, profile: network.profile, takePicture: photographs.takePicture });
showHistogram({ store });
showPictures({ store });
showModel({ store });
showTeach({ store, photographs, keepWishes: () => keep('wishes', store.state.teaching.wishes) });
showLook({ store });

function keepThreshold() {
  const { model, threshold } = store.state;
  keep('threshold', { model: model.id, threshold });
}

const take = (files) => takeFiles(files, { store, openModel: network.openModel, teachFrom: photographs.take });
listenForFiles([$('stage'), $('finder-stage')], take);
listenToInput($('open'), take);
listenToInput($('open-model'), take);
listenToInput($('add'), take);
$('use-default').addEventListener('click', network.useDefault);
$('use-own').addEventListener('click', () => network.openModel(store.state.aside));

const isCameraOn = ({ camera }) => camera.phase === 'starting' || camera.phase === 'live';
for (const button of [$('camera'), $('teach-camera')]) {
  button.addEventListener('click', () =>
    store.dispatch({ type: isCameraOn(store.state) ? 'camera stopped' : 'camera asked' }),
  );
  store.follow((state) => {
    button.setAttribute('aria-pressed', isCameraOn(state));
    setText(button, isCameraOn(state) ? 'Stop the camera' : 'Camera');
  });
}

for (const screen of ['inspect', 'teach']) {
  $(`to-${screen}`).addEventListener('click', () => store.dispatch({ type: 'screen chosen', screen }));
  store.follow((state) => {
    $(screen).hidden = state.screen !== screen;
    $(`to-${screen}`).setAttribute('aria-pressed', state.screen === screen);
  });
}

keepFocus({ store });

navigator.serviceWorker?.register(new URL('service-worker.js', import.meta.url));
network.start();
photographs.recall();
recall('wishes').then((wishes) => wishes && store.dispatch({ type: 'teaching wished', wishes }));
// Without them the page shows nothing until the network does.
const known = await precomputed().catch(() => undefined);
if (known) {
  store.dispatch({ type: 'card known', model: { id: DEFAULT_MODEL, name: 'the default model', card: known.card } });
  for (const [id, result] of known.results) store.dispatch({ type: 'result known', id, result });
}
