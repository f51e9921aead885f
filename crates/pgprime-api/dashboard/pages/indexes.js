// @ts-check
// Indexes: those that are lacking, and those that cost more than they give.
import { bytes, coarse, number, words } from '../lib/format.js';
import { figure, plain } from '../parts/columns.js';
import { Statement } from '../parts/copy.js';
import { useData } from '../parts/data.js';
import { html } from '../parts/html.js';
import { Status } from '../parts/icons.js';
import { route, setParams } from '../parts/router.js';
import { PageHead } from '../parts/shell.js';
import { Empty, Figures, Loaded, Missing, Notes, Section, Tabs } from '../parts/states.js';
import { Table } from '../parts/table.js';
import { Suggestions } from './suggestions.js';

export function Indexes() {
  const result = useData('monitoring/indexes', { everyMs: 0 });
  return html`<${PageHead} title="Indexes" sub="What the workload lacks, and what costs more than it gives"
    actions=${html`<button type="button" class="button" onClick=${result.reload}
    disabled=${result.isLoading}>Ask again</button>`} />
    <${Loaded} of=${result} rows=${8}>${(data) => html`<${Both} data=${data} />`}<//>`;
}

/** @param {{data: any}} props */
function Both({ data }) {
  const tabs = [
    { key: 'suggestions', title: 'Suggestions', count: data.advice?.suggestions.length },
    { key: 'review', title: 'Review', count: data.review?.findings.length },
  ];
  const current = route.value.params.tab === 'review' ? 'review' : 'suggestions';
  return html`<${Tabs} name="Indexes" tabs=${tabs} current=${current} onChoose=${(tab) => setParams({ tab })} />
    ${
      current === 'suggestions'
        ? html`<${Lacking} advice=${data.advice} />`
        : html`<${Review}
      review=${data.review} />`
    }
    <${Notes} items=${data.notes} /><${Missing}
      items=${[...(data.missing ?? []), ...(current === 'review' ? (data.review?.missing ?? []) : (data.advice?.missing ?? []))]} />`;
}

/** @param {{advice: any}} props */
function Lacking({ advice }) {
  if (!advice)
    return html`<${Empty} title="No advice"
      icon="unknown">The workload could not be seen: the note below says why.<//>`;
  if (advice.suggestions.length === 0 && advice.hints.length === 0)
    return html`<${Empty} title="No index is lacking">
      ${number(advice.candidates)} candidates were tried; none is worth what it costs.<//>`;
  return html`<${Suggestions} advice=${advice} />`;
}

const COLUMNS = [
  {
    key: 'problem',
    title: 'Problem',
    value: (row) => words(row.problem),
    cell: (row) => html`<${Status} status=${row.severity} word=${words(row.problem)} />`,
  },
  {
    key: 'index',
    title: 'Index',
    isWide: true,
    value: (row) => row.index,
    cell: (row) =>
      html`${
        row.index
          ? html`<code>${row.index}</code>`
          : html`<span
        class="muted">none</span>`
      }${row.covered_by && html` <span class="muted">as ${row.covered_by}</span>`}`,
  },
  plain('table', 'Table'),
  figure('scans', 'Scans', number),
  figure('freed_bytes', 'Frees', bytes),
  plain('confidence', 'Confidence'),
];

/** @param {{review: any}} props */
function Review({ review }) {
  if (!review) return html`<${Empty} title="No review" icon="unknown">The indexes could not be seen.<//>`;
  return html`<${Figures} items=${[
    { title: 'Indexes', value: number(review.indexes) },
    { title: 'Findings', value: number(review.findings.length) },
    { title: 'Could be freed', value: bytes(review.freed_bytes) },
    {
      title: 'Statistics kept for',
      value: coarse(review.statistics.seconds),
      sub: review.statistics.seconds < 604_800 ? 'short: ask again after a week' : '',
    },
  ]} />
  ${
    review.findings.length === 0
      ? html`<${Empty} title="All indexes earn their keep" />`
      : html`<${Section} title="Findings"><${Table} caption="Index review" columns=${COLUMNS} rows=${review.findings}
    keyOf=${(row) => `${row.problem}/${row.index ?? row.table}`} sort="freed_bytes:desc"
      expand=${(row) => html`<${Finding} finding=${row} />`} /><//>`
  }`;
}

/** @param {{finding: any}} props */
function Finding({ finding }) {
  return html`<p>${finding.reason}</p>
    ${finding.remedies.map((remedy) => html`<${Remedy} remedy=${remedy} />`)}
    ${finding.undo && html`<${Statement} text=${finding.undo.statement} label="Undo" />`}`;
}

/** @param {{remedy: any}} props */
export function Remedy({ remedy }) {
  return html`<div class="remedy"><${Statement} text=${remedy.statement} kind=${remedy.is_shell ? 'command' : 'sql'} />
    <p class="muted">
      ${remedy.lock ? `Takes the lock ${remedy.lock}; blocks ${remedy.blocks}.` : ''} ${remedy.note ? sentence(remedy.note) : ''}</p>
      </div>`;
}

/** @param {string} text */
function sentence(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}
