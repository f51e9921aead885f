// @ts-check
// Rows of tables: sorted, filtered, written as CSV or JSON. Pure.

/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {(row: any) => unknown} value what is sorted, filtered and exported
 * @property {(row: any) => unknown} [cell] what is shown, where it is not the value
 * @property {(row: any) => unknown} [order] what it is sorted by, where it is not the value
 * @property {boolean} [isNumeric] right-aligned, and sorted from the largest first
 * @property {boolean} [isWide] takes the room that is left
 * @property {string} [hint] what the title means
 */

/** @typedef {{key: string, isDescending: boolean}} Sort */

/** @param {string | undefined} text such as `calls:desc` @param {Sort} fallback @returns {Sort} */
export function parseSort(text, fallback) {
  const [key, direction] = (text ?? '').split(':');
  return key ? { key, isDescending: direction === 'desc' } : fallback;
}

/** @param {Sort} sort */
export function formatSort({ key, isDescending }) {
  return `${key}:${isDescending ? 'desc' : 'asc'}`;
}

/** What a click on a column's title means. @param {Sort} current @param {Column} column @returns {Sort} */
export function nextSort(current, column) {
  if (current.key === column.key) return { key: column.key, isDescending: !current.isDescending };
  return { key: column.key, isDescending: Boolean(column.isNumeric) };
}

/**
 * Unknown values are last in both directions; equal ones keep their order.
 * @param {any[]} rows
 * @param {Column[]} columns
 * @param {Sort} sort
 */
export function sorted(rows, columns, sort) {
  const column = columns.find(({ key }) => key === sort.key);
  if (!column) return rows;
  const direction = sort.isDescending ? -1 : 1;
  return rows
    .map((row) => ({ row, value: (column.order ?? column.value)(row) }))
    .sort((a, b) => compare(a.value, b.value, direction))
    .map(({ row }) => row);
}

/** @param {unknown} a @param {unknown} b @param {number} direction */
function compare(a, b, direction) {
  const unknown = Number(isUnknown(a)) - Number(isUnknown(b));
  if (unknown !== 0 || isUnknown(a)) return unknown;
  if (typeof a === 'number' && typeof b === 'number') return (a - b) * direction;
  return String(a).localeCompare(String(b), 'en', { numeric: true, sensitivity: 'base' }) * direction;
}

/** @param {unknown} value */
function isUnknown(value) {
  return value === null || value === undefined || value === '' || Number.isNaN(value);
}

/**
 * Rows that hold all words of the filter, in any column.
 * @param {any[]} rows
 * @param {Column[]} columns
 * @param {string | undefined} filter
 */
export function filtered(rows, columns, filter) {
  const needles = (filter ?? '').toLowerCase().split(/\s+/).filter(Boolean);
  if (needles.length === 0) return rows;
  return rows.filter((row) => {
    const hay = columns
      .map((column) => String(column.value(row) ?? ''))
      .join('\n')
      .toLowerCase();
    return needles.every((needle) => hay.includes(needle));
  });
}

/** RFC 4180. @param {any[]} rows @param {Column[]} columns */
export function toCsv(rows, columns) {
  const lines = [columns.map(({ key }) => quoted(key))];
  for (const row of rows) lines.push(columns.map((column) => quoted(column.value(row))));
  return lines.map((line) => `${line.join(',')}\r\n`).join('');
}

/**
 * A text that a spreadsheet would run as a formula is marked as text: statements come from whoever wrote them.
 * @param {unknown} value
 */
function quoted(value) {
  if (value === null || value === undefined) return '';
  const raw = typeof value === 'object' ? JSON.stringify(value) : String(value);
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(raw) ? `'${raw}` : raw;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** @param {any[]} rows @param {Column[]} columns */
export function toJson(rows, columns) {
  const plain = rows.map((row) => Object.fromEntries(columns.map(({ key, value }) => [key, value(row) ?? null])));
  return `${JSON.stringify(plain, null, 2)}\n`;
}
