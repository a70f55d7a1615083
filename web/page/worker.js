// The network's thread. Its wasm is a file, which browsers compile as it comes.

import './pcsnet/answer.js';
