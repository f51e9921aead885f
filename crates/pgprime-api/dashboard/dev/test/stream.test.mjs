// Server-sent events, however they are cut.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventParser, reconnectMs } from '../../lib/event_stream.js';

const STREAM =
  '\uFEFF: hello\r\nevent: live\r\ndata: {"a":\r\ndata:1}\r\nid: 7\r\n\r\ndata\n\nretry: 500\rdata: two\r\revent: nothing\n\nevent: last\ndata:  x\n\n';
const EVENTS = [
  { event: 'live', data: '{"a":\n1}', id: '7' },
  { event: 'message', data: '', id: '7' },
  { event: 'message', data: 'two', id: '7' },
  { event: 'last', data: ' x', id: '7' },
];

test('the whole at once', () => {
  const parser = eventParser();
  assert.deepEqual(parser.push(STREAM), EVENTS);
  assert.equal(parser.retryMs(), 500);
});

test('cut at every place, and into single characters', () => {
  for (let at = 0; at <= STREAM.length; at += 1) {
    const parser = eventParser();
    assert.deepEqual([...parser.push(STREAM.slice(0, at)), ...parser.push(STREAM.slice(at))], EVENTS, `cut at ${at}`);
  }
  const parser = eventParser();
  assert.deepEqual(
    [...STREAM].flatMap((character) => parser.push(character)),
    EVENTS,
  );
});

test('an event that is not finished is not told', () => {
  assert.deepEqual(eventParser().push('data: x\n'), []);
});

test('a line without end does not grow for ever', () => {
  const parser = eventParser();
  for (let round = 0; round < 10; round += 1) parser.push('x'.repeat(1_000_000));
  assert.deepEqual(parser.push('\n\ndata: y\n\n'), [{ event: 'message', data: 'y', id: '' }]);
});

test('reconnecting waits longer each time, up to a bound', () => {
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5, 60].map((failures) => reconnectMs(failures, 1)),
    [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000],
  );
  assert.equal(reconnectMs(0, 0), 500);
});
