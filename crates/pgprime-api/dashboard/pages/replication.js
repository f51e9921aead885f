// @ts-check
// Replication: replicas and how far behind they are, slots and what they hold back.
import { bytes, seconds } from '../lib/format.js';
import { REPLICATION_CHART } from '../lib/series.js';
import { figure, plain } from '../parts/columns.js';
import { useData } from '../parts/data.js';
import { HistoryCharts } from '../parts/history.js';
import { html } from '../parts/html.js';
import { Status } from '../parts/icons.js';
import { Details } from '../parts/banner.js';
import { PageHead } from '../parts/shell.js';
import { Empty, Figures, Loaded, Missing, Section } from '../parts/states.js';
import { Table } from '../parts/table.js';

/** @typedef {any} Row */

export function Replication() {
  const result = useData('monitoring/replication', { everyMs: 5_000 });
  return html`<${PageHead} title="Replication" sub="How far replicas are behind, and what slots hold back" />
    <${Loaded} of=${result} rows=${6}>${(data) => html`<${Report} data=${data} />`}<//>
    <${Section} title="History"><${HistoryCharts} charts=${[REPLICATION_CHART]} /><//>`;
}

/** @param {{data: any}} props */
function Report({ data }) {
  const lags = data.replicas.map((row) => row.replay_lag_s ?? 0);
  return html`<${Figures} items=${[
    { title: 'This server', value: data.in_recovery ? 'Replica' : 'Primary' },
    !data.in_recovery && { title: 'Replicas', value: String(data.replicas.length) },
    data.replicas.length > 0 && { title: 'Most behind', value: seconds(Math.max(...lags)) },
    data.in_recovery && replayDelay(data.replay_delay_s),
    {
      title: 'Slots',
      value: String(data.slots.length),
      sub: data.slots.some((slot) => !slot.active) ? 'some are not in use' : '',
    },
  ]} />
  ${data.receiver && html`<${Section} title="Receiver"><${Details} rows=${[data.receiver]} /><//>`}
  <${Section} title="Replicas">
    ${
      data.replicas.length
        ? html`<${Replicas} rows=${data.replicas} />`
        : html`<${Empty}
    title="No replica is connected"
    icon="replication">Reads cannot be spread, and there is nothing to fail over to.<//>`
    }<//>
  ${data.slots.length > 0 && html`<${Section} title="Slots"><${Slots} rows=${data.slots} /><//>`}
  <${Missing} items=${data.missing} />`;
}

/** A replica that has replayed all and receives nothing cannot tell. @param {number | null} delay */
function replayDelay(delay) {
  return delay === null
    ? { title: 'Replay delay', value: 'Unknown', sub: 'nothing comes from the primary' }
    : { title: 'Replay delay', value: seconds(delay) };
}

/** @param {string} key @param {string} title @param {string} hint */
function lag(key, title, hint) {
  return { key, title, hint, isNumeric: true, value: (row) => row[key], cell: (row) => bytes(row[key]) };
}

/** @param {{rows: Row[]}} props */
function Replicas({ rows }) {
  return html`<${Table} caption="Replicas" isPlain rows=${rows} keyOf=${(row) => row.name + row.address}
    sort="replay_lag_s:desc" columns=${[
      plain('name', 'Name', { isWide: true }),
      plain('address', 'Address'),
      {
        key: 'state',
        title: 'State',
        value: (row) => row.state,
        cell: (row) => html`<${Status} status=${row.state === 'streaming' ? 'ok' : 'warning'} word=${row.state} />`,
      },
      plain('sync_state', 'Commit'),
      lag('sent_lag_bytes', 'To send', 'Written here, not sent yet'),
      lag('write_lag_bytes', 'To write', 'Sent, not written there yet'),
      lag('flush_lag_bytes', 'To flush', 'Not safe there yet'),
      lag('replay_lag_bytes', 'To replay', 'Not visible there yet'),
      figure('replay_lag_s', 'Behind', seconds),
    ]} />`;
}

/** @param {{rows: Row[]}} props */
function Slots({ rows }) {
  return html`<${Table} id="slots" caption="Slots" isPlain rows=${rows} keyOf=${(row) => row.name}
    sort="retained_bytes:desc" columns=${[
      plain('name', 'Slot', { isWide: true }),
      plain('kind', 'Kind'),
      {
        key: 'active',
        title: 'In use',
        value: (row) => (row.active ? 'yes' : 'no'),
        cell: (row) =>
          html`<${Status} status=${row.active ? 'ok' : 'warning'} word=${row.active ? 'In use' : 'Not in use'} />`,
      },
      plain('wal_status', 'WAL'),
      figure('retained_bytes', 'Holds back', bytes),
    ]} />`;
}
