// What the page shows when, whatever the network takes: against a stand-in for its thread, so that a hundred races take
// seconds.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { greyPng, hand, launch, openPage, root, screenshots, serve } from './harness.js';

const standIn = readFileSync(new URL('stand-in.js', import.meta.url), 'utf8');

let server;
let browser;

before(async () => {
  server = await serve();
  browser = await launch({ webgpu: false });
});

afterEach(async () => {
  server.state.instead.clear();
  await Promise.all(browser.contexts().map((context) => context.close()));
});

after(async () => {
  await browser?.close();
  await server?.close();
});

/** The page on the stand-in: `held` calls wait until they are released, and detections pause at random. */
async function withStandIn({
  script,
  held = [],
  pause = 0,
  software = false,
  drifted = false,
  results = true,
  ...options
} = {}) {
  const standInOptions = JSON.stringify({ held, pause, software, drifted });
  server.state.instead.set('/worker.js', `const STAND_IN = ${standInOptions};\n${standIn}`);
  if (!results)
    server.state.instead.set(
      '/samples/results.json',
      '{ "card": { "threshold": 0.5, "scale": [0, 1], "metadata": {} }, "results": {} }',
    );
  return openPage(browser, server, { serviceWorkers: 'block', script, ...options });
}

const tell = (page, message) =>
  page.evaluate((message) => new BroadcastChannel('stand-in').postMessage(message), message);
const grey = (value, name = `grey ${value}.png`) => ({ name, buffer: greyPng(value) });
const ready = (page) => page.locator('#activity').waitFor({ state: 'hidden' });
const sample = (page, name) => page.getByRole('button', { name, exact: true });
const verdict = (page) => page.locator('#verdict');

async function scoreOf(page) {
  return Number(await verdict(page).getAttribute('data-score'));
}

async function waitForScore(page, value) {
  await page.waitForFunction(
    (value) => Math.abs(document.getElementById('verdict').dataset.score - value) < 1e-4,
    value,
  );
}

/** Watches every frame: with a score on the page, the painted picture must be its own. */
async function watch(page) {
  await page.evaluate(() => {
    const watched = (globalThis.watched = { frames: 0, verdicts: 0, mismatches: [] });
    const look = () => {
      const [frame, picture] = ['frame', 'picture'].map((id) => document.getElementById(id));
      const { score } = document.getElementById('verdict').dataset;
      watched.frames += 1;
      if (score !== undefined) {
        watched.verdicts += 1;
        const [grey] = picture.getContext('2d').getImageData(0, 0, 1, 1).data;
        // A model adds less than half a grey to the score.
        if (frame.hidden || Math.abs(score - grey / 255) > 0.0019)
          watched.mismatches.push(`score ${255 * score} beside grey ${grey}`);
      }
    };
    new MutationObserver(look).observe(document.body, {
      subtree: true,
      childList: true,
      attributes: true,
      characterData: true,
    });
    const everyFrame = () => {
      look();
      requestAnimationFrame(everyFrame);
    };
    everyFrame();
  });
}

const watched = (page) => page.evaluate(() => globalThis.watched);

test('ten quick choices, a hundred times, never show a verdict with another picture', async (t) => {
  const names = ['scratch', 'good', 'blocked_hole', 'chip', 'corrosion', 'dent', 'fibre'];
  const greys = new Map();
  for (const [index, name] of names.entries()) {
    for (const number of ['000', '001']) {
      const value = 10 + 12 * greys.size;
      greys.set(`${name.replace('_', ' ')} ${Number(number) + 1}`, value);
      server.state.instead.set(`/samples/${name}/${number}.png`, greyPng(value));
    }
  }
  const page = await withStandIn({ pause: 12, results: false });
  await ready(page);
  await watch(page);
  await page.evaluate(async () => {
    const pause = (most) => new Promise((resolve) => setTimeout(resolve, Math.random() * most));
    globalThis.settled = [];
    for (let race = 0; race < 100; race++) {
      const buttons = [...document.querySelectorAll('#samples button')];
      let last;
      for (let choice = 0; choice < 10; choice++) {
        last = buttons[Math.floor(Math.random() * buttons.length)];
        last.click();
        await pause(8);
      }
      // Each race ends with the last choice on the stage, with its verdict, and nothing under way.
      const isSettled = () =>
        document.getElementById('activity').hidden && document.getElementById('verdict').dataset.score;
      while (!isSettled()) await pause(4);
      globalThis.settled.push([
        last.textContent,
        Number(document.getElementById('verdict').dataset.score),
        last.ariaCurrent,
      ]);
      // Two models in turn, so that no result of the one before is left.
      if (race % 10 === 9) {
        const transfer = new DataTransfer();
        transfer.items.add(new File([`good ${race}`], `model ${race}.safetensors`));
        document
          .getElementById('stage')
          .dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
        await pause(4);
      }
    }
  });
  const { frames, verdicts, mismatches } = await watched(page);
  assert.deepEqual(mismatches, []);
  const settled = await page.evaluate(() => globalThis.settled);
  assert.equal(settled.length, 100);
  for (const [name, score, current] of settled) {
    assert.ok(Math.abs(score - greys.get(name) / 255) < 0.0019, `${name}: ${score}`);
    assert.equal(current, 'true');
  }
  t.diagnostic(`${frames} looks at the page, ${verdicts} of them with a verdict`);
});

test('a result is there before anything is loaded, on one screen of a phone, with the samples in view', async () => {
  const page = await withStandIn({
    held: ['init', 'load', 'detect'],
    viewport: { width: 390, height: 844 },
    isMobile: true,
  });
  await verdict(page).filter({ hasText: 'Fail' }).waitFor();
  await page.locator('#frame').waitFor();
  assert.equal(await verdict(page).getAttribute('data-computed'), 'before');
  assert.match(await page.locator('#caption').textContent(), /computed beforehand/);
  for (const id of ['stage', 'threshold', 'open', 'samples']) {
    const { y, height } = await page.locator(`#${id}`).boundingBox();
    assert.ok(y >= 0 && y + Math.min(height, 60) <= 844, `#${id} lies at ${y}`);
  }
  // The tick of the threshold stands where the legend has its colour.
  const [tick, mark] = await page.evaluate(() => {
    const slider = document.getElementById('threshold');
    const place = (slider.value - slider.min) / (slider.max - slider.min);
    return [place, Number(document.getElementById('model-mark').style.getPropertyValue('--at'))];
  });
  assert.ok(Math.abs(tick - mark) < 0.005, `${tick}, ${mark}`);
});

test('good parts are not hazed over, defects are covered', async () => {
  const page = await withStandIn({ held: ['init'] });
  const covered = async (name) => {
    await sample(page, name).click();
    await page.getByRole('img', { name: new RegExp(`^${name} with heat`) }).waitFor();
    return page.locator('#heat').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const alphas = data.filter((_, at) => at % 4 === 3);
      return {
        mean: alphas.reduce((sum, alpha) => sum + alpha, 0) / alphas.length / 255,
        most: Math.max(...alphas) / 255,
      };
    });
  };
  for (const name of ['good 1', 'good 2']) {
    const { mean, most } = await covered(name);
    assert.ok(mean < 0.01 && most < 0.5, `${name}: ${mean}, at most ${most}`);
  }
  const { mean, most } = await covered('corrosion 2');
  assert.ok(mean > 0.001 && most === 1, `corrosion 2: ${mean}, at most ${most}`);
});

test('what is done while loading is queued, the last of it first, and the page says so', async () => {
  const page = await withStandIn({ held: ['load'], results: false });
  const activity = page.locator('#activity-text');
  await sample(page, 'chip 1').click();
  await activity.filter({ hasText: 'then chip 1' }).waitFor();
  await sample(page, 'dent 2').click();
  await activity.filter({ hasText: 'then dent 2' }).waitFor();
  await hand(page, 'drop', grey(200));
  await activity.filter({ hasText: 'then grey 200.png' }).waitFor();
  await tell(page, { release: 'load' });
  await waitForScore(page, 200 / 255);
  await ready(page);
  assert.equal(await page.locator('#strip li').count(), 1);
});

test('the camera that is switched on while loading stays on, with a live viewfinder at once', async () => {
  const page = await withStandIn({ held: ['load'] });
  await page.getByRole('button', { name: 'Camera' }).click();
  const viewfinder = page.locator('#viewfinder');
  await page.waitForFunction(() => document.getElementById('viewfinder').videoWidth > 0);
  assert.ok((await viewfinder.boundingBox()).width > 200);
  assert.equal(await verdict(page).getAttribute('data-verdict'), 'none');
  await tell(page, { release: 'load' });
  await page.locator('#viewfinder.inset').waitFor();
  await page.locator('#verdict[data-score]').waitFor();
  await page.getByRole('button', { name: 'Stop the camera' }).click();
  await viewfinder.waitFor({ state: 'hidden' });
  // The last frame stays with its own verdict, as a picture among the user's.
  assert.equal(await page.locator('#strip li').count(), 1);
  assert.notEqual(await verdict(page).getAttribute('data-verdict'), 'none');
});

test('with the camera on, a line that has drifted from its calibration is told to have', async () => {
  for (const drifted of [false, true]) {
    const page = await withStandIn({ drifted });
    await page.getByRole('button', { name: 'Camera' }).click();
    await page.locator('#verdict[data-score]').waitFor();
    const drift = verdict(page).getByText(/the good parts of the calibration 0\.125: have the camera/);
    await drift.waitFor({ state: drifted ? 'visible' : 'hidden' });
    await page.getByRole('button', { name: 'Stop the camera' }).click();
    await drift.waitFor({ state: 'hidden' });
  }
});

test('a refused model leaves no message beside a good one, and no verdict of another model stays', async () => {
  const page = await withStandIn({ results: false });
  await hand(page, 'drop', grey(100));
  await waitForScore(page, 100 / 255);
  await hand(page, 'drop', { name: 'bad.safetensors', buffer: Buffer.from('bad') });
  const message = page.getByRole('alert').locator('.message');
  await message.filter({ hasText: /bad\.safetensors: not a usable[^]*The default model is still in use/ }).waitFor();
  await waitForScore(page, 100 / 255);
  // Capitals are a file name, too.
  await tell(page, { hold: 'detect' });
  await hand(page, 'drop', { name: 'MY.SAFETENSORS', buffer: Buffer.from('good') });
  await page.locator('#card', { hasText: 'MY.SAFETENSORS' }).waitFor();
  assert.equal(await message.count(), 0);
  assert.equal(await verdict(page).getAttribute('data-verdict'), 'none');
  await tell(page, { release: 'detect' });
  await waitForScore(page, 100 / 255 + 0.001);
  assert.equal(await message.count(), 0);
});

test('a picture that cannot be read has its message in its own place, and no verdict', async () => {
  const page = await withStandIn({ held: ['detect'] });
  await hand(page, 'drop', { name: 'notes.txt', buffer: Buffer.from('hello') });
  await page.locator('#problem').waitFor();
  assert.equal(await verdict(page).getAttribute('data-verdict'), 'none');
  assert.ok(await page.locator('#frame').isHidden());
  await sample(page, 'good 1').click();
  // Its precomputed score is far above the stand-in's threshold.
  await page.locator('#verdict[data-verdict=fail]').waitFor();
  assert.ok(await page.locator('#problem').isHidden());
  await page.locator('#strip button').click();
  await page.locator('#problem').waitFor();
});

test('a picture unlike anything the model knows is told to be so, and is not hidden by heat', async () => {
  const page = await withStandIn({ results: false });
  const unlike = verdict(page).getByText('another part, or another view of it?');
  await hand(page, 'drop', grey(230));
  await waitForScore(page, 230 / 255);
  await unlike.waitFor();
  assert.ok((await page.locator('#frame').isVisible()) && (await page.locator('#inspected').isHidden()));
  await hand(page, 'drop', grey(20));
  await waitForScore(page, 20 / 255);
  await unlike.waitFor({ state: 'hidden' });
  await page.locator('#inspected').waitFor();
});

test('several files are all looked at, and told apart by name and verdict', async () => {
  const page = await withStandIn({ pause: 5 });
  await hand(page, 'drop', ...[20, 220, 90, 160].map((value) => grey(value)), {
    name: 'notes.txt',
    buffer: Buffer.from('hello'),
  });
  await page.locator('#own-count', { hasText: '5: 2 fail, 2 pass' }).waitFor();
  await ready(page);
  const outcomes = await page
    .locator('#strip button')
    .evaluateAll((buttons) => buttons.map(({ innerText }) => innerText.trim().split(/\s*\n\s*/)));
  assert.deepEqual(outcomes, [
    ['grey 20.png', 'Pass 0.0784'],
    ['grey 220.png', 'Fail 0.863'],
    ['grey 90.png', 'Pass 0.353'],
    ['grey 160.png', 'Fail 0.627'],
    ['notes.txt', 'not readable'],
  ]);
  await page.getByRole('button', { name: /grey 160/ }).click();
  await waitForScore(page, 160 / 255);
  await page.getByRole('button', { name: 'Clear' }).click();
  await page.locator('#own').waitFor({ state: 'hidden' });
});

test("reloading keeps the user's model and threshold, until the default is wanted again", async () => {
  const page = await withStandIn();
  await hand(page, 'drop', { name: 'own.safetensors', buffer: Buffer.from('good') });
  const card = page.locator('#card');
  await card.filter({ hasText: 'own.safetensors' }).waitFor();
  await page.locator('#threshold').fill('0.25');
  await page.locator('#threshold').dispatchEvent('change');
  const kept = await page.locator('#threshold-value').textContent();
  await page.waitForTimeout(200);
  await page.reload();
  await card.filter({ hasText: 'own.safetensors' }).waitFor();
  assert.equal(await page.locator('#threshold-value').textContent(), kept);
  await page.getByRole('button', { name: 'Back to the default model' }).click();
  await card.filter({ hasText: 'the default model' }).waitFor();
  await page.reload();
  await ready(page);
  assert.match(await card.textContent(), /the default model/);
  // The user's is not lost by that.
  const own = page.getByRole('button', { name: 'Back to own.safetensors' });
  await own.click();
  await card.filter({ hasText: 'own.safetensors' }).waitFor();
  assert.ok(await own.isHidden());
  await page.waitForTimeout(200);
  await page.reload();
  await card.filter({ hasText: 'own.safetensors' }).waitFor();
});

test('a model that finds no room in the browser is told to be lost with the page', async () => {
  const page = await withStandIn({
    script: () => {
      IDBObjectStore.prototype.put = () => {
        throw new DOMException('full', 'QuotaExceededError');
      };
    },
  });
  await ready(page);
  await hand(page, 'drop', { name: 'own.safetensors', buffer: Buffer.from('good') });
  const message = page.getByRole('alert').locator('.message', { hasText: 'no room to keep own.safetensors' });
  await message.getByRole('button', { name: 'Dismiss' }).click();
  await message.waitFor({ state: 'detached' });
  await toTeach(page, 100);
  await page.locator('#advice', { hasText: 'no room to keep them: they are lost' }).waitFor();
});

test('a camera that is not allowed is told with what to do', async () => {
  const page = await withStandIn({
    script: () => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
    },
  });
  await page.getByRole('button', { name: 'Camera' }).click();
  const message = page.getByRole('alert').locator('.message', { hasText: 'The camera cannot be used' });
  await message
    .filter({ hasText: /Allow it with the symbol beside .* or take pictures with another program/ })
    .waitFor();
  await page.screenshot({ path: join(screenshots, 'camera-denied.png') });
});

test('a lost device is told, and after another try picture, heat and legend are there', async () => {
  const page = await withStandIn({ results: false });
  await hand(page, 'drop', grey(180));
  await waitForScore(page, 180 / 255);
  await tell(page, { lose: 'the driver was restarted' });
  const message = page.getByRole('alert').locator('.message', { hasText: 'graphics device was lost' });
  await message.waitFor();
  await page.getByRole('button', { name: 'Try again' }).click();
  await message.waitFor({ state: 'detached' });
  await ready(page);
  await hand(page, 'drop', grey(120));
  await waitForScore(page, 120 / 255);
});

test('loading has real progress, and a software adapter is told of before it computes', async () => {
  const page = await withStandIn({ held: ['load'], software: true });
  await page.getByText('computes without a graphics card').waitFor();
  await page.evaluate(() => {
    globalThis.values = [];
    const progress = document.getElementById('progress');
    new MutationObserver(() => globalThis.values.push(progress.getAttribute('value'))).observe(progress, {
      attributes: true,
    });
  });
  await tell(page, { release: 'load' });
  await ready(page);
  const values = await page.evaluate(() => globalThis.values);
  assert.ok(values.includes('0.25') || values.includes('0.5'), values.join(' '));
});

/** The screen where a part is taught, with photographs of these greys on it. */
async function toTeach(page, ...greys) {
  await page.getByRole('button', { name: 'Teach a part' }).click();
  if (greys.length) await hand(page, 'drop', ...greys.map((value) => grey(value)));
}

const teachNow = (page) => page.getByRole('button', { name: 'Teach', exact: true });
const photographs = (page) => page.locator('#photographs li');
const mark = (page, name) => photographs(page).filter({ hasText: name }).locator('.mark');

test('a part is taught from files, odd ones are marked, and it is inspected with what was taught', async () => {
  const page = await withStandIn({ held: ['teaching'], results: false });
  await ready(page);
  await watch(page);
  await toTeach(page);
  const advice = page.locator('#advice');
  await advice.filter({ hasText: 'None yet' }).waitFor();
  assert.ok(await teachNow(page).isDisabled());

  await hand(page, 'drop', ...[100, 104, 108, 112, 200, 5].map((value) => grey(value)));
  await page.locator('#add').setInputFiles([{ name: 'again.png', mimeType: 'image/png', buffer: greyPng(100) }]);
  await hand(page, 'paste', { name: 'notes.txt', buffer: Buffer.from('hello') });
  await mark(page, 'notes.txt').filter({ hasText: 'not readable' }).waitFor();
  await mark(page, 'grey 5.png').filter({ hasText: 'very dark' }).waitFor();
  await advice
    .filter({ hasText: /^Enough to begin; 8 or more are better\. Left out: .*could not be decoded.*\.$/ })
    .waitFor();

  await teachNow(page).click();
  await page.locator('#teaching-text', { hasText: 'Describing photographs: 2 of 4' }).waitFor();
  assert.equal(await page.locator('#teaching-activity progress').getAttribute('value'), '0.25');
  await tell(page, { release: 'teaching' });
  await page
    .locator('#taught-account', {
      hasText: /^Taught from 6 photographs in \d+ seconds?\. Parts lie always as photographed/,
    })
    .waitFor();
  assert.deepEqual(await page.locator('#taught-notes li').allTextContents(), [
    'more photographs make the threshold surer',
  ]);
  const marks = await photographs(page).locator('.mark').allTextContents();
  assert.deepEqual(marks, [
    'score 0.392',
    'score 0.408',
    'score 0.424',
    'score 0.439',
    'unlike the others',
    'unlike the others',
    'seen twice',
    'not readable',
  ]);

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Save the model' }).click(),
  ]);
  assert.match(download.suggestedFilename(), /^taught .*\.safetensors$/);
  assert.equal(readFileSync(await download.path(), 'utf8'), 'good');

  await page.getByRole('button', { name: 'Inspect with it' }).click();
  await page.locator('#card', { hasText: 'taught' }).waitFor();
  await hand(page, 'drop', grey(120));
  await waitForScore(page, 120 / 255 + 0.001);
  const words = page.locator('#histogram-words');
  await words.filter({ hasText: 'Of 6 good photographs (each held out, 0.0196 to 0.784) 1 would fail.' }).waitFor();
  assert.equal(await page.locator('#histogram span[data-above=true]').count(), 1);
  await page.getByRole('slider', { name: 'Threshold' }).press('Home');
  await words.filter({ hasText: '6 would fail' }).waitFor();
  assert.deepEqual((await watched(page)).mismatches, []);

  // The saved file is a model like others.
  await page.getByRole('button', { name: 'Back to the default model' }).click();
  await words.waitFor({ state: 'hidden' });
  await hand(page, 'drop', { name: download.suggestedFilename(), buffer: readFileSync(await download.path()) });
  await waitForScore(page, 120 / 255 + 0.001);
});

test('the shutter takes a photograph a press, by pointer and by keyboard', async () => {
  const page = await withStandIn();
  await toTeach(page);
  const shutter = page.getByRole('button', { name: 'Take a photograph' });
  assert.ok(await shutter.isDisabled());
  await page.getByRole('button', { name: 'Camera' }).click();
  await page.waitForFunction(() => document.getElementById('finder').videoWidth > 0);
  await shutter.click();
  await photographs(page).nth(0).waitFor();
  await shutter.focus();
  await page.keyboard.press('Enter');
  await photographs(page).nth(1).waitFor();
  const [width] = await page
    .locator('#photographs canvas')
    .evaluateAll((canvases) => canvases.map(({ width }) => width));
  assert.equal(width, 160);
  // The camera inspects once a visitor does.
  await page.getByRole('button', { name: 'Inspect', exact: true }).click();
  await page.locator('#caption', { hasText: 'camera' }).waitFor();
  await verdict(page)
    .locator('strong', { hasText: /Pass|Fail/ })
    .waitFor();
});

/** A camera that sees a surface of one grey, with an edge on it, until `globalThis.see(grey)` has another there. */
function greyCamera() {
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d');
  [canvas.width, canvas.height] = [320, 240];
  let grey = 60;
  let frame = 0;
  globalThis.see = (next) => (grey = next);
  // Noise and a hand that shakes.
  setInterval(() => {
    frame += 1;
    context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
    context.fillRect(0, 0, 320, 240);
    context.fillStyle = 'white';
    context.fillRect(100 + (frame % 5) * 4, 60 + (frame % 3) * 5, 120, 90);
  }, 30);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(30);
}

test('a part that lies before the camera while the shutter is held is one photograph', async () => {
  const page = await withStandIn({ script: greyCamera });
  await toTeach(page);
  await page.getByRole('button', { name: 'Camera' }).click();
  await page.waitForFunction(() => document.getElementById('finder').videoWidth > 0);
  const burst = page.locator('#burst');
  await page.getByRole('button', { name: 'Take a photograph' }).hover();
  await page.mouse.down();
  await burst
    .filter({ hasText: /^1 photograph taken\. [3-9] more shots show the same as one before and are left out\.$/ })
    .waitFor();
  await page.evaluate(() => globalThis.see(120));
  await burst.filter({ hasText: '2 photographs taken' }).waitFor();
  await page.evaluate(() => globalThis.see(60));
  await page.waitForTimeout(1000);
  await page.screenshot({ path: join(screenshots, 'burst.png') });
  await page.mouse.up();
  assert.equal(await photographs(page).count(), 2);
  // A press of its own is what the visitor wants.
  await page.getByRole('button', { name: 'Take a photograph' }).click();
  await photographs(page).nth(2).waitFor();
  assert.equal(await burst.textContent(), '');
});

test('the keyboard keeps its place when what it pressed goes', async () => {
  const page = await withStandIn({ results: false });
  await ready(page);
  await toTeach(page, 100, 110, 90);
  await photographs(page).nth(2).waitFor();
  const focused = (name) =>
    page.waitForFunction((name) => {
      const { id, ariaLabel, textContent } = document.activeElement;
      return [id, ariaLabel, textContent].includes(name);
    }, name);
  const press = async (name) => {
    await page.getByRole('button', { name, exact: true }).focus();
    await page.keyboard.press('Enter');
  };
  await press('Remove grey 110.png');
  await focused('Remove grey 90.png');
  await page.keyboard.press('Enter');
  await focused('Remove grey 100.png');
  await hand(page, 'drop', grey(105), grey(95));
  await photographs(page).nth(2).waitFor();
  await tell(page, { hold: 'teaching' });
  await press('Teach');
  await focused('stop-teaching');
  await page.keyboard.press('Enter');
  await focused('teach-now');
  await tell(page, { release: 'teaching' });
  await press('Teach');
  await page.locator('#taught').waitFor();
  await press('Inspect with it');
  await focused('to-inspect');
  // What the visitor left is not brought back.
  await page.locator('#use-default').focus();
  await page.locator('h1').click();
  await hand(page, 'drop', grey(99));
  await waitForScore(page, 99 / 255 + 0.001);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'BODY');
  await press('Back to the default model');
  await page.locator('#card', { hasText: 'the default model' }).waitFor();
  await focused('use-own');
  // Messages, too.
  await hand(page, 'drop', { name: 'bad.safetensors', buffer: Buffer.from('bad') });
  await page.getByRole('alert').locator('.message').waitFor();
  await press('Dismiss this message');
  await focused('to-inspect');
});

test('photographs, the model and what was taught survive a reload', async () => {
  const page = await withStandIn();
  await toTeach(page, 100, 110, 90);
  await teachNow(page).click();
  await page.locator('#taught').waitFor();
  await page.getByRole('button', { name: 'Remove grey 110.png' }).click();
  await photographs(page).nth(2).waitFor({ state: 'detached' });
  await page.waitForTimeout(200);
  await page.reload();
  await page.locator('#card', { hasText: 'taught' }).waitFor();
  await page.locator('#histogram-words', { hasText: 'Of 3 good photographs' }).waitFor();
  await toTeach(page);
  await mark(page, 'grey 100.png').filter({ hasText: 'score 0.392' }).waitFor();
  assert.deepEqual(await photographs(page).locator('.name').allTextContents(), ['grey 100.png', 'grey 90.png']);
  await page.locator('#taught-account', { hasText: 'Taught from 3 photographs' }).waitFor();
  // What was wished, too.
  await page.getByText('How to teach').click();
  await page.getByLabel('Parts lie').selectOption('any');
  await page.getByLabel('Good parts that may fail').selectOption('0.1');
  await page.waitForTimeout(200);
  await page.reload();
  await page.locator('#card', { hasText: 'taught' }).waitFor();
  await toTeach(page);
  assert.equal(await page.locator('#poses').inputValue(), 'any');
  assert.equal(await page.locator('#alarms').inputValue(), '0.1');
  assert.equal(await page.locator('#effort').inputValue(), 'standard');
  await page.getByRole('button', { name: 'Remove all' }).click();
  await page.waitForTimeout(200);
  await page.reload();
  await toTeach(page);
  await page.locator('#advice', { hasText: 'None yet' }).waitFor();
});

test('a false alarm is one good photograph more', async () => {
  const page = await withStandIn({ results: false });
  await toTeach(page, 100, 110, 90, 95);
  await teachNow(page).click();
  await page.locator('#taught').waitFor();
  await page.getByRole('button', { name: 'Inspect with it' }).click();
  await watch(page);
  const isGood = page.locator('#is-good');
  await hand(page, 'drop', grey(140));
  await waitForScore(page, 140 / 255 + 0.001);
  await isGood.click();
  await isGood.filter({ hasText: 'Taken as a good part' }).waitFor();
  assert.ok(await isGood.isDisabled());
  await hand(page, 'drop', grey(99));
  await waitForScore(page, 99 / 255 + 0.001);
  assert.ok(await isGood.isHidden());
  const message = page.locator('.message', { hasText: 'are others than this model was taught from' });
  await message.getByRole('button', { name: 'Teach again' }).click();
  await page.locator('#histogram-words', { hasText: 'Of 5 good photographs' }).waitFor();
  assert.equal(await message.count(), 0);
  await waitForScore(page, 99 / 255 + 0.001);
  assert.deepEqual((await watched(page)).mismatches, []);
});

test('a model of which only the file is here is taught its false alarms', async () => {
  const page = await withStandIn({ results: false });
  await ready(page);
  await hand(page, 'drop', { name: 'taught part.safetensors', buffer: Buffer.from('good') });
  const card = page.locator('#card');
  await card.filter({ hasText: 'taught part.safetensors' }).waitFor();
  await hand(page, 'drop', grey(140));
  await waitForScore(page, 140 / 255 + 0.001);
  await page.getByRole('button', { name: 'This part is good' }).click();
  const message = page.locator('.message', { hasText: '1 picture is good although this model fails it' });
  await message.waitFor();
  // Photographs of another part are none of its business, nor is it theirs.
  await toTeach(page, 50, 60);
  await mark(page, 'grey 140.png').filter({ hasText: 'for this model alone' }).waitFor();
  await page.locator('#advice', { hasText: 'with 2 many defects pass' }).waitFor();
  await page.waitForTimeout(200);
  await page.reload();
  await card.filter({ hasText: 'taught part.safetensors' }).waitFor();
  await message.getByRole('button', { name: 'Teach again' }).click();
  await page
    .locator('#histogram-words', { hasText: 'Of 2 good photographs (each held out, 0.250 to 0.549)' })
    .waitFor();
  assert.equal(await message.count(), 0);
  await page.screenshot({ path: join(screenshots, 'taught-more.png'), fullPage: true });
  await toTeach(page);
  await page.locator('#taught-account', { hasText: 'Taught 1 photograph more in' }).waitFor();
  await mark(page, 'grey 140.png').filter({ hasText: 'score 0.549' }).waitFor();
  // And the next one.
  await page.getByRole('button', { name: 'Inspect with it' }).click();
  await hand(page, 'drop', grey(150));
  await waitForScore(page, 150 / 255 + 0.001);
  await page.getByRole('button', { name: 'This part is good' }).click();
  await message.getByRole('button', { name: 'Teach again' }).click();
  await page.locator('#histogram-words', { hasText: '0.250 to 0.588' }).waitFor();
  // The default model is not the visitor's to teach.
  await page.getByRole('button', { name: 'Back to the default model' }).click();
  await card.filter({ hasText: 'the default model' }).waitFor();
  await waitForScore(page, 150 / 255);
  assert.ok(await page.locator('#is-good').isHidden());
  await hand(page, 'drop', { name: 'taught part.safetensors', buffer: Buffer.from('good') });
  await waitForScore(page, 150 / 255 + 0.001);
  await page.getByRole('button', { name: 'This part is good' }).click();
  await message.waitFor();
  await page.getByRole('button', { name: 'Back to the default model' }).click();
  await message.waitFor({ state: 'detached' });
  await toTeach(page);
  await photographs(page).filter({ hasText: 'for another model alone' }).first().waitFor();
});

test('a model without a threshold is given one by good photographs, for good', async () => {
  const page = await withStandIn({ results: false, held: ['threshold'] });
  await ready(page);
  const header = Buffer.from('{"__metadata__":{"pcsnet.tiles":"9"}}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const buffer = Buffer.concat([length, header, Buffer.from('tensors')]);
  await hand(page, 'drop', { name: 'bare.safetensors', buffer });
  const message = page.locator('.message', {
    hasText: 'bare.safetensors has no threshold: what passes here is a guess',
  });
  await message.filter({ hasText: 'Two or more photographs of good parts give it one.' }).waitFor();
  await message.getByRole('button', { name: 'Photograph good parts' }).click();
  await hand(page, 'drop', grey(90), grey(110));
  await photographs(page).nth(1).waitFor();
  await page.getByRole('button', { name: 'Inspect', exact: true }).click();
  await page.screenshot({ path: join(screenshots, 'no-threshold.png'), fullPage: true });
  await message.getByRole('button', { name: 'Find the threshold' }).click();
  await page.locator('#activity-text', { hasText: 'Inspecting good photographs: 2 of 2' }).waitFor();
  await tell(page, { release: 'threshold' });
  await page.locator('#threshold-value', { hasText: '0.432' }).waitFor();
  await message.waitFor({ state: 'detached' });
  await page.waitForTimeout(200);
  await page.reload();
  await page.locator('#threshold-value', { hasText: '0.432' }).waitFor();
  // What is saved has it, too, and all that it had.
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#save-model').click()]);
  const saved = readFileSync(await download.path());
  const end = 8 + Number(saved.readBigUInt64LE(0));
  assert.deepEqual(JSON.parse(saved.subarray(8, end)), {
    __metadata__: { 'pcsnet.threshold': `${110 / 255 + 0.001}` },
  });
  assert.equal(end % 8, 0);
  assert.equal(saved.subarray(end).toString(), 'tensors');
});

test('teaching is stopped, refused and interrupted in words, and the photographs stay', async () => {
  const page = await withStandIn({ held: ['teaching'] });
  await toTeach(page, 100, 110, 90);
  const problem = page.locator('#teaching-problem');
  const begun = () => page.locator('#teaching-text', { hasText: 'Describing' }).waitFor();
  await teachNow(page).click();
  await begun();
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.locator('#teaching-activity').waitFor({ state: 'hidden' });
  assert.ok(await problem.isHidden());

  await teachNow(page).click();
  await begun();
  await tell(page, { lose: 'the driver was restarted' });
  await problem
    .filter({ hasText: 'No model was made: the graphics device was lost. The photographs are still here.' })
    .waitFor();
  await page.getByRole('button', { name: 'Try again' }).click();
  await teachNow(page).click();
  await begun();
  await tell(page, { release: 'teaching' });
  await page.locator('#taught').waitFor();
  assert.ok(await problem.isHidden());

  await page.getByRole('button', { name: 'Remove grey 110.png' }).click();
  await page.getByRole('button', { name: 'Remove grey 90.png' }).click();
  await page.locator('#advice', { hasText: 'with 1 many defects pass' }).waitFor();
  await teachNow(page).click();
  await problem.filter({ hasText: 'No model was made: normal images: expected at least 2, found 1' }).waitFor();
  assert.equal(await photographs(page).count(), 1);
});

test('a processor makes the fastest kind of model, unless the visitor asks for another', async () => {
  const page = await withStandIn({ held: ['standard'], software: true });
  await ready(page);
  await toTeach(page, 100, 104);
  const effort = page.locator('#effort');
  assert.equal(await effort.inputValue(), 'small');
  await teachNow(page).click();
  await page.locator('#taught').waitFor();

  await page.getByText('How to teach').click();
  await effort.selectOption('standard');
  await teachNow(page).click();
  await page.locator('#look-caption', { hasText: 'A quick model looks first' }).waitFor();
  assert.equal(await effort.inputValue(), 'standard');
  await tell(page, { release: 'standard' });
  await page.locator('#taught').waitFor();

  const withGraphicsCard = await withStandIn();
  await ready(withGraphicsCard);
  assert.equal(await withGraphicsCard.locator('#effort').inputValue(), 'standard');
});

test('while the full model is made, a quick one shows what it finds', async () => {
  const page = await withStandIn({ held: ['standard'] });
  await toTeach(page, 100, 230, 200);
  await teachNow(page).click();
  const caption = page.locator('#look-caption');
  await caption.filter({ hasText: 'A quick model looks first: grey 100.png would pass.' }).waitFor();
  await caption.filter({ hasText: 'grey 230.png shows another part, or another view of it.' }).waitFor();
  assert.ok(await page.locator('#look-heat').isHidden());
  await caption.filter({ hasText: 'grey 200.png would fail. The full model is being made.' }).waitFor();
  const painted = (id) =>
    page.locator(id).evaluate((canvas) => [...canvas.getContext('2d').getImageData(0, 0, 1, 1).data]);
  assert.ok(await page.locator('#look-heat').isVisible());
  assert.deepEqual(await painted('#look-picture'), [200, 200, 200, 255]);
  assert.equal((await painted('#look-heat'))[3], 255);
  assert.equal(await page.locator('#teaching-text').textContent(), 'Describing photographs: 2 of 4');
  await tell(page, { release: 'standard' });
  await page.locator('#taught').waitFor();
  assert.ok(await page.locator('#look').isHidden());
});

test('Teach is pressed while the network is loading, and begins when it is ready', async () => {
  const page = await withStandIn({ held: ['load'] });
  await toTeach(page, 100, 110);
  await teachNow(page).click();
  await page.locator('#teaching-text', { hasText: 'Teaching begins when the network is ready' }).waitFor();
  await tell(page, { release: 'load' });
  await page.locator('#taught').waitFor();
});

test('without WebGPU there are plain words, and the samples have their results', async () => {
  // The page's own thread, in a browser without any adapter.
  const page = await openPage(browser, server, { serviceWorkers: 'block' });
  const message = page.getByRole('alert').locator('.message');
  await message.waitFor();
  const text = await message.textContent();
  assert.match(text, /^This browser has (no WebGPU|WebGPU, but offers no graphics device for it)\./);
  assert.match(
    text,
    /Pictures of your own cannot be inspected here; the samples show what it does[^]*hardware acceleration/,
  );
  assert.doesNotMatch(text, /noop|support not compiled/);
  await sample(page, 'good 1').click();
  await page.locator('#verdict[data-verdict=pass]').waitFor();
  await sample(page, 'fibre 1').click();
  await page.locator('#verdict[data-verdict=fail]').waitFor();
  // The threshold works on them, regions included.
  const rows = page.locator('#regions tbody tr');
  await rows.first().waitFor();
  await page.getByRole('slider', { name: 'Threshold' }).press('End');
  await page.locator('#verdict[data-verdict=pass]').waitFor();
  await rows.first().waitFor({ state: 'detached' });
  await page.locator('#reset').click();
  await rows.first().waitFor();
  // A picture of one's own is shown, and no verdict with it.
  await hand(page, 'drop', join(root, 'samples/test/dent/000.png'));
  await page.getByRole('img', { name: '000.png, without a result' }).waitFor();
  assert.equal(await verdict(page).getAttribute('data-verdict'), 'none');
  // Photographs of good parts are kept, and what lacks is said.
  await toTeach(page, 100, 110);
  await page
    .locator('#advice', { hasText: 'Teaching needs WebGPU, which is missing here; the photographs stay.' })
    .waitFor();
  assert.ok(await teachNow(page).isDisabled());
});
