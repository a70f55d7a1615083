// What the model in use says of itself.

import { megabytes } from '../state.js';
import { plural } from '../teaching.js';
import { $, element, number, offerFile, setText } from './dom.js';

export function showModel({ store }) {
  let told = {};
  store.follow(({ model, device, aside }) => {
    $('use-own').hidden = !aside || Boolean(model?.file);
    setText($('use-own'), aside ? `Back to ${aside.name}` : '');
    if (told.model === model && told.device === device) return;
    told = { model, device };
    $('use-default').hidden = $('save-model').hidden = !model?.file;
    if (model?.file) offerFile($('save-model'), model.file);
    $('card').replaceChildren(
      ...(model ? entriesOf(model, device) : [])
        .filter(([, text]) => text)
        .flatMap(([term, text]) => [element('dt', { textContent: term }), element('dd', { textContent: text })]),
    );
  });
}

function entriesOf({ name, card }, { adapter }) {
  const { metadata, threshold, input, gpuBytes } = card;
  const about = (key) => metadata[`pcsnet.${key}`];
  const rule = about('threshold_rule');
  const { recipe, images } = JSON.parse(about('training') ?? '{}');
  const photographs = recipe === 'taught' && images.length;
  return [
    ['file', name],
    ['category', about('category')],
    ['trained on', about('shots') && `${about('shots')} good pictures`],
    ['taught from', photographs && plural(photographs, 'good picture')],
    ['sees', `${input} x ${input} pixels (${about('fit') ?? 'crop'})`],
    ['threshold', threshold === null ? 'none in the file' : `${number(threshold)}${rule ? ` (${rule})` : ''}`],
    ['memory', gpuBytes && `${megabytes(gpuBytes)} of the device's`],
    ['device', adapter],
  ];
}
