// @ts-check
// Dialogs: a question before anything is done, the keys, and the token.
import { hasToken, login, setToken } from '../api.js';
import { html, signal, useLayoutEffect, useRef } from './html.js';

const question = signal(/** @type {any} */ (null));
export const isHelpOpen = signal(false);

/**
 * Asks before doing.
 * @param {{title: string, text: any, action: string, isDangerous?: boolean}} what
 * @returns {Promise<boolean>}
 */
export function confirmed(what) {
  return new Promise((resolve) => {
    question.value = { ...what, resolve };
  });
}

/** @param {boolean} answer */
function answerWith(answer) {
  question.value?.resolve(answer);
  question.value = null;
}

/**
 * Modal, closed by Escape; the focus returns to where it was, or to the heading where that is gone.
 * @param {{label: string, onClose: () => void, children: any, class?: string}} props
 */
function Dialog({ label, onClose, children, class: name = '' }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useLayoutEffect(() => {
    const opener = document.activeElement;
    const dialog = /** @type {HTMLDialogElement} */ (element.current);
    dialog.showModal();
    return () => {
      dialog.close();
      // What was asked may redraw the page, and take the opener away.
      queueMicrotask(() => returnFocus(opener));
    };
  }, []);
  return html`<dialog ref=${element} class=${`dialog ${name}`} aria-label=${label} onCancel=${(
    /** @type {Event} */ event,
  ) => {
    event.preventDefault();
    onClose();
  }}>${children}</dialog>`;
}

/** @param {Element | null} opener */
function returnFocus(opener) {
  if (document.querySelector('dialog[open]') || !(opener instanceof HTMLElement) || opener === document.body) return;
  const target = opener.isConnected ? opener : document.querySelector('h1');
  target?.focus();
}

export function Dialogs() {
  return html`${question.value && html`<${Question} ...${question.value} />`}
    ${isHelpOpen.value && html`<${Help} />`}${login.value.isNeeded && html`<${Login} />`}`;
}

/** @param {any} props */
function Question({ title, text, action, isDangerous }) {
  return html`<${Dialog} label=${title} onClose=${() => answerWith(false)}>
    <h2>${title}</h2><div class="dialog-text">${text}</div>
    <div class="dialog-actions"><button type="button" class="button" autofocus
      onClick=${() => answerWith(false)}>Do nothing</button>
      <button type="button" class=${`button ${isDangerous ? 'is-danger' : 'is-primary'}`}
        onClick=${() => answerWith(true)}>${action}</button></div>
  <//>`;
}

/** @param {any} event */
function logIn(event) {
  event.preventDefault();
  const token = new FormData(event.target).get('token');
  if (typeof token === 'string' && token.trim()) setToken(token.trim());
}

function Login() {
  const { refusal } = login.value;
  return html`<${Dialog} label="Token needed" onClose=${() => {
    login.value = { isNeeded: false, refusal: null };
  }}>
    <h2>${hasToken() ? 'The token was refused' : 'A token is needed'}</h2>
    <div class="dialog-text"><p>
      ${refusal ?? 'pgprime wants a token from those who are not on its own machine. It is kept for this tab only, and is gone when you close it.'}</p>
      </div>
    <form onSubmit=${logIn}>
      <label class="field"><span>Token</span><input type="password" name="token" required autocomplete="off"
        spellcheck=${false} autofocus /></label>
      <div class="dialog-actions"><button type="submit" class="button is-primary">Log in</button></div>
    </form>
  <//>`;
}

/** The pages' keys, given by the shell, as this file knows no pages. */
export const pageKeys = signal(/** @type {[string, string][]} */ ([]));

function Help() {
  const close = () => {
    isHelpOpen.value = false;
  };
  const keys = [
    ['/', 'Filter the table'],
    ['t', 'Light or dark'],
    ['?', 'This help'],
    ['Esc', 'Close'],
  ];
  return html`<${Dialog} label="Keys" onClose=${close} class="is-wide">
    <h2>Keys</h2>
    <div class="keys"><dl>
      ${pageKeys.value.map(
        ([key, title]) => html`<div><dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${title}</dd>
      </div>`,
      )}</dl>
      <dl>${keys.map(([key, title]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${title}</dd></div>`)}</dl></div>
    <p class="muted">Drag over a chart to look at that time only. Each address reproduces what you see.</p>
    <div class="dialog-actions"><button type="button" class="button" autofocus onClick=${close}>Close</button></div>
  <//>`;
}
