// @ts-check
// Capacity: the planner as a form. Inputs are in the address; each change calculates anew.
import { request } from '../api.js';
import { ms, number, seconds, share, words } from '../lib/format.js';
import { figure, plain } from '../parts/columns.js';
import { Chart } from '../parts/chart.js';
import { CopyButton } from '../parts/copy.js';
import { query, useData } from '../parts/data.js';
import { html, useState } from '../parts/html.js';
import { Status } from '../parts/icons.js';
import { route, setParams } from '../parts/router.js';
import { PageHead } from '../parts/shell.js';
import { Failure, Figures, Loaded, Missing, Notes, Section } from '../parts/states.js';
import { Table } from '../parts/table.js';

/** @typedef {any} Row */

/** What nobody gave has to be something, as the planner asks for it. */
const RPS_DEFAULT = '1000';

/** The names are those of the interface. */
const INPUTS = [
  { name: 'rps', title: 'Requests', unit: 'per second', hint: 'expected', min: 1 },
  { name: 'peak_rps', title: 'Peak', unit: 'per second', hint: 'at the busiest moment', min: 1 },
  {
    name: 'service_ms',
    title: 'Service time',
    unit: 'ms',
    hint: 'a request holds its connection',
    min: 0,
    step: 'any',
  },
  { name: 'instances', title: 'Instances', unit: 'of the application', min: 1 },
  { name: 'users', title: 'Users', unit: 'at a time', min: 1 },
  { name: 'db_max_connections', title: 'max_connections', unit: 'of the server', min: 1 },
  { name: 'cores', title: 'Cores', unit: 'of the server', min: 1 },
  { name: 'p99_wait_ms', title: 'Wait, p99', unit: 'ms at most', min: 0, step: 'any' },
  { name: 'pool_size', title: 'Pool size', unit: 'to evaluate', min: 1 },
  { name: 'safety_margin', title: 'Share to use', unit: 'of max_connections', min: 0, step: 'any' },
];

export function Capacity() {
  const { params } = route.value;
  const inputs = Object.fromEntries(INPUTS.map(({ name }) => [name, params[name]]));
  const asked = { ...inputs, rps: inputs.rps ?? RPS_DEFAULT };
  const result = useData(`monitoring/capacity${query(asked)}`, { everyMs: 0 });
  return html`<${PageHead} title="Capacity"
    sub="How large pools must be for a load, by queueing theory" />
    <${Form} inputs=${inputs} found=${result.data?.inputs} />
    <${Loaded} of=${{ ...result, error: inForm(result.error) }} rows=${8}>${(data) => html`<${Plan} data=${data} />`}<//>`;
}

/** What is refused is named as its field. @param {any} error */
function inForm(error) {
  if (error?.status !== 400) return error;
  const named = INPUTS.reduce(
    (text, { name, title }) => text.replace(new RegExp(`\\b${name}\\b`, 'g'), `“${title}”`),
    error.detail ?? error.title,
  );
  return { status: 400, title: error.title, detail: named };
}

/**
 * The planner speaks of the options of its command; here they are fields.
 * @param {string} text
 */
function inFormWords(text) {
  return text.replace(/ \(--[a-z-]+\)|--([a-z][a-z0-9-]*)/g, (option, name) => {
    const field = INPUTS.find((input) => input.name === name?.replaceAll('-', '_'));
    // What stands in brackets only says where it comes from.
    return field ? `“${field.title}”` : name ? option : '';
  });
}

/** What holds where nothing is given. @param {string} name @param {any} found */
function fallback(name, found) {
  const known = {
    rps: found?.requests_per_s,
    peak_rps: found?.requests_per_s_peak,
    service_ms: found?.service?.mean_ms,
    instances: found?.instances,
    users: found?.users,
    db_max_connections: found?.max_connections,
    cores: found?.cores,
    pool_size: found?.pool_size,
    safety_margin: found?.safety_margin,
    p99_wait_ms: found?.wait_ms_p99_target,
  };
  const value = known[/** @type {keyof typeof known} */ (name)];
  return value === null || value === undefined
    ? ''
    : String(typeof value === 'number' ? Math.round(value * 100) / 100 : value);
}

/** A watched pooler is read each two seconds, from the moment that somebody asks. */
const NEXT_READING_MS = 2_500;

/** What the pooler and the server show right now, as a start, and in words where it comes from. */
async function measured() {
  let stats = await request('monitoring/pool-stats');
  if (!stats.rates && stats.rates_of) {
    await new Promise((resolve) => setTimeout(resolve, NEXT_READING_MS));
    stats = await request('monitoring/pool-stats');
  }
  const text = (value) => (value > 0 ? String(Math.round(value * 100) / 100) : null);
  return {
    inputs: {
      rps: text(stats.rates?.transactions_per_s),
      service_ms: text(stats.rates?.transaction_ms_mean ?? stats.rates?.query_ms_mean),
      db_max_connections: text(stats.server?.max_connections),
    },
    words: `${takenFromPooler(stats)} ${takenFromServer(stats.server)}`,
  };
}

/** @param {any} stats */
function takenFromPooler({ rates, rates_of: of }) {
  if (!of) return 'No pooler is watched, so requests and service time are yours to fill in.';
  const name = of.address ? `${of.name} at ${of.address}` : of.name;
  if (!rates) return `${name} has not answered, so requests and service time are yours to fill in.`;
  const span = `the last ${seconds(rates.seconds)}`;
  if (!(rates.transactions_per_s > 0))
    return `${name} had no transaction in ${span}, so requests and service time are yours to fill in.`;
  const time = rates.transaction_ms_mean ?? rates.query_ms_mean;
  return `Taken from ${name}, over ${span}: ${number(rates.transactions_per_s)} transactions a second, each of which held its server for ${ms(time)} in the mean. That is not the peak.`;
}

/** @param {any} server */
function takenFromServer(server) {
  return server ? `max_connections is the server’s.` : 'The server’s max_connections is not known.';
}

/** @param {{inputs: Record<string, string | undefined>, found: any}} props */
function Form({ inputs, found }) {
  const [failure, setFailure] = useState(/** @type {any} */ (null));
  const onChange = (event) => setParams({ [event.target.name]: event.target.value.trim() || null }, 'push');
  const nothing = Object.fromEntries(INPUTS.map(({ name }) => [name, null]));
  const [taken, setTaken] = useState('');
  const onReset = () => {
    setTaken('');
    setParams(nothing, 'push');
  };
  const onMeasure = async () => {
    setFailure(null);
    setTaken('Measuring…');
    try {
      const now = await measured();
      setTaken(now.words);
      setParams({ ...nothing, ...now.inputs }, 'push');
    } catch (error) {
      setTaken('');
      setFailure(error);
    }
  };
  return html`<form class="capacity-form" onSubmit=${(event) => event.preventDefault()} aria-label="Load and limits">
    ${INPUTS.map(
      (input) => html`<label class="field" key=${input.name}>
      <span>${input.title} <span class="muted">${input.unit}</span></span>
      <input type="number" inputmode="decimal" name=${input.name} min=${input.min} step=${input.step ?? '1'}
        value=${inputs[input.name] ?? ''} placeholder=${fallback(input.name, found)} title=${input.hint}
        onChange=${onChange} /></label>`,
    )}
    <div class="form-actions">
      <button type="button" class="button" onClick=${onMeasure}>As measured now</button>
      <button type="button" class="button is-quiet" onClick=${onReset}>Reset</button>
      ${failure && html`<${Failure} error=${failure} />`}
      <p class="muted" role="status">${taken}</p></div>
  </form>`;
}

/** @param {{data: any}} props */
function Plan({ data }) {
  return html`<${Figures} items=${[
    {
      title: 'Pool size',
      value: number(data.pool_size),
      sub: `${data.pool_size_min} at least, ${data.pool_size_reserve} in reserve`,
    },
    { title: 'Used at the peak', value: share(data.at_peak?.utilisation ?? data.utilisation) },
    { title: 'Wait, mean', value: ms(data.wait_ms_mean) },
    { title: 'Wait, p99', value: ms(data.wait_ms_p99), sub: `${ms(data.wait_ms_p99_target)} wanted` },
    {
      title: 'For each instance',
      value: `${number(data.min_connections)}–${number(data.max_connections)}`,
      sub: 'connections',
    },
    { title: 'Users for each connection', value: number(data.users_per_connection) },
  ]} />
  <${Findings} findings=${data.findings} />
  <${Curve} data=${data} />
  <div class="columns"><${Section} title="Pools of each instance"><${Pools} rows=${data.pools} /><//><${Section} title="Why"><${Reasons}
    reasons=${data.reasons} /><//></div>
  ${data.settings && html`<${Settings} rows=${data.settings} />`}
  <${Notes} items=${[...new Set([...data.notes, ...(data.assumptions ?? [])])].map(inFormWords)} /><${Missing}
    items=${data.observed?.missing} />`;
}

/** @param {{findings: any[]}} props */
function Findings({ findings }) {
  if (findings.length === 0) return null;
  return html`<ul class="findings">${findings.map(
    (finding) => html`<li class=${`finding is-${finding.severity}`}>
    <p><${Status} status=${finding.severity} /> ${inFormWords(finding.text)}</p>
    ${
      finding.ways_out?.length > 0 &&
      html`<ul class="ways-out">
      ${finding.ways_out.map((way) => html`<li>${inFormWords(way)}</li>`)}</ul>`
    }</li>`,
  )}</ul>`;
}

/** @param {{data: any}} props */
function Curve({ data }) {
  const line = (key) =>
    data.curve.filter((point) => point.utilisation < 1).map((point) => [point.connections, point[key]]);
  return html`<${Chart} title=${`Waiting time by pool size (${data.pool_size} is planned)`} isTime=${false}
    xTitle="connections in the pool" height=${220} series=${[
      { title: 'p99', unit: 'ms', points: line('wait_ms_p99'), look: 4 },
      { title: 'mean', unit: 'ms', points: line('wait_ms_mean'), look: 1, isFilled: true },
    ]} />`;
}

/** @param {{rows: Row[]}} props */
function Pools({ rows }) {
  return html`<${Table} id="pools" isPlain caption="Pools of each instance" rows=${rows} keyOf=${(row) => row.pool}
    sort="share:desc" columns=${[
      plain('pool', 'Pool', { isWide: true }),
      plain('server', 'Server'),
      figure('share', 'Share', share),
      { key: 'min', title: 'At least', isNumeric: true, value: (row) => row.min_connections },
      { key: 'max', title: 'At most', isNumeric: true, value: (row) => row.max_connections },
    ]} />`;
}

/** @param {{reasons: any[]}} props */
function Reasons({ reasons }) {
  return html`<dl class="reasons">
    ${reasons.slice(0, 8).map(
      (reason) => html`<div><dt>${words(reason.name)}</dt><dd><strong>
    ${number(reason.value)}</strong> <span class="muted">${inFormWords(reason.text)}</span></dd></div>`,
    )}</dl>`;
}

const VERDICTS = {
  met: ['met', 'As it should be'],
  differs: ['not_met', 'Differs'],
  unknown: ['cannot_tell', 'Not known'],
};

/** Every text by itself, for other programs. */
const SETTING_TEXTS = ['name', 'status', 'live', 'recommended', 'restart_needed', 'reason'].map((key) =>
  plain(key, key),
);

/** @param {{rows: Row[]}} props */
function Settings({ rows }) {
  const differing = rows.filter(({ status }) => status === 'differs');
  const script = `${differing.map(({ name, recommended }) => `ALTER SYSTEM SET ${name} = '${String(recommended).replaceAll("'", "''")}';`).join('\n')}\nSELECT pg_reload_conf();\n`;
  return html`<${Section} title="PostgreSQL’s settings" sub=${`${differing.length} of ${rows.length} differ`}
    actions=${differing.length > 0 && html`<${CopyButton} text=${script} label="Copy as SQL" what="settings" />`}>
    <${Table} caption="Settings" rows=${rows} exported=${SETTING_TEXTS} keyOf=${(row) => row.name} sort="status:asc"
      columns=${[
        {
          key: 'name',
          title: 'Setting',
          isWide: true,
          value: (row) => `${row.name} ${row.reason}`,
          cell: (row) =>
            html`<span class="two-lines"><code>${row.name}</code><span class="muted">${row.reason}</span></span>`,
        },
        { key: 'status', title: 'Verdict', value: (row) => row.status, cell: verdict },
        figure('live', 'Now', (value) => value ?? '–'),
        figure('recommended', 'Recommended', (value) => value),
      ]} /><//>`;
}

/** @param {Row} row */
function verdict(row) {
  const [status, word] = VERDICTS[/** @type {keyof typeof VERDICTS} */ (row.status)] ?? VERDICTS.unknown;
  return html`<${Status} status=${status} word=${word} />
    ${row.restart_needed && html` <span class="badge is-warning" title="needs a restart">restart</span>`}`;
}
