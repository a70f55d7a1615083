// Files that come to the page: chosen, dropped or pasted.

const isModel = ({ name }) => name.toLowerCase().endsWith('.safetensors');

let opened = 0;

/** Hands models to `openModel`, everything else to the store as pictures. */
export function takeFiles(files, { store, openModel }) {
  const all = [...files];
  const model = all.findLast(isModel);
  const pictures = all.filter((file) => !isModel(file)).map((file) => {
    return { id: `file ${++opened}`, kind: 'file', name: file.name, source: file };
  });
  if (pictures.length) store.dispatch({ type: 'pictures opened', pictures });
  if (model) openModel(model);
}

/** Takes what is dropped anywhere on the page, or pasted; `target` shows where it goes. */
export function listenForFiles(target, take) {
  addEventListener('paste', (event) => take(event.clipboardData.files));
  for (const type of ['dragenter', 'dragover']) {
    addEventListener(type, (event) => {
      event.preventDefault();
      target.classList.add('target');
    });
  }
  addEventListener('dragleave', (event) => event.relatedTarget ?? target.classList.remove('target'));
  addEventListener('drop', (event) => {
    event.preventDefault();
    target.classList.remove('target');
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
