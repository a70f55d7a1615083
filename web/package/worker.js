// A whole worker for remote.js, with its wasm.

import './index.js';
import './answer.js';
