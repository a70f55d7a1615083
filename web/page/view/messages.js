// Messages, read out as they appear, each with a way to answer it.

import { messagesOf } from '../state.js';
import { $, element, renewChildren, setText } from './dom.js';

/** `retry()` starts the device and its model again. */
export function showMessages({ store, retry }) {
  const actions = {
    retry: ['Try again', retry],
    teach: ['Teach again', () => store.dispatch({ type: 'teaching asked' })],
    'teach more': ['Teach again', () => store.dispatch({ type: 'teaching asked', aim: 'more' })],
    threshold: ['Find the threshold', () => store.dispatch({ type: 'teaching asked', aim: 'threshold' })],
    photographs: ['Photograph good parts', () => store.dispatch({ type: 'screen chosen', screen: 'teach' })],
  };
  const make = ({ tone, action, dismiss }) => {
    const message = element('div', { className: 'message' }, element('p'));
    message.dataset.tone = tone;
    const add = (textContent, onclick, ariaLabel) => {
      message.append(element('button', { type: 'button', textContent, onclick, ariaLabel }));
    };
    if (action) add(...actions[action], null);
    if (dismiss) add('Dismiss', () => store.dispatch({ type: dismiss }), 'Dismiss this message');
    return message;
  };
  store.follow((state) => {
    const renew = (message, { text }) => setText(message.firstChild, text);
    // Another answer makes it another message.
    const key = ({ id, action, dismiss }) => [id, action, dismiss].join(' ');
    renewChildren($('messages'), messagesOf(state), { key, make, renew });
  });
}
