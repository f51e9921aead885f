// @ts-check
// The current route as a signal, and the ways to change it. All state that a link should reproduce is in it.
import { carried, formatRoute, parseRoute } from '../lib/route.js';
import { signal } from './html.js';

export const route = signal(parseRoute(location.hash));

addEventListener('hashchange', () => {
  route.value = parseRoute(location.hash);
});
addEventListener('popstate', () => {
  route.value = parseRoute(location.hash);
});

/**
 * The address of a page; the time range goes along.
 * @param {string} page
 * @param {{item?: string | null, params?: Record<string, any>}} [more]
 */
export function href(page, { item = null, params = {} } = {}) {
  return formatRoute({ page, item, params: { ...carried(route.value.params), ...params } });
}

/** @param {string} page @param {{item?: string | null, params?: Record<string, any>}} [more] */
export function go(page, more = {}) {
  show(href(page, more), 'push');
}

/**
 * Changes parameters of this page; `null` takes one out. What changes at every key (a filter) replaces the entry of the
 * browser's history, so that one step back leaves the page.
 * @param {Record<string, string | null>} changes @param {'push' | 'replace'} [how]
 */
export function setParams(changes, how = 'replace') {
  const { page, item, params } = route.value;
  show(formatRoute({ page, item, params: { ...params, ...changes } }), how);
}

/** @param {string} fragment @param {'push' | 'replace'} how */
function show(fragment, how) {
  if (fragment === location.hash) return;
  if (how === 'push') history.pushState(null, '', fragment);
  else history.replaceState(null, '', fragment);
  route.value = parseRoute(fragment);
}
