// @ts-check
// Analyze: a statement in, its plan out. Statement and parameters are in the address, behind the #: never sent with it.
import { confirmed } from '../parts/dialog.js';
import { html, useState } from '../parts/html.js';
import { may, session } from '../parts/live.js';
import { route, setParams } from '../parts/router.js';
import { PageHead } from '../parts/shell.js';
import { Empty } from '../parts/states.js';
import { Explained } from './explained.js';

export function Analyze() {
  const { sql = '', parameters = '' } = route.value.params;
  // Never from the address: a link must not make anybody's browser execute a statement.
  const [last, setLast] = useState({ round: 0, executed: '' });
  const onAsk = async (asked) => {
    if (asked.isExecuted && !(await confirmExecution())) return;
    setLast({ round: last.round + 1, executed: asked.isExecuted ? questionOf(asked.sql, asked.parameters) : '' });
    setParams({ sql: asked.sql, parameters: asked.parameters || null, tab: null }, 'push');
  };
  const execute = last.executed === questionOf(sql, parameters);
  const asked = { query: sql, ...(parameters && { parameters: parameters.split('\n').map(parameterOf) }), execute };
  return html`<${PageHead} title="Analyze"
    sub="Explains a statement safely: it is planned only, unless you ask for more" />
    <${Form} key=${sql + parameters} sql=${sql} parameters=${parameters} onAsk=${onAsk} />
    ${
      sql
        ? html`<${Explained} key=${last.round} asked=${asked} />`
        : html`<${Empty} title="Paste a statement above" icon="analyze">
      You see what each step of its plan takes, where the planner's estimates are off, and which index would help.<//>`
    }`;
}

/**
 * As COPY writes it, so that a text can be empty and still differ from nothing.
 * @param {string} line
 */
function parameterOf(line) {
  return line === '\\N' ? null : line;
}

/** What was confirmed holds for these words only. @param {string} sql @param {string} parameters */
function questionOf(sql, parameters) {
  return JSON.stringify([sql, parameters]);
}

function confirmExecution() {
  return confirmed({
    title: 'Execute the statement?',
    action: 'Execute',
    text: html`<p>It runs with a time limit, in a read-only transaction that is rolled back. It reads as much as it does in
      production, and can take work away from others.</p>`,
  });
}

/**
 * @param {{sql: string, parameters: string, onAsk: (asked: {sql: string, parameters: string, isExecuted: boolean}) => void}} props
 */
function Form({ sql, parameters, onAsk }) {
  const isAllowed = may('analyze');
  const mayExecute = isAllowed && session.value?.features?.execute !== false;
  const submit = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const text = String(form.get('sql') ?? '').trim();
    if (text)
      onAsk({
        sql: text,
        parameters: String(form.get('parameters') ?? '').replaceAll('\r', ''),
        isExecuted: form.get('execute') === 'yes',
      });
  };
  const submitByKey = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
  };
  return html`<form class="analyze-form" onSubmit=${submit}>
    <label class="field"><span>Statement</span>
      <textarea name="sql" rows=${Math.min(Math.max(sql.split('\n').length + 1, 5), 16)} required spellcheck=${false}
        autocapitalize="off" placeholder="SELECT … FROM … WHERE …" onKeyDown=${submitByKey} defaultValue=${sql}>
        </textarea></label>
    <label class="field is-narrow"><span>Parameters <span
      class="muted">one a line, $1 first; samples are taken if none are given</span></span>
      <textarea name="parameters" rows="3" spellcheck=${false} defaultValue=${parameters}></textarea></label>
    <div class="form-actions"><button type="submit" class="button is-primary" disabled=${!isAllowed}>Explain</button>
      ${!session.value && html`<span class="muted" role="status">Loading who you are…</span>`}
      ${session.value && !isAllowed && html`<span class="muted">Explaining needs the role analyze.</span>`}
      <label class="inline-field"><input type="checkbox" name="execute" value="yes" disabled=${!mayExecute} />
        <span>Execute it, too${isAllowed && !mayExecute ? ' (switched off here)' : ''}</span></label>
      <span class="muted hint">Ctrl Enter</span></div>
  </form>`;
}
