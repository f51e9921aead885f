// @ts-check
// Space: what takes it, what of it is waste, and what runs out.
import { bytes, coarse, number, percent, words } from '../lib/format.js';
import { figure, plain } from '../parts/columns.js';
import { useData } from '../parts/data.js';
import { html } from '../parts/html.js';
import { Icon, Status } from '../parts/icons.js';
import { route, setParams } from '../parts/router.js';
import { PageHead } from '../parts/shell.js';
import { Bar, Figures, Loaded, Missing, Section, Tabs } from '../parts/states.js';
import { Table } from '../parts/table.js';
import { Remedy } from './indexes.js';

/** @typedef {any} Row */

export function Space() {
  const result = useData('monitoring/bloat', { everyMs: 0 });
  return html`<${PageHead} title="Space" sub="What takes it, what of it is waste, and what runs out"
    actions=${html`<button type="button" class="button" onClick=${result.reload}
    disabled=${result.isLoading}>Ask again</button>`} />
    <${Loaded} of=${result} rows=${10}>${(data) => html`<${Report} data=${data} />`}<//>`;
}

/** @param {any[]} list @param {(entry: any) => number | null | undefined} of */
function sum(list, of) {
  return list.reduce((total, entry) => total + (of(entry) ?? 0), 0);
}

/** What was measured is worth more than what was estimated. @param {Row} row */
function waste(row) {
  return row.waste?.measured ?? row.waste?.estimated ?? null;
}

/** @param {{data: any}} props */
function Report({ data }) {
  const tabs = [
    { key: 'tables', title: 'Tables', count: data.tables.length },
    { key: 'indexes', title: 'Indexes', count: data.indexes.length },
    { key: 'sequences', title: 'Sequences', count: data.sequences.length },
    { key: 'ids', title: 'Transaction ids' },
  ];
  const current = tabs.some(({ key }) => key === route.value.params.tab) ? route.value.params.tab : 'tables';
  return html`<${Figures} items=${[
    { title: 'Database', value: bytes(data.database_bytes) },
    {
      title: 'Tables',
      value: bytes(sum(data.tables, (row) => row.heap_bytes + row.toast_bytes)),
      sub: `${data.tables.length} tables`,
    },
    {
      title: 'Indexes',
      value: bytes(sum(data.tables, (row) => row.indexes_bytes)),
      sub: `${data.indexes.length} indexes`,
    },
    {
      title: 'Wasted',
      value: bytes(sum([...data.tables, ...data.indexes], (row) => waste(row)?.bytes)),
      sub: 'estimated',
    },
    { title: 'Dead rows', value: number(sum(data.tables, (row) => row.dead_rows)) },
  ]} />
  <${Findings} findings=${data.findings} />
  <${Tabs} name="Space" tabs=${tabs} current=${current}
    onChoose=${(tab) => setParams({ tab, sort: null, filter: null, row: null })} />
  ${current === 'tables' && html`<${Tables} rows=${data.tables} />`}
  ${current === 'indexes' && html`<${IndexTable} rows=${data.indexes} />`}
  ${current === 'sequences' && html`<${Sequences} rows=${data.sequences} />`}
  ${current === 'ids' && html`<${TransactionIds} data=${data} />`}
  <${Missing} items=${data.missing} />`;
}

/** @param {{findings: any[]}} props */
function Findings({ findings }) {
  if (findings.length === 0)
    return html`<div class="banner is-ok"><${Icon} name="ok" /><p
      class="banner-title">No waste worth a word, and nothing runs out</p></div>`;
  return html`<${Section} title="Findings"><ul class="findings">${findings.map(
    (finding) => html`<li class=${`finding is-${finding.severity}`}>
    <p><${Status} status=${finding.severity} word=${words(finding.kind)} /> <strong>${finding.object}</strong>
      ${finding.wasted_bytes !== null && html`<span class="badge">${bytes(finding.wasted_bytes)} to gain</span>`}</p>
    <p>${finding.summary}</p>${finding.remedies.map((remedy) => html`<${Remedy} remedy=${remedy} />`)}</li>`,
  )}</ul><//>`;
}

/** @param {{row: Row, most: number}} props the parts of a table, beside the largest */
function Parts({ row, most }) {
  const width = (size) => ({ width: `${most > 0 ? (size / most) * 100 : 0}%` });
  return html`<span class="bar is-parts"
    title=${`rows ${bytes(row.heap_bytes)}, long values ${bytes(row.toast_bytes)}, indexes ${bytes(row.indexes_bytes)}`}>
    <span class="bar-fill part-heap" style=${width(row.heap_bytes)}></span><span class="bar-fill part-toast"
      style=${width(row.toast_bytes)}></span><span class="bar-fill part-indexes" style=${width(row.indexes_bytes)}>
      </span></span>`;
}

/** @param {Row} row */
function wasteCell(row) {
  const found = waste(row);
  if (!found) return html`<span class="muted" title=${reason(row)}>–</span>`;
  return html`<span title=${row.waste.measured ? 'measured' : 'estimated'}>${bytes(found.bytes)} <span class="muted">
    ${percent(found.percent)}</span></span>`;
}

/** @param {Row} row */
function reason(row) {
  const why = row.waste?.not_estimated?.reason ?? row.waste?.not_estimated;
  return why ? `not estimated: ${String(why).replaceAll('_', ' ')}` : 'not estimated';
}

/** @param {number | null} a @param {number | null} b */
function latest(a, b) {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

/** @param {number | null} secondsAgo */
function agoCell(secondsAgo) {
  return secondsAgo === null ? html`<span class="muted">never</span>` : `${coarse(secondsAgo)} ago`;
}

/** Every figure by itself, for other programs. */
const TABLE_FIGURES = [
  ...['qualified', 'total_bytes', 'heap_bytes', 'toast_bytes', 'indexes_bytes', 'live_rows', 'dead_rows'].map(
    (key) => ({ key, title: key, value: (row) => row[key] }),
  ),
  { key: 'wasted_bytes', title: 'wasted_bytes', value: (row) => waste(row)?.bytes },
];

/** @param {{rows: Row[]}} props */
function Tables({ rows }) {
  const most = Math.max(...rows.map((row) => row.total_bytes), 0);
  const vacuum = (row) => latest(row.maintained.vacuum_seconds_ago, row.maintained.autovacuum_seconds_ago);
  const analyze = (row) => latest(row.maintained.analyze_seconds_ago, row.maintained.autoanalyze_seconds_ago);
  const columns = [
    {
      key: 'table',
      title: 'Table',
      isWide: true,
      value: (row) => row.qualified,
      cell: (row) =>
        html`${row.qualified}${
          row.is_materialized_view &&
          html` <span
          class="badge">view</span>`
        }${row.is_unlogged && html` <span class="badge">unlogged</span>`}`,
    },
    {
      key: 'parts',
      title: 'Rows, long values, indexes',
      value: (row) => row.total_bytes,
      cell: (row) => html`<${Parts} row=${row} most=${most} />`,
    },
    figure('total_bytes', 'Total', bytes),
    { key: 'wasted_bytes', title: 'Waste', isNumeric: true, value: (row) => waste(row)?.bytes, cell: wasteCell },
    figure('live_rows', 'Rows', number),
    {
      key: 'dead_rows',
      title: 'Dead',
      isNumeric: true,
      value: (row) => row.dead_rows,
      cell: (row) =>
        html`${number(row.dead_rows)}${
          row.autovacuum.is_vacuum_due &&
          html` <span
          class="badge is-warning">vacuum due</span>`
        }`,
    },
    { key: 'vacuum', title: 'Vacuumed', isNumeric: true, value: vacuum, cell: (row) => agoCell(vacuum(row)) },
    { key: 'analyze', title: 'Analyzed', isNumeric: true, value: analyze, cell: (row) => agoCell(analyze(row)) },
  ];
  return html`<${Table} caption="Tables" columns=${columns} exported=${TABLE_FIGURES} rows=${rows}
    keyOf=${(row) => row.qualified} sort="total_bytes:desc"
    tools=${html`<span class="key"><span class="key-mark part-heap"></span>rows <span class="key-mark part-toast">
      </span>long values <span class="key-mark part-indexes"></span>indexes</span>`} />`;
}

/** @param {{rows: Row[]}} props */
function IndexTable({ rows }) {
  const most = Math.max(...rows.map((row) => row.bytes), 0);
  return html`<${Table} caption="Indexes" rows=${rows} keyOf=${(row) => row.qualified} sort="bytes:desc" columns=${[
    { key: 'index', title: 'Index', isWide: true, value: (row) => row.qualified },
    plain('table', 'Table'),
    plain('method', 'Method'),
    {
      key: 'bytes',
      title: 'Size',
      isNumeric: true,
      value: (row) => row.bytes,
      cell: (row) => html`<${Bar} share=${row.bytes / most} text=${bytes(row.bytes)} />`,
    },
    { key: 'wasted_bytes', title: 'Waste', isNumeric: true, value: (row) => waste(row)?.bytes, cell: wasteCell },
  ]} />`;
}

/** @param {{rows: Row[]}} props */
function Sequences({ rows }) {
  return html`<${Table} caption="Sequences" rows=${rows} keyOf=${(row) => row.qualified} sort="used_percent:desc"
    columns=${[
      { key: 'sequence', title: 'Sequence', isWide: true, value: (row) => row.qualified },
      {
        key: 'column',
        title: 'Column',
        value: (row) => (row.column ? `${row.column.table}.${row.column.name}` : ''),
        cell: (row) =>
          row.column
            ? html`${row.column.table}.${row.column.name} <span class="muted">${row.column.column_type}</span>`
            : '–',
      },
      figure('last_value', 'Last value', number),
      {
        key: 'used_percent',
        title: 'Used',
        isNumeric: true,
        value: (row) => row.used_percent,
        cell: (row) =>
          html`<${Bar} share=${row.used_percent / 100} text=${percent(row.used_percent)}
          look=${row.used_percent >= 75 ? 'critical' : 'accent'} />`,
      },
    ]} />`;
}

/**
 * Ages of transaction ids: 2^31 is the end, and autovacuum freezes from autovacuum_freeze_max_age on.
 * @param {{data: any}} props
 */
function TransactionIds({ data }) {
  const age = (key) => ({
    key,
    title: key === 'transaction_age' ? 'Transaction ids' : 'Multixact ids',
    isNumeric: true,
    value: (row) => row[key],
    cell: (row) => html`<${Bar} share=${row[key] / 2 ** 31} text=${number(row[key])} />`,
  });
  return html`<p class="muted">The bars end at 2,147,483,648; PostgreSQL stops taking writes shortly before.</p>
    <${Table} caption="Databases" isPlain rows=${data.databases} keyOf=${(row) => row.name} sort="transaction_age:desc"
      columns=${[plain('name', 'Database', { isWide: true }), age('transaction_age'), age('multixact_age')]} />
    <${Section} title="What holds vacuum back">${
      data.holders.length === 0
        ? html`<p class="muted">Nothing: no old transaction, slot or prepared transaction.</p>`
        : html`<${Table} id="holders" isPlain caption="What holds vacuum back" rows=${data.holders}
          keyOf=${(row) => row.kind + row.name} sort="transaction_age:desc" columns=${[
            { key: 'kind', title: 'Kind', value: (row) => words(row.kind) },
            plain('name', 'Name', { isWide: true }),
            age('transaction_age'),
          ]} />`
    }<//>`;
}
