// @ts-check
// Indexes that the advisor suggests: what each saves, takes and costs, and how to undo it.
import { bytes, counted, number, share } from '../lib/format.js';
import { CopyButton, Statement } from '../parts/copy.js';
import { html } from '../parts/html.js';
import { Bar, Figures } from '../parts/states.js';
import { SqlCell } from '../parts/table.js';

const METHODS = {
  hypopg: 'costs by the planner with hypothetical indexes (HypoPG)',
  estimated: 'estimated costs: HypoPG is not installed',
};

/** @param {{advice: any}} props */
export function Suggestions({ advice }) {
  const all = advice.suggestions.flatMap((suggestion) => suggestion.statements).join('\n');
  return html`<${Figures} items=${[
    { title: 'All of them save', value: share(advice.saved_share), sub: 'of the workload’s cost' },
    { title: 'They take', value: bytes(advice.size_bytes) },
    { title: 'Candidates tried', value: number(advice.candidates) },
    {
      title: 'Method',
      value: advice.method === 'hypopg' ? 'HypoPG' : advice.method,
      sub: METHODS[/** @type {keyof typeof METHODS} */ (advice.method)],
    },
  ]} />
  ${
    advice.suggestions.length > 1 &&
    html`<p class="list-tools"><${CopyButton} text=${all} label="Copy all"
    what="statements" /></p>`
  }
  <ol class="suggestions">
    ${advice.suggestions.map(
      (suggestion) => html`<${Suggestion} key=${suggestion.name} suggestion=${suggestion}
    queries=${advice.queries} />`,
    )}</ol>
  ${
    advice.hints?.length > 0 &&
    html`<h3>Perhaps</h3><ul class="suggestions">${advice.hints.map(
      (hint) => html`<li class="suggestion">
    <p class="suggestion-head"><strong>${hint.table}</strong></p><p>${hint.reason}</p>
      ${hint.statements.map((text) => html`<${Statement} text=${text} />`)}</li>`,
    )}</ul>`
  }`;
}

/** @param {{suggestion: any, queries: any[]}} props */
function Suggestion({ suggestion, queries }) {
  return html`<li class="suggestion">
    <div class="suggestion-head"><strong>${suggestion.table}</strong><span class="muted">
      ${suggestion.access_method} on ${suggestion.keys.join(', ')}</span>
      <span class=${`badge is-confidence-${suggestion.confidence}`} title=${suggestion.confidence_reason}>
        ${suggestion.confidence} confidence</span></div>
    ${suggestion.statements.map((text) => html`<${Statement} text=${text} />`)}
    <dl class="gains"><div><dt>Saves</dt><dd><${Bar} share=${suggestion.saved_share}
      text=${share(suggestion.saved_share)} look="ok" /></dd></div>
      <div><dt>Takes</dt><dd>${bytes(suggestion.size_bytes)}</dd></div>
      <div><dt>Each write</dt><dd>${share(suggestion.write_overhead_share)} dearer</dd></div></dl>
    <details class="more"><summary>
      ${counted(suggestion.gains.length, 'statement')} ${suggestion.gains.length === 1 ? 'gains' : 'gain'}; how to undo it</summary>
      <p class="muted">${suggestion.confidence_reason}.</p>
      <ul class="gain-list">${suggestion.gains.map(
        (gain) => html`<li><span class="muted">
          ${number(gain.cost_before)} → ${number(gain.cost_after)}, ${counted(gain.weight, 'call')}</span>
        <${SqlCell} sql=${queries.find(({ id }) => id === gain.query_id)?.text ?? gain.query_id} charactersMax=${100} />
          </li>`,
      )}</ul>
      <${Statement} text=${suggestion.undo} label="Undo" /></details>
  </li>`;
}
