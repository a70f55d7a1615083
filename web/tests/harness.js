// A static server for target/web and a Chromium to look at it.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';
import { createReadStream, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { basename, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const site = join(root, 'target/web');
export const screenshots = join(root, 'target/web-screenshots');
mkdirSync(screenshots, { recursive: true });

/**
 * Milliseconds that any one step may take: software adapters and busy machines are slow, and a step ends when it is
 * done.
 */
export const PATIENCE = 300_000;

const TYPES = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
  '.json': 'application/json',
};

/**
 * Serves a folder; `refuse` may match paths that get an error 503, `instead` has other contents for some, and a path is
 * answered when `before(path)` is settled.
 */
export async function serve(folder = site) {
  const state = { refuse: undefined, instead: new Map(), before: () => {} };
  const server = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://localhost').pathname);
    await state.before(path);
    let file = join(folder, path);
    if (existsSync(file) && statSync(file).isDirectory()) file = join(file, 'index.html');
    if (state.refuse?.test(path)) return response.writeHead(503).end();
    const type = TYPES[extname(file)] ?? 'application/octet-stream';
    if (state.instead.has(path)) {
      return response.writeHead(200, { 'content-type': type }).end(state.instead.get(path));
    }
    if (!existsSync(file)) return response.writeHead(404).end();
    const { size, mtime } = statSync(file);
    response.writeHead(200, {
      'content-type': type,
      'content-length': size,
      'last-modified': mtime.toUTCString(),
    });
    if (request.method === 'HEAD') return response.end();
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { state, url: `http://localhost:${server.address().port}/`, close };
}

/** Where Chromium is found if `CHROMIUM` does not say. */
const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

/** Chromium on SwiftShader, the same everywhere, or without any WebGPU adapter. */
export function launch({ webgpu = true } = {}) {
  const executablePath = process.env.CHROMIUM ?? PLACES.find(existsSync);
  if (!executablePath)
    throw new Error('no Chromium: install it (Debian: apt-get install chromium) or set CHROMIUM to its path');
  const gpu = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
  return chromium.launch({
    executablePath,
    timeout: PATIENCE,
    args: [
      // Chromium's watchdog ends a GPU process that computes for long, as one does on a CPU.
      '--disable-gpu-watchdog',
      '--no-sandbox',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--use-fake-ui-for-media-stream',
      '--use-fake-device-for-media-stream',
      ...(webgpu ? gpu : []),
    ],
  });
}

/** An empty page of its own, on which no script may fail. */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  page.on('pageerror', (error) => assert.fail(`the page threw: ${error.stack}`));
  return page;
}

/** The page, on its way to being loaded; a `script` is run before its own. */
export async function openPage(browser, server, { script, ...options } = {}) {
  const page = await newPage(browser, { permissions: ['camera'], ...options });
  if (script) await page.addInitScript(script);
  await page.goto(server.url);
  return page;
}

/** Hands files (paths, or { name, buffer }) to the page as an event of the given kind does. */
export async function hand(page, kind, ...files) {
  const contents = files.map((file) => {
    const { name, buffer } = typeof file === 'string' ? { name: basename(file), buffer: readFileSync(file) } : file;
    return { name, base64: buffer.toString('base64') };
  });
  await page.evaluate(
    ([kind, contents]) => {
      const transfer = new DataTransfer();
      for (const { name, base64 } of contents) {
        transfer.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name));
      }
      const event =
        kind === 'drop'
          ? new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
          : new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true });
      document.getElementById('stage').dispatchEvent(event);
    },
    [kind, contents],
  );
}

/** A PNG of one grey, 16 x 16. */
export function greyPng(grey) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  };
  const header = Buffer.from([0, 0, 0, 16, 0, 0, 0, 16, 8, 0, 0, 0, 0]);
  const rows = Buffer.alloc(16 * 17, grey);
  for (let row = 0; row < 16; row++) rows[17 * row] = 0;
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** The repository's samples: the page's names for them, the scores of the PyTorch reference, and the scores' spread. */
export function expectedScores() {
  const lines = readFileSync(join(root, 'samples/expected_scores.csv'), 'utf8').trim().split('\n').slice(1);
  const rows = lines.map((line) => {
    const [path, score] = line.split(',');
    const [, kind, number] = path.match(/(\w+)\/(\d+)\.png$/);
    const name = `${kind.replace('_', ' ')} ${Number(number) + 1}`;
    return { id: `${kind}/${number}`, name, path: join(root, 'samples', path), score: Number(score) };
  });
  const mean = rows.reduce((sum, { score }) => sum + score, 0) / rows.length;
  const spread = Math.sqrt(rows.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / rows.length);
  return { rows, spread };
}

/** A bundle's file without its backbone, and without some of its metadata: what a user's own head looks like. */
export function headOf(bundle, lacks = []) {
  const length = Number(bundle.readBigUInt64LE(0));
  const header = JSON.parse(bundle.subarray(8, 8 + length));
  const data = bundle.subarray(8 + length);
  const kept = {};
  const pieces = [];
  let offset = 0;
  for (const [name, entry] of Object.entries(header)) {
    if (name.startsWith('backbone.')) continue;
    if (name === '__metadata__') {
      kept[name] = Object.fromEntries(Object.entries(entry).filter(([key]) => !lacks.includes(key)));
      continue;
    }
    const piece = data.subarray(...entry.data_offsets);
    kept[name] = { ...entry, data_offsets: [offset, offset + piece.length] };
    pieces.push(piece);
    offset += piece.length;
  }
  const text = Buffer.from(JSON.stringify(kept));
  const preamble = Buffer.alloc(8);
  preamble.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([preamble, text, ...pieces]);
}
