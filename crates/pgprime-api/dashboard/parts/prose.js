// @ts-check
// Sentences of the server: what stands between backticks is code.
import { html } from './html.js';

/** @param {{text: string | null | undefined}} props */
export function Prose({ text }) {
  const parts = String(text ?? '').split('`');
  // One without its partner is only a character.
  if (parts.length % 2 === 0) return text;
  return parts.map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part));
}
