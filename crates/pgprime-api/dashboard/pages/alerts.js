// @ts-check
// Alerts: what fires, what is about to, what was, and where it is sent.
import { request } from '../api.js';
import { ago, coarse, inUnit, lasting, moment, seconds, words } from '../lib/format.js';
import { plain } from '../parts/columns.js';
import { Statement } from '../parts/copy.js';
import { useData } from '../parts/data.js';
import { confirmed } from '../parts/dialog.js';
import { html, useEffect, useState } from '../parts/html.js';
import { Icon, Status } from '../parts/icons.js';
import { alertChange, may, session } from '../parts/live.js';
import { Prose } from '../parts/prose.js';
import { PageHead } from '../parts/shell.js';
import { Empty, Failure, Loaded, Missing, Section } from '../parts/states.js';
import { Table } from '../parts/table.js';

/** @typedef {any} Row */

export function Alerts() {
  const result = useData('monitoring/alerts', { everyMs: 15_000 });
  const change = alertChange.value;
  useEffect(() => {
    if (change) result.reload();
  }, [change]);
  return html`<${PageHead} title="Alerts" sub="What needs somebody, and where it is sent" />
    <${Loaded} of=${result} rows=${8}>${(data) => html`<${Report} data=${data} reload=${result.reload} />`}<//>`;
}

/** @param {{data: any, reload: () => void}} props */
function Report({ data, reload }) {
  const open = [...data.firing, ...data.pending];
  return html`<div aria-live="polite">
    ${
      open.length === 0
        ? html`<${Empty} title="Nothing fires, and nothing is about to" />`
        : html`<ul class="alerts">
    ${open.map((alert) => html`<${Alert} key=${alert.id} alert=${alert} />`)}</ul>`
    }</div>
    <${Section} title="Channels" actions=${html`<${TestButton} channels=${data.channels} reload=${reload} />`}>
      <${Channels} rows=${data.channels} /><//>
    <${Section} title="History"><${History} rows=${data.history} /><//>
    <${Section} title="Rules"><${Rules} rows=${data.rules} /><//>
    <${Missing} items=${data.missing} />`;
}

/** @param {{alert: any}} props */
function Alert({ alert }) {
  const isPending = alert.state === 'pending';
  return html`<li class=${`banner is-${isPending ? 'pending' : alert.severity}`}><${Icon}
    name=${isPending ? 'pending' : alert.severity} /><div class="banner-body">
    <p><span class="banner-title"><span class="banner-word">
      ${isPending ? 'Pending' : words(alert.severity)}</span> ${alert.title}</span>
      <span class="banner-trend">for ${lasting(alert.since)} · ${inUnit(alert.value, alert.unit)}</span></p>
    <p class="banner-text"><${Prose} text=${alert.text} /></p>
    ${alert.action && html`<p><strong>What to do:</strong> <${Prose} text=${alert.action} /></p>`}
    ${alert.statement && html`<${Statement} text=${alert.statement} />`}</div></li>`;
}

/** @param {{channels: any[], reload: () => void}} props */
function TestButton({ channels, reload }) {
  const [said, setSaid] = useState(/** @type {any} */ (null));
  if (channels.length === 0) return null;
  if (!session.value) return null;
  if (!may('admin')) return html`<span class="muted">A test needs the role admin.</span>`;
  const test = async () => {
    const isWanted = await confirmed({
      title: 'Send a test alert?',
      action: 'Send',
      text: html`<p>To ${channels.map(({ name }) => name).join(', ')}. It says that it is a test.</p>`,
    });
    if (!isWanted) return;
    try {
      setSaid(await request('monitoring/alerts/test', { method: 'POST' }));
      reload();
    } catch (error) {
      setSaid({ error });
    }
  };
  return html`<button type="button" class="button is-small" onClick=${test}>Send a test</button>
    ${said?.error && html`<${Failure} error=${said.error} />`}
    ${
      said?.deliveries &&
      html`<span role="status" class="said">
      ${said.deliveries.map(
        (delivery) => html`<${Status} status=${delivery.ok ? 'ok' : 'critical'}
      word=${`${delivery.channel}: ${delivery.ok ? 'delivered' : delivery.detail}`} /> `,
      )}</span>`
    }`;
}

/** @param {{rows: Row[]}} props */
function Channels({ rows }) {
  if (rows.length === 0)
    return html`<${Empty} title="Alerts go to the log only"
      icon="alerts">Give a webhook in the configuration: [[alerts.channels]].<//>`;
  return html`<${Table} id="channels" isPlain caption="Channels" rows=${rows} keyOf=${(row) => row.name} sort="name:asc"
    columns=${[
      plain('name', 'Channel'),
      { key: 'kind', title: 'Kind', value: (row) => words(row.kind) },
      {
        key: 'last',
        title: 'Last delivery',
        isWide: true,
        value: (row) => row.last_delivery?.at,
        cell: (row) => lastDelivery(row.last_delivery),
      },
    ]} />`;
}

/** @param {any} delivery */
function lastDelivery(delivery) {
  if (!delivery) return html`<span class="muted">none yet</span>`;
  return html`<${Status} status=${delivery.ok ? 'ok' : 'critical'} word=${delivery.ok ? 'Delivered' : 'Failed'} /> <span
    class="muted">${ago(delivery.at)}${delivery.detail ? `: ${delivery.detail}` : ''}</span>`;
}

/** How long it lasted. @param {Row} row */
function lasted(row) {
  return row.resolved_at ? (Date.parse(row.resolved_at) - Date.parse(row.since)) / 1000 : null;
}

/** @param {{rows: Row[]}} props */
function History({ rows }) {
  return html`<${Table} caption="Alert history" rows=${rows} keyOf=${(row) => String(row.id)} sort="since:desc"
    empty="No alert yet." columns=${[
      { key: 'since', title: 'Began', value: (row) => row.since, cell: (row) => moment(row.since) },
      {
        key: 'severity',
        title: 'Severity',
        value: (row) => row.severity,
        cell: (row) => html`<${Status} status=${row.severity} />`,
      },
      plain('title', 'Alert'),
      plain('text', 'What', { isWide: true }),
      { key: 'lasted_s', title: 'Lasted', isNumeric: true, value: lasted, cell: (row) => seconds(lasted(row)) },
      {
        key: 'state',
        title: 'State',
        value: (row) => row.state,
        cell: (row) => html`<${Status} status=${row.state} />`,
      },
    ]} />`;
}

/** @param {{rows: Row[]}} props */
function Rules({ rows }) {
  return html`<${Table} id="rules" caption="Alert rules" rows=${rows} keyOf=${(row) => row.name} sort="check:asc"
    columns=${[
      plain('name', 'Rule'),
      { key: 'check', title: 'Check', value: (row) => row.check, cell: (row) => html`<code>${row.check}</code>` },
      {
        key: 'severity',
        title: 'Severity',
        value: (row) => row.severity,
        cell: (row) => html`<${Status} status=${row.severity} />`,
      },
      {
        key: 'for_s',
        title: 'After',
        isNumeric: true,
        value: (row) => row.for_s,
        cell: (row) => (row.for_s ? coarse(row.for_s) : 'at once'),
      },
      plain('description', 'Fires when', { isWide: true }),
    ]} />`;
}
