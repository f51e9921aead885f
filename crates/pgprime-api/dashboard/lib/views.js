// @ts-check
// How a materialized view does, by what is known of it and what is next. Pure.
import { counted } from './format.js';

/** Why a refresh that is due was brought forward: a budget is about to break, or is broken. */
const BROKEN = { age: 'Too old', changes: 'Lacks too much' };

/** @param {any} row @returns {[string, string]} a status and its word */
export function viewStatus(row) {
  if (!row.exists) return ['critical', 'Not there'];
  if (row.is_failing) return ['critical', `Failing: ${counted(row.failures, 'time')}`];
  if (!row.is_populated) return ['warning', 'Empty'];
  if (row.failures > 0) return ['warning', counted(row.failures, 'failure')];
  const { action, reason, because } = row.next ?? {};
  const broken = BROKEN[/** @type {keyof typeof BROKEN} */ (reason)];
  if (action === 'refresh') return broken ? ['warning', broken] : ['pending', 'Due'];
  if (because?.reason === 'pressure') return ['warning', 'Held back'];
  const isSame = action === 'skip' || (row.changes?.kind === 'rows' && row.changes.rows === 0);
  if (isSame) return ['ok', 'Up to date'];
  // Without a time or a limit nothing says how old it may become.
  return row.next ? ['ok', 'Fresh enough'] : ['unknown', 'Not known'];
}

/** What holds a refresh back. @param {any} because @returns {string} */
export function pressureText(because) {
  switch (because?.cause) {
    case 'sessions':
      return `${because.active} of ${because.active_max} sessions at work`;
    case 'pooler':
      return `clients of ${because.pool} have waited ${because.waited}`;
    case 'standby':
      return `standby ${because.name} is ${because.behind} behind`;
    case 'vacuum':
      return 'it is being vacuumed';
    default:
      return 'the database is busy';
  }
}
