// @ts-check
// Copying a text, and statements that can be copied.
import { sqlTokens } from '../lib/sql_tokens.js';
import { Icon } from './icons.js';
import { html, useEffect, useState } from './html.js';

const DONE_SHOWN_MS = 1600;

/** The clipboard interface exists only on secure origins; the fallback serves plain HTTP. @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** @param {string} text */
function copyBySelection(text) {
  const before = document.activeElement;
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'visually-hidden';
  // Within a modal dialog everything outside is inert, and cannot be selected.
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  area.select();
  const isDone = document.execCommand('copy');
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return isDone;
}

/** @param {{text: string, label?: string, what?: string}} props */
export function CopyButton({ text, label = 'Copy', what = 'statement' }) {
  const [state, setState] = useState('');
  useEffect(() => {
    if (!state) return undefined;
    const timer = setTimeout(() => setState(''), DONE_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [state]);
  const onClick = async () => setState((await copy(text)) ? 'Copied' : 'Not allowed');
  return html`<button type="button" class="button is-small copy" onClick=${onClick}
    aria-label=${state ? undefined : `${label} ${what}`}>
    <${Icon} name=${state === 'Copied' ? 'done' : 'copy'} /><span aria-live="polite">${state || label}</span></button>`;
}

/** SQL in colours. @param {{sql: string}} props */
export function Sql({ sql }) {
  return html`<code class="sql">${sqlTokens(sql).map(({ kind, text }) =>
    kind === 'plain' ? text : html`<span class=${`sql-${kind}`}>${text}</span>`,
  )}</code>`;
}

/**
 * A statement or command with its button.
 * @param {{text: string, kind?: 'sql' | 'command' | 'setting', label?: string}} props
 */
export function Statement({ text, kind = 'sql', label }) {
  return html`<div class="statement">
    ${label && html`<span class="statement-label">${label}</span>`}
    <pre tabindex="0">${kind === 'sql' ? html`<${Sql} sql=${text} />` : html`<code>${text}</code>`}</pre>
    <${CopyButton} text=${text} what=${kind === 'sql' ? 'statement' : kind} />
  </div>`;
}
