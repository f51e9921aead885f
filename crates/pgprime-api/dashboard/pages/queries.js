// @ts-check
// Queries: which statements take the time; one of them with its history, plan and advice.
import { bytes, counted, ms, number, seconds, share, moment } from '../lib/format.js';
import { timesOf } from '../lib/route.js';
import { figure } from '../parts/columns.js';
import { Chart } from '../parts/chart.js';
import { CopyButton, Statement } from '../parts/copy.js';
import { query, useData } from '../parts/data.js';
import { useRange } from '../parts/history.js';
import { html } from '../parts/html.js';
import { Icon, Status } from '../parts/icons.js';
import { may, session } from '../parts/live.js';
import { href, route, setParams } from '../parts/router.js';
import { PageHead } from '../parts/shell.js';
import { Bar, Empty, Figures, Loaded, Missing, Notes, Section, Skeleton } from '../parts/states.js';
import { SqlCell, Table } from '../parts/table.js';
import { Explained } from './explained.js';

const LIMIT = 200;
const THRESHOLDS_MS = [1, 10, 100, 1000, 5000];
const THRESHOLD_MS = 1000;
/** The server orders before it limits, so that the table's order decides which statements come at all. */
const ORDERS = {
  exec_ms_total: 'total',
  exec_share: 'total',
  exec_ms_mean: 'mean',
  exec_ms_max: 'max',
  calls: 'calls',
  rows: 'rows',
  read_bytes: 'read',
  temp_bytes: 'temp',
  wal_bytes: 'wal',
};

/** @param {{item: string | null}} props */
export function Queries({ item }) {
  return item === null ? html`<${List} />` : html`<${Detail} id=${item} />`;
}

function List() {
  const { params } = route.value;
  const threshold = thresholdOf(params.threshold_ms);
  const isSlowOnly = params.slow === 'yes';
  const key = (params.sort ?? '').split(':')[0];
  const order = ORDERS[/** @type {keyof typeof ORDERS} */ (key)] ?? 'total';
  const result = useData(
    // With a threshold the server tells of slow ones only, so that these are marked here.
    `monitoring/slow-queries${query({ threshold_ms: isSlowOnly ? threshold : 0, limit: LIMIT, order, ...timesOf(useRange()) })}`,
    { everyMs: 30_000 },
  );
  return html`<${PageHead} title="Queries" sub=${result.data && basisText(result.data)} />
    <${Loaded} of=${result} rows=${12}>${(data) => {
      const rows = data.statements.map((row) => ({ ...row, is_slow: row.exec_ms_mean >= threshold }));
      return html`<${Summary} data=${data} rows=${rows} threshold=${threshold} />
      <${Statements} rows=${rows} threshold=${threshold} isSlowOnly=${isSlowOnly} /><${Notes}
        items=${data.notes} /><${Missing} items=${data.missing} />`;
    }}<//>`;
}

/** One that the address does not say, or not well, is the usual one. @param {string | undefined} text */
function thresholdOf(text) {
  const threshold = Number(text);
  return threshold > 0 && Number.isFinite(threshold) ? threshold : THRESHOLD_MS;
}

const BASES = {
  history: 'As recorded',
  totals: 'Since statistics were last reset',
  totals_of_unknown_age: 'Since statistics were last reset, nobody knows when',
};

/** @param {any} data */
function basisText(data) {
  const what = BASES[/** @type {keyof typeof BASES} */ (data.basis)] ?? 'Between two looks';
  const length = (Date.parse(data.end) - Date.parse(data.start)) / 1000;
  return `${what}: ${moment(data.start)} to ${moment(data.end)}, ${seconds(length)}`;
}

/** Those beyond the list are not seen here. @param {any} data @param {any[]} rows */
function slowCount(data, rows) {
  const count = rows.filter((row) => row.is_slow).length;
  if (data.threshold_ms > 0) return number(data.slow_count);
  return data.all.statements > rows.length && count > 0 ? `≥ ${number(count)}` : number(count);
}

/** @param {{data: any, rows: any[], threshold: number}} props */
function Summary({ data, rows, threshold }) {
  return html`<${Figures} items=${[
    { title: 'Statements', value: number(data.all.statements) },
    {
      title: 'Calls',
      value: number(data.all.calls),
      sub: data.seconds > 0 ? `${number(data.all.calls / data.seconds)}/s` : '',
    },
    {
      title: 'Execution',
      value: ms(data.all.exec_ms),
      sub: data.seconds > 0 ? `${number(data.all.exec_ms / 1000 / data.seconds)} busy in the mean` : '',
    },
    { title: `Slow: ${ms(threshold)} or more`, value: slowCount(data, rows) },
    data.hidden?.statements > 0 && {
      title: 'Hidden from this role',
      value: number(data.hidden.statements),
      sub: ms(data.hidden.exec_ms),
    },
  ]} />`;
}

const COLUMNS = [
  {
    key: 'text',
    title: 'Statement',
    isWide: true,
    value: (row) => row.text,
    cell: (row) =>
      html`<${SqlCell} sql=${row.text} charactersMax=${72} link=${href('queries', { item: row.query_id })} />
        ${row.is_slow && html` <${Status} status="warning" word="Slow" />`}`,
  },
  {
    key: 'exec_share',
    title: 'Share',
    hint: 'Of the execution time of all statements',
    isNumeric: true,
    value: (row) => row.exec_share,
    cell: (row) => html`<${Bar} share=${row.exec_share} text=${share(row.exec_share)} />`,
  },
  figure('exec_ms_total', 'Total', ms),
  figure('calls', 'Calls', number),
  figure('exec_ms_mean', 'Mean', ms),
  figure('exec_ms_max', 'Longest', ms),
  figure('rows', 'Rows', number),
  figure('hit_ratio', 'In memory', share, { hint: 'Blocks found in shared buffers' }),
  {
    key: 'trend',
    title: 'Trend',
    hint: 'Of the mean time',
    isNumeric: true,
    value: (row) => trendFactor(row.trend),
    cell: (row) => html`<${Trend} trend=${row.trend} />`,
  },
];

/** Only on demand: most look for time, and the statement needs the room. */
const STORAGE_COLUMNS = [
  figure('read_bytes', 'Read', (value) => (value ? bytes(value) : '–')),
  figure('temp_bytes', 'Temporary', (value) => (value ? bytes(value) : '–'), { hint: 'Written to temporary files' }),
  figure('wal_bytes', 'WAL', (value) => (value ? bytes(value) : '–')),
];

/** The mean now divided by the mean before: below 1 for faster. @param {any} trend */
function trendFactor(trend) {
  return trend?.factor ?? null;
}

/** @param {{trend: any}} props */
function Trend({ trend }) {
  if (trend?.kind === 'new') return html`<span class="badge">new</span>`;
  const factor = trendFactor(trend);
  if (factor === null || factor === 0) return html`<span class="muted">–</span>`;
  if (trend.kind === 'steady') return html`<span class="muted">steady</span>`;
  const isSlower = factor > 1;
  return html`<span class=${`trend ${isSlower ? 'is-warning' : 'is-ok'}`}><${Icon}
    name=${isSlower ? 'rising' : 'falling'} />
    ${isSlower ? `${number(factor)}× slower` : `${number(1 / factor)}× faster`}</span>`;
}

/** @param {{rows: any[], threshold: number, isSlowOnly: boolean}} props */
function Statements({ rows: all, threshold, isSlowOnly }) {
  const tools = html`<label class="inline-field"><span>Slow from</span><select value=${threshold}
    onChange=${(event) => setParams({ threshold_ms: event.target.value })}>
    ${[...new Set([...THRESHOLDS_MS, threshold])].map(
      (value) => html`<option value=${value} selected=${value === threshold}>
      ${ms(value)}</option>`,
    )}</select></label>
    <label class="inline-field"><input type="checkbox" checked=${isSlowOnly}
      onChange=${(event) => setParams({ slow: event.target.checked ? 'yes' : null })} /><span>Only slow</span></label>
    <label class="inline-field"><input type="checkbox" checked=${route.value.params.columns === 'all'}
      onChange=${(event) => setParams({ columns: event.target.checked ? 'all' : null })} /><span>Storage</span>
      </label>`;
  const hasStorage = route.value.params.columns === 'all';
  const columns = [
    ...COLUMNS.filter(({ key }) => key !== 'trend' || all.some((row) => row.trend)),
    ...(hasStorage ? STORAGE_COLUMNS : []),
  ];
  const rows = isSlowOnly ? all.filter((row) => row.is_slow) : all;
  return html`<${Table} caption="Statements" columns=${columns} rows=${rows}
    keyOf=${(row) => [row.query_id, row.role, row.database, row.toplevel].join()} sort="exec_share:desc" tools=${tools}
    empty=${isSlowOnly ? `No statement takes ${ms(threshold)} or more in the mean.` : 'No statement was executed in this time.'} />`;
}

/** @param {{id: string}} props */
function Detail({ id }) {
  const range = useRange();
  const result = useData(`monitoring/slow-queries/${encodeURIComponent(id)}${query(timesOf(range))}`, {
    everyMs: 30_000,
  });
  const basis = result.data ? ` · ${basisText(result.data)}` : '';
  return html`<${PageHead} title="Query" sub=${html`<a href=${href('queries')}>Queries</a> · ${id}${basis}`} />
    <${Loaded} of=${result} rows=${8}>${(data) => html`<${One} data=${data} />`}<//>`;
}

/** @param {{data: any}} props */
function One({ data }) {
  const { statement, series } = data;
  const line = (key) => series.map((point) => [Date.parse(point.at) / 1000, point[key]]);
  return html`${
    statement.text
      ? html`<${Statement} text=${statement.text} />`
      : html`<p
    class="muted">Its text is not shown to this role.</p>`
  }
    <${Figures} items=${[
      { title: 'Share of all time', value: share(statement.exec_share) },
      { title: 'Total', value: ms(statement.exec_ms_total), sub: counted(statement.calls, 'call') },
      { title: 'Mean', value: ms(statement.exec_ms_mean), sub: `± ${ms(statement.exec_ms_stddev)}` },
      { title: 'Longest', value: ms(statement.exec_ms_max), sub: `shortest ${ms(statement.exec_ms_min)}` },
      { title: 'Rows per call', value: number(statement.rows_per_call) },
      { title: 'In memory', value: share(statement.hit_ratio), sub: `${bytes(statement.read_bytes)} read` },
      statement.pooler && {
        title: 'As clients met it',
        value: ms(statement.pooler.exec_ms_p95),
        sub: `p95; p99 ${ms(statement.pooler.exec_ms_p99)}`,
      },
      statement.temp_bytes > 0 && { title: 'Temporary', value: bytes(statement.temp_bytes) },
      { title: 'Role', value: statement.role ?? '–' },
    ]} />
    ${
      series.length > 0
        ? html`<div class="charts">
      <${Chart} title="Mean time" group="query"
        series=${[{ title: 'mean', unit: 'ms', points: line('exec_ms_mean'), isFilled: true }]} />
      <${Chart} title="Calls" group="query"
        series=${[{ title: 'calls', unit: 'count', look: 2, points: line('calls'), isFilled: true }]} /></div>`
        : html`<${Empty} title="No history in this time range"
          icon="clock">No call of it was recorded then. pgprime records while it runs.<//>`
    }
    <${Notes} items=${data.notes} /><${Missing} items=${data.missing} />
    <${PlanOf} text=${statement.text} />`;
}

/** @param {{text: string | null}} props */
function PlanOf({ text }) {
  const isAsked = route.value.params.plan === 'yes';
  const actions = html`<a class="button is-small"
    href=${href('analyze', { params: { sql: text } })}>Open in Analyze</a>`;
  if (!text) return null;
  if (!session.value) return html`<${Skeleton} rows=${2} />`;
  if (!may('analyze')) return html`<p class="muted">Its plan needs the role analyze.</p>`;
  return html`<${Section} title="Plan and advice" actions=${actions}>
    ${
      isAsked
        ? html`<${Explained} asked=${{ query: text, execute: false }} />`
        : html`<p class="muted">The statement is planned, never executed, with sample values for its parameters.</p>
        <button type="button" class="button is-primary"
          onClick=${() => setParams({ plan: 'yes' })}>Show the plan</button> <${CopyButton} text=${text} />`
    }<//>`;
}
