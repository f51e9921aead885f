// @ts-check
// Materialized views: how fresh, what is next, whether they are worth it. And the result cache.
import { request } from '../api.js';
import { ago, bytes, counted, ms, moment, number, seconds, share, words } from '../lib/format.js';
import { pressureText, viewStatus } from '../lib/views.js';
import { figure, plain } from '../parts/columns.js';
import { useData } from '../parts/data.js';
import { confirmed } from '../parts/dialog.js';
import { html, useState } from '../parts/html.js';
import { Status } from '../parts/icons.js';
import { may } from '../parts/live.js';
import { PageHead } from '../parts/shell.js';
import { Bar, Empty, Failure, Figures, Loaded, Missing, Section } from '../parts/states.js';
import { Table } from '../parts/table.js';

import { AdminFigures } from './admin_figures.js';

/** @typedef {any} Row */

export function Views() {
  const views = useData('monitoring/views', { everyMs: 10_000 });
  const cache = useData('monitoring/cache', { everyMs: 10_000 });
  return html`<${PageHead} title="Views and cache" sub="What is calculated beforehand, and what is kept" />
    <${Section} title="Materialized views"><${Loaded} of=${views} rows=${5}>
      ${(data) => html`<${ViewList} data=${data} reload=${views.reload} />`}<//><//>
    <${Section} title="Result cache"><${Loaded} of=${cache} rows=${5}>${(data) => html`<${Cache} data=${data} />`}<//>
      <//>
    <${AdminFigures} />
    ${
      views.data?.history?.length > 0 &&
      html`<${Section} title="Refreshes"><${History} rows=${views.data.history} />
      <//>`
    }`;
}

/** @param {Row} row */
function statusCell(row) {
  const [status, word] = viewStatus(row);
  return html`<${Status} status=${status} word=${word} />`;
}

/** @param {any} next */
function nextText(next) {
  if (!next) return '–';
  if (next.action === 'refresh') return `now (${words(next.reason).toLowerCase()})`;
  if (next.action === 'skip') return 'skips: unchanged';
  const pressure = `, ${pressureText(next.because)}`;
  const why =
    { not_due: '', pressure, backoff: ', after a failure', failing: ', failing' }[next.because?.reason] ?? '';
  return next.until ? `${ago(next.until)}${why}` : `on a change${why}`;
}

/** @param {any} changes */
function changesText(changes) {
  if (changes.kind === 'unknown') return 'not known';
  return `${changes.kind === 'at_least' ? '≥ ' : ''}${number(changes.rows)}`;
}

/** @param {any} worth */
function worthCell(worth) {
  if (!worth) return '–';
  if (worth.saved_ms === null) return html`<span class="muted">${counted(worth.reads, 'read')}</span>`;
  const isWorthIt = worth.saved_ms > worth.spent_ms;
  return html`<${Status} status=${isWorthIt ? 'ok' : 'warning'} word=${isWorthIt ? 'Worth it' : 'Costs more'} />`;
}

/** @param {{data: any, reload: () => void}} props */
function ViewList({ data, reload }) {
  const [said, setSaid] = useState(/** @type {any} */ (null));
  const onRefresh = async (row) => setSaid(await refresh(row.view, reload));
  if (data.views.length === 0)
    return html`<${Empty} title="No view is declared"
      icon="views">Declare them in the configuration and run pgprime views apply; from then on they are refreshed.<//><${Missing}
      items=${data.missing} />`;
  const columns = [
    plain('view', 'View', { isWide: true }),
    { key: 'status', title: 'Status', value: (row) => viewStatus(row)[1], cell: statusCell },
    figure('age_s', 'Age', seconds),
    {
      key: 'changes',
      title: 'Lacks',
      isNumeric: true,
      hint: 'Changed rows below it since it was refreshed',
      value: (row) => row.changes.rows,
      cell: (row) => changesText(row.changes),
    },
    { key: 'next', title: 'Next', value: (row) => nextText(row.next) },
    { key: 'worth', title: 'Worth', value: (row) => row.worth?.saved_ms, cell: (row) => worthCell(row.worth) },
    {
      key: 'action',
      title: 'Action',
      value: () => '',
      cell: (row) =>
        may('admin') && row.exists
          ? html`<button type="button" class="button is-small" onClick=${() => onRefresh(row)}
            aria-label=${`Refresh ${row.view}`}>Refresh</button>`
          : null,
    },
  ];
  return html`${said?.error && html`<${Failure} error=${said.error} />`}${
    said?.text &&
    html`<p class="said"
    role="status">${said.text}</p>`
  }
    <${Table} caption="Views" columns=${columns} rows=${data.views} keyOf=${(row) => row.view} sort="view:asc"
      expand=${(row) => html`<${ViewDetail} row=${row} />`} />
    <${Missing} items=${data.missing} />`;
}

/** @param {string} name @param {() => void} reload */
async function refresh(name, reload) {
  const isWanted = await confirmed({
    title: `Refresh ${name} now?`,
    action: 'Refresh',
    text: html`<p>Its query runs once. Readers go on with the old rows where the view has a unique key.</p>`,
  });
  if (!isWanted) return null;
  try {
    const { outcome } = await request(`monitoring/views/${encodeURIComponent(name)}/refresh`, { method: 'POST' });
    reload();
    return { text: `${name}: ${typeof outcome === 'string' ? words(outcome).toLowerCase() : JSON.stringify(outcome)}` };
  } catch (error) {
    return { error };
  }
}

/** @param {{row: Row}} props */
function ViewDetail({ row }) {
  const worth = row.worth;
  return html`<dl class="facts">
    <div><dt>shows</dt><dd>${row.refreshed_at ? moment(row.refreshed_at) : 'nothing'}</dd></div>
    ${
      row.exists &&
      html`<div><dt>size</dt><dd>
      ${number(row.rows)} rows, ${bytes(row.bytes)}; refreshed in ${ms(row.duration_ms)}</dd></div>`
    }
    ${row.error && html`<div><dt>error</dt><dd>${row.error}</dd></div>`}
    ${row.blocks_readers && html`<div><dt>blocks readers</dt><dd>${row.blocks_readers}</dd></div>`}
    ${
      worth &&
      html`<div><dt>since it is looked after</dt><dd>
        ${counted(worth.reads, 'read')}, ${counted(worth.refreshes, 'refresh', 'refreshes')}, ${counted(worth.skips, 'skip')}</dd>
        </div>
      <div><dt>worth</dt><dd>
        ${worth.saved_ms === null ? 'not known' : `saved its readers ${ms(worth.saved_ms)}`}, for ${ms(worth.spent_ms)} of refreshing</dd>
        </div>
      <div><dt>planner's cost</dt><dd>
        ${number(worth.query_cost)} for its query, ${number(worth.read_cost)} for reading it</dd></div>`
    }
    ${row.hints.map((hint) => html`<div><dt>hint</dt><dd>${hint}</dd></div>`)}</dl>`;
}

/** @param {{rows: Row[]}} props */
function History({ rows }) {
  return html`<${Table} id="history" caption="Refreshes" rows=${rows} keyOf=${(row) => row.view + row.started_at}
    sort="started_at:desc" columns=${[
      { key: 'started_at', title: 'Began', value: (row) => row.started_at, cell: (row) => moment(row.started_at) },
      plain('view', 'View', { isWide: true }),
      {
        key: 'ok',
        title: 'Outcome',
        value: (row) => (row.ok ? 'ok' : 'failed'),
        cell: (row) =>
          html`<${Status} status=${row.ok ? 'ok' : 'critical'} word=${row.ok ? 'Done' : 'Failed'} />
          ${row.error && html` <span class="muted">${row.error}</span>`}`,
      },
      { key: 'reason', title: 'Why', value: (row) => words(row.reason) },
      figure('duration_ms', 'Took', ms),
      figure('rows_changed', 'Rows written', number),
      figure('base_changes', 'Changes below', number),
    ]} />`;
}

const WORTH = {
  worth_having: ['ok', 'Worth having'],
  not_worth_having: ['warning', 'Not worth having'],
  too_early: ['unknown', 'Too early to tell'],
};

/** @param {any} worth */
function worthStatus(worth) {
  const [status, word] = WORTH[/** @type {keyof typeof WORTH} */ (worth?.verdict ?? worth)] ?? WORTH.too_early;
  return html`<${Status} status=${status} word=${word} />`;
}

/** @param {{data: any}} props */
function Cache({ data }) {
  if (data.enabled === false)
    return html`<${Empty} title="The result cache is off"
      icon="note">Switch it on where the same reads come again and again: see the checklist.<//>`;
  const hits = data.total.hits ?? data.labels.reduce((total, row) => total + row.hits, 0);
  const requests = data.total.requests ?? data.labels.reduce((total, row) => total + row.requests, 0);
  return html`<${Figures} items=${[
    {
      title: 'Hits',
      value: share(requests > 0 ? hits / requests : null),
      sub: `${number(hits)} of ${number(requests)}`,
    },
    {
      title: 'Memory',
      value: html`<${Bar} share=${data.memory_bytes / data.memory_bytes_max} text=${bytes(data.memory_bytes)} />`,
      sub: `of ${bytes(data.memory_bytes_max)}`,
    },
    {
      title: 'Redis',
      value: data.redis
        ? html`<${Status} status=${data.redis.state === 'up' ? 'ok' : 'warning'} word=${words(data.redis.state)} />`
        : 'not used',
    },
  ]} />
  <${Table} id="cache" caption="Cached queries" rows=${data.labels} keyOf=${(row) => row.label} sort="saved_ms:desc"
    empty="No cached read was asked for yet." columns=${[
      plain('label', 'Query', { isWide: true }),
      {
        key: 'hit_ratio',
        title: 'Hits',
        isNumeric: true,
        value: (row) => row.hit_ratio,
        cell: (row) =>
          html`<${Bar} share=${row.hit_ratio} text=${share(row.hit_ratio)}
          look=${row.hit_ratio >= 0.7 ? 'ok' : 'warning'} />`,
      },
      figure('requests', 'Requests', number),
      figure('fills', 'Fills', number),
      figure('saved_ms', 'Saved', ms),
      { key: 'refused', title: 'Refused', value: (row) => refusedText(row.refused) },
      {
        key: 'worth',
        title: 'Worth',
        value: (row) => row.worth?.verdict ?? row.worth,
        cell: (row) => worthStatus(row.worth),
      },
    ]} />`;
}

/** @param {any} refused counts by reason */
function refusedText(refused) {
  return (
    Object.entries(refused ?? {})
      .filter(([, count]) => Number(count) > 0)
      .map(([reason, count]) => `${words(reason).toLowerCase()} ${number(count)}`)
      .join(', ') || '–'
  );
}
