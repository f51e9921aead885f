// @ts-check
// Where one is, as the fragment of the address: `#/queries/123?range=1h&sort=calls:desc`. Pure.
//
// The fragment and not the path, because it never reaches a server or a proxy's log (it may hold SQL), and because the
// dashboard then works below any path.

/** @typedef {{page: string, item: string | null, params: Record<string, string>}} Route */

/** The time ranges that are offered, in seconds. */
export const RANGES = /** @type {const} */ ({
  '15m': 900,
  '1h': 3600,
  '6h': 21_600,
  '24h': 86_400,
  '7d': 604_800,
  '30d': 2_592_000,
});
export const RANGE_TITLES = {
  '15m': '15 min',
  '1h': '1 hour',
  '6h': '6 hours',
  '24h': '24 hours',
  '7d': '7 days',
  '30d': '30 days',
};
export const DEFAULT_RANGE = '1h';
/** What goes along from page to page. */
const SHARED = ['range', 'from', 'to'];

/** @param {string} fragment @returns {Route} */
export function parseRoute(fragment) {
  const text = fragment.replace(/^#?\/?/, '');
  const [path, query = ''] = splitOnce(text, '?');
  const [page, item] = splitOnce(path, '/');
  /** @type {Record<string, string>} */
  const params = Object.create(null);
  for (const [name, value] of new URLSearchParams(query)) params[name] = value;
  return { page: page || 'overview', item: item ? decoded(item) : null, params };
}

/** @param {string} text @param {string} mark */
function splitOnce(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** A link that somebody cut in the middle of an escape is no reason to fail. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @param {{page: string, item?: string | null, params?: Record<string, string | null | undefined>}} route */
export function formatRoute({ page, item = null, params = {} }) {
  const query = new URLSearchParams();
  for (const name of Object.keys(params).sort()) {
    const value = params[name];
    if (value !== null && value !== undefined && value !== '') query.set(name, value);
  }
  const text = query.toString();
  return `#/${page}${item === null ? '' : `/${encodeURIComponent(item)}`}${text ? `?${text}` : ''}`;
}

/** What of the parameters goes along to another page. @param {Record<string, string>} params */
export function carried(params) {
  return Object.fromEntries(SHARED.filter((name) => name in params).map((name) => [name, params[name]]));
}

/** @typedef {{name: string, from: number, to: number}} Range `from` and `to` in seconds since 1970 */

/**
 * The range that the parameters mean at `now`.
 * @param {Record<string, string>} params
 * @param {number} now seconds
 * @returns {Range}
 */
export function rangeOf(params, now) {
  const from = Date.parse(params.from ?? '') / 1000;
  const to = Date.parse(params.to ?? '') / 1000;
  if (from < to) return { name: 'custom', from, to };
  const name = Object.hasOwn(RANGES, params.range ?? '') ? params.range : DEFAULT_RANGE;
  return { name, from: now - RANGES[/** @type {keyof typeof RANGES} */ (name)], to: now };
}

/** The parameters that mean a range of one's own. @param {number} from seconds @param {number} to seconds */
export function customRange(from, to) {
  return { range: null, from: rfc3339(from), to: rfc3339(to) };
}

/**
 * A range as `since` and `until` of the interface; one that goes on to now has no end.
 * @param {{name: string, from: number, to: number}} range
 */
export function timesOf({ name, from, to }) {
  return Object.hasOwn(RANGES, name) ? { since: name } : { since: rfc3339(from), until: rfc3339(to) };
}

/** @param {number} at seconds since 1970 */
export function rfc3339(at) {
  return new Date(Math.round(at) * 1000).toISOString().replace('.000Z', 'Z');
}
