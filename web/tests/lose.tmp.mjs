import { launch, newPage, serve } from './harness.js';
const server = await serve(); const browser = await launch();
const page = await newPage(browser); page.on('console', m => console.log(m.text()));
await page.goto(`${server.url}pcsnet/package.json`);
const own = process.argv[2] === 'own';
console.log(await page.evaluate(async (own) => {
  const { init, teach } = await import('./index.js');
  if (own) { const adapter = await navigator.gpu.requestAdapter(); await init({ device: await adapter.requestDevice() }); }
  const file = await (await fetch('../samples/fibre/000.png')).blob();
  const start = performance.now(); let last = '', n = 0;
  const progress = ({ stage, done, total }) => { n++; if (stage !== last) { console.log(stage, ((performance.now()-start)/1000).toFixed(1), n); last = stage; } };
  await teach([file], { backbone: 'default.safetensors', effort: 'small', poses: 'fixed', progress });
  return (performance.now()-start)/1000;
}, own));
process.exit(0);
