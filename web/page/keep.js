// What survives a reload, on this device alone: the user's model and threshold, photographs of good parts, what was
// wished of teaching and what came of it, in IndexedDB.

const STORE = 'kept';

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open('pcsnet-page', 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within(mode, act) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** What was kept under a name, or nothing: also in private windows that keep nothing. */
export function recall(name) {
  return within('readonly', (store) => store.get(name)).catch(() => undefined);
}

/** All that was kept under names with this beginning, in the order of the names. */
export function recallAll(beginning) {
  const range = () => IDBKeyRange.bound(beginning, `${beginning}\uffff`);
  return within('readonly', (store) => store.getAll(range())).catch(() => []);
}

/** Keeps a value that can be cloned, files included; false where the browser has no room or gives none. */
export function keep(name, value) {
  const isWork = value instanceof Blob || value.file instanceof Blob;
  return within('readwrite', (store) => store.put(value, name)).then(
    () => {
      if (isWork) askToStay();
      return true;
    },
    () => false,
  );
}

let asked = false;

/** Browsers throw away what pages keep when the disk is full, unless they were asked not to. */
function askToStay() {
  if (asked) return;
  asked = true;
  navigator.storage?.persist?.().catch(() => {});
}

/** Keeps what has this name no longer. */
export function forget(name) {
  return within('readwrite', (store) => store.delete(name)).catch(() => {});
}
