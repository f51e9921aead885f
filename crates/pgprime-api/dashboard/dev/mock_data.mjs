// What the mock answers: fixtures with their times moved to now, and curves that are the same for the same time.
import { readdirSync, readFileSync } from 'node:fs';

const FOLDER = new URL('./fixtures/', import.meta.url);
/** The moment at which the fixtures were taken. */
const TAKEN = Date.parse('2026-11-23T14:16:31Z');

export const fixtures = Object.fromEntries(
  readdirSync(FOLDER).map((name) => [
    name.replace('.json', ''),
    JSON.parse(readFileSync(new URL(name, FOLDER), 'utf8')),
  ]),
);

/** Everything well and nothing there. */
export const emptied = {
  ...fixtures,
  health: {
    ...fixtures.health,
    status: 'ok',
    missing: [],
    checks: fixtures.health.checks.map((check) => ({ ...check, status: 'ok', trend: null })),
  },
  'slow-queries': {
    ...fixtures['slow-queries'],
    statements: [],
    slow_count: 0,
    all: { statements: 0, calls: 0, exec_ms: 0 },
    missing: [],
    hidden: null,
  },
  indexes: {
    advice: { ...fixtures.indexes.advice, suggestions: [], hints: [] },
    review: { ...fixtures.indexes.review, findings: [], missing: [] },
    missing: [],
    notes: [],
  },
  bloat: { ...fixtures.bloat, findings: [], tables: [], indexes: [], sequences: [] },
  replication: { in_recovery: false, replicas: [], slots: [], receiver: null, replay_delay_s: null, missing: [] },
  connections: { pooler: null, clients_total: 0, clients: [], servers_total: 0, servers: [], sessions: [], blocking: [], missing: [] },
  views: { views: [], history: [], missing: [] },
  cache: { enabled: false },
  alerts: { firing: [], pending: [], history: [], rules: fixtures.alerts.rules, channels: [] },
  'pool-stats': { ...fixtures['pool-stats'], pooler: null, rates: null, rates_of: null },
};

const BUILT_IN = fixtures.connections.pooler;
const BOUNCER = { kind: 'pgbouncer', is_built_in: false, name: 'PgBouncer 1.18.0', address: '10.0.1.7:6432' };

/** The same where a PgBouncer is watched over its console. @param {string} path @param {any} content */
export function overConsole(path, content) {
  if (path === 'monitoring/connections') return { ...content, pooler: BOUNCER };
  if (path === 'session') return { ...content, features: { ...content.features, pooler: false, pgbouncer: true } };
  if (path !== 'monitoring/pool-stats') return content;
  const pgbouncer = { ...content.pooler, kind: 'pgbouncer', version: BOUNCER.name };
  const rates = { ...content.rates, p50_ms: null, p95_ms: null, p99_ms: null };
  return { ...content, pooler: null, pgbouncer, rates, rates_of: BOUNCER };
}

/** Rounds have stopped: what was known is old. */
const STALE = {
  age_s: 184.2,
  reason:
    "the last round of checks ended 184 s ago: watching has stopped or hangs, and what is shown is from then; pgprime's log says why",
};
export const healthUnwatched = { ...fixtures.health, status: 'unknown', stale: STALE };

/** The database is gone: one check says so, and the others cannot. */
export const healthDown = {
  ...fixtures.health,
  status: 'critical',
  server_version: null,
  in_recovery: null,
  missing: [],
  checks: fixtures.health.checks.map((check) =>
    check.id === 'database.up'
      ? {
          ...check,
          status: 'critical',
          value: null,
          text: 'Connection refused at 10.0.1.5:5432, for 2 min.',
          action: 'See whether PostgreSQL runs there, and what its log says.',
          statement: 'systemctl status postgresql',
        }
      : {
          ...check,
          status: 'unknown',
          value: null,
          text: 'The database does not answer.',
          trend: null,
          action: null,
          statement: null,
          details: [],
        },
  ),
};

/** Moves every time by the age of the fixtures. */
export function recentTimes(content) {
  const moved = Date.now() - TAKEN;
  return JSON.parse(JSON.stringify(content), (_, value) =>
    typeof value === 'string' && /^20\d\d-\d\d-\d\dT[\d:.]+Z$/.test(value)
      ? new Date(Date.parse(value) + moved).toISOString()
      : value,
  );
}

/** A number from 0 to 1 that looks like chance and is not. */
function noise(seed) {
  const value = Math.sin(seed * 12.9898) * 43_758.5453;
  return value - Math.floor(value);
}

/** A working day with its peaks, and a trouble twenty minutes ago. @param {number} at seconds */
function load(at) {
  const day = 0.65 + 0.3 * Math.sin(((at % 86_400) / 86_400) * 2 * Math.PI - 1.2);
  const wave = 0.06 * Math.sin(at / 400) + 0.04 * Math.sin(at / 97);
  return day + wave + 0.05 * noise(Math.floor(at / 10));
}

function trouble(at) {
  const minutesAgo = (Date.now() / 1000 - at) / 60;
  return Math.max(0, 1 - Math.abs(minutesAgo - 4) / 6);
}

/** How each series moves. The units are those of the real ones. */
const CURVES = {
  'pooler.transactions_per_s': ['per_second', (at) => 900 * load(at) * (1 - 0.25 * trouble(at))],
  'pooler.queries_per_s': ['per_second', (at) => 2450 * load(at) * (1 - 0.25 * trouble(at))],
  'pooler.p50_ms': ['milliseconds', (at) => 0.42 + 0.1 * load(at)],
  'pooler.p95_ms': ['milliseconds', (at) => 1.6 + 1.2 * load(at) + 4 * trouble(at) + 0.3 * noise(at)],
  'pooler.p99_ms': ['milliseconds', (at) => 4.1 + 3 * load(at) + 14 * trouble(at) + 1.2 * noise(at + 3)],
  'pooler.query_ms_mean': ['milliseconds', (at) => 0.5 + 0.2 * load(at) + 0.4 * trouble(at)],
  'pooler.servers_active': ['count', (at) => Math.min(32, Math.round(14 * load(at) + 22 * trouble(at)))],
  'pooler.servers_idle': ['count', (at) => Math.max(0, 32 - Math.round(14 * load(at) + 22 * trouble(at)))],
  'pooler.clients_waiting': ['count', (at) => Math.round(Math.max(0, 11 * trouble(at) - 2) * (0.6 + 0.6 * noise(at)))],
  'connections.used': ['percent', (at) => 30 + 9 * load(at) + 12 * trouble(at)],
  'replication.lag_s': ['seconds', (at) => 0.3 + 0.4 * noise(at) + 70 * trouble(at)],
};

/** What PgBouncer does looks the same; it tells no percentiles. @param {string} name */
function curveOf(name) {
  return /^pgbouncer\.p\d+_ms$/.test(name) ? undefined : CURVES[name.replace(/^pgbouncer\./, 'pooler.')];
}

/** @param {URLSearchParams} params @param {boolean} isEmpty */
export function historySeries(params, isEmpty) {
  const [from, to] = [Date.parse(params.get('from')) / 1000, Date.parse(params.get('to')) / 1000];
  const points = Math.min(Number(params.get('points') ?? 300), 1000);
  const step = Math.max(10, Math.ceil((to - from) / points / 10) * 10);
  const series = (params.get('series') ?? '')
    .split(',')
    .filter(curveOf)
    .map((name) => {
      const [unit, curve] = curveOf(name);
      const values = [];
      for (let at = Math.ceil(from / step) * step; at <= to && !isEmpty; at += step) {
        // A gap, as after a restart.
        const isGap = at % 7200 > 7000 && step < 120;
        values.push([at, isGap ? null : Math.round(curve(at) * 100) / 100]);
      }
      return {
        name,
        title: name,
        unit,
        kind: 'gauge',
        bucket_s: step,
        buckets: values.map(([at, mean]) => ({ at, mean, max: mean })),
      };
    });
  return { series };
}

/** @param {number} atMs @param {string} mode */
export function livePoint(atMs, mode) {
  const at = atMs / 1000;
  const value = (name) => Math.round(CURVES[name][1](at) * 100) / 100;
  const status = mode === 'empty' ? 'ok' : 'critical';
  if (mode === 'down') return { at: new Date(atMs).toISOString(), pooler: null, server: null, status: 'critical' };
  const waiting = value('pooler.clients_waiting');
  if (mode === 'unwatched')
    return { at: new Date(atMs).toISOString(), pooler: null, server: null, status: 'unknown', stale: STALE };
  return {
    at: new Date(atMs).toISOString(),
    status,
    server: { used: 41, max_connections: 100, active: 9 },
    pooler: {
      ...(mode === 'console' ? BOUNCER : BUILT_IN),
      clients_active: 400 + Math.round(30 * noise(Math.floor(at / 2))),
      clients_waiting: waiting,
      servers_active: value('pooler.servers_active'),
      servers_idle: value('pooler.servers_idle'),
      transactions_per_s: value('pooler.transactions_per_s') * (0.97 + 0.06 * noise(at)),
      queries_per_s: value('pooler.queries_per_s'),
      wait_ms_mean: 0.2 + waiting * 0.3,
      query_ms_mean: value('pooler.query_ms_mean'),
      transaction_ms_mean: value('pooler.query_ms_mean') * 2.7,
      p50_ms: mode === 'console' ? null : value('pooler.p50_ms'),
      p95_ms: mode === 'console' ? null : value('pooler.p95_ms'),
      p99_ms: mode === 'console' ? null : value('pooler.p99_ms'),
    },
  };
}

const ORDERS = { total: 'exec_ms_total', mean: 'exec_ms_mean', calls: 'calls', max: 'exec_ms_max', rows: 'rows' };

/** As the server: with a threshold slow ones only, if there are any. @param {any} content @param {URLSearchParams} params */
export function slowQueries(content, params) {
  const threshold = Number(params.get('threshold_ms') ?? 1000);
  const order = params.get('order') ?? 'total';
  const marked = content.statements.map((row) => ({ ...row, is_slow: row.exec_ms_mean >= threshold }));
  const slow = marked.filter((row) => row.is_slow);
  const key = ORDERS[order] ?? 'exec_ms_total';
  const told = (slow.length > 0 ? slow : marked).sort((a, b) => (b[key] ?? 0) - (a[key] ?? 0));
  const span = timesOf(params);
  return {
    ...content,
    ...span,
    order,
    threshold_ms: threshold,
    slow_count: slow.length,
    statements: told.slice(0, Number(params.get('limit') ?? 20)),
  };
}

/** Times as if all was recorded; those of the fixtures are moved later, so that these are moved back. @param {URLSearchParams} params */
function timesOf(params) {
  const moment = (text) => new Date(Date.parse(text) - (Date.now() - TAKEN)).toISOString();
  return params.get('until')
    ? { basis: 'history', start: moment(params.get('since')), end: moment(params.get('until')) }
    : {};
}

/** @param {string} id @param {URLSearchParams} params @param {boolean} isEmpty */
export function statementDetail(id, params, isEmpty) {
  const statement = fixtures['slow-queries'].statements.find(({ query_id: own }) => own === id);
  if (!statement) return null;
  const series = [];
  for (let back = 90; back >= 0 && !isEmpty; back -= 1) {
    const at = TAKEN / 1000 - back * 40;
    const mean = statement.exec_ms_mean * (0.8 + 0.3 * noise(back) + (back < 20 ? 0.5 : 0));
    const calls = Math.round((statement.calls / 90) * (0.7 + 0.6 * noise(back + 7)) + 1);
    series.push({
      at: new Date(at * 1000).toISOString(),
      calls,
      exec_ms_total: mean * calls,
      exec_ms_mean: mean,
      rows: Math.round(calls * statement.rows_per_call),
    });
  }
  const { basis, start, end } = fixtures['slow-queries'];
  const span = { basis, start, end, ...timesOf(params) };
  return { statement, ...span, series, pooler: null, notes: [], missing: [] };
}
