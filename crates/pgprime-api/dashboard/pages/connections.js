// @ts-check
// Connections: who is connected, what they do, and who waits for whom.
import { request } from '../api.js';
import { counted, number, seconds, words } from '../lib/format.js';
import { CONNECTIONS_CHART } from '../lib/series.js';
import { plain } from '../parts/columns.js';
import { useData } from '../parts/data.js';
import { confirmed } from '../parts/dialog.js';
import { HistoryCharts } from '../parts/history.js';
import { html, useState } from '../parts/html.js';
import { Icon } from '../parts/icons.js';
import { may } from '../parts/live.js';
import { route, setParams } from '../parts/router.js';
import { PageHead } from '../parts/shell.js';
import { Bar, Failure, Figures, Loaded, Missing, Section, Tabs } from '../parts/states.js';
import { SqlCell, Table } from '../parts/table.js';

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
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const onCancel = async (row) => setFailure(await cancel(row, reload));
  const tabs = [
    { key: 'sessions', title: 'Sessions', count: data.sessions.length },
    { key: 'blocking', title: 'Blocking', count: data.blocking.length },
    { key: 'clients', title: 'Clients', count: data.clients_total ?? data.clients.length },
    { key: 'servers', title: 'Servers', count: data.servers.length },
  ];
  const current = tabs.some(({ key }) => key === route.value.params.tab) ? route.value.params.tab : 'sessions';
  return html`${failure && html`<${Failure} error=${failure} />`}
    ${
      data.blocking.length > 0 &&
      current !== 'blocking' &&
      html`<div class="notice is-warning"><${Icon} name="warning" /><div class="notice-body">
        ${counted(data.blocking.length, 'session blocks', 'sessions block')} others.</div>
      <button type="button" class="button is-small" onClick=${() => setParams({ tab: 'blocking' })}>Show</button></div>`
    }
    <${Tabs} name="Connections" tabs=${tabs} current=${current}
      onChoose=${(tab) => setParams({ tab, sort: null, filter: null, row: null })} />
    ${current === 'sessions' && html`<${Sessions} rows=${data.sessions} onCancel=${onCancel} />`}
    ${current === 'blocking' && html`<${Blocking} roots=${data.blocking} onCancel=${onCancel} />`}
    ${current === 'clients' && html`<${Clients} rows=${data.clients} total=${data.clients_total} />`}
    ${current === 'servers' && html`<${Clients} rows=${data.servers} isServer />`}
    <${Missing} items=${data.missing} />`;
}

/** @param {Row} row @param {() => void} reload @returns {Promise<any>} what went wrong */
async function cancel(row, reload) {
  const isWanted = await confirmed({
    title: `Cancel the query of session ${row.pid}?`,
    action: 'Cancel the query',
    isDangerous: true,
    text: html`<p>Its client gets the error “canceling statement due to user request” (57014), and its transaction fails. The session stays.</p>
      ${row.query && html`<pre>${row.query}</pre>`}`,
  });
  if (!isWanted) return null;
  try {
    const { cancelled } = await request(`monitoring/connections/${row.pid}/cancel`, { method: 'POST' });
    reload();
    return cancelled
      ? null
      : {
          title: 'Nothing was cancelled',
          detail: `Session ${row.pid} is gone, or belongs to a role that pgprime may not signal.`,
        };
  } catch (error) {
    return error;
  }
}

/** @param {{row: Row, onCancel: (row: Row) => void}} props */
function CancelButton({ row, onCancel }) {
  if (!may('admin') || row.state === 'idle') return null;
  return html`<button type="button" class="button is-small is-danger" onClick=${() => onCancel(row)}
    aria-label=${`Cancel the query of session ${row.pid}`}>Cancel</button>`;
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

/** @param {{rows: Row[], onCancel: (row: Row) => void}} props */
function Sessions({ rows: all, onCancel }) {
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
      cell: (row) => html`<${CancelButton} row=${row} onCancel=${onCancel} />`,
    },
  ];
  return html`<${Table} caption="Sessions" columns=${columns} exported=${SESSION_FIGURES} rows=${rows}
    keyOf=${(row) => String(row.pid)} sort="state:asc" empty="No session but pgprime's own." />
  ${
    own > 0 &&
    html`<p class="muted">${counted(own, "session of pgprime's own is", "sessions of pgprime's own are")} not shown.</p>`
  }`;
}

/** @param {{roots: Row[], onCancel: (row: Row) => void}} props */
function Blocking({ roots, onCancel }) {
  if (roots.length === 0)
    return html`<div class="empty"><${Icon} name="ok" /><p class="empty-title">Nobody waits for anybody</p></div>`;
  return html`<ul class="blocking">
    ${roots.map((root) => html`<${Blocker} key=${root.pid} node=${root} onCancel=${onCancel} isRoot />`)}</ul>`;
}

/** @param {{node: Row, onCancel: (row: Row) => void, isRoot?: boolean}} props */
function Blocker({ node, onCancel, isRoot }) {
  const blocked = countBlocked(node);
  return html`<li><div class=${`blocker ${isRoot ? 'is-root' : ''}`}>
      <p class="blocker-head"><strong>${node.pid}</strong>
        ${node.user && html`<span>${node.user} <span class="muted">${node.application ?? ''}</span></span>`}
        ${
          isRoot
            ? html`<span
        class="badge is-warning">blocks ${counted(blocked, 'session')}</span>`
            : html`<span
        class="muted">waits ${seconds(node.waits_s)}${node.lock ? ` for ${node.lock}` : ''}</span>`
        }
        <${CancelButton} row=${node} onCancel=${onCancel} /></p>
      <${SqlCell} sql=${node.query} charactersMax=${110} /></div>
    ${
      node.blocks?.length > 0 &&
      html`<ul>
      ${node.blocks.map(
        (child) => html`<${Blocker} key=${child.pid} node=${child}
      onCancel=${onCancel} />`,
      )}</ul>`
    }</li>`;
}

/** @param {Row} node @returns {number} */
function countBlocked(node) {
  return (node.blocks ?? []).reduce((total, child) => total + 1 + countBlocked(child), 0);
}

/** @param {{rows: Row[], total?: number, isServer?: boolean}} props */
function Clients({ rows, total = rows.length, isServer = false }) {
  const columns = [
    plain('user', 'User'),
    plain('database', 'Database'),
    plain('application', 'Application'),
    plain('address', 'Address'),
    { key: 'state', title: 'State', value: (row) => row.state, cell: stateCell },
    duration('connected_s', 'Connected'),
    duration('request_s', 'Request for'),
    duration('wait_s', 'Waits'),
    plain('link', isServer ? 'Client' : 'Server'),
  ];
  return html`${total > rows.length && html`<p class="muted">The first ${number(rows.length)} of ${number(total)}.</p>`}
    <${Table} caption=${isServer ? 'Servers' : 'Clients'} columns=${columns} rows=${rows}
      keyOf=${(row) => String(row.id)} sort="wait_s:desc"
      empty=${isServer ? 'No server connection.' : 'No client, or no pooler is watched.'} />`;
}
