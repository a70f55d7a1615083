// Keeps the keyboard's place: what has the focus may go, be hidden or switched off by what it did, and browsers then
// begin again at the top of the page.

const FOCUSABLE = 'a[href], button, input, select, summary';

/** Follows the store after all other views: where the focus was lost, it goes to the nearest that is left. */
export function keepFocus({ store }) {
  /** What had the focus last, the elements around it, and all that could have it then, in order. */
  let place;

  addEventListener('focusin', ({ target }) => {
    const around = [];
    for (let above = target.parentElement; above; above = above.parentElement) around.push(above);
    place = { target, around, order: [...document.querySelectorAll(FOCUSABLE)] };
  });
  // Left by the visitor, not taken away.
  addEventListener('focusout', ({ target }) =>
    queueMicrotask(() => {
      if (place?.target === target && isUsable(target) && document.activeElement !== target) place = undefined;
    }),
  );

  store.follow(() => {
    if (!place || isUsable(place.target)) return;
    const next = nearest(place) ?? document.querySelector('nav [aria-pressed=true]');
    place = undefined;
    next.focus();
  });
}

const isUsable = (element) => element.isConnected && !element.disabled && element.checkVisibility();

/**
 * Of what is left in the smallest section or list around the lost place, the one next in order, or else before; nothing
 * where all of the screen is gone.
 */
function nearest({ target, around, order }) {
  const within = around.filter((element) => element.tagName !== 'BODY' && element.tagName !== 'HTML').filter(isUsable);
  for (const element of within) {
    const left = [...element.querySelectorAll(FOCUSABLE)].filter(isUsable);
    if (!left.length) continue;
    const at = order.indexOf(target);
    const distance = (other) => {
      const steps = order.indexOf(other) - at;
      return steps > 0 ? steps : 0.5 - steps;
    };
    // What is new has no place in the order: behind all others.
    return left.toSorted((a, b) => distance(a) - distance(b))[0];
  }
  return undefined;
}
