// @ts-check
// Figures as people read them. Pure; every function gives `–` for what is not known.

export const UNKNOWN = '–';
const SECOND = 1;
const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

/** @param {unknown} value @returns {value is number} */
export function isNumber(value) {
  return typeof value === 'number' && Number.isFinite(value);
}

/** About three significant digits, thousands apart: `0.042`, `12.3`, `1,234`. @param {unknown} value */
export function number(value) {
  if (!isNumber(value)) return UNKNOWN;
  const size = Math.abs(value);
  // Zero has a sign, which says nothing to anybody.
  if (Number.isInteger(value) || size >= 100) return (Math.round(value) || 0).toLocaleString('en-US');
  if (size >= 10) return trimmed(value.toFixed(1));
  if (size >= 0.1) return trimmed(value.toFixed(2));
  return size < 0.001 ? (value === 0 ? '0' : '<0.001') : trimmed(value.toFixed(3));
}

/** @param {string} text */
function trimmed(text) {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

/** Short for narrow places: `1.2 k`, `3.4 M`. @param {unknown} value */
export function short(value) {
  if (!isNumber(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 1e9) return `${trimmed((value / 1e9).toFixed(1))} G`;
  if (size >= 1e6) return `${trimmed((value / 1e6).toFixed(1))} M`;
  if (size >= 1e4) return `${trimmed((value / 1e3).toFixed(1))} k`;
  return number(value);
}

/** @param {unknown} value bytes */
export function bytes(value) {
  if (!isNumber(value)) return UNKNOWN;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let rest = Math.abs(value);
  let unit = 0;
  while (rest >= 1024 && unit < units.length - 1) {
    rest /= 1024;
    unit += 1;
  }
  const text = unit === 0 ? String(Math.round(rest)) : rest.toFixed(rest >= 100 ? 0 : 1);
  return `${value < 0 ? '-' : ''}${text} ${units[unit]}`;
}

/** @param {unknown} value milliseconds */
export function ms(value) {
  if (!isNumber(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 60_000) return seconds(value / 1000);
  if (size >= 1000) return `${(value / 1000).toFixed(size >= 10_000 ? 1 : 2)} s`;
  if (size >= 100) return `${Math.round(value)} ms`;
  if (size >= 10) return `${value.toFixed(1)} ms`;
  if (value !== 0 && size < 0.01) return '<0.01 ms';
  return `${value.toFixed(2)} ms`;
}

/** The two largest units: `3 d 4 h`, `5 min 2 s`. @param {unknown} value seconds */
export function seconds(value) {
  if (!isNumber(value)) return UNKNOWN;
  if (value < 0) return `-${seconds(-value)}`;
  if (value < SECOND) return value === 0 ? '0 s' : `${Math.round(value * 1000)} ms`;
  if (value < 10) return `${trimmed(value.toFixed(1))} s`;
  if (value < MINUTE) return `${Math.round(value)} s`;
  if (value < HOUR) return pair(value, MINUTE, 'min', SECOND, 's');
  if (value < DAY) return pair(value, HOUR, 'h', MINUTE, 'min');
  return pair(value, DAY, 'd', HOUR, 'h');
}

/**
 * @param {number} value
 * @param {number} large
 * @param {string} largeName
 * @param {number} small
 * @param {string} smallName
 */
function pair(value, large, largeName, small, smallName) {
  const rounded = Math.round(value / small) * small;
  const whole = Math.floor(rounded / large);
  const rest = Math.round((rounded - whole * large) / small);
  return rest === 0 ? `${whole} ${largeName}` : `${whole} ${largeName} ${rest} ${smallName}`;
}

/** @param {unknown} value 0 to 100 */
export function percent(value) {
  if (!isNumber(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size !== 0 && size < 0.1) return '<0.1 %';
  return `${size >= 99.95 || size === 0 || Number.isInteger(value) ? Math.round(value) : value.toFixed(1)} %`;
}

/** @param {unknown} value 0 to 1 */
export function share(value) {
  return isNumber(value) ? percent(value * 100) : UNKNOWN;
}

/** @param {unknown} value */
export function perSecond(value) {
  return isNumber(value) ? `${number(value)}/s` : UNKNOWN;
}

/** A value of a check or a series in its unit. @param {unknown} value @param {string} unit */
export function inUnit(value, unit) {
  const byUnit = {
    percent,
    bytes,
    seconds,
    ms,
    milliseconds: ms,
    share,
    per_second: perSecond,
    bytes_per_second: (/** @type {unknown} */ rate) => (isNumber(rate) ? `${bytes(rate)}/s` : UNKNOWN),
  };
  return (byUnit[/** @type {keyof typeof byUnit} */ (unit)] ?? number)(value);
}

/** Without zeros that say nothing: `5.00 ms` is `5 ms` at an axis. @param {string} text */
export function tidied(text) {
  return text.replace(/(\.\d*?)0+(?=\D|$)/, '$1').replace(/\.(?=\D|$)/, '');
}

/** @param {string | null | undefined} at RFC 3339 @param {number} now ms since 1970 */
export function ago(at, now = Date.now()) {
  if (!at) return UNKNOWN;
  const past = (now - Date.parse(at)) / 1000;
  if (Number.isNaN(past)) return UNKNOWN;
  if (past < -1) return `in ${coarse(-past)}`;
  return past < 5 ? 'just now' : `${coarse(past)} ago`;
}

/**
 * How long something has lasted.
 * @param {string | null | undefined} since RFC 3339
 * @param {number} now ms since 1970
 */
export function lasting(since, now = Date.now()) {
  const past = (now - Date.parse(since ?? '')) / 1000;
  return Number.isNaN(past) ? UNKNOWN : coarse(Math.max(past, 0));
}

/** Only the largest unit, as nobody needs more of the past. @param {number} value seconds */
export function coarse(value) {
  if (value < MINUTE) return `${Math.round(value)} s`;
  if (value < HOUR) return `${Math.round(value / MINUTE)} min`;
  if (value < 2 * DAY) return `${Math.round(value / HOUR)} h`;
  return `${Math.round(value / DAY)} d`;
}

/** Date and time of this place. @param {string | number | null | undefined} at RFC 3339, or ms since 1970 */
export function moment(at) {
  if (at === null || at === undefined) return UNKNOWN;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return UNKNOWN;
  const two = (/** @type {number} */ part) => String(part).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `idle_in_transaction` as words. @param {unknown} name */
export function words(name) {
  const text = String(name ?? '')
    .replaceAll('_', ' ')
    .trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Names whose numbers are names themselves. */
const NAMES = /(^|_)(id|oid|pid|year|port)$/;
/** PostgreSQL's `numeric` comes as a text, as no number of JavaScript holds all of it. */
const DECIMAL = /^-?\d+\.\d+$/;

/** Whether it is read as a figure. @param {unknown} value */
export function isFigure(value) {
  return isNumber(value) || (typeof value === 'string' && DECIMAL.test(value));
}

/** A value of any shape, by the name that it goes under. @param {string} key @param {unknown} value @returns {string} */
export function anything(key, value) {
  if (value === null || value === undefined || value === '') return UNKNOWN;
  if (isNumber(value)) return NAMES.test(key) ? String(value) : number(value);
  if (typeof value === 'string') return DECIMAL.test(value) ? grouped(value) : value;
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (Array.isArray(value)) return value.map((each) => anything(key, each)).join(', ') || UNKNOWN;
  return typeof value === 'object' ? fields(/** @type {Record<string, unknown>} */ (value)) : String(value);
}

/** A session is its pid, with those that wait for it; all else is its fields. @param {Record<string, unknown>} value */
function fields(value) {
  if ('pid' in value) {
    const blocked = Array.isArray(value.blocks) && value.blocks.length > 0 ? value.blocks : null;
    return blocked ? `${value.pid} (and so ${anything('pid', blocked)})` : String(value.pid);
  }
  return Object.entries(value)
    .map(([key, each]) => `${key.replaceAll('_', ' ')}: ${anything(key, each)}`)
    .join('; ');
}

/** @param {string} text */
function grouped(text) {
  const [whole, part] = text.split('.');
  return `${whole.replace(/\B(?=(\d{3})+$)/g, ',')}.${part}`;
}

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}
