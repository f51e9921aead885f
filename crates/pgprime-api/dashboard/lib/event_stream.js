// @ts-check
// Server-sent events out of text as it arrives: the `text/event-stream` format of the HTML standard. Pure.
//
// EventSource itself cannot send an Authorization header, and a token has no place in an address.

/** @typedef {{event: string, data: string, id: string}} ServerEvent */

/** An event longer than this is a fault of the other side; it is dropped rather than kept growing. */
const DATA_CHARACTERS_MAX = 4_000_000;

/** @returns {{push: (text: string) => ServerEvent[], retryMs: () => number | null}} */
export function eventParser() {
  let rest = '';
  let isFirst = true;
  let endsInCarriageReturn = false;
  /** @type {number | null} */
  let retryMs = null;
  const pending = emptyEvent();

  /** @param {string} line @param {ServerEvent[]} done */
  function takeLine(line, done) {
    if (line === '') return finish(pending, done);
    if (line.startsWith(':')) return;
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') pending.event = value;
    else if (field === 'data') pending.data.push(value);
    else if (field === 'id' && !value.includes('\0')) pending.id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) retryMs = Number(value);
  }

  return {
    push(text) {
      if (isFirst && text !== '') {
        isFirst = false;
        text = text.replace(/^\uFEFF/, '');
      }
      // A pair \r\n that was cut in two ends one line, not two.
      if (endsInCarriageReturn && text.startsWith('\n')) text = text.slice(1);
      if (text !== '') endsInCarriageReturn = text.endsWith('\r');
      rest += text;
      const lines = rest.split(/\r\n|\r|\n/);
      rest = lines.pop() ?? '';
      if (rest.length > DATA_CHARACTERS_MAX) rest = '';
      /** @type {ServerEvent[]} */
      const done = [];
      for (const line of lines) takeLine(line, done);
      return done;
    },
    retryMs: () => retryMs,
  };
}

function emptyEvent() {
  return { event: '', data: /** @type {string[]} */ ([]), id: '' };
}

/** @param {ReturnType<typeof emptyEvent>} pending @param {ServerEvent[]} done */
function finish(pending, done) {
  if (pending.data.length > 0) {
    done.push({ event: pending.event || 'message', data: pending.data.join('\n'), id: pending.id });
  }
  pending.event = '';
  pending.data = [];
}

/**
 * How long to wait before the next attempt, in ms: doubled, bounded, and spread so that all do not come at once.
 * @param {number} failures in a row
 * @param {number} chance 0 to 1
 */
export function reconnectMs(failures, chance) {
  const longest = Math.min(1000 * 2 ** Math.min(failures, 5), 30_000);
  return Math.round(longest * (0.5 + chance / 2));
}
