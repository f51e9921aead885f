// @ts-check
// Health as banners: what is wrong, what to do, and the statement to copy; and all checks as a dense list.
import { anything, inUnit, isFigure, isNumber, words } from '../lib/format.js';
import { byGroup, countByStatus, trendDirection, trendText, worstFirst } from '../lib/health.js';
import { Statement } from './copy.js';
import { Icon, Status } from './icons.js';
import { html } from './html.js';
import { Prose } from './prose.js';
import { route, setParams } from './router.js';

const BANNERS_SHOWN = 5;

/** @param {{report: any, stale?: string | null}} props stale: why the report is not to be believed any more */
export function HealthBanners({ report, stale = null }) {
  const bad = worstFirst(report.checks).filter(({ status }) => status === 'critical' || status === 'warning');
  const isAll = route.value.params.banners === 'all';
  const shown = isAll ? bad : bad.slice(0, BANNERS_SHOWN);
  return html`<div class="banners" role="region" aria-live="polite" aria-label="Health">
    ${stale && html`<${NobodyLooks} reason=${stale} />`}
    ${bad.length === 0 && !stale && html`<${AllWell} report=${report} />`}
    ${shown.map((check) => html`<${Banner} key=${check.id} check=${check} />`)}
    ${
      bad.length > shown.length &&
      html`<button type="button" class="button is-quiet" onClick=${() => setParams({ banners: 'all' })}>
      Show ${bad.length - shown.length} more</button>`
    }
  </div>`;
}

/** @param {{reason: string}} props */
function NobodyLooks({ reason }) {
  return html`<div class="banner is-unknown"><${Icon} name="unknown" /><div class="banner-body">
    <p class="banner-title"><span class="banner-word">Unknown</span> Nobody looks at the database</p>
    <p class="banner-text">${reason}</p></div></div>`;
}

/** @param {{report: any}} props */
function AllWell({ report }) {
  const { ok, unknown } = countByStatus(report.checks);
  return html`<div class="banner is-ok"><${Icon} name="ok" /><div class="banner-body">
    <p class="banner-title">
      ${ok === report.checks.length ? `All ${ok} checks are well` : `${ok} checks are well, ${unknown} could not be seen`}</p>
      </div></div>`;
}

/** @param {{check: any}} props */
function Banner({ check }) {
  const trend = trendText(check);
  const hasMore = check.action || check.statement || check.details?.length;
  const head = html`<span class="banner-title"><span class="banner-word">
    ${check.status === 'critical' ? 'Critical' : 'Warning'}</span> ${check.title}</span>
    <span class="banner-text"><${Prose} text=${check.text} /></span>${trend && html`<span class="banner-trend">${trend}</span>`}`;
  return html`<details class=${`banner is-${check.status}`} open=${check.status === 'critical'}>
    <summary><${Icon} name=${check.status} /><span class="banner-body">${head}</span>
      ${hasMore && html`<span class="chevron"><${Icon} name="down" /></span>`}</summary>
    <div class="banner-more">
      ${check.action && html`<p><strong>What to do:</strong> <${Prose} text=${check.action} /></p>`}
      ${check.statement && html`<${Statement} text=${check.statement} />`}
      ${check.details?.length > 0 && html`<${Details} rows=${check.details} />`}
    </div>
  </details>`;
}

/**
 * What a value is made of: rows of any shape. `first` are the columns that say what a row is about.
 * @param {{rows: any[], first?: string[], columnsMax?: number}} props
 */
export function Details({ rows, first = [], columnsMax = 8 }) {
  const plain = rows.map((row) => (row !== null && typeof row === 'object' ? row : { value: row }));
  const all = new Set(plain.flatMap((row) => Object.keys(row)));
  const keys = [...new Set([...first.filter((key) => all.has(key)), ...all])].slice(0, columnsMax);
  return html`<div class="table-scroll" tabindex="0" role="region" aria-label="Details"><table class="is-compact">
    <thead><tr>${keys.map(
      (key) => html`<th class=${isNumeric(plain, key) ? 'is-number' : ''}>
      ${words(withoutUnit(key))}</th>`,
    )}</tr></thead>
    <tbody>${plain.map(
      (row) => html`<tr>
      ${keys.map(
        (key) => html`<td class=${isNumeric(plain, key) ? 'is-number' : ''}>
      ${detail(key, row[key])}</td>`,
      )}</tr>`,
    )}</tbody>
  </table></div>`;
}

/** @param {any[]} rows @param {string} key */
function isNumeric(rows, key) {
  return rows.some((row) => isFigure(row[key]));
}

/** The ends of names that say the unit. */
const UNITS = /** @type {const} */ ({
  _bytes: 'bytes',
  _ms: 'ms',
  _s: 'seconds',
  _seconds: 'seconds',
  _percent: 'percent',
  _share: 'share',
});

/** @param {string} key */
function withoutUnit(key) {
  const end = Object.keys(UNITS).find((unit) => key.endsWith(unit));
  return end ? key.slice(0, -end.length) : key;
}

/** @param {string} key @param {unknown} value */
function detail(key, value) {
  const end = isNumber(value) && Object.keys(UNITS).find((unit) => key.endsWith(unit));
  return end ? inUnit(value, UNITS[/** @type {keyof typeof UNITS} */ (end)]) : anything(key, value);
}

/** Every check with its value. @param {{report: any}} props */
export function AllChecks({ report }) {
  return html`<div class="checks">${byGroup(report.checks).map(
    ([group, checks]) => html`<section class="check-group" aria-label=${words(group)}>
    <h3>${words(group)}</h3>
    <ul>${checks.map(
      (check) => html`<li key=${check.id} title=${check.text?.replaceAll('`', '')}>
      <${Status} status=${check.status} /><span class="check-title">${check.title}</span>
      <span class="check-value">
        ${check.value === null ? '–' : inUnit(check.value, check.unit)}${trendMark(check)}</span></li>`,
    )}</ul>
  </section>`,
  )}</div>`;
}

/** @param {any} check */
function trendMark(check) {
  const direction = trendDirection(check);
  if (!direction) return null;
  return html`<span class="trend-mark" title=${trendText(check)}><${Icon} name=${direction} /><span
    class="visually-hidden">${direction}</span></span>`;
}
