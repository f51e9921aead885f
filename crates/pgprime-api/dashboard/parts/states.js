// @ts-check
// What a page shows before, instead of and beside its data: loading, nothing, an error, old data, and what is missing.
import { moment } from '../lib/format.js';
import { Statement } from './copy.js';
import { Icon } from './icons.js';
import { html } from './html.js';
import { Prose } from './prose.js';

/**
 * A part of a page that depends on an answer. Data that was there stays when asking again fails, and says how old it is.
 * @param {{of: import('./data.js').Loaded, rows?: number, children: any}} props `children`: a function of the data
 */
export function Loaded({ of, rows = 6, children }) {
  const { data, error, at, isLoading, reload } = of;
  const show = Array.isArray(children) ? children.find((child) => typeof child === 'function') : children;
  if (data === null) {
    return error
      ? html`<${Failure} error=${error} retry=${reload} isBusy=${isLoading} />`
      : html`<${Skeleton} rows=${rows} />`;
  }
  return html`${error && html`<${Stale} error=${error} at=${at} retry=${reload} />`}${show(data)}`;
}

/** Grey bars where rows will be. @param {{rows?: number}} props */
export function Skeleton({ rows = 6 }) {
  return html`<div class="skeleton" role="status">
    <span class="visually-hidden">Loading…</span>
    ${Array.from({ length: rows }, (_, at) => html`<div class=${`skeleton-row w${at % 4}`} key=${at}></div>`)}
  </div>`;
}

/** @param {{error: any, retry?: () => void, isBusy?: boolean}} props */
export function Failure({ error, retry, isBusy }) {
  // What this process does not do is no fault.
  if (error.status === 404) return html`<${Empty} title="Not here" icon="unknown"><${Prose} text=${error.detail ?? error.title} /><//>`;
  // Nor is what was asked wrongly, and asking again does not help.
  if (error.status === 400)
    return html`<div class="notice is-warning" role="alert"><${Icon} name="warning" /><div class="notice-body">
      <strong>This cannot be used</strong><p><${Prose} text=${error.detail ?? error.title} /></p></div></div>`;
  return html`<div class="notice is-critical" role="alert">
    <${Icon} name="critical" />
    <div class="notice-body"><strong>${error.title ?? 'Something went wrong'}</strong>
      <p><${Prose} text=${error.detail ?? error.message} /></p></div>
    ${retry && html`<button type="button" class="button" onClick=${retry} disabled=${isBusy}>Try again</button>`}
  </div>`;
}

/** @param {{error: any, at: number | null, retry: () => void}} props */
function Stale({ error, at, retry }) {
  return html`<div class="notice is-warning is-slim" role="status">
    <${Icon} name="clock" />
    <div class="notice-body">Stale since ${moment(at).slice(11)}: ${error.detail ?? error.title}</div>
    <button type="button" class="button is-small" onClick=${retry}>Try again</button>
  </div>`;
}

/** Nothing there, and what that means. @param {{title: string, icon?: string, children?: any}} props */
export function Empty({ title, icon = 'ok', children }) {
  return html`<div class="empty"><${Icon} name=${icon} /><p class="empty-title">${title}</p>
    ${children && html`<div class="empty-text">${children}</div>`}</div>`;
}

/**
 * What could not be seen, and the statement that helps.
 * @param {{items?: {what: string, why: string, statement?: string | null}[] | null}} props
 */
export function Missing({ items }) {
  if (!items?.length) return null;
  const title = items.length === 1 ? '1 thing could not be seen' : `${items.length} things could not be seen`;
  return html`<details class="missing">
    <summary><${Icon} name="unknown" /> ${title}<span class="missing-first">
      ${items.map(({ what }) => what).join(', ')}</span></summary>
    <ul>${items.map(
      (item) => html`<li><strong>${item.what}</strong>: <${Prose} text=${item.why} />
      ${item.statement && html`<${Statement} text=${item.statement} />`}</li>`,
    )}</ul>
  </details>`;
}

/** @param {{items?: string[] | null}} props */
export function Notes({ items }) {
  if (!items?.length) return null;
  return html`<ul class="notes">${items.map((text) => html`<li><${Prose} text=${text} /></li>`)}</ul>`;
}

/**
 * A section with a heading of its own.
 * @param {{title: string, id?: string, sub?: any, actions?: any, children: any}} props
 */
export function Section({ title, id, sub, actions, children }) {
  return html`<section class="section" id=${id} aria-label=${title}>
    <header class="section-head"><h2>${title}</h2>${sub && html`<span class="section-sub">${sub}</span>`}
      ${actions && html`<div class="section-actions">${actions}</div>`}</header>
    ${children}
  </section>`;
}

/** Figures side by side. @param {{items: ({title: string, value: any, sub?: any} | null | false)[]}} props */
export function Figures({ items }) {
  return html`<dl class="figures">${items.filter(Boolean).map(
    (item) =>
      item &&
      html`<div class="figure">
    <dt>${item.title}</dt><dd>${item.value}${item.sub && html`<span class="figure-sub">${item.sub}</span>`}</dd></div>`,
  )}</dl>`;
}

/**
 * Views of one thing, the chosen one in the URL.
 * @param {{name: string, tabs: {key: string, title: string, count?: number}[], current: string, onChoose: (key: string) => void}} props
 */
export function Tabs({ name, tabs, current, onChoose }) {
  return html`<div class="tabs" role="group" aria-label=${name}>${tabs.map(
    (tab) => html`
    <button type="button" key=${tab.key} class="tab" aria-pressed=${tab.key === current ? 'true' : 'false'}
      onClick=${() => onChoose(tab.key)}>
      ${tab.title}${tab.count === undefined ? null : html` <span class="count">${tab.count}</span>`}</button>`,
  )}</div>`;
}

/** A bar with its value as text. @param {{share: number, text?: string, look?: string}} props */
export function Bar({ share, text, look = 'accent' }) {
  const percent = `${Math.min(Math.max(share || 0, 0), 1) * 100}%`;
  return html`<span class="bar-cell">${text && html`<span class="bar-text">${text}</span>`}
    <span class="bar" aria-hidden="true"><span class=${`bar-fill is-${look}`} style=${{ width: percent }}></span></span>
      </span>`;
}
