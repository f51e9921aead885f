// @ts-check
// Which series of the history the pages ask for. The only place that knows their names.

/** @typedef {{title: string, series: {name: string, title: string, look?: number, isFilled?: boolean}[]}} ChartOf */

/** @type {ChartOf[]} */
export const OVERVIEW_CHARTS = [
  {
    title: 'Throughput',
    series: [
      { name: 'pooler.transactions_per_s', title: 'transactions', isFilled: true },
      { name: 'pooler.queries_per_s', title: 'queries' },
    ],
  },
  {
    title: 'Latency',
    series: [
      { name: 'pooler.p50_ms', title: 'p50' },
      { name: 'pooler.p95_ms', title: 'p95' },
      { name: 'pooler.p99_ms', title: 'p99', look: 4 },
      { name: 'pooler.query_ms_mean', title: 'mean', look: 5 },
    ],
  },
  {
    title: 'Server connections of the pooler',
    series: [
      { name: 'pooler.servers_active', title: 'active', isFilled: true },
      { name: 'pooler.servers_idle', title: 'idle', look: 5 },
    ],
  },
  { title: 'Clients waiting', series: [{ name: 'pooler.clients_waiting', title: 'waiting', look: 3, isFilled: true }] },
];

/** @type {ChartOf} */
export const CONNECTIONS_CHART = {
  title: 'Connections in use',
  series: [{ name: 'connections.used', title: 'used', isFilled: true }],
};
/** @type {ChartOf} */
export const REPLICATION_CHART = {
  title: 'Replication lag',
  series: [{ name: 'replication.lag_s', title: 'lag', isFilled: true }],
};

/**
 * The same of PgBouncer, where it is the pooler that is watched.
 * @param {ChartOf[]} charts @param {'pooler' | 'pgbouncer'} prefix @returns {ChartOf[]}
 */
export function ofPooler(charts, prefix) {
  return charts.map(({ title, series }) => ({
    title,
    series: series.map((line) => ({ ...line, name: line.name.replace(/^pooler\./, `${prefix}.`) })),
  }));
}

/** @param {ChartOf[]} charts */
export function seriesNames(charts) {
  return charts.flatMap(({ series }) => series.map(({ name }) => name)).join(',');
}

/**
 * The points of a series: seconds and values; of buckets the mean, and nothing where nothing was recorded.
 * @param {any} series
 * @returns {[number, number | null][]}
 */
export function pointsOf(series) {
  return series?.points ?? series?.buckets?.map((/** @type {any} */ bucket) => [bucket.at, bucket.mean]) ?? [];
}
