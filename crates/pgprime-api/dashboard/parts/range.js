// @ts-check
// The time range: one of the usual ones, or from and to.
import { customRange, rangeOf, RANGES, RANGE_TITLES } from '../lib/route.js';
import { html, useEffect, useRef, useState } from './html.js';
import { Icon } from './icons.js';
import { route, setParams } from './router.js';

/** The range in force, in seconds since 1970, at steps of ten seconds so that equal questions have equal addresses. */
export function currentRange() {
  return rangeOf(route.value.params, Math.floor(Date.now() / 10_000) * 10);
}

export function RangePicker() {
  const range = currentRange();
  const [isOwn, setOwn] = useState(false);
  const select = useRef(/** @type {HTMLSelectElement | null} */ (null));
  const close = () => {
    setOwn(false);
    select.current?.focus();
  };
  const choose = (event) => {
    const name = event.target.value;
    if (name === 'own') setOwn(true);
    else if (name !== 'custom') {
      setOwn(false);
      setParams({ range: name, from: null, to: null }, 'push');
    }
  };
  return html`<div class="range">
    <label><span class="visually-hidden">Time range</span>
      <select name="range" ref=${select} value=${isOwn ? 'own' : range.name} onChange=${choose}>
        ${Object.keys(RANGES).map(
          (name) => html`<option key=${name} value=${name}
          selected=${!isOwn && name === range.name}>
          ${RANGE_TITLES[/** @type {keyof typeof RANGE_TITLES} */ (name)]}</option>`,
        )}
        ${
          range.name === 'custom' &&
          html`<option value="custom" selected=${!isOwn}>
          ${spanText(range)}</option>`
        }
        <option value="own" selected=${isOwn}>From – to…</option>
      </select></label>
    ${
      range.name === 'custom' &&
      html`<button type="button" class="button is-small"
      onClick=${() => setParams({ range: null, from: null, to: null }, 'push')}>Reset</button>`
    }
    ${isOwn && html`<${OwnRange} range=${range} onDone=${close} />`}
  </div>`;
}

/** @param {{range: import('../lib/route.js').Range, onDone: () => void}} props */
function OwnRange({ range, onDone }) {
  const [refusal, setRefusal] = useState('');
  const first = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => first.current?.focus(), []);
  const apply = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const from = new Date(String(form.get('from'))).getTime() / 1000;
    const to = new Date(String(form.get('to'))).getTime() / 1000;
    if (!(from < to)) {
      setRefusal('“From” has to be before “To”.');
      first.current?.focus();
    } else if (from >= Date.now() / 1000) {
      setRefusal('“From” lies in the future.');
      first.current?.focus();
    } else {
      setParams(customRange(from, to), 'push');
      onDone();
    }
  };
  const onKey = (event) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    onDone();
  };
  return html`<form class="range-own" onSubmit=${apply} onKeyDown=${onKey} aria-label="From – to">
    <label class="field"><span>From</span><input type="datetime-local" name="from" step="60" required ref=${first}
      defaultValue=${localInput(range.from)} /></label>
    <label class="field"><span>To</span><input type="datetime-local" name="to" step="60" required
      defaultValue=${localInput(range.to)} /></label>
    ${refusal && html`<p class="refusal" role="alert"><${Icon} name="warning" /> ${refusal}</p>`}
    <div class="dialog-actions"><button type="button" class="button is-small" onClick=${onDone}>Cancel</button>
      <button type="submit" class="button is-small is-primary">Show</button></div>
  </form>`;
}

/** @param {number} at seconds */
function localInput(at) {
  const date = new Date(at * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** @param {import('../lib/route.js').Range} range */
function spanText({ from, to }) {
  const [left, right] = [localInput(from), localInput(to)];
  const isSameDay = left.slice(0, 10) === right.slice(0, 10);
  return `${left.slice(5).replace('T', ' ')} – ${isSameDay ? right.slice(11) : right.slice(5).replace('T', ' ')}`;
}
