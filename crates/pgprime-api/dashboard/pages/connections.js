// @ts-check
// Connections: who is connected, what they do, and who waits for whom.
import { counted, number, seconds, words } from '../lib/format.js';
import { CONNECTIONS_CHART } from '../lib/series.js';
import { plain } from '../parts/columns.js';
import { useData } from '../parts/data.js';
import { HistoryCharts } from '../parts/history.js';
import { html, useState } from '../parts/html.js';
import { Icon } from '../parts/icons.js';
import { route, setParams } from '../parts/router.js';
import { PageHead } from '../parts/shell.js';
import { Bar, Empty, Figures, Loaded, Missing, Section, Tabs } from '../parts/states.js';
import { SqlCell, Table } from '../parts/table.js';
import { Outcome, SessionActions, signalled } from './signals.js';

/** @typedef {any} Row */

export function Connections() {
  const result = useData('monitoring/connections', { everyMs: 5_000 });
  const pools = useData('monitoring/pool-stats', { everyMs: 10_000 });
  return html`<${PageHead} title="Connections" sub="Who is connected, what they do, and who waits for whom" />
    <${ServerUse} stats=${pools.data} />
    <${Loaded} of=${result} rows=${10}>${(data) => html`<${Report} data=${data} reload=${result.reload} />`}<//>
    <${Section} title="History"><${HistoryCharts} charts=${[CONNECTIONS_CHART]} /><//>`;
}

/** What is worth a figure, where it is not zero. */
const STATES = ['active', 'idle', 'idle_in_transaction', 'lock_waiting', 'autovacuum_workers', 'hidden'];

/** @param {{stats: any}} props */
function ServerUse({ stats }) {
  const server = stats?.server;
  if (!server) return null;
  const limit = server.max_connections - (server.reserved ?? 0);
  const states = STATES.map((state) => [state, server.by_state?.[state]]).filter(([, count]) => count > 0);
  return html`<${Figures} items=${[
    {
      title: 'Server connections',
      value: html`<${Bar} share=${server.used / limit} text=${`${number(server.used)} of ${number(limit)}`}
        look=${server.used / limit >= 0.9 ? 'critical' : server.used / limit >= 0.8 ? 'warning' : 'accent'} />`,
      sub: `${number(server.reserved ?? 0)} reserved`,
    },
    ...states.map(([state, count]) => ({ title: words(state), value: number(count) })),
  ]} />`;
}

/** @param {{data: any, reload: () => void}} props */
function Report({ data, reload }) {
  const [said, setSaid] = useState(/** @type {any} */ (null));
  const onSignal = async (row, signal) => {
    const outcome = await signalled(row, signal);
    if (!outcome) return;
    setSaid(outcome);
    reload();
  };
  const tabs = [
    { key: 'sessions', title: 'Sessions', count: data.sessions.length },
    { key: 'blocking', title: 'Blocking', count: data.blocking.length },
    { key: 'clients', title: 'Clients', count: data.clients_total ?? data.clients.length },
    { key: 'servers', title: 'Servers', count: data.servers_total ?? data.servers.length },
  ];
  const current = tabs.some(({ key }) => key === route.value.params.tab) ? route.value.params.tab : 'sessions';
  return html`<${Outcome} said=${said} onClose=${() => setSaid(null)} />
    ${
      data.blocking.length > 0 &&
      current !== 'blocking' &&
      html`<div class="notice is-warning"><${Icon} name="warning" /><div class="notice-body">
        ${counted(data.blocking.length, 'session blocks', 'sessions block')} others.</div>
      <button type="button" class="button is-small" onClick=${() => setParams({ tab: 'blocking' })}>Show</button></div>`
    }
    <${Tabs} name="Connections" tabs=${tabs} current=${current}
      onChoose=${(tab) => setParams({ tab, sort: null, filter: null, row: null })} />
    ${current === 'sessions' && html`<${Sessions} rows=${data.sessions} onSignal=${onSignal} />`}
    ${current === 'blocking' && html`<${Blocking} roots=${data.blocking} onSignal=${onSignal} />`}
    ${current === 'clients' && html`<${Clients} data=${data} rows=${data.clients} total=${data.clients_total} />`}
    ${current === 'servers' && html`<${Clients} data=${data} rows=${data.servers} total=${data.servers_total} isServer />`}
    <${Missing} items=${data.missing} />`;
}

/** @param {Row} row */
function stateCell(row) {
  const look = row.blocked_by?.length
    ? 'is-warning'
    : row.state?.startsWith('idle_in') || row.state?.startsWith('idle in')
      ? 'is-warning'
      : row.state === 'active'
        ? 'is-ok'
        : '';
  return html`<span class="two-lines"><span><span class=${`badge ${look}`}>${words(row.state)}</span></span>
    ${row.wait_event && html`<span class="muted">${row.wait_event}</span>`}</span>`;
}

/** @param {string} key @param {string} title */
function duration(key, title) {
  return { key, title, isNumeric: true, value: (row) => row[key], cell: (row) => seconds(row[key]) };
}

/** Who it is, in two lines. @param {Row} row @param {string} address */
function clientCell(row, address) {
  return html`<span class="two-lines"><span>
    ${row.user}${row.application && html` <span class="muted">${row.application}</span>`}</span><span class="muted">
    ${address ?? 'local'}</span></span>`;
}

/** Every figure by itself, for other programs. */
const SESSION_FIGURES = [
  'pid',
  'user',
  'database',
  'application',
  'client_address',
  'state',
  'wait_event',
  'transaction_s',
  'query_s',
  'blocked_by',
  'query',
].map((key) => (key === 'query_s' ? plain(key, key, { value: runningSeconds }) : plain(key, key)));

/**
 * Where to look first: who holds others up, who waits, who works, who holds a transaction open, and the rest.
 * @param {Row} row @param {Set<number>} blockers
 */
function urgency(row, blockers) {
  if (blockers.has(row.pid)) return 0;
  if (row.blocked_by?.length) return 1;
  if (row.state === 'active') return 2;
  return /^idle.in/.test(row.state ?? '') ? 3 : 4;
}

/** A query that is over has no running time. @param {Row} row */
function runningSeconds(row) {
  return row.state === 'active' || row.state === 'fastpath function call' ? row.query_s : null;
}

/** @param {{rows: Row[], onSignal: (row: Row, signal: any) => void}} props */
function Sessions({ rows: all, onSignal }) {
  const blockers = new Set(all.flatMap((row) => row.blocked_by ?? []));
  const rows = all
    .filter((row) => !row.is_own)
    .sort((a, b) => (b.transaction_s ?? -1) - (a.transaction_s ?? -1));
  const own = all.length - rows.length;
  const columns = [
    { key: 'pid', title: 'Pid', isNumeric: true, value: (row) => row.pid },
    {
      key: 'state',
      title: 'State',
      value: (row) => `${row.state} ${row.wait_event ?? ''}`,
      order: (row) => urgency(row, blockers),
      cell: stateCell,
    },
    duration('transaction_s', 'Transaction'),
    {
      ...duration('query_s', 'Query'),
      hint: 'How long it has been running',
      value: runningSeconds,
      cell: (row) => seconds(runningSeconds(row)),
    },
    {
      key: 'blocked_by',
      title: 'Waits for',
      isNumeric: true,
      value: (row) => row.blocked_by?.join(', '),
      cell: (row) => (row.blocked_by?.length ? row.blocked_by.join(', ') : html`<span class="muted">–</span>`),
    },
    {
      key: 'client',
      title: 'Client',
      value: (row) => `${row.user} ${row.application} ${row.client_address ?? ''}`,
      cell: (row) => clientCell(row, row.client_address),
    },
    {
      key: 'query',
      title: 'Statement',
      isWide: true,
      value: (row) => row.query,
      cell: (row) => html`<${SqlCell} sql=${row.query} charactersMax=${70} />`,
    },
    {
      key: 'action',
      title: 'Action',
      value: () => '',
      cell: (row) => html`<${SessionActions} row=${row} isBlocking=${blockers.has(row.pid)} onSignal=${onSignal} />`,
    },
  ];
  return html`<${Table} caption="Sessions" columns=${columns} exported=${SESSION_FIGURES} rows=${rows}
    keyOf=${(row) => String(row.pid)} sort="state:asc" empty="No session but pgprime's own." />
  ${
    own > 0 &&
    html`<p class="muted">${counted(own, "session of pgprime's own is", "sessions of pgprime's own are")} not shown.</p>`
  }`;
}

/** @param {{roots: Row[], onSignal: (row: Row, signal: any) => void}} props */
function Blocking({ roots, onSignal }) {
  if (roots.length === 0)
    return html`<div class="empty"><${Icon} name="ok" /><p class="empty-title">Nobody waits for anybody</p></div>`;
  return html`<ul class="blocking">
    ${roots.map((root) => html`<${Blocker} key=${root.pid} node=${root} onSignal=${onSignal} isRoot />`)}</ul>`;
}

/** @param {{node: Row, onSignal: (row: Row, signal: any) => void, isRoot?: boolean}} props */
function Blocker({ node, onSignal, isRoot }) {
  const blocked = countBlocked(node);
  return html`<li><div class=${`blocker ${isRoot ? 'is-root' : ''}`}>
      <p class="blocker-head"><strong>${node.pid}</strong>
        ${node.user && html`<span>${node.user} <span class="muted">${node.application ?? ''}</span></span>`}
        ${
          isRoot
            ? html`<span
        class="badge is-warning">blocks ${counted(blocked, 'session')}</span>
        ${node.state && html` <span class="muted">${words(node.state)}${node.transaction_s > 0 ? ` for ${seconds(node.transaction_s)}` : ''}</span>`}`
            : html`<span
        class="muted">waits ${seconds(node.waits_s)}${node.lock ? ` for ${node.lock}` : ''}</span>`
        }
        <${SessionActions} row=${node} isBlocking onSignal=${onSignal} /></p>
      <${SqlCell} sql=${node.query} charactersMax=${110} /></div>
    ${
      node.blocks?.length > 0 &&
      html`<ul>
      ${node.blocks.map(
        (child) => html`<${Blocker} key=${child.pid} node=${child}
      onSignal=${onSignal} />`,
      )}</ul>`
    }</li>`;
}

/** @param {Row} node @returns {number} */
function countBlocked(node) {
  return (node.blocks ?? []).reduce((total, child) => total + 1 + countBlocked(child), 0);
}

/** Which pooler it is, in words. @param {any} pooler */
function poolerName(pooler) {
  const where = pooler.is_built_in ? 'in this process' : pooler.address ? `at ${pooler.address}` : 'watched over its console';
  return `${pooler.name}, ${where}`;
}

/** @param {{data: any, rows: Row[], total?: number, isServer?: boolean}} props */
function Clients({ data, rows, total = rows.length, isServer = false }) {
  if (!data.pooler)
    return html`<${Empty} title="No pooler is watched" icon="unknown">Start the built-in one, or give
      [pgbouncer] url: the console of PgBouncer, or of a pgprime elsewhere.<//>`;
  const columns = [
    plain('user', 'User'),
    plain('database', 'Database'),
    plain('application', 'Application'),
    plain('address', 'Address'),
    { key: 'state', title: 'State', value: (row) => row.state, cell: stateCell },
    duration('connected_s', 'Connected'),
    duration('request_s', 'Request for'),
    ...(isServer ? [] : [duration('wait_s', 'Waits')]),
    plain('link', isServer ? 'Client' : 'Server'),
  ];
  return html`<p class="muted">${isServer ? 'Servers' : 'Clients'} of ${poolerName(data.pooler)}.
      ${total > rows.length && ` The first ${number(rows.length)} of ${number(total)}.`}</p>
    <${Table} caption=${isServer ? 'Servers' : 'Clients'} columns=${columns} rows=${rows}
      keyOf=${(row) => String(row.id)} sort=${isServer ? 'state:asc' : 'wait_s:desc'}
      empty=${nobody(data, isServer)} />`;
}

/** @param {any} data @param {boolean} isServer */
function nobody(data, isServer) {
  if (data.missing.some(({ what }) => what.includes('pooler'))) return 'The pooler does not answer.';
  return isServer ? 'It has no connection to a server.' : 'No client is connected to it.';
}
