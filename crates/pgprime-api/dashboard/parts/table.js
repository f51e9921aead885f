// @ts-check
// A table: sorted and filtered through the URL, expandable, exported as CSV or JSON.
import { formatSort, filtered, nextSort, parseSort, sorted, toCsv, toJson } from '../lib/rows.js';
import { oneLine } from '../lib/sql_tokens.js';
import { Icon } from './icons.js';
import { html, useState } from './html.js';
import { Sql } from './copy.js';
import { route, setParams } from './router.js';

/** Beyond this a browser becomes slow, and nobody reads on. */
const ROWS_SHOWN = 100;

/**
 * @param {object} props
 * @param {string} props.id prefix of its parameters in the URL; empty for the page's main table
 * @param {string} props.caption for screen readers, and the name of the exported file
 * @param {import('../lib/rows.js').Column[]} props.columns
 * @param {any[]} props.rows
 * @param {(row: any) => string} props.keyOf
 * @param {string} props.sort such as `calls:desc`
 * @param {(row: any) => any} [props.expand] what a row shows when it is opened
 * @param {any} [props.empty] what stands instead of no rows
 * @param {any} [props.tools] more beside the filter
 * @param {boolean} [props.isPlain] without filter and export
 * @param {import('../lib/rows.js').Column[]} [props.exported] what is exported, where it is not what is shown
 */
export function Table({
  id = '',
  caption,
  columns,
  rows,
  keyOf,
  sort,
  expand,
  empty = 'Nothing here.',
  tools,
  isPlain = false,
  exported = columns,
}) {
  const name = (param) => (id ? `${id}.${param}` : param);
  const { params } = route.value;
  const [isAll, setAll] = useState(false);
  const order = parseSort(params[name('sort')], parseSort(sort, { key: '', isDescending: false }));
  const filter = params[name('filter')];
  const found = sorted(filtered(rows, columns, filter), columns, order);
  const opened = params[name('row')];
  const shown = isAll ? found : found.slice(0, ROWS_SHOWN);
  const onSort = (column) => setParams({ [name('sort')]: formatSort(nextSort(order, column)) });
  const onOpen = (key) => setParams({ [name('row')]: key === opened ? null : key });
  return html`<div class=${`table-box ${isPlain ? 'is-plain' : ''}`}>
    ${
      !isPlain &&
      html`<${Tools} id=${id} caption=${caption} filter=${filter}
        onFilter=${(text) => setParams({ [name('filter')]: text })}
      columns=${exported} rows=${found} total=${rows.length} tools=${tools} />`
    }
    <div class="table-scroll" tabindex="0" role="region" aria-label=${caption}>
      <table><caption class="visually-hidden">${caption}</caption>
        <thead><tr>${expand && html`<th class="expander"><span class="visually-hidden">Details</span></th>`}
          ${columns.map(
            (column) => html`<${Head} key=${column.key} column=${column} order=${order}
            onSort=${onSort} />`,
          )}</tr></thead>
        <tbody>${shown.map(
          (row) => html`<${Row} key=${keyOf(row)} id=${keyOf(row)} row=${row} columns=${columns} expand=${expand}
          isOpen=${opened === keyOf(row)} onOpen=${onOpen} />`,
        )}</tbody></table>
      ${found.length === 0 && html`<div class="table-empty">${filter ? `Nothing matches “${filter}”.` : empty}</div>`}
    </div>
    ${
      found.length > shown.length &&
      html`<button type="button" class="button is-quiet"
      onClick=${() => setAll(true)}>Show all ${found.length.toLocaleString('en-US')} rows</button>`
    }
  </div>`;
}

/** @param {any} props */
function Tools({ id, caption, filter, onFilter, columns, rows, total, tools }) {
  const file = caption
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  const exported = columns.filter((column) => column.key !== 'action');
  return html`<div class="table-tools">
    <label class="filter"><${Icon} name="search" /><span class="visually-hidden">Filter ${caption}</span>
      <input type="search" name=${`${id}filter`} data-filter placeholder="Filter" value=${filter ?? ''}
        autocomplete="off"
        onInput=${(event) => onFilter(event.target.value)} /></label>
    ${tools}
    <span class="table-count" role="status">
      ${rows.length === total ? total.toLocaleString('en-US') : `${rows.length.toLocaleString('en-US')} of ${total.toLocaleString('en-US')}`}</span>
    <span class="exports"><button type="button" class="button is-small"
      onClick=${() => save(`${file}.csv`, 'text/csv', toCsv(rows, exported))}
        aria-label=${`Export ${caption} as CSV`}><${Icon} name="download" />CSV</button>
      <button type="button" class="button is-small"
        onClick=${() => save(`${file}.json`, 'application/json', toJson(rows, exported))}
        aria-label=${`Export ${caption} as JSON`}>JSON</button></span>
  </div>`;
}

/** @param {import('../lib/rows.js').Column} column */
function classesOf({ key, isNumeric, isWide }) {
  return [isNumeric && 'is-number', isWide && 'is-wide', key === 'action' && 'is-action'].filter(Boolean).join(' ');
}

/** @param {any} props */
function Head({ column, order, onSort }) {
  const isSorted = order.key === column.key;
  const direction = order.isDescending ? 'descending' : 'ascending';
  const classes = classesOf(column);
  if (column.key === 'action')
    return html`<th class=${classes}><span class="visually-hidden">${column.title}</span></th>`;
  return html`<th class=${classes} aria-sort=${isSorted ? direction : undefined}>
    <button type="button" onClick=${() => onSort(column)} title=${column.hint}>${column.title}
      <span class=${`sort-mark ${isSorted ? direction : ''}`} aria-hidden="true"></span></button></th>`;
}

/** @param {any} props */
function Row({ id, row, columns, expand, isOpen, onOpen }) {
  const cells = columns.map(
    (column) => html`<td key=${column.key}
      class=${classesOf(column)}>
    ${column.cell ? column.cell(row) : column.value(row)}</td>`,
  );
  if (!expand) return html`<tr>${cells}</tr>`;
  return html`<tr class=${isOpen ? 'is-open' : ''}>
      <td class="expander"><button type="button" class="button is-icon" aria-expanded=${isOpen ? 'true' : 'false'}
        onClick=${() => onOpen(id)}>
        <${Icon} name=${isOpen ? 'down' : 'right'} /><span class="visually-hidden">Details</span></button></td>
          ${cells}</tr>
    ${
      isOpen &&
      html`<tr class="expanded"><td colspan=${columns.length + 1}><div class="expanded-body">
      ${expand(row)}</div></td></tr>`
    }`;
}

/** @param {string} name @param {string} type @param {string} content */
export function save(name, type, content) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([content], { type: `${type};charset=utf-8` }));
  link.download = `pgprime-${name}`;
  link.click();
  // The browser has begun to read by then; without this each export stays in memory.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/**
 * A long statement in one line, whole on demand.
 * @param {{sql: string | null, charactersMax?: number, link?: string}} props
 */
export function SqlCell({ sql, charactersMax = 90, link }) {
  const [isWhole, setWhole] = useState(false);
  if (!sql) return html`<span class="muted">${sql === '' ? 'none yet' : 'not shown to this role'}</span>`;
  const line = oneLine(sql, charactersMax);
  const text = isWhole ? html`<pre class="sql-whole"><${Sql} sql=${sql} /></pre>` : html`<${Sql} sql=${line} />`;
  const isCut = line !== sql.replace(/\s+/g, ' ').trim() || sql.includes('\n');
  return html`<span class=${`sql-cell ${isWhole ? 'is-whole' : ''}`}>
    ${link && !isWhole ? html`<a href=${link}>${text}</a>` : text}
    ${
      isCut &&
      html`<button type="button" class="button is-more" aria-expanded=${isWhole ? 'true' : 'false'}
      onClick=${() => setWhole(!isWhole)}>${isWhole ? 'less' : 'more'}</button>`
    }</span>`;
}
