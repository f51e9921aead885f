// @ts-check
// What the admin pool was asked: the figures for administrators as kept, and its slowest statements.
import { coarse, ms, number } from '../lib/format.js';
import { Details } from '../parts/banner.js';
import { figure, plain } from '../parts/columns.js';
import { useData } from '../parts/data.js';
import { html } from '../parts/html.js';
import { Status } from '../parts/icons.js';
import { Loaded, Missing, Section } from '../parts/states.js';
import { SqlCell, Table } from '../parts/table.js';

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

const FIGURES = [
  plain('title', 'Figure', { isWide: true }),
  {
    key: 'source',
    title: 'From',
    value: (row) => row.source,
    cell: (row) =>
      row.error ? html`<${Status} status="critical" word="Failed" />` : String(row.source ?? '–').replaceAll('_', ' '),
  },
  figure('age_s', 'Age', (value) => (typeof value === 'number' ? coarse(value) : '–')),
  figure('took_ms', 'Took', ms),
  { key: 'rows', title: 'Rows', isNumeric: true, value: (row) => row.rows?.length ?? 0 },
];

/** @param {{data: any}} props */
function Report({ data }) {
  return html`<${Table} id="figures" isPlain caption="Figures for administrators" columns=${FIGURES}
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
  return row.rows?.length ? html`<${Details} rows=${row.rows} />` : html`<p class="muted">No rows.</p>`;
}
