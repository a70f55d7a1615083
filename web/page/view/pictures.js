// The samples, and a strip of what the user opened, each with its verdict.

import { resultOf, shown, verdictOf } from '../state.js';
import { $, element, number, renewChildren, setText } from './dom.js';
import { paintThumbnail } from './thumbnail.js';

export function showPictures({ store }) {
  const { dispatch, follow } = store;

  const button = (picture, image, ...texts) => {
    const made = element('button', { type: 'button' }, image, ...texts);
    made.addEventListener('click', () => dispatch({ type: 'picture chosen', id: picture.id }));
    return element('li', {}, made);
  };

  const makeSample = (picture) => {
    const image = element('img', { src: picture.source, alt: '', loading: 'lazy', width: 88, height: 88 });
    return button(picture, image, picture.name);
  };

  const makeFile = (picture) => {
    const thumbnail = element('canvas', { width: 1, height: 1, ariaHidden: 'true' });
    const texts = ['name', 'outcome'].map((className) => element('span', { className }));
    return button(picture, thumbnail, ...texts);
  };

  const choose =
    (state) =>
    (item, { id }) => {
      const current = shown(state)?.id === id;
      if (current) item.firstChild.setAttribute('aria-current', 'true');
      else item.firstChild.removeAttribute('aria-current');
    };

  const renewFile = (state) => (item, picture) => {
    choose(state)(item, picture);
    const [thumbnail, name, outcome] = item.firstChild.children;
    paintThumbnail(thumbnail, picture.id, picture.thumbnail ?? (picture.kind === 'frame' ? picture.source : undefined));
    setText(name, picture.name);
    setText(outcome, outcomeOf(state, picture));
    outcome.dataset.verdict = verdictOf(state, picture) ?? 'none';
  };

  follow((state) => {
    const key = ({ id }) => id;
    const isSample = ({ kind }) => kind === 'sample';
    renewChildren($('samples'), state.pictures.filter(isSample), { key, make: makeSample, renew: choose(state) });
    const own = state.pictures.filter((picture) => !isSample(picture));
    renewChildren($('strip'), own, { key, make: makeFile, renew: renewFile(state) });
    $('own').hidden = own.length === 0;
    setText($('own-count'), summaryOf(state, own));
  });

  $('clear').addEventListener('click', () => dispatch({ type: 'files removed' }));
}

function outcomeOf(state, picture) {
  const result = resultOf(state, picture);
  if (picture.problem) return 'not readable';
  if (result) return `${verdictOf(state, picture) === 'fail' ? 'Fail' : 'Pass'} ${number(result.score)}`;
  return state.running === picture.id ? 'looking' : 'waiting';
}

function summaryOf(state, pictures) {
  const count = (wanted) => pictures.filter((picture) => verdictOf(state, picture) === wanted).length;
  return `${pictures.length}: ${count('fail')} fail, ${count('pass')} pass`;
}
