// The npm package as a web developer meets it, on pages of its own.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { brotliCompressSync, constants } from 'node:zlib';
import { PATIENCE, expectedScores, launch, newPage, serve, site } from './harness.js';

const { rows, spread } = expectedScores();
const sample = rows.find(({ name }) => name === 'fibre 1');
// In the page's own words: what a test below needs to begin with.
const URLS = { model: 'pcsnet/default.safetensors', picture: 'samples/fibre/000.png' };

let server;
let browser;
let page;

before(async () => {
  server = await serve();
  browser = await launch();
  page = await newPage(browser);
  await page.goto(`${server.url}pcsnet/package.json`);
});

after(async () => {
  await browser?.close();
  await server?.close();
});

const close = (found, expected) => Math.abs(found - expected) < 1e-3 * spread;

test('the example page works', async () => {
  const example = await newPage(browser);
  await example.goto(`${server.url}pcsnet/example.html`);
  await example.locator('input:enabled').waitFor();
  await example.locator('input').setInputFiles(sample.path);
  await example.getByText('fail: score').waitFor();
  const [, score] = (await example.locator('p').textContent()).match(/^fail: score ([\d.]+), \d+ regions$/);
  assert.ok(close(score, sample.score), `${score}, expected ${sample.score}`);
  await example.close();
});

test("what the page's visitors download takes at most 3.6 MB", (t) => {
  const [list] = readFileSync(join(site, 'files.js'), 'utf8').match(/\[[^]*\]/);
  const files = [...JSON.parse(list), 'pcsnet/default.safetensors'];
  // The best quality takes many times as long to save a few per cent.
  const params = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
  const bytes = files.reduce((sum, file) => sum + brotliCompressSync(readFileSync(join(site, file)), params).length, 0);
  t.diagnostic(`${(bytes / 1e6).toFixed(2)} MB of brotli in ${files.length} files`);
  assert.ok(bytes <= 3.6e6, `${bytes} bytes`);
});

test('every kind of picture, on a device of the page', async () => {
  const { scores, reads } = await page.evaluate(async (urls) => {
    const { Detector, init } = await import('./index.js');
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter.requestDevice();
    await init({ device });
    const detector = await Detector.load(new URL(`../${urls.model}`, location.href), { cache: null });
    const file = await (await fetch(`../${urls.picture}`)).blob();
    const bitmap = await createImageBitmap(file);
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext('2d');
    context.drawImage(bitmap, 0, 0);
    const image = new Image();
    image.src = URL.createObjectURL(file);
    await image.decode();
    // Without COPY_SRC nobody can read them back.
    const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT;
    const texture = (format) => {
      const texture = device.createTexture({ format, usage, size: [bitmap.width, bitmap.height] });
      device.queue.copyExternalImageToTexture({ source: bitmap }, { texture }, [bitmap.width, bitmap.height]);
      return texture;
    };
    const pictures = {
      file,
      bitmap,
      frame: new VideoFrame(bitmap, { timestamp: 0 }),
      pixels: context.getImageData(0, 0, bitmap.width, bitmap.height),
      canvas,
      image,
      rgba: texture('rgba8unorm'),
      bgra: texture('bgra8unorm'),
    };
    let reads = 0;
    const { getImageData } = OffscreenCanvasRenderingContext2D.prototype;
    OffscreenCanvasRenderingContext2D.prototype.getImageData = function (...region) {
      reads += 1;
      return getImageData.apply(this, region);
    };
    const scores = {};
    // All at once: they must wait for one another.
    await Promise.all(
      Object.entries(pictures).map(async ([kind, picture]) => {
        scores[kind] = (await detector.detect(picture)).score;
      }),
    );
    return { scores, reads };
  }, URLS);
  assert.equal(Object.keys(scores).length, 8);
  // Of the image, and of the video frame, which Chromium copies to no software adapter; the others go to the GPU as
  // they are.
  assert.ok(reads <= 2, `${reads} pictures went through a canvas`);
  for (const [kind, score] of Object.entries(scores)) {
    assert.ok(close(score, sample.score), `${kind}: ${score}, expected ${sample.score}`);
  }
});

test('a detection is complete', async () => {
  const found = await page.evaluate(async (urls) => {
    const { Detector } = await import('./index.js');
    const bytes = await (await fetch(`../${urls.model}`)).arrayBuffer();
    const stages = new Set();
    const detector = await Detector.load(bytes, {
      progress: ({ stage, done, total }) => done <= total && stages.add(stage),
    });
    const detection = await detector.detect(await (await fetch(`../${urls.picture}`)).blob());
    const { map, ...rest } = detection;
    const above = detector.regions(detection, (detector.card.threshold + detection.score) / 2);
    return { ...rest, above, maximum: Math.max(...map), values: map.length, stages: [...stages], card: detector.card };
  }, URLS);
  assert.equal(found.maximum, found.score);
  assert.equal(found.values, found.side ** 2);
  assert.equal(found.verdict, 'fail');
  assert.equal(found.unlike, false);
  assert.deepEqual(found.inspected, { x: 0, y: 0, width: found.width, height: found.height });
  assert.ok(found.regions.length >= 1 && found.regions[0].area > 0);
  assert.ok(found.above.length >= 1 && found.above[0].area < found.regions[0].area);
  assert.deepEqual(found.stages, ['upload', 'kernels']);
  assert.equal(found.card.metadata['pcsnet.fit'], 'stretch');
  assert.ok(found.card.threshold > 0 && found.times.network > 0);
});

test('a picture of something else is told to be so', async () => {
  const unlike = await page.evaluate(async (urls) => {
    const { Detector } = await import('./index.js');
    const detector = await Detector.load(new URL(`../${urls.model}`, location.href));
    const pictures = { defective: await (await fetch(`../${urls.picture}`)).blob() };
    pictures.good = await (await fetch('../samples/good/001.png')).blob();
    const painted = (paint) => {
      const canvas = new OffscreenCanvas(400, 300);
      paint(canvas.getContext('2d'));
      return canvas;
    };
    pictures.nothing = painted(() => {});
    pictures.card = painted((context) => {
      context.fillStyle = 'grey';
      context.fillRect(0, 0, 400, 300);
    });
    pictures.words = painted((context) => {
      context.fillStyle = 'white';
      context.fillRect(0, 0, 400, 300);
      context.fillStyle = 'black';
      context.font = '40px sans-serif';
      for (let line = 1; line < 8; line++) context.fillText('a page of a book', 20, 40 * line);
    });
    const unlike = {};
    for (const [name, picture] of Object.entries(pictures)) unlike[name] = (await detector.detect(picture)).unlike;
    return unlike;
  }, URLS);
  assert.deepEqual(unlike, { defective: false, good: false, nothing: true, card: true, words: true });
});

test("the page's colours are the package's", async () => {
  const differing = await page.evaluate(async () => {
    const { heatColours } = await import('./index.js');
    const { default: turbo } = await import('../turbo.js');
    const colours = await heatColours();
    return colours.length === 768 ? colours.filter((value, at) => value !== turbo[at]).length : 'not 256 colours';
  });
  assert.equal(differing, 0);
});

test('misuse is refused in words', async () => {
  const reasons = await page.evaluate(async (urls) => {
    const { Detector, Photograph, init } = await import('./index.js');
    const reason = (promise) =>
      promise.then(
        () => 'nothing was wrong',
        (error) => error.message,
      );
    const model = await (await fetch(`../${urls.model}`)).arrayBuffer();
    const [own, foreign] = [
      await (await navigator.gpu.requestAdapter()).requestDevice(),
      await (await navigator.gpu.requestAdapter()).requestDevice(),
    ];
    await init({ device: own });
    const detector = await Detector.load(model);
    const texture = (device, format, usage, size = [40, 40]) =>
      detector.detect(device.createTexture({ format, usage, size }));
    const { TEXTURE_BINDING, COPY_SRC, COPY_DST } = GPUTextureUsage;
    return {
      missing: await reason(Detector.load('nowhere.safetensors')),
      cut: await reason(Detector.load(model.slice(0, -1))),
      text: await reason(Detector.load(new TextEncoder().encode('hello, hello, hello'))),
      picture: await reason(Photograph.from(new File(['hello'], 'hello.png'))),
      empty: await reason(Photograph.from(new Image())),
      format: await reason(texture(own, 'r32float', TEXTURE_BINDING)),
      usage: await reason(texture(own, 'rgba8unorm', COPY_SRC | COPY_DST)),
      foreign: await reason(texture(foreign, 'rgba8unorm', TEXTURE_BINDING)),
      pixels: await reason(
        Photograph.from(own.createTexture({ format: 'rgba8unorm', usage: TEXTURE_BINDING, size: [4, 4] })),
      ),
    };
  }, URLS);
  assert.match(reasons.missing, /nowhere\.safetensors could not be loaded: the server answered 404/);
  assert.match(reasons.cut, /cut short/);
  assert.match(reasons.text, /not a usable safetensors file/);
  assert.match(reasons.picture, /hello\.png: not an image of a known format/);
  assert.match(reasons.empty, /without pixels/);
  assert.match(reasons.format, /textures of format r32float are not read/);
  assert.match(reasons.usage, /expected usage .*TEXTURE_BINDING/);
  assert.match(reasons.foreign, /the photograph's texture|a resize|device/i);
  assert.match(reasons.pixels, /leaves it on the GPU/);
});

test('a photograph of 50 megapixels is inspected in bounded memory', async (t) => {
  const own = await newPage(browser);
  await own.goto(`${server.url}pcsnet/package.json`);
  const { bytes, regions } = await own.evaluate(async () => {
    const { Detector } = await import('./index.js');
    const { default: start } = await import('./pcsnet_web.js');
    const canvas = new OffscreenCanvas(8192, 6144);
    const context = canvas.getContext('2d');
    context.fillStyle = 'white';
    context.fillRect(1000, 1000, 5000, 3000);
    const file = await canvas.convertToBlob({ type: 'image/jpeg' });
    const detector = await Detector.load('default.safetensors');
    const detection = await detector.detect(file, { preview: 1600 });
    // Memory of wasm only grows, so what it has is what it had at most.
    return { regions: detector.regions(detection, 0).length, bytes: (await start()).memory.buffer.byteLength };
  });
  await own.context().close();
  t.diagnostic(`${(bytes / 1e6).toFixed(0)} MB of wasm memory at most`);
  assert.ok(regions > 0);
  // Its pixels take 151 MB.
  assert.ok(bytes < 300e6, `${bytes} bytes`);
});

test('a threshold is calibrated on good parts, and goes for verdicts from then on', async () => {
  const found = await page.evaluate(async (urls) => {
    const { Detector } = await import('./index.js');
    const detector = await Detector.load(new URL(`../${urls.model}`, location.href));
    const fetched = async (path) => (await fetch(`../samples/${path}.png`)).blob();
    const good = await Promise.all(['good/000', 'good/001'].map(fetched));
    const told = [];
    const calibration = await detector.calibrate(good, {
      rate: 0.1,
      progress: ({ done, total }) => told.push([done, total]),
    });
    const { verdict } = await detector.detect(await fetched('fibre/000'), { drift: true });
    const { score, drift } = await detector.detect(good[0], { drift: true });
    return {
      calibration,
      told,
      verdict,
      score,
      drift,
      threshold: detector.card.threshold,
      metadata: detector.card.metadata,
    };
  }, URLS);
  const {
    calibration: { threshold, changes },
    metadata,
  } = found;
  const goods = rows.filter(({ name }) => name.startsWith('good')).map(({ score }) => score);
  assert.ok(threshold > Math.min(...goods) && threshold < 2 * Math.max(...goods), `${threshold}`);
  assert.equal(found.threshold, threshold);
  assert.ok(
    Math.abs(Number(changes['pcsnet.threshold']) - threshold) < 1e-6 &&
      metadata['pcsnet.threshold'] === changes['pcsnet.threshold'],
  );
  assert.deepEqual(found.told, [
    [0, 2],
    [1, 2],
  ]);
  assert.equal(found.verdict, 'fail');
  const { drift, score } = found;
  assert.deepEqual([drift.parts, drift.median, drift.alarm], [1, score, false]);
  const [middle, count] = changes['pcsnet.good_scores'].split(',').map(Number);
  assert.ok(Math.abs(drift.calibrated - middle) < 1e-6 && count === 2);
});

test('loading and detections are given up', async () => {
  const names = await page.evaluate(async () => {
    const { Detector } = await import('./index.js');
    const name = (promise) =>
      promise.then(
        () => 'nothing',
        (error) => error.name,
      );
    const load = (signal) => Detector.load('default.safetensors', { cache: null, signal });
    const late = new AbortController();
    // Outcomes are asked for at once: a promise that is refused before would be an error of the page.
    const loading = name(load(late.signal));
    setTimeout(() => late.abort(), 20);
    const detector = await load();
    const picture = await (await fetch('../samples/fibre/000.png')).blob();
    const [one, two] = [new AbortController(), new AbortController()];
    const [first, second] = [one, two].map(({ signal }) => name(detector.detect(picture, { signal })));
    const third = detector.detect(picture);
    one.abort();
    two.abort(new RangeError('enough'));
    const outcomes = [await name(load(AbortSignal.abort())), await loading, await first, await second];
    return [...outcomes, (await third).verdict];
  });
  assert.deepEqual(names, ['AbortError', 'AbortError', 'AbortError', 'RangeError', 'fail']);
});

test('teaching that cannot be is refused in words, and given up when it is wanted no more', async () => {
  const told = await page.evaluate(async () => {
    const { teach } = await import('./index.js');
    const reason = (promise) =>
      promise.then(
        () => 'nothing was wrong',
        (error) => `${error.name}: ${error.message}`,
      );
    const backbone = 'default.safetensors';
    const good = await (await fetch('../samples/good/000.png')).blob();
    const late = new AbortController();
    const progress = ({ stage }) => stage === 'describing' && late.abort();
    return {
      none: await reason(teach([], { backbone })),
      backbone: await reason(teach([good])),
      text: await reason(teach([good], { backbone: new TextEncoder().encode('hello, hello, hello') })),
      picture: await reason(teach([good, new File(['hello'], 'hello.png')], { backbone })),
      option: await reason(teach([good], { backbone, pose: 'any' })),
      both: await reason(teach([good], { backbone, model: backbone })),
      more: await reason(teach([good], { model: backbone, poses: 'any' })),
      effort: await reason(teach([good], { backbone, effort: 'great' })),
      late: await reason(teach([good], { backbone, effort: 'small', signal: late.signal, progress })),
    };
  });
  assert.match(told.none, /photographs of good parts.*expected at least 1.*found none/);
  assert.match(told.backbone, /teaching needs either a backbone/);
  assert.match(told.both, /teaching needs either a backbone/);
  assert.match(told.more, /teaching a model more knows no option `poses`; known are falseAlarmRate/);
  assert.match(told.text, /not a usable safetensors file/);
  assert.match(told.picture, /hello\.png: not an image of a known format/);
  assert.match(told.option, /teaching knows no option `pose`; known are poses/);
  assert.match(told.effort, /effort: expected small or standard or accurate, found `great`/);
  assert.match(told.late, /AbortError/);
});

test('a model that was taught is taught more from its file alone, and passes what it failed', async (t) => {
  const told = await page.evaluate(async () => {
    const { Detector, teach } = await import('./index.js');
    const good = await createImageBitmap(await (await fetch('../samples/good/000.png')).blob());
    const photographed = async (name, filter, x = 0) => {
      const canvas = new OffscreenCanvas(good.width, good.height);
      const context = canvas.getContext('2d');
      context.drawImage(good, 0, 0);
      context.filter = filter;
      context.drawImage(good, x, 0);
      return new File([await canvas.convertToBlob()], name);
    };
    const first = await Promise.all(
      [0, 3, -2, 5].map((x, index) => photographed(`${index}.png`, `brightness(${1 + 0.02 * index})`, x)),
    );
    // As good a part, in harder light.
    const alarm = await photographed('alarm.png', 'contrast(1.3)');
    const names = ({ photographs }) => photographs.map(({ name, copy }) => [name, copy]);
    const verdictOf = async ({ file }) => {
      const detector = await Detector.load(file);
      const verdicts = [];
      for (const part of [alarm, first[0], await (await fetch('../samples/fibre/000.png')).blob()])
        verdicts.push((await detector.detect(part)).verdict);
      detector.free();
      return verdicts;
    };
    const options = { backbone: 'default.safetensors', effort: 'small', poses: 'fixed' };
    const before = await teach(first, options);
    const after = await teach([alarm, first[1]], { model: before.file });
    return {
      before: { names: names(before), former: before.former, verdicts: await verdictOf(before) },
      after: {
        names: names(after),
        former: after.former,
        scores: [before, after].map(({ photographs }) => photographs.map(({ score }) => score)),
        verdicts: await verdictOf(after),
        anyPose: after.anyPose,
      },
    };
  });
  const { before, after } = told;
  t.diagnostic(JSON.stringify(told));
  assert.deepEqual(before.former, []);
  assert.deepEqual(before.verdicts, ['fail', 'pass', 'fail']);
  assert.deepEqual(after.names, [
    ['alarm.png', false],
    ['1.png', true],
  ]);
  assert.deepEqual(
    after.former.map(({ name }) => name),
    ['0.png', '1.png', '2.png', '3.png'],
  );
  assert.deepEqual(after.verdicts, ['pass', 'pass', 'fail']);
  assert.equal(after.anyPose, false);
});

/** Does `work` on a device that is destroyed at its `last`-th await of all, and tells how it ended. */
const losing = async ({ model, picture, work, last }) => {
  const { Detector, init, teach } = await import('./index.js');
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter.requestDevice();
  await init({ device });
  let awaited = 0;
  const originals = [
    [GPUDevice.prototype, 'popErrorScope'],
    [GPUBuffer.prototype, 'mapAsync'],
  ].map(([owner, name]) => [owner, name, owner[name]]);
  for (const [owner, name, original] of originals) {
    owner[name] = function (...given) {
      if (awaited++ === last) device.destroy();
      return original.apply(this, given);
    };
  }
  const file = await (await fetch(`../${picture}`)).blob();
  const kinds = {
    detect: async () => (await (await Detector.load(model, { cache: null })).detect(file)).score,
    teach: async () => (await teach([file], { backbone: model, effort: 'small', poses: 'fixed' })).threshold,
  };
  try {
    return { value: await kinds[work](), awaited };
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  } finally {
    for (const [owner, name, original] of originals) owner[name] = original;
    device.destroy();
  }
};

test('a device lost at any point ends what it does in words, and the next one does as before', async (t) => {
  const own = await newPage(browser);
  await own.goto(`${server.url}pcsnet/package.json`);
  const lose = (work, last) => own.evaluate(losing, { ...URLS, model: 'default.safetensors', work, last });
  const sound = await lose('detect', -1);
  assert.ok(close(sound.value, sample.score), `${sound.value ?? sound.error}`);
  t.diagnostic(`${sound.awaited} awaits of the device from a file to its score`);
  // The last but one: what the very last waits for, the device may have given before.
  const points = [0, 0.25, 0.5, 0.7, 0.9, 1].map((share) => Math.round(share * (sound.awaited - 2)));
  for (const [work, last] of [...points.map((point) => ['detect', point]), ['teach', 50], ['teach', 600]]) {
    const { value, error } = await lose(work, last);
    assert.match(error ?? `${value}`, /device was lost/, `${work}, await ${last}`);
  }
  assert.deepEqual(await lose('detect', -1), sound);
  await own.close();
});

test('the wasm comes from where init is told, and what is no wasm is told so', async () => {
  const own = await newPage(browser);
  await own.goto(`${server.url}pcsnet/package.json`);
  const told = await own.evaluate(async () => {
    const { Photograph, init, regions } = await import('./core.js');
    const reason = (promise) =>
      promise.then(
        () => 'nothing was wrong',
        (error) => error.message,
      );
    const map = { map: new Float32Array(4).fill(1), side: 2, fit: 'stretch', width: 2, height: 2 };
    const without = await reason(regions(map, 0.5));
    const page = await reason(init({ wasm: '../index.html' }));
    const missing = await reason(init({ wasm: 'nowhere.wasm' }));
    const { adapter } = await init({ wasm: await (await fetch('pcsnet.wasm')).arrayBuffer() });
    return { without, page, missing, adapter, found: (await regions(map, 0.5)).length, photograph: typeof Photograph };
  });
  await own.context().close();
  assert.match(told.without, /pcsnet\/core has no wasm in it: call init\(\{ wasm \}\) first/);
  assert.match(told.page, /index\.html is no wasm: the server answered with text\/html/);
  assert.match(told.missing, /nowhere\.wasm could not be loaded: the server answered 404/);
  assert.equal(told.adapter.software, true);
  assert.equal(told.found, 1);
});

// A file of `python -m pcsnet random --config wide_resnet50_2/plain --half`; too large to be made for every run.
const full = process.env.PCSNET_FULL_SIZE_MODEL;
test(
  'the full-size model loads in little memory',
  { skip: !full && 'PCSNET_FULL_SIZE_MODEL names no file' },
  async () => {
    assert.ok(existsSync(full));
    const own = await launch();
    try {
      const page = await newPage(own);
      await page.goto(server.url);
      await page.locator('#activity').waitFor({ state: 'hidden' });
      await page.locator('#open-model').setInputFiles(full);
      await page.locator('#card', { hasText: full.split('/').pop() }).waitFor({ timeout: 2 * PATIENCE });
      // Memory of wasm only grows, so what it has is what it had at most.
      const bytes = await page.workers()[0].evaluate(async () => {
        const { default: start } = await import('./pcsnet/pcsnet_web.js');
        return (await start()).memory.buffer.byteLength;
      });
      console.log(
        `${(statSync(full).size / 1e6).toFixed(0)} MB of weights, ${(bytes / 1e6).toFixed(0)} MB of wasm memory`,
      );
      assert.ok(bytes < 300e6, `${bytes} bytes`);
    } finally {
      await own.close();
    }
  },
);
