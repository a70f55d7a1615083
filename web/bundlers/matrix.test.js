// The same program on the package with every bundler, with no setting that the package asks for, from a folder and from
// a tarball; each is run in Chromium and must find the reference's score.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { publint } from 'publint';
import { expectedScores, launch, newPage, root, serve, site } from '../tests/harness.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = join(root, 'target/web-bundlers');
const { rows, spread } = expectedScores();
const part = rows.find(({ name }) => name === 'fibre 1');

let browser;
let tarball;

before(async () => {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', out, join(site, 'pcsnet')], {
    encoding: 'utf8',
  });
  tarball = join(out, JSON.parse(packed)[0].filename);
  browser = await launch();
});

after(() => browser?.close());

/** A project with the program, and the package installed as a user does it. */
function project(name, installed) {
  const folder = join(out, name);
  cpSync(join(here, 'program'), folder, { recursive: true });
  mkdirSync(join(folder, 'public'));
  copyFileSync(part.path, join(folder, 'public/part.png'));
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  execFileSync('npm', ['install', '--no-audit', '--no-fund', installed === 'folder' ? join(site, 'pcsnet') : tarball], {
    cwd: folder,
  });
  return folder;
}

/** What bundlers that know no HTML leave to the user. */
function copyRest(folder, dist) {
  copyFileSync(join(folder, 'index.html'), join(dist, 'index.html'));
  copyFileSync(join(folder, 'public/part.png'), join(dist, 'part.png'));
}

const entries = (folder) => ({ main: join(folder, 'main.js'), detector: join(folder, 'detector.js') });

/** Each builds a project and gives where it is served: { url, close }. */
const bundlers = {
  'vite 7, dev': (folder) => viteDev('vite7', folder),
  'vite 8, dev': (folder) => viteDev('vite8', folder),
  'vite 7, build': (folder) => viteBuild('vite7', folder),
  'vite 8, build': (folder) => viteBuild('vite8', folder),

  async webpack(folder) {
    const dist = join(folder, 'dist');
    const { default: webpack } = await import('webpack');
    // It makes the worker a file of its own by itself.
    const compiler = webpack({ mode: 'production', context: folder, entry: './main.js', output: { path: dist } });
    const stats = await new Promise((resolve, reject) =>
      compiler.run((error, stats) => (error ? reject(error) : resolve(stats))),
    );
    assert.ok(!stats.hasErrors(), stats.toString());
    copyRest(folder, dist);
    return serve(dist);
  },

  async esbuild(folder) {
    const dist = join(folder, 'dist');
    const { build } = await import('esbuild');
    await build({
      entryPoints: Object.values(entries(folder)),
      bundle: true,
      minify: true,
      format: 'esm',
      outdir: dist,
      logLevel: 'warning',
    });
    copyRest(folder, dist);
    return serve(dist);
  },

  async rollup(folder) {
    const dist = join(folder, 'dist');
    const { rollup } = await import('rollup');
    const { default: resolve } = await import('@rollup/plugin-node-resolve');
    const bundle = await rollup({ input: entries(folder), plugins: [resolve()] });
    await bundle.write({ dir: dist, format: 'esm' });
    await bundle.close();
    copyRest(folder, dist);
    return serve(dist);
  },

  async 'none, by an import map'(folder) {
    const exports = { pcsnet: 'index.js', 'pcsnet/default-model': 'default-model.js', 'pcsnet/remote': 'remote.js' };
    const imports = Object.fromEntries(
      Object.entries(exports).map(([name, file]) => [name, `./node_modules/pcsnet/${file}`]),
    );
    const map = `<script type="importmap">${JSON.stringify({ imports })}</script>`;
    const html = readFileSync(join(folder, 'index.html'), 'utf8').replace('<script', `${map}\n  <script`);
    writeFileSync(join(folder, 'index.html'), html);
    // Import maps are not for workers.
    writeFileSync(join(folder, 'detector.js'), "import './node_modules/pcsnet/worker.js';\n");
    copyFileSync(join(folder, 'public/part.png'), join(folder, 'part.png'));
    return serve(folder);
  },
};

async function viteDev(version, folder) {
  const { createServer } = await import(version);
  const server = await createServer({
    root: folder,
    configFile: false,
    logLevel: 'error',
    server: { port: 0, host: 'localhost' },
  });
  await server.listen();
  return { url: server.resolvedUrls.local[0], close: () => server.close() };
}

async function viteBuild(version, folder) {
  const { build } = await import(version);
  await build({ root: folder, configFile: false, logLevel: 'error' });
  return serve(join(folder, 'dist'));
}

for (const [name, make] of Object.entries(bundlers)) {
  for (const installed of ['folder', 'tarball']) {
    test(`${name}, ${installed}`, async () => {
      const served = await make(project(`${name.replace(/\W+/g, '-')}-${installed}`, installed));
      const page = await newPage(browser);
      const faults = [];
      page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
      try {
        await page.goto(served.url);
        const failed = page.waitForEvent('pageerror').then((error) => {
          throw error;
        });
        const outcome = await Promise.race([
          page.waitForFunction(() => globalThis.outcome).then((outcome) => outcome.jsonValue()),
          failed,
        ]);
        assert.ok(
          Math.abs(outcome.inWorker - part.score) < 1e-3 * spread,
          `${outcome.inWorker}, expected ${part.score}`,
        );
        assert.ok(outcome.threshold > 0);
      } catch (error) {
        throw new Error(`${error.message}\n${faults.join('\n')}`, { cause: error });
      } finally {
        await page.context().close();
        await served.close();
      }
    });
  }
}

test('the tarball holds what its user needs, and says where it comes from', () => {
  const { files, name } = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--dry-run', join(site, 'pcsnet')], { encoding: 'utf8' }),
  )[0];
  assert.equal(name, 'pcsnet');
  const paths = files.map(({ path }) => path);
  const needed = [
    'index.js',
    'index.d.ts',
    'remote.js',
    'remote.d.ts',
    'worker.js',
    'pcsnet.wasm',
    'default.safetensors',
    'default-model.js',
    'README.md',
    'LICENSE-MIT',
    'LICENSE-APACHE',
    'THIRD-PARTY-NOTICES.md',
    'DEFAULT-MODEL.md',
  ];
  assert.deepEqual(
    needed.filter((path) => !paths.includes(path)),
    [],
  );
  const about = JSON.parse(readFileSync(join(site, 'pcsnet/package.json'), 'utf8'));
  const fields = [
    'version',
    'keywords',
    'files',
    'license',
    ...(hasOrigin() ? ['repository', 'homepage', 'bugs'] : []),
  ];
  for (const field of fields) assert.ok(about[field], field);
});

/** Whether this checkout came from somewhere, which the package then names. */
function hasOrigin() {
  const { status, stdout } = spawnSync('git', ['remote', 'get-url', 'origin'], { cwd: root, encoding: 'utf8' });
  return status === 0 && /^(git@|\w+:\/\/[^/]*\.)/.test(stdout);
}

test('what publint knows to go wrong in packages does not', async () => {
  const { messages } = await publint({ pkgDir: join(site, 'pcsnet'), strict: true });
  assert.deepEqual(messages, []);
});
