// The page as a visitor meets it. Loading a model and looking at a picture take seconds on a software adapter, so what can
// be done in one visit is done in one.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { expectedScores, headOf, launch, newPage, root, screenshots, serve } from './harness.js';

const { rows, spread } = expectedScores();
const fibre = rows.find(({ name }) => name === 'fibre 1');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8');

let server;
let browser;
/** The visit that most tests are part of: each leaves the page with the default model and any picture. */
let visit;

before(async () => {
  server = await serve();
  browser = await launch();
  visit = await open({ viewport: { width: 1280, height: 900 } });
  await ready(visit);
});

after(async () => {
  await browser?.close();
  await server?.close();
});

/** The page, on its way to being loaded. */
async function open(options = {}, use = browser) {
  const page = await newPage(use, { permissions: ['camera'], ...options });
  await page.goto(server.url);
  return page;
}

async function ready(page) {
  await page.locator('#threshold:enabled').waitFor();
  await page.locator('#busy').waitFor({ state: 'hidden' });
}

/** Does something and gives the score that it leads to. */
async function scoreAfter(page, action) {
  await page.evaluate(() => delete document.getElementById('verdict').dataset.score);
  await action();
  await page.locator('#verdict[data-score]').waitFor();
  await page.locator('#busy').waitFor({ state: 'hidden' });
  return Number(await page.locator('#verdict').getAttribute('data-score'));
}

const click = (page, { name }) => () => page.getByRole('button', { name, exact: true }).click();

/** Hands files to the page as an event of the given kind does. */
async function hand(page, kind, ...files) {
  const contents = files.map((path) => ({ name: basename(path), base64: readFileSync(path).toString('base64') }));
  await page.evaluate(([kind, contents]) => {
    const transfer = new DataTransfer();
    for (const { name, base64 } of contents) {
      transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
    }
    const event = kind === 'drop'
      ? new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
      : new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true });
    document.getElementById('stage').dispatchEvent(event);
  }, [kind, contents]);
}

/** The message that is read out as soon as it appears. */
async function notice(page) {
  const alert = page.getByRole('alert');
  await alert.waitFor();
  return alert.textContent();
}

const close = (found, expected) => Math.abs(found - expected) < 1e-3 * spread;

function assertClose(found, { path, score }) {
  assert.ok(close(found, score), `${path}: ${found}, expected ${score}, spread ${spread}`);
}

/** Does something and gives the main thread's tasks of 50 ms or more on the way, in milliseconds. */
async function longTasks(page, action) {
  const observer = await page.evaluateHandle(() => {
    const observer = new PerformanceObserver(() => {});
    observer.observe({ type: 'longtask' });
    return observer;
  });
  await action();
  return observer.evaluate((observer) => observer.takeRecords().map(({ duration }) => duration));
}

/** What axe finds wrong: names, roles, contrast, landmarks, focus. */
async function accessibilityFaults(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
}

test('every sample has the score of the reference, and the main thread stays free', async (t) => {
  let worst = 0;
  for (const row of rows) {
    let score;
    const look = async () => (score = await scoreAfter(visit, click(visit, row)));
    // Another program can hold a task up; what the page itself does too long it does every time.
    const attempts = [await longTasks(visit, look)];
    while (attempts.at(-1).length && attempts.length < 4) attempts.push(await longTasks(visit, look));
    assert.deepEqual(attempts.at(-1), [], `${row.path}: tasks of ${attempts.join(' | ')} ms`);
    if (attempts.length > 1) t.diagnostic(`${row.name}, looked at ${attempts.length} times: tasks of ${attempts.join(' | ')} ms`);
    assertClose(score, row);
    worst = Math.max(worst, Math.abs(score - row.score) / spread);
  }
  t.diagnostic(`largest difference: ${worst.toExponential(1)} of the spread`);
});

test('dropped, pasted and chosen files have the scores of the reference', async () => {
  const ways = [
    () => hand(visit, 'drop', fibre.path),
    () => hand(visit, 'paste', fibre.path),
    () => visit.locator('#open').setInputFiles(fibre.path),
  ];
  for (const way of ways) assertClose(await scoreAfter(visit, way), fibre);
});

test('sliders change the verdict, the regions and the heat', async () => {
  await scoreAfter(visit, click(visit, fibre));
  assert.equal(await visit.locator('#verdict-text').textContent(), 'Fail');
  const regions = visit.locator('#regions tbody tr');
  assert.ok((await regions.count()) > 0);
  const pixels = () => visit.locator('#view').evaluate((canvas) => canvas.toDataURL());

  const heated = await pixels();
  await visit.getByRole('slider', { name: 'Heat' }).fill('0');
  assert.equal(await visit.locator('#opacity-value').textContent(), '0 %');
  assert.notEqual(await pixels(), heated);
  await visit.getByRole('slider', { name: 'Heat' }).fill('60');
  assert.equal(await pixels(), heated);

  // By keyboard, as far up as it goes: beyond the score.
  await visit.getByRole('slider', { name: 'Threshold' }).focus();
  await visit.keyboard.press('End');
  await visit.locator('#verdict[data-verdict=pass]').waitFor();
  await regions.first().waitFor({ state: 'detached' });
  await visit.locator('#reset').click();
  await visit.locator('#verdict[data-verdict=fail]').waitFor();
  await regions.first().waitFor();
});

test('the page is reached by keyboard, told to screen readers, legible in light and dark, on a desk and a phone', async () => {
  await visit.locator('h1').click();
  const path = [];
  for (let at = 0; at < 3 + rows.length + 3; at++) {
    await visit.keyboard.press('Tab');
    const focused = await visit.evaluate(() => {
      const { activeElement: element } = document;
      const ring = getComputedStyle(element.closest('label') ?? element).outlineStyle;
      return { name: element.id || element.textContent.trim(), ring };
    });
    assert.notEqual(focused.ring, 'none', `no one sees that ${focused.name} has the focus`);
    path.push(focused.name);
  }
  const names = await visit.locator('#samples button').allTextContents();
  assert.deepEqual(path, ['open', 'camera', 'open-model', ...names, 'threshold', 'opacity', 'On the GPU, part by part']);
  await visit.getByRole('button', { name: 'good 1', exact: true }).focus();
  assertClose(await scoreAfter(visit, () => visit.keyboard.press('Enter')), rows.find(({ name }) => name === 'good 1'));
  // What changes by itself is read out.
  await visit.getByRole('status').filter({ hasText: 'Pass' }).waitFor();
  await visit.getByRole('img', { name: /Picture with heat: pass, 0 regions/ }).waitFor();

  await visit.locator('#parts summary').click();
  await scoreAfter(visit, click(visit, fibre));
  await look(visit, 'desk');
  const phone = await open({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
  await ready(phone);
  await look(phone, 'phone-before');
  await scoreAfter(phone, click(phone, fibre));
  await look(phone, 'phone');
  await phone.context().close();
});

/** Keeps a picture of the page in light and dark, and checks what it shows. */
async function look(page, name) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(screenshots, `${name}-${colorScheme}.png`), fullPage: true });
    assert.deepEqual(await accessibilityFaults(page), [], `${name}, ${colorScheme}`);
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(sideways <= 0, `${name}: ${sideways} pixels wider than the window`);
  }
}

test('the camera is looked at again and again', async () => {
  const camera = visit.getByRole('button', { name: 'Camera' });
  const first = await scoreAfter(visit, () => camera.click());
  const second = await scoreAfter(visit, () => {});
  assert.ok(first > 0 && second > 0);
  assert.equal(await camera.getAttribute('aria-pressed'), 'true');
  await camera.click();
  assert.equal(await camera.getAttribute('aria-pressed'), 'false');
  // What comes next is not overtaken by a late frame.
  assertClose(await scoreAfter(visit, () => hand(visit, 'drop', fibre.path)), fibre);
});

test('wrong files are refused in words, and the page goes on', async () => {
  await hand(visit, 'drop', join(root, 'README.md'));
  assert.match(await notice(visit), /README\.md: not an image of a known format/);
  await visit.getByRole('button', { name: 'Dismiss' }).click();
  await visit.locator('#open-model').setInputFiles(fibre.path);
  assert.match(await notice(visit), /not a usable safetensors file[^]*The model before it is still in use/);
  assert.deepEqual(await accessibilityFaults(visit), []);
  assertClose(await scoreAfter(visit, click(visit, fibre)), fibre);
  assert.ok(await visit.locator('#notice').isHidden());
});

test("a user's own head runs on the default backbone", async () => {
  await scoreAfter(visit, click(visit, fibre));
  const buffer = headOf(readFileSync(join(root, 'weights/default.safetensors')));
  const score = await scoreAfter(visit, () =>
    visit.locator('#open-model').setInputFiles({ name: 'own.safetensors', mimeType: '', buffer }));
  assertClose(score, fibre);
  assert.match(await visit.locator('#card').textContent(), /own\.safetensors/);
});

test('a model that cannot be loaded gives a message and another try', async () => {
  server.state.refuse = /safetensors/;
  const page = await open();
  assert.match(await notice(page), /default\.safetensors could not be loaded: the server answered 503/);
  server.state.refuse = undefined;
  await page.locator('#retry').click();
  await ready(page);
  assert.ok(await page.locator('#notice').isHidden());
  await page.context().close();
});

test('once loaded, the page works without a network', async () => {
  const page = await open();
  await ready(page);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.context().setOffline(true);
  server.state.refuse = /./;
  try {
    await page.reload();
    await ready(page);
    assertClose(await scoreAfter(page, () => hand(page, 'drop', fibre.path)), fibre);
  } finally {
    server.state.refuse = undefined;
  }
  await page.context().close();
});

test('without a WebGPU adapter the page says what to do', async () => {
  const bare = await launch({ webgpu: false });
  try {
    const page = await open({}, bare);
    assert.match(await notice(page), /needs WebGPU[^]*hardware acceleration/);
  } finally {
    await bare.close();
  }
});

test('a lost device gives a message and another try', async () => {
  // Other pages of the browser would lose theirs too.
  const own = await launch();
  try {
    const page = await open({}, own);
    await ready(page);
    await scoreAfter(page, click(page, fibre));
    const devtools = await own.newBrowserCDPSession();
    await devtools.send('Browser.crashGpuProcess');
    assert.match(await notice(page), /graphics device was lost/);
    assertClose(await scoreAfter(page, () => page.locator('#retry').click()), fibre);
  } finally {
    await own.close();
  }
});
