// @ts-check
// The admin pool: how full it is, the figures for administrators as kept, and its slowest statements.
import { coarse, counted, ms, number, seconds } from '../lib/format.js';
import { Details } from '../parts/banner.js';
import { figure, plain } from '../parts/columns.js';
import { useData } from '../parts/data.js';
import { html } from '../parts/html.js';
import { Status } from '../parts/icons.js';
import { Figures, Loaded, Missing, Section } from '../parts/states.js';
import { SqlCell, Table } from '../parts/table.js';

/** Columns of a figure that are shown. */
const COLUMNS_MAX = 40;

export function AdminFigures() {
  const result = useData('monitoring/admin/metrics', { everyMs: 30_000 });
  return html`<${Section} title="Figures for administrators" sub="Asked through the admin pool, beside the service">
    <${Loaded} of=${result} rows=${4}>${(data) => html`<${Report} data=${data} />`}<//><//>`;
}

const SLOWEST = [
  {
    key: 'statement',
    title: 'Slowest statements of the admin pool',
    isWide: true,
    value: (row) => row.statement,
    cell: (row) => html`<${SqlCell} sql=${row.statement} charactersMax=${80} />`,
  },
  figure('count', 'Calls', number),
  figure('total_ms', 'Total', ms),
  figure('mean_ms', 'Mean', ms),
  figure('max_ms', 'Longest', ms),
];

/** Where the rows of a figure came from. */
const SOURCES = {
  memory: 'cache',
  redis: 'cache in Redis',
  stale: 'cache, being read anew',
  shared: 'database',
  filled: 'database',
  not_kept: 'database, not kept',
};

const FIGURES = [
  plain('title', 'Figure', { isWide: true }),
  {
    key: 'source',
    title: 'From',
    value: (row) => row.source,
    cell: (row) =>
      row.error ? html`<${Status} status="critical" word="Failed" />` : (SOURCES[row.source] ?? '–'),
  },
  figure('age_s', 'Age', (value) => (typeof value === 'number' ? coarse(value) : '–')),
  figure('took_ms', 'Took', ms),
  {
    key: 'rows',
    title: 'Rows',
    isNumeric: true,
    value: (row) => row.rows?.length ?? 0,
    cell: (row) => `${row.is_cut ? '≥ ' : ''}${number(row.rows?.length ?? 0)}`,
  },
];

/** What the pool does, and what it may. @param {{admin: any}} props */
function Pool({ admin }) {
  const { pool, queries, held, limits } = admin;
  const full = pool && pool.waiting > 0;
  return html`<${Figures} items=${[
    pool && {
      title: 'Admin pool',
      value: `${number(pool.busy)} of ${number(pool.size_max)} busy`,
      sub: full
        ? html`<${Status} status="warning" word=${`${number(pool.waiting)} waiting`} />`
        : `${number(pool.exhausted_total)} given up for want of one`,
    },
    queries && {
      title: 'Statements',
      value: number(queries.queries_total),
      sub: `${number(queries.slow_queries_total)} slow, ${number(queries.errors_total)} failed`,
    },
    held && {
      title: 'Held back for the service',
      value: number(held.held_total),
      sub: `${number(held.now)} now, ${number(held.refused_total)} given up`,
    },
    limits && { title: 'Each may take', value: seconds(limits.statement_timeout_ms / 1000), sub: limitsText(limits) },
  ]} />`;
}

/** @param {any} limits */
function limitsText(limits) {
  const disk = limits.temp_file_limit ? `, ${limits.temp_file_limit} of disk` : '';
  const workers = counted(limits.parallel_workers_max, 'further process', 'further processes');
  return `${limits.work_mem} a sort${disk}, ${workers}`;
}

/** @param {{data: any}} props */
function Report({ data }) {
  return html`${data.pool && html`<${Pool} admin=${data.pool} />`}
    <${Table} id="figures" isPlain caption="Figures for administrators" columns=${FIGURES}
      rows=${data.figures ?? []} keyOf=${(row) => row.name} sort="title:asc" empty="No figure is defined."
      expand=${(row) => html`<${Rows} row=${row} />`} />
    ${
      data.slowest?.length > 0 &&
      html`<${Table} id="slowest" isPlain caption="Slowest statements of the admin pool"
      columns=${SLOWEST} rows=${data.slowest} keyOf=${(row) => row.statement} sort="total_ms:desc" />`
    }
    <${Missing} items=${data.missing} />`;
}

/** @param {{row: any}} props */
function Rows({ row }) {
  if (row.error) return html`<p>${row.error}</p>`;
  if (!row.rows?.length) return html`<p class="muted">No rows.</p>`;
  return html`${row.unit && html`<p class="muted">in ${row.unit}</p>`}
    <${Details} rows=${row.rows} first=${row.labels} columnsMax=${COLUMNS_MAX} />
    ${row.is_cut && html`<p class="muted">There are more rows than are shown.</p>`}`;
}
