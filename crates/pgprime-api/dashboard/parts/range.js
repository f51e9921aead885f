// @ts-check
// The time range: one of the usual ones, or from and to.
import { customRange, rangeOf, RANGES, RANGE_TITLES } from '../lib/route.js';
import { html, useState } from './html.js';
import { route, setParams } from './router.js';

/** The range in force, in seconds since 1970, at steps of ten seconds so that equal questions have equal addresses. */
export function currentRange() {
  return rangeOf(route.value.params, Math.floor(Date.now() / 10_000) * 10);
}

export function RangePicker() {
  const range = currentRange();
  const [isOwn, setOwn] = useState(false);
  const choose = (event) => {
    const name = event.target.value;
    if (name === 'custom') setOwn(true);
    else {
      setOwn(false);
      setParams({ range: name, from: null, to: null }, 'push');
    }
  };
  return html`<div class="range">
    <label><span class="visually-hidden">Time range</span>
      <select name="range" value=${isOwn ? 'custom' : range.name} onChange=${choose}>
        ${Object.keys(RANGES).map(
          (name) => html`<option key=${name} value=${name}
          selected=${!isOwn && name === range.name}>
          ${RANGE_TITLES[/** @type {keyof typeof RANGE_TITLES} */ (name)]}</option>`,
        )}
        <option value="custom" selected=${isOwn || range.name === 'custom'}>
          ${range.name === 'custom' ? spanText(range) : 'From – to…'}</option>
      </select></label>
    ${
      range.name === 'custom' &&
      html`<button type="button" class="button is-small"
      onClick=${() => setParams({ range: null, from: null, to: null }, 'push')}>Reset</button>`
    }
    ${isOwn && html`<${OwnRange} range=${range} onDone=${() => setOwn(false)} />`}
  </div>`;
}

/** @param {{range: import('../lib/route.js').Range, onDone: () => void}} props */
function OwnRange({ range, onDone }) {
  const apply = (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const from = new Date(String(form.get('from'))).getTime() / 1000;
    const to = new Date(String(form.get('to'))).getTime() / 1000;
    if (!(from < to)) return;
    setParams(customRange(from, to), 'push');
    onDone();
  };
  return html`<form class="range-own" onSubmit=${apply}>
    <label class="field"><span>From</span><input type="datetime-local" name="from" step="60" required
      value=${localInput(range.from)} /></label>
    <label class="field"><span>To</span><input type="datetime-local" name="to" step="60" required
      value=${localInput(range.to)} /></label>
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
