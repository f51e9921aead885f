// @ts-check
// Cancelling what a session runs, and ending a session: the buttons, the questions, and what came of it.
import { request } from '../api.js';
import { confirmed } from '../parts/dialog.js';
import { html } from '../parts/html.js';
import { Icon } from '../parts/icons.js';
import { may } from '../parts/live.js';
import { Failure } from '../parts/states.js';

/** @typedef {any} Row */
/** @typedef {'cancel' | 'terminate'} Signal */

/** @param {Row} row */
const isActive = (row) => row.state === 'active' || row.state === 'fastpath function call';

/**
 * Cancelling helps against what runs; against a session that is idle in a transaction only its end does.
 * @param {{row: Row, isBlocking?: boolean, onSignal: (row: Row, signal: Signal) => void}} props
 */
export function SessionActions({ row, isBlocking = false, onSignal }) {
  if (!may('admin')) return null;
  const isUnseen = !row.state;
  const canEnd = isBlocking || isUnseen || row.state !== 'idle';
  return html`<span class="row-actions">
    ${
      (isActive(row) || isUnseen) &&
      html`<button type="button" class="button is-small is-danger" onClick=${() => onSignal(row, 'cancel')}
        aria-label=${`Cancel the query of session ${row.pid}`}>Cancel</button>`
    }
    ${
      canEnd &&
      html`<button type="button" class="button is-small is-danger" onClick=${() => onSignal(row, 'terminate')}
        aria-label=${`End session ${row.pid}`}>End</button>`
    }</span>`;
}

const QUESTIONS = {
  cancel: {
    title: (pid) => `Cancel the query of session ${pid}?`,
    action: 'Cancel the query',
    text: 'Its client gets the error “canceling statement due to user request” (57014), and its transaction fails. The session stays.',
  },
  terminate: {
    title: (pid) => `End session ${pid}?`,
    action: 'End the session',
    text: 'Its open transaction is rolled back and its locks are freed. Its client loses the connection (57P01) and has to connect again.',
  },
};

/**
 * Asks, does it, and says what came of it.
 * @param {Row} row @param {Signal} signal
 * @returns {Promise<any>} nothing where nothing was wanted
 */
export async function signalled(row, signal) {
  const { title, action, text } = QUESTIONS[signal];
  const isWanted = await confirmed({
    title: title(row.pid),
    action,
    isDangerous: true,
    text: html`<p>${text}</p>${row.query && html`<pre>${row.query}</pre>`}`,
  });
  if (!isWanted) return null;
  try {
    const { after } = await request(`monitoring/connections/${row.pid}/${signal}`, { method: 'POST' });
    return outcome(row.pid, after);
  } catch (error) {
    return { error };
  }
}

/** @param {number} pid @param {string} after */
function outcome(pid, after) {
  switch (after) {
    case 'gone':
      return { look: 'ok', title: `Session ${pid} has ended`, text: 'What it held is free.' };
    case 'idle':
      return { look: 'ok', title: `The query of session ${pid} has ended`, text: 'The session is still there.' };
    case 'ran_nothing':
      return {
        look: 'warning',
        title: `Session ${pid} runs nothing that could be cancelled`,
        text: 'It is still there, and so are its transaction and its locks. Ending the session frees them.',
      };
    case 'goes_on':
      return {
        look: 'warning',
        title: `Session ${pid} is still there`,
        text: 'It was told, and two seconds later it goes on. It ends where PostgreSQL looks for it the next time.',
      };
    default:
      return { look: 'warning', title: 'Nothing was done', text: `There is no session ${pid} any more.` };
  }
}

/** What came of it, until the next time. @param {{said: any, onClose: () => void}} props */
export function Outcome({ said, onClose }) {
  if (!said) return null;
  if (said.error) return html`<${Failure} error=${said.error} />`;
  return html`<div class=${`notice is-${said.look}`} role="status"><${Icon} name=${said.look} />
    <div class="notice-body"><strong>${said.title}</strong><p>${said.text}</p></div>
    <button type="button" class="button is-small" onClick=${onClose}>Close</button></div>`;
}
