// Keeps the page's files, so that it opens without a network. The newest come first: what the server has, else what was
// kept. Models are kept by pcsnet/index.js.

// Names them, as `self.FILES`; written when the page is built.
importScripts('files.js');

const CACHE = 'pcsnet-page';

self.addEventListener('install', (event) => {
  self.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(['./', ...self.FILES])));
});

self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

self.addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  const ours = url.startsWith(self.registration.scope) && !url.endsWith('.safetensors');
  if (method === 'GET' && ours) event.respondWith(newest(event.request));
});

async function newest(request) {
  const cache = await caches.open(CACHE);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(request, answer.clone());
    return answer;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
