// Files that come to the page: chosen, dropped or pasted.

const isModel = ({ name }) => name.toLowerCase().endsWith('.safetensors');

let opened = 0;

/**
 * Hands models to `openModel`, everything else to what the visitor does: pictures to inspect, or `teachFrom` good ones.
 */
export function takeFiles(files, { store, openModel, teachFrom }) {
  const all = [...files];
  const model = all.findLast(isModel);
  const others = all.filter((file) => !isModel(file));
  if (others.length && store.state.screen === 'teach') teachFrom(others);
  else if (others.length) store.dispatch({ type: 'pictures opened', pictures: others.map(pictureOf) });
  if (model) openModel(model);
}

function pictureOf(file) {
  return { id: `file ${++opened}`, kind: 'file', name: file.name, source: file };
}

/** Takes what is dropped anywhere on the page, or pasted; the `targets` in sight show where it goes. */
export function listenForFiles(targets, take) {
  const show = (isOver) => targets.forEach((target) => target.classList.toggle('target', isOver));
  addEventListener('paste', (event) => take(event.clipboardData.files));
  for (const type of ['dragenter', 'dragover']) {
    addEventListener(type, (event) => {
      event.preventDefault();
      show(true);
    });
  }
  addEventListener('dragleave', (event) => event.relatedTarget ?? show(false));
  addEventListener('drop', (event) => {
    event.preventDefault();
    show(false);
    take(event.dataTransfer.files);
  });
}

/** Gives the files chosen with an `<input type="file">`, as often as there are any. */
export function listenToInput(input, take) {
  input.addEventListener('change', () => {
    take(input.files);
    // So that the same file can be chosen again.
    input.value = '';
  });
}
