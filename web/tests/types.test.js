// The package's types, compiled strictly by the current TypeScript and the one before, in pages and in workers, without
// any other types.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { site } from './harness.js';

let project;

before(() => {
  project = mkdtempSync(join(tmpdir(), 'pcsnet-types-'));
  mkdirSync(join(project, 'node_modules'));
  symlinkSync(join(site, 'pcsnet'), join(project, 'node_modules/pcsnet'), 'junction');
  for (const name of ['usage.ts', 'usage-worker.ts'])
    copyFileSync(fileURLToPath(new URL(name, import.meta.url)), join(project, name));
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
});

after(() => rmSync(project, { recursive: true }));

const projects = {
  page: { lib: ['es2024', 'dom', 'dom.iterable'], file: 'usage.ts' },
  worker: { lib: ['es2024', 'webworker'], file: 'usage-worker.ts' },
};

for (const version of ['typescript-current', 'typescript-before']) {
  for (const [name, { lib, file }] of Object.entries(projects)) {
    for (const [module, moduleResolution] of [
      ['esnext', 'bundler'],
      ['nodenext', 'nodenext'],
    ]) {
      test(`${version}, ${name}, ${moduleResolution}`, () => {
        const config = {
          compilerOptions: {
            target: 'es2024',
            lib,
            module,
            moduleResolution,
            strict: true,
            noEmit: true,
            skipLibCheck: false,
            types: [],
          },
          files: [file],
        };
        writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config));
        const tsc = fileURLToPath(new URL(`node_modules/${version}/bin/tsc`, import.meta.url));
        const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, '--project', project], {
          encoding: 'utf8',
        });
        assert.equal(status, 0, stdout + stderr);
      });
    }
  }
}
