// The page as a visitor meets it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { expectedScores, headOf, launch, root, screenshots, serve } from './harness.js';

const TIMEOUT = 120_000;
const { rows, spread } = expectedScores();
const fibre = rows.find(({ name }) => name === 'fibre 1');

let server;
let browser;

before(async () => {
  server = await serve();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await server?.close();
});

/** The page with its model loaded; no script may have failed on the way. */
async function open(options = {}, use = browser) {
  const context = await use.newContext({ permissions: ['camera'], ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(TIMEOUT);
  page.on('pageerror', (error) => assert.fail(`the page threw: ${error.stack}`));
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

async function notice(page) {
  await page.locator('#notice').waitFor();
  return page.locator('#notice-text').textContent();
}

const close = (found, expected) => Math.abs(found - expected) < 1e-3 * spread;

test('every sample has the score of the reference', async (t) => {
  const page = await open();
  await ready(page);
  let worst = 0;
  for (const row of rows) {
    const score = await scoreAfter(page, click(page, row));
    assert.ok(close(score, row.score), `${row.path}: ${score}, expected ${row.score}, spread ${spread}`);
    worst = Math.max(worst, Math.abs(score - row.score) / spread);
  }
  t.diagnostic(`largest difference: ${worst.toExponential(1)} of the spread`);
  await page.context().close();
});

test('dropped, pasted and chosen files have the scores of the reference', async () => {
  const page = await open();
  await ready(page);
  const ways = [
    () => hand(page, 'drop', fibre.path),
    () => hand(page, 'paste', fibre.path),
    () => page.locator('#open').setInputFiles(fibre.path),
  ];
  for (const way of ways) {
    const score = await scoreAfter(page, way);
    assert.ok(close(score, fibre.score), `${way}: ${score}, expected ${fibre.score}`);
  }
  await page.context().close();
});

test('sliders change the verdict, the regions and the heat', async () => {
  const page = await open();
  await ready(page);
  await scoreAfter(page, click(page, fibre));
  assert.equal(await page.locator('#verdict-text').textContent(), 'Fail');
  const regions = page.locator('#regions tbody tr');
  assert.ok((await regions.count()) > 0);
  const pixels = () => page.locator('#view').evaluate((canvas) => canvas.toDataURL());

  const heated = await pixels();
  await page.locator('#opacity').fill('0');
  assert.equal(await page.locator('#opacity-value').textContent(), '0 %');
  assert.notEqual(await pixels(), heated);

  // By keyboard, as far up as it goes: beyond the score.
  await page.locator('#threshold').focus();
  await page.keyboard.press('End');
  await page.locator('#verdict[data-verdict=pass]').waitFor();
  await regions.first().waitFor({ state: 'detached' });
  await page.locator('#reset').click();
  await page.locator('#verdict[data-verdict=fail]').waitFor();
  await regions.first().waitFor();
  await page.context().close();
});

test('the camera is looked at again and again', async () => {
  const page = await open();
  await ready(page);
  const first = await scoreAfter(page, () => page.locator('#camera').click());
  const second = await scoreAfter(page, () => {});
  assert.ok(first > 0 && second > 0);
  assert.equal(await page.locator('#camera').getAttribute('aria-pressed'), 'true');
  await page.locator('#camera').click();
  assert.equal(await page.locator('#camera').getAttribute('aria-pressed'), 'false');
  // What comes next is not overtaken by a late frame.
  const score = await scoreAfter(page, () => hand(page, 'drop', fibre.path));
  assert.ok(close(score, fibre.score));
  await page.context().close();
});

test('wrong files are refused in words, and the page goes on', async () => {
  const page = await open();
  await ready(page);
  await hand(page, 'drop', join(root, 'README.md'));
  assert.match(await notice(page), /README\.md: not an image of a known format/);
  await page.locator('#dismiss').click();
  await page.locator('#open-model').setInputFiles(fibre.path);
  assert.match(await notice(page), /not a usable safetensors file[^]*The model before it is still in use/);
  const score = await scoreAfter(page, click(page, fibre));
  assert.ok(close(score, fibre.score));
  assert.ok(await page.locator('#notice').isHidden());
  await page.context().close();
});

test("a user's own head runs on the default backbone", async () => {
  const page = await open();
  await ready(page);
  await scoreAfter(page, click(page, fibre));
  const buffer = headOf(readFileSync(join(root, 'weights/default.safetensors')));
  const score = await scoreAfter(page, () =>
    page.locator('#open-model').setInputFiles({ name: 'own.safetensors', mimeType: '', buffer }));
  assert.ok(close(score, fibre.score));
  assert.match(await page.locator('#card').textContent(), /own\.safetensors/);
  await page.context().close();
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
  await page.reload();
  await ready(page);
  await page.context().setOffline(true);
  server.state.refuse = /./;
  try {
    await page.reload();
    await ready(page);
    const score = await scoreAfter(page, () => hand(page, 'drop', fibre.path));
    assert.ok(close(score, fibre.score));
  } finally {
    server.state.refuse = undefined;
  }
  await page.context().close();
});

test('the main thread is never held up for 50 ms during a detection', async () => {
  const page = await open();
  await ready(page);
  await scoreAfter(page, click(page, fibre));
  await page.evaluate(() => {
    globalThis.longTasks = [];
    new PerformanceObserver((list) => longTasks.push(...list.getEntries().map(({ duration }) => duration)))
      .observe({ type: 'longtask' });
  });
  for (const row of rows.slice(0, 6)) await scoreAfter(page, click(page, row));
  const longTasks = await page.evaluate(() => globalThis.longTasks);
  assert.deepEqual(longTasks, [], `tasks of ${longTasks} ms`);
  await page.context().close();
});

test('everything can be reached by keyboard and has a name', async () => {
  const page = await open();
  await ready(page);
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll('button, input, canvas[role], summary')]
      .filter((element) => !element.hidden && !element.closest('[hidden]'))
      .filter((element) => !(element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent).trim())
      .map((element) => element.outerHTML));
  assert.deepEqual(unnamed, []);
  await page.locator('#open').focus();
  for (const id of ['camera', 'open-model']) {
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), id);
  }
  await page.keyboard.press('Tab');
  const score = await scoreAfter(page, () => page.keyboard.press('Enter'));
  assert.ok(close(score, rows.find(({ name }) => name === 'good 1').score));
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
  const own = await launch();
  try {
    const page = await open({}, own);
    await ready(page);
    await scoreAfter(page, click(page, fibre));
    const devtools = await own.newBrowserCDPSession();
    await devtools.send('Browser.crashGpuProcess');
    assert.match(await notice(page), /graphics device was lost/);
    const score = await scoreAfter(page, () => page.locator('#retry').click());
    assert.ok(close(score, fibre.score));
  } finally {
    await own.close();
  }
});

test('light, dark, wide and narrow', async () => {
  const looks = {
    light: { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
    dark: { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
    phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
  };
  for (const [name, look] of Object.entries(looks)) {
    const page = await open(look);
    await ready(page);
    await page.locator('#parts summary').click();
    await scoreAfter(page, click(page, fibre));
    await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
    const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(sideways <= 0, `${name}: ${sideways} pixels wider than the window`);
    await page.context().close();
  }
});
