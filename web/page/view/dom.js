// Small things about the document that several views need.

export const $ = (id) => document.getElementById(id);

/** An element with these properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Sets a text where it is another one: a status that is set to what it says already would be read out again. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Makes a parent's children those of `items`, one for each key, in order: `make(item)` for new ones, and for all
 * `renew(child, item)`. Children that stay keep the focus.
 */
export function renewChildren(parent, items, { key, make, renew = () => {} }) {
  const former = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = String(key(item));
    const child = former.get(name) ?? make(item);
    child.dataset.key = name;
    former.delete(name);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    renew(child, item);
  });
  for (const child of former.values()) child.remove();
}

/** Shows what goes on, { text, fraction }, or nothing, in an element with a text and its progress. */
export function showActivity(target, activity) {
  target.hidden = !activity;
  if (!activity) return;
  const [text, progress] = target.children;
  setText(text, activity.text);
  if (activity.fraction === undefined) progress.removeAttribute('value');
  else progress.value = activity.fraction;
}

const offered = new WeakMap();

/** Makes a link save a file under its own name. */
export function offerFile(link, file) {
  if (offered.get(link) === file) return;
  offered.set(link, file);
  if (link.href) URL.revokeObjectURL(link.href);
  Object.assign(link, { href: URL.createObjectURL(file), download: file.name });
}

/** Replaces a table's rows by cells of text. */
export function setRows(table, rows) {
  const line = (cells) =>
    element('tr', {}, ...cells.map((textContent) => element('td', { textContent: String(textContent) })));
  table.tBodies[0].replaceChildren(...rows.map(line));
}

export const number = (value) => (Math.abs(value) < 999.5 ? value.toPrecision(3) : value.toFixed(0));
export const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
