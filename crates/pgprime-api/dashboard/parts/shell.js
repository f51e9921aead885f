// @ts-check
// What is around every page: navigation, the bar at the top, keys, and the focus.
import { forgetToken, hasToken } from '../api.js';
import { staleReason, verdict } from '../lib/health.js';
import { Dialogs, isHelpOpen, pageKeys } from './dialog.js';
import { Icon, Status, lookOf } from './icons.js';
import { html, signal, useEffect, useRef } from './html.js';
import { alertChange, health, healthError, live, liveState, session } from './live.js';
import { Prose } from './prose.js';
import { RangePicker } from './range.js';
import { go, href, route } from './router.js';
import { choice, nextTheme } from './theme.js';

/** @typedef {{path: string, title: string, key: string, component: any, hasRange?: boolean}} Page */

const isMenuOpen = signal(false);
const TOAST_SHOWN_MS = 8000;
/** The second key must follow soon, as `g` alone may be a slip. */
const SEQUENCE_MS = 1500;

/** @param {{pages: Page[]}} props */
export function Shell({ pages }) {
  const { page: path, item } = route.value;
  const page = pages.find((each) => each.path === path);
  useFocusAtNavigation(`${path}/${item ?? ''}`, page?.title ?? 'Not found');
  return html`
    <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => {
      event.preventDefault();
      focusHeading();
    }}>Skip to content</a>
    <${TopBar} hasRange=${page?.hasRange} />
    <${Navigation} pages=${pages} current=${path} />
    <main id="main" class="main">
      ${page ? html`<${page.component} key=${path} item=${item} />` : html`<${NotFound} />`}</main>
    <${Toast} /><${Dialogs} />`;
}

/**
 * After going to another page, screen readers and keyboards begin at its heading.
 * @param {string} place
 * @param {string} title
 */
function useFocusAtNavigation(place, title) {
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = `${title} · pgprime`;
    isMenuOpen.value = false;
    if (!isFirst.current) {
      scrollTo(0, 0);
      focusHeading();
    }
    isFirst.current = false;
  }, [place]);
}

function focusHeading() {
  document.querySelector('h1')?.focus();
}

function NotFound() {
  return html`<${PageHead} title="Not found" /><p>There is no such page. <a href=${href('overview')}>To the overview</a>
    </p>`;
}

/** The heading of a page. @param {{title: string, sub?: any, actions?: any}} props */
export function PageHead({ title, sub, actions }) {
  return html`<header class="page-head"><div><h1 tabindex="-1">${title}</h1>
    ${sub && html`<p class="page-sub">${sub}</p>`}</div>
    ${actions && html`<div class="page-actions">${actions}</div>`}</header>`;
}

/**
 * An open menu has the focus; Escape closes it, and gives the focus back to its button.
 * @param {{current: HTMLButtonElement | null}} opener
 */
function useMenu(opener) {
  const isOpen = isMenuOpen.value;
  useEffect(() => {
    if (!isOpen) return undefined;
    const link = document.querySelector('.navigation [aria-current], .navigation a');
    if (link instanceof HTMLElement) link.focus();
    const onKey = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== 'Escape') return;
      isMenuOpen.value = false;
      opener.current?.focus();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [isOpen]);
}

/** @param {{hasRange?: boolean}} props */
function TopBar({ hasRange }) {
  const opener = useRef(/** @type {HTMLButtonElement | null} */ (null));
  useMenu(opener);
  const themeTitle = { auto: 'As the system', light: 'Light', dark: 'Dark' }[choice.value] ?? '';
  return html`<header class="top">
    <button type="button" class="button is-icon menu-button" ref=${opener} aria-expanded=${isMenuOpen.value ? 'true' : 'false'}
      aria-controls="navigation" onClick=${() => {
        isMenuOpen.value = !isMenuOpen.value;
      }}>
      <${Icon} name="menu" /><span class="visually-hidden">Menu</span></button>
    <a class="brand" href=${href('overview')}><span class="brand-mark" aria-hidden="true"></span>pgprime</a>
    <span class="database">${session.value?.database ?? ''}</span>
    <${HealthPill} />
    <${LivePill} />
    <span class="top-space"></span>
    ${hasRange && html`<${RangePicker} />`}
    <button type="button" class="button is-icon" onClick=${nextTheme} title=${`Colours: ${themeTitle}`}>
      <${Icon} name=${choice.value === 'light' ? 'sun' : choice.value === 'dark' ? 'moon' : 'theme'} /><span
        class="visually-hidden">Colours: ${themeTitle}</span></button>
    <button type="button" class="button is-icon help-button" onClick=${() => {
      isHelpOpen.value = true;
    }} title="Keys"><span aria-hidden="true">?</span><span class="visually-hidden">Keys</span></button>
  </header>`;
}

function HealthPill() {
  const report = health.value;
  if (!report)
    return healthError.value
      ? html`<span class="pill is-critical"><${Status} status="critical" word="No answer" /></span>`
      : null;
  const isStale = staleReason(report, live.value.at(-1)) !== null;
  const status = isStale ? 'unknown' : report.status;
  const word = isStale ? 'Nobody looks' : verdict(report.checks);
  return html`<a class=${`pill is-${lookOf(status)}`} href=${href('overview')}><span class="pill-long"><${Status}
    status=${status} word=${word} /></span>
    <span class="pill-short"><${Status} status=${status} /></span></a>`;
}

const LIVE_WORDS = { live: 'Live', connecting: 'Connecting', lost: 'Reconnecting' };

function LivePill() {
  const state = liveState.value;
  return html`<span class=${`live is-${state}`} role="status"><span class="live-dot" aria-hidden="true"></span><span
    class="live-word">${LIVE_WORDS[state]}</span></span>`;
}

/** @param {{pages: Page[], current: string}} props */
function Navigation({ pages, current }) {
  return html`<nav id="navigation" class=${`navigation ${isMenuOpen.value ? 'is-open' : ''}`} aria-label="Pages">
    <ul>${pages.map(
      ({
        path,
        title,
      }) => html`<li key=${path}><a href=${href(path)} aria-current=${path === current ? 'page' : undefined}
      onClick=${() => {
        isMenuOpen.value = false;
      }}><${Icon} name=${path} />${title}</a></li>`,
    )}</ul>
    <${WhoAmI} />
  </nav>`;
}

function WhoAmI() {
  const known = session.value;
  if (!known) return null;
  return html`<div class="who"><span>pgprime ${known.version}</span><span>Role ${known.role}</span>
    ${hasToken() && html`<button type="button" class="button is-small" onClick=${forgetToken}>Log out</button>`}</div>`;
}

/** A change of an alert, for a moment. */
function Toast() {
  const alert = alertChange.value;
  useEffect(() => {
    if (!alert) return undefined;
    const timer = setTimeout(() => {
      alertChange.value = null;
    }, TOAST_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [alert]);
  return html`<div class="toasts" aria-live="assertive">${
    alert &&
    html`<a class="toast" href=${href('alerts')}>
    <${Status} status=${alert.state === 'resolved' ? 'resolved' : alert.severity}
      word=${alert.state === 'resolved' ? 'Resolved' : undefined} /> <strong>${alert.title}</strong> <${Prose} text=${alert.text} /></a>`
  }</div>`;
}

/** @param {Page[]} pages */
export function listenToKeys(pages) {
  pageKeys.value = pages.map(({ key, title }) => [key, title]);
  let goUntil = 0;
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    const isGo = performance.now() < goUntil;
    goUntil = 0;
    const page = isGo && pages.find(({ key }) => key === event.key);
    if (page) go(page.path);
    else if (event.key === 'g') goUntil = performance.now() + SEQUENCE_MS;
    else if (event.key === 't') nextTheme();
    else if (event.key === '?') isHelpOpen.value = true;
    else if (event.key === '/') focusFilter(event);
  });
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return (
    target instanceof HTMLElement && (target.matches('input, textarea, select') || target.closest('dialog') !== null)
  );
}

/** @param {Event} event */
function focusFilter(event) {
  const filter = document.querySelector('[data-filter]');
  if (!(filter instanceof HTMLInputElement)) return;
  event.preventDefault();
  filter.focus();
  filter.select();
}
