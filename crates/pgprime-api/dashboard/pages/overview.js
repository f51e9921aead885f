// @ts-check
// Overview: what is wrong and what to do first; then how it goes right now, and how it went.
import { ago, ms, number, perSecond, share } from '../lib/format.js';
import { timesOf } from '../lib/route.js';
import { OVERVIEW_CHARTS } from '../lib/series.js';
import { AllChecks, HealthBanners } from '../parts/banner.js';
import { Spark } from '../parts/chart.js';
import { Statement } from '../parts/copy.js';
import { query, useData } from '../parts/data.js';
import { HistoryCharts, useRange } from '../parts/history.js';
import { html } from '../parts/html.js';
import { Status } from '../parts/icons.js';
import { health, healthError, live, liveState, loadHealth, session } from '../parts/live.js';
import { href } from '../parts/router.js';
import { PageHead } from '../parts/shell.js';
import { Bar, Empty, Failure, Loaded, Missing, Section, Skeleton } from '../parts/states.js';
import { SqlCell, Table } from '../parts/table.js';
import { countByStatus, staleReason } from '../lib/health.js';
import { figure } from '../parts/columns.js';

/** Two minutes of live figures are enough to see a move; the charts below show the rest. */
const SPARK_POINTS = 60;

export function Overview() {
  const head = html`<${PageHead} title="Overview" sub=${html`<${Subtitle} />`} />
    <${Health} />`;
  // Nothing was ever seen: one message says it, and five would not say it better.
  if (!health.value && healthError.value) return head;
  return html`${head}
    <${LiveCards} />
    <${Section} title="History" sub="Drag over a chart to look closer"><${HistoryCharts} charts=${OVERVIEW_CHARTS}
      group="overview" /><//>
    <div class="columns"><${Slowest} /><${Pools} /></div>
    <${Checks} />`;
}

function Subtitle() {
  const report = health.value;
  const known = session.value;
  if (!report) return known?.database ?? '';
  const role = report.in_recovery === null ? 'does not answer' : report.in_recovery ? 'replica' : 'primary';
  const version = report.server_version ? `PostgreSQL ${report.server_version.split(' ')[0]}` : 'PostgreSQL';
  return `${known ? `${known.database} · ` : ''}${version} · ${role} · looked at ${ago(report.taken_at)} in ${ms(report.took_ms)}`;
}

function Health() {
  if (health.value) {
    return html`${healthError.value && html`<${Failure} error=${healthError.value} retry=${loadHealth} />`}
      <${HealthBanners} report=${health.value} stale=${staleReason(health.value, live.value.at(-1))} /><${Missing} items=${health.value.missing} />`;
  }
  return healthError.value
    ? html`<${Failure} error=${healthError.value} retry=${loadHealth} />`
    : html`<${Skeleton} rows=${3} />`;
}

/** @param {(point: any) => number | null | undefined} value */
function recent(value) {
  return live.value.slice(-SPARK_POINTS).map((point) => value(point) ?? null);
}

function LiveCards() {
  const now = live.value.at(-1);
  if (!now && liveState.value !== 'lost') return html`<${Skeleton} rows=${2} />`;
  const { pooler, server } = now ?? {};
  if (!pooler && !server)
    return html`<${Empty} title="No live figures"
      icon="unknown">Neither the database nor a pooler answers right now.<//>`;
  return html`${
    pooler &&
    !pooler.is_built_in &&
    html`<p class="muted">The pooler is ${pooler.name}${pooler.address && ` at ${pooler.address}`}, watched over its console.</p>`
  }<div class="cards" role="group" aria-label="Live">
    ${
      pooler &&
      html`<${Throughput} pooler=${pooler} /><${Latency} pooler=${pooler} /><${PoolUse} pooler=${pooler} />
      <${Waits} pooler=${pooler} />`
    }
    ${!pooler && html`<${ServerUse} server=${server} />`}
  </div>`;
}

/** @param {{title: string, children: any}} props */
function Card({ title, children }) {
  return html`<section class="card" aria-label=${title}><h2>${title}</h2>${children}</section>`;
}

/** @param {{pooler: any}} props */
function Throughput({ pooler }) {
  return html`<${Card} title="Throughput"><p class="big">${perSecond(pooler.transactions_per_s)}</p>
    <p class="card-sub">transactions · ${perSecond(pooler.queries_per_s)} queries</p>
    <${Spark} values=${recent((point) => point.pooler?.transactions_per_s)} /><//>`;
}

/** @param {{pooler: any}} props */
function Latency({ pooler }) {
  // A console counts times and not how they are spread.
  if (!pooler.is_built_in)
    return html`<${Card} title="Latency"><p class="big">${ms(pooler.query_ms_mean)}<span class="big-unit">mean</span></p>
    <p class="card-sub">a query · transactions ${ms(pooler.transaction_ms_mean)}</p>
    <${Spark} values=${recent((point) => point.pooler?.query_ms_mean)} look=${2} /><//>`;
  return html`<${Card} title="Latency"><p class="big">${ms(pooler.p95_ms)}<span class="big-unit">p95</span></p>
    <p class="card-sub">p50 ${ms(pooler.p50_ms)} · p99 ${ms(pooler.p99_ms)}</p>
    <${Spark} values=${recent((point) => point.pooler?.p95_ms)} look=${2} /><//>`;
}

/** @param {{pooler: any}} props */
function PoolUse({ pooler }) {
  const servers = pooler.servers_active + pooler.servers_idle;
  const used = servers > 0 ? pooler.servers_active / servers : 0;
  return html`<${Card} title="Pool use"><p class="big">${number(pooler.servers_active)}<span
    class="big-unit">of ${number(servers)} servers</span></p>
    <p class="card-sub">busy for ${number(pooler.clients_active)} clients · ${share(used)}</p>
    <${Spark} values=${recent((point) => point.pooler?.servers_active)} look=${5} /><//>`;
}

/** @param {{pooler: any}} props */
function Waits({ pooler }) {
  const look = pooler.clients_waiting > 0 ? 3 : 6;
  return html`<${Card} title="Waits"><p class="big">${number(pooler.clients_waiting)}<span class="big-unit">
    ${pooler.clients_waiting === 1 ? 'client waits' : 'clients wait'}</span></p>
    <p class="card-sub">${ms(pooler.wait_ms_mean)} in the mean</p>
    <${Spark} values=${recent((point) => point.pooler?.clients_waiting)} look=${look} /><//>`;
}

/** @param {{server: any}} props */
function ServerUse({ server }) {
  return html`<${Card} title="Server connections"><p class="big">${number(server.used)}<span
    class="big-unit">of ${number(server.max_connections - (server.reserved ?? 0))}</span></p>
    <p class="card-sub">${number(server.active)} active · ${number(server.reserved ?? 0)} more reserved</p>
    <${Spark} values=${recent((point) => point.server?.used)} look=${5} /><//>`;
}

function Slowest() {
  const result = useData(
    `monitoring/slow-queries${query({ threshold_ms: 0, limit: 6, order: 'total', ...timesOf(useRange()) })}`,
    { everyMs: 60_000 },
  );
  return html`<${Section} title="Most time" actions=${html`<a href=${href('queries')}>All queries</a>`}>
    <${Loaded} of=${result} rows=${5}>${(
      data,
    ) => html`<${Table} id="most" isPlain caption="Statements that take most time" rows=${data.statements}
      keyOf=${(row) => [row.query_id, row.role, row.database, row.toplevel].join()} sort="exec_share:desc"
        empty="No statement was executed." columns=${[
          {
            key: 'text',
            title: 'Statement',
            isWide: true,
            value: textOf,
            cell: (row) =>
              html`<${SqlCell} sql=${row.text} charactersMax=${52} link=${href('queries', { item: row.query_id })} />`,
          },
          {
            key: 'exec_share',
            title: 'Share',
            isNumeric: true,
            value: (row) => row.exec_share,
            cell: (row) => html`<${Bar} share=${row.exec_share} text=${share(row.exec_share)} />`,
          },
          figure('exec_ms_mean', 'Mean', ms),
        ]} />`}<//><//>`;
}

/** @param {any} row */
function textOf(row) {
  return row.text;
}

function Pools() {
  const result = useData('monitoring/pool-stats', { everyMs: 10_000 });
  return html`<${Section} title="Pools" actions=${html`<a href=${href('connections')}>Connections</a>`}>
    <${Loaded} of=${result} rows=${4}>
      ${(data) => html`<${PoolTable} pools=${poolsOf(data)} /><${PoolFindings} findings=${data.findings} /><${Missing} items=${data.missing} />`}<//><//>`;
}

/** What is wrong with pools, and what to change. @param {{findings: any[] | undefined}} props */
function PoolFindings({ findings }) {
  if (!findings?.length) return null;
  return html`<ul class="findings">${findings.map(
    (finding) => html`<li class=${`finding is-${finding.severity}`}>
    <p><${Status} status=${finding.severity} /> ${finding.text}</p><p>${finding.action}</p>
    ${finding.statement && html`<${Statement} text=${finding.statement} kind="setting" />`}</li>`,
  )}</ul>`;
}

/** @param {any} data */
function poolsOf(data) {
  const poolers = [data.pooler, data.pgbouncer].filter(Boolean).flatMap((report) =>
    report.pools.map((pool) => ({
      ...pool,
      kind: `${report.kind}, ${pool.mode}`,
      name: `${pool.user}@${pool.database}`,
    })),
  );
  return [...poolers, ...ownPools(data.application)];
}

/** The pools of this process, in the words of the poolers' table: who holds a connection is a client with a server. @param {any} application */
function ownPools(application) {
  return ['main', 'read', 'admin'].flatMap((name) => {
    const pool = application?.[name]?.pool;
    if (!pool) return [];
    return [
      {
        name,
        kind: 'own pool',
        servers_active: pool.busy,
        size_max: pool.size_max,
        clients_active: pool.busy,
        clients_waiting: pool.waiting,
      },
    ];
  });
}

/** @param {{pools: any[]}} props */
function PoolTable({ pools }) {
  const busy = (pool) => (pool.size_max ? pool.servers_active / pool.size_max : 0);
  return html`<${Table} id="pools" isPlain caption="Pools" rows=${pools}
    keyOf=${(row) => `${row.kind}/${row.name}`} sort="busy:desc"
    empty="No pooler is watched: give [pgbouncer] url, or start the built-in one." columns=${[
      {
        key: 'pool',
        title: 'Pool',
        isWide: true,
        value: (row) => row.name,
        cell: (row) =>
          html`${row.name} <span class="muted">${row.kind}</span>
            ${row.paused && html` <${Status} status="warning" word="Paused" />`}`,
      },
      {
        key: 'busy',
        title: 'Servers busy',
        isNumeric: true,
        value: busy,
        cell: (row) =>
          html`<${Bar} share=${busy(row)} look=${busy(row) >= 1 ? 'critical' : busy(row) >= 0.8 ? 'warning' : 'accent'}
            text=${`${row.servers_active} of ${row.size_max ?? '?'}`} />`,
      },
      {
        key: 'clients',
        title: 'Clients',
        isNumeric: true,
        value: (row) => row.clients_active,
        cell: (row) => number(row.clients_active),
      },
      {
        key: 'waiting',
        title: 'Waiting',
        isNumeric: true,
        value: (row) => row.clients_waiting,
        cell: (row) => number(row.clients_waiting),
      },
    ]} />`;
}

function Checks() {
  const report = health.value;
  if (!report) return null;
  const { ok } = countByStatus(report.checks);
  return html`<${Section} title="All checks" sub=${`${ok} of ${report.checks.length} well`}><${AllChecks}
    report=${report} /><//>`;
}
