// Times PCSNet in Chromium on our package and on onnxruntime-web, in turn, and prints one Markdown table. See
// ../README.md.

import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';
import { launch, newPage, root, serve, site } from '../../../web/tests/harness.js';
import { SIDE } from './input.js';

const { values: options } = parseArgs({
  options: {
    network: { type: 'string', default: join(root, 'target/peers/network.onnx') },
    model: { type: 'string', default: join(root, 'weights/default.safetensors') },
    rounds: { type: 'string', default: '3' },
    runs: { type: 'string', default: '3' },
    budget: { type: 'string', default: '60' },
  },
});
const ENGINES = ['pcsnet', 'onnxruntime-webgpu', 'onnxruntime-wasm'];
const [OURS, , REFERENCE] = ENGINES;
const here = fileURLToPath(new URL('.', import.meta.url));

/** How the model's backbone wants its input, as means and deviations of bytes. */
function normalization() {
  const file = readFileSync(options.model);
  const header = JSON.parse(file.subarray(8, 8 + Number(file.readBigUInt64LE(0))));
  const { backbone, input } = JSON.parse(header.__metadata__['pcsnet.config']);
  if (input !== SIDE) throw new Error(`${options.model} looks at ${input} pixels; input.js knows ${SIDE}`);
  // EfficientNet-Lite's own, and ImageNet's.
  if (backbone.block === 'inverted') return { mean: [127, 127, 127], deviation: [128, 128, 128] };
  const bytes = (values) => values.map((value) => 255 * value);
  return { mean: bytes([0.485, 0.456, 0.406]), deviation: bytes([0.229, 0.224, 0.225]) };
}

/** The folder that is served: the page, both engines and both forms of the network. */
function assemble() {
  const folder = join(root, 'target/web-peers');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const file of ['pcsnet.js', 'onnxruntime.js', 'input.js']) copyFileSync(join(here, file), join(folder, file));
  cpSync(join(site, 'pcsnet'), join(folder, 'pcsnet'), { recursive: true });
  cpSync(join(here, 'node_modules/onnxruntime-web/dist'), join(folder, 'onnxruntime'), { recursive: true });
  copyFileSync(options.network, join(folder, 'network.onnx'));
  copyFileSync(options.model, join(folder, 'model.safetensors'));
  const { runs, budget } = options;
  for (const engine of ENGINES) {
    const [file, backend] = engine.split('-');
    const [how, howLong] = [
      { backend, normalization: normalization() },
      { runs: Number(runs), budget: Number(budget) },
    ].map((value) => JSON.stringify(value));
    const imports = `import { open } from './${file}.js';\nimport { measure } from './input.js';`;
    const script = `${imports}\nmeasure(() => open(${how}), ${howLong});`;
    writeFileSync(
      join(folder, `${engine}.html`),
      `<!doctype html><title>${engine}</title>\n<script type="module">\n${script}\n</script>\n`,
    );
  }
  return folder;
}

/** One visit by a browser that was never there: its times, its map, and the files it asked for. */
async function visit(engine, url) {
  const browser = await launch();
  try {
    const page = await newPage(browser);
    const files = new Set();
    page.on('request', (request) => request.url().startsWith(url) && files.add(new URL(request.url()).pathname));
    await page.goto(`${url}${engine}.html`);
    const measured = await page.waitForFunction(() => globalThis.measured, undefined, { timeout: 0 });
    return { ...(await measured.jsonValue()), files: [...files] };
  } finally {
    await browser.close();
  }
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const spread = (values) =>
  `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`;

/** What a server sends of a file, which it compresses ahead. */
const download = (file) =>
  brotliCompressSync(readFileSync(file), { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }).length;

/** The largest difference of two maps. */
const difference = (a, b) => a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at])), 0);

function table(visits, folder) {
  const steady = (engine) => median(visits[engine].flatMap(({ runs }) => runs));
  const reference = visits[REFERENCE][0].map;
  const lines = [
    '| engine | median, ms | ratio to ours | open to first map, ms | download, MB of brotli | ' +
      'largest difference of the map |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
  ];
  for (const engine of ENGINES) {
    const all = visits[engine];
    const bytes = all[0].files.reduce((sum, file) => sum + download(join(folder, file)), 0);
    const cells = [
      engine,
      spread(all.flatMap(({ runs }) => runs)),
      (steady(engine) / steady(OURS)).toPrecision(2),
      spread(all.map(({ first }) => first)),
      (bytes / 1e6).toFixed(1),
      Math.max(...all.map(({ map }) => difference(map, reference))).toExponential(1),
    ];
    lines.push(`| ${cells.join(' | ')} |`);
  }
  return lines.join('\n');
}

const folder = assemble();
const server = await serve(folder);
const visits = Object.fromEntries(ENGINES.map((engine) => [engine, []]));
for (let round = 1; round <= Number(options.rounds); round++) {
  for (const engine of ENGINES) {
    console.error(`round ${round}: ${engine}`);
    visits[engine].push(await visit(engine, server.url));
  }
}
await server.close();

const { version } = JSON.parse(readFileSync(join(here, 'node_modules/onnxruntime-web/package.json'), 'utf8'));
const chromium = execFileSync(process.env.CHROMIUM ?? 'chromium', ['--version'], { encoding: 'utf8' }).trim();
console.log(`${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, ${cpus()[0].model}, \
${cpus().length} logical processors, load ${loadavg()[0].toFixed(1)} at the end; ${chromium} on SwiftShader, \
onnxruntime-web ${version}; batch 1, f32, ${options.rounds} rounds of at most ${options.runs} runs.

${table(visits, folder)}`);
const away = difference(visits[OURS][0].map, visits[REFERENCE][0].map);
if (!(away <= 1e-5)) throw new Error(`our map is ${away} away from ${REFERENCE}'s, more than 1e-5`);
