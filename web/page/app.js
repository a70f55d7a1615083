// The page, put together: the state, what changes it, and what shows it.

import { DEFAULT_MODEL, initial, reduce } from './state.js';
import { createStore } from './store.js';
import { startNetwork } from './network.js';
import { startCamera } from './camera.js';
import { listenForFiles, listenToInput, takeFiles } from './intake.js';
import { keep } from './keep.js';
import { precomputed, samples } from './samples.js';
import { $, setText } from './view/dom.js';
import { showStage } from './view/stage.js';
import { showResult } from './view/result.js';
import { showPictures } from './view/pictures.js';
import { showMessages } from './view/messages.js';
import { showModel } from './view/model.js';

const store = createStore(reduce, { ...initial, pictures: samples, chosen: samples[0].id });
const takeFrame = startCamera({ store, video: $('viewfinder') });
const network = startNetwork({ store, takeFrame });

showMessages({ store, retry: network.start });
showStage({ store, preview: network.preview });
showResult({ store, keepThreshold, profile: network.profile });
showPictures({ store });
showModel({ store });

function keepThreshold() {
  const { model, threshold } = store.state;
  keep('threshold', { model: model.id, threshold });
}

const take = (files) => takeFiles(files, { store, openModel: network.openModel });
listenForFiles($('stage'), take);
listenToInput($('open'), take);
listenToInput($('open-model'), take);
$('use-default').addEventListener('click', network.useDefault);

const isCameraOn = ({ camera }) => camera.phase === 'starting' || camera.phase === 'live';
$('camera').addEventListener('click', () => store.dispatch({ type: isCameraOn(store.state) ? 'camera stopped' : 'camera asked' }));
store.follow((state) => {
  $('camera').setAttribute('aria-pressed', isCameraOn(state));
  setText($('camera'), isCameraOn(state) ? 'Stop the camera' : 'Camera');
});

navigator.serviceWorker?.register(new URL('service-worker.js', import.meta.url));
network.start();
// Without them the page shows nothing until the network does.
const known = await precomputed().catch(() => undefined);
if (known) {
  store.dispatch({ type: 'card known', model: { id: DEFAULT_MODEL, name: 'the default model', card: known.card } });
  for (const [id, result] of known.results) store.dispatch({ type: 'result known', id, result });
}
