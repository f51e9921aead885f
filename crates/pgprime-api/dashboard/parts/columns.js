// @ts-check
// The usual columns of tables.

/** A text. @param {string} key @param {string} title @param {Partial<import('../lib/rows.js').Column>} [more] */
export function plain(key, title, more = {}) {
  return { key, title, value: (row) => row[key], cell: (row) => row[key] ?? '–', ...more };
}

/**
 * A figure with its unit.
 * @param {string} key
 * @param {string} title
 * @param {(value: any) => unknown} show
 * @param {Partial<import('../lib/rows.js').Column>} [more]
 */
export function figure(key, title, show, more = {}) {
  return { key, title, isNumeric: true, value: (row) => row[key], cell: (row) => show(row[key]), ...more };
}
