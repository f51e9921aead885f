// @ts-check
// Checks of health, as the overview orders and words them. Pure.
import { coarse, inUnit, isNumber } from './format.js';

const GRAVITY = { critical: 3, warning: 2, unknown: 1, ok: 0 };

/** @param {any} check */
export function gravity(check) {
  return GRAVITY[/** @type {keyof typeof GRAVITY} */ (check.status)] ?? 1;
}

/** The worst first; those alike keep the server's order. @param {any[]} checks */
export function worstFirst(checks) {
  return [...checks].sort((a, b) => gravity(b) - gravity(a));
}

/**
 * Why what is shown of health is not to be believed any more; the newer of two tellers knows. Null where it is.
 * @param {any} report @param {any} [now] the last live figures
 */
export function staleReason(report, now) {
  const stale = now && 'stale' in now ? now.stale : report?.stale;
  return stale?.reason ?? null;
}

/** @param {any[]} checks */
export function countByStatus(checks) {
  const counts = { critical: 0, warning: 0, unknown: 0, ok: 0 };
  for (const { status } of checks) counts[/** @type {keyof typeof counts} */ (status)] += 1;
  return counts;
}

/** `1 critical, 3 warnings`, or that all is well. @param {any[]} checks */
export function verdict(checks) {
  const { critical, warning, unknown } = countByStatus(checks);
  const parts = [];
  if (critical) parts.push(`${critical} critical`);
  if (warning) parts.push(`${warning} ${warning === 1 ? 'warning' : 'warnings'}`);
  if (parts.length === 0 && unknown) parts.push(`${unknown} unknown`);
  return parts.length ? parts.join(', ') : 'All well';
}

/** `71 % → 86 % in 1 h; critical in 40 min`. @param {any} check */
export function trendText(check) {
  const { trend, value, unit } = check;
  if (!trend || !isNumber(value)) return '';
  const moved = `${inUnit(trend.before, unit)} → ${inUnit(value, unit)} in ${coarse(trend.seconds)}`;
  const until = trend.seconds_until_critical;
  return isNumber(until) ? `${moved}; critical in about ${coarse(until)} at this pace` : moved;
}

/** @param {any} check @returns {'rising' | 'falling' | null} a change of at least two percent */
export function trendDirection({ trend, value }) {
  if (!trend || !isNumber(value) || !isNumber(trend.before)) return null;
  const change = value - trend.before;
  if (Math.abs(change) < Math.max(Math.abs(trend.before), 1e-9) * 0.02) return null;
  return change > 0 ? 'rising' : 'falling';
}

/** @param {any[]} checks @returns {[string, any[]][]} */
export function byGroup(checks) {
  /** @type {Map<string, any[]>} */
  const groups = new Map();
  for (const check of checks) groups.set(check.group, [...(groups.get(check.group) ?? []), check]);
  return [...groups];
}
