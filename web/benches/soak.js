// Detections without end in Chromium on its software adapter: memory stays flat, and every score is the first one's to
// the last bit. A small model makes it a matter of minutes; `tests/soak.rs` does the same natively and writes one.
//
//     PCSNET_SOAK=1 PCSNET_SOAK_MODEL=small.safetensors cargo test --test soak -- --ignored
//     cargo xtask web
//     node web/benches/soak.js small.safetensors 10000

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { launch, newPage, serve } from '../tests/harness.js';

const [file, count = '10000'] = process.argv.slice(2);
const TURNS = 20;
/** Chromium collects garbage and keeps caches when it likes. */
const MOST_GROWTH = 64e6;

const server = await serve();
server.state.instead.set('/model.safetensors', readFileSync(file));
const browser = await launch();
const page = await newPage(browser);
await page.goto(`${server.url}pcsnet/package.json`);

/** Resident memory of Chromium's processes, in bytes; 0 where the system does not tell. */
function held() {
  const status = (id) => {
    try {
      return readFileSync(`/proc/${id}/status`, 'utf8');
    } catch {
      return ''; // Ended meanwhile, or another system.
    }
  };
  const number = (text, key) => Number(text.match(new RegExp(`^${key}:\\s+(\\d+)`, 'm'))?.[1] ?? 0);
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const all = new Map(ids.map((id) => [Number(id), status(id)]));
  const isOurs = (id) => id === process.pid || (id > 1 && isOurs(number(all.get(id) ?? '', 'PPid')));
  const children = [...all].filter(([id]) => id !== process.pid && isOurs(id));
  return children.reduce((sum, [, text]) => sum + 1024 * number(text, 'VmRSS'), 0);
}

/** Detects a share of all, each time with a detector of its own as a line that changes its parts, and tells scores. */
const detect = (detections) =>
  page.evaluate(async (detections) => {
    const { Detector } = await import('./index.js');
    const detector = await Detector.load('../model.safetensors', { cache: null });
    const picture = (seed) => {
      const pixels = new ImageData(64, 64);
      pixels.data.forEach((_, index) => (pixels.data[index] = index % 4 === 3 ? 255 : (index * (seed + 7)) % 251));
      return pixels;
    };
    const pictures = [0, 1, 2, 3].map(picture);
    const scores = pictures.map(() => new Set());
    for (let index = 0; index < detections; index++) {
      scores[index % 4].add((await detector.detect(pictures[index % 4])).score);
    }
    detector.free();
    return scores.map((found) => [...found]);
  }, detections);

const expected = await detect(4);
assert.ok(expected.flat().every(Number.isFinite));
const start = performance.now();
let settled;
for (let turn = 1; turn <= TURNS; turn++) {
  const each = Math.ceil(count / TURNS);
  assert.deepEqual(await detect(each), expected, `one of the detections ${(turn - 1) * each} to ${turn * each}`);
  const now = held();
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${turn * each} detections, ${seconds} s: ${(now / 1e6).toFixed(0)} MB`);
  if (turn > TURNS / 4) {
    settled ??= now;
    assert.ok(now <= settled + MOST_GROWTH, `${settled} bytes became ${now}`);
  }
}
await browser.close();
await server.close();
