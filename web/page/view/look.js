// The first look: while a part is taught, the heat that a quick model of the same photographs finds.

import { paintHeat } from '../heat.js';
import { coloursOf, thresholdOf } from '../state.js';
import { $, setText } from './dom.js';

export function showLook({ store }) {
  let painted;

  store.follow(({ teaching: { look } }) => {
    $('look').hidden = !look;
    if (!look || look === painted) return;
    painted = look;
    const { name, bitmap, result, card } = look;
    const picture = $('look-picture');
    [picture.width, picture.height] = [bitmap.width, bitmap.height];
    picture.getContext('2d').drawImage(bitmap, 0, 0);
    const threshold = thresholdOf(card);
    paintHeat($('look-heat'), result, { threshold, colours: coloursOf(card) });
    $('look-heat').hidden = Boolean(result.unlike);
    const verdict = verdictOf(result, threshold);
    setText($('look-caption'), `A quick model looks first: ${name} ${verdict}. The full model is being made.`);
  });
}

function verdictOf({ score, unlike }, threshold) {
  if (unlike) return 'shows another part, or another view of it';
  return score > threshold ? 'would fail' : 'would pass';
}
