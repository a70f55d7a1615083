// What a user of the package writes, without a word about bundlers: the network in the page and in a worker.

import { Detector, init } from 'pcsnet';
import defaultModel from 'pcsnet/default-model';
import { connect } from 'pcsnet/remote';

const picture = await (await fetch('part.png')).blob();

const pcsnet = connect(new Worker(new URL('./detector.js', import.meta.url), { type: 'module' }));
const detector = await pcsnet.load(defaultModel);
const inWorker = (await detector.detect(picture)).score;
pcsnet.close();

const { adapter } = await init();
const card = (await Detector.load(defaultModel)).card;
globalThis.outcome = { inWorker, adapter: adapter.name, threshold: card.threshold };
