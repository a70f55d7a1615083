// PCSNet in the browser, with its wasm: files beside a module are found by some bundlers and lost by others, a module
// by all. Types and documentation: index.d.ts.

import { provideWasm } from './core.js';
import wasm from './wasm.js';

export { Detector, Photograph, heatColours, init, regions, teach } from './core.js';

provideWasm(wasm);
