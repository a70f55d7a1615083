// How long the page's Teach takes in Chromium on its software adapter, from the press of the button to the model, and
// whether the main thread was ever held up.
//
//     cargo xtask web
//     node web/benches/teach.js any standard screws/train/good/*.png
//
// The first two arguments are how parts lie (`auto`, `fixed`, `any`) and what is looked for (`small`, `standard`,
// `accurate`), as the page has them under "How to teach".

import { launch, openPage, serve } from '../tests/harness.js';

const [poses, effort, ...photographs] = process.argv.slice(2);
const server = await serve();
const browser = await launch();
const page = await openPage(browser, server);
page.setDefaultTimeout(3_600_000);
await page.locator('#activity').waitFor({ state: 'hidden' });
await page.getByRole('button', { name: 'Teach a part' }).click();
await page.locator('#add').setInputFiles(photographs);
await page.getByText('How to teach').click();
await page.getByLabel('Parts lie').selectOption(poses);
await page.getByLabel('Defects are').selectOption(effort);
await page.locator('#photographs li').filter({ hasText: 'looking' }).first().waitFor({ state: 'detached' });
await page.evaluate(() => {
  globalThis.held = new PerformanceObserver(() => {});
  globalThis.held.observe({ type: 'longtask' });
});
const start = performance.now();
await page.getByRole('button', { name: 'Teach', exact: true }).click();
await page.locator('#teaching-activity').waitFor();
await page.locator('#taught, #teaching-problem:not([hidden])').first().waitFor();
console.log(`${((performance.now() - start) / 1000).toFixed(1)} s`);
console.log(await page.locator('#taught-account').textContent());
const held = await page.evaluate(() => globalThis.held.takeRecords().map(({ duration }) => duration));
console.log(`tasks of 50 ms or more on the main thread: ${held.join(', ') || 'none'}`);
await browser.close();
await server.close();
