// The pure parts: figures, routes, rows, SQL, health, sparklines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as format from '../../lib/format.js';
import { byGroup, countByStatus, staleReason, trendDirection, trendText, verdict, worstFirst } from '../../lib/health.js';
import { carried, customRange, formatRoute, parseRoute, rangeOf, timesOf } from '../../lib/route.js';
import { filtered, formatSort, nextSort, parseSort, sorted, toCsv, toJson } from '../../lib/rows.js';
import { ofPooler, OVERVIEW_CHARTS, pointsOf, seriesNames } from '../../lib/series.js';
import { sparkPath } from '../../lib/spark.js';
import { oneLine, sqlTokens } from '../../lib/sql_tokens.js';
import { pressureText, viewStatus } from '../../lib/views.js';

/** @param {(input: any) => unknown} of @param {[any, unknown][]} cases */
function table(of, cases) {
  for (const [input, expected] of cases) assert.deepEqual(of(input), expected, `of ${JSON.stringify(input)}`);
}

test('figures', () => {
  table(format.number, [
    [0, '0'],
    [1234567, '1,234,567'],
    [0.04215, '0.042'],
    [0.0001, '<0.001'],
    [12.34, '12.3'],
    [12.04, '12'],
    [99.999, '100'],
    [null, '–'],
    [NaN, '–'],
    [Infinity, '–'],
    ['1', '–'],
    [-5.5, '-5.5'],
  ]);
  table(format.short, [
    [999, '999'],
    [12_345, '12.3 k'],
    [2_000_000, '2 M'],
    [3.1e9, '3.1 G'],
  ]);
  table(format.bytes, [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1536 * 1024, '1.5 MiB'],
    [250 * 2 ** 30, '250 GiB'],
    [-2048, '-2.0 KiB'],
    [undefined, '–'],
  ]);
  table(format.ms, [
    [0, '0.00 ms'],
    [0.004, '<0.01 ms'],
    [0.42, '0.42 ms'],
    [12.34, '12.3 ms'],
    [123.4, '123 ms'],
    [1234, '1.23 s'],
    [12_345, '12.3 s'],
    [61_000, '1 min 1 s'],
  ]);
  table(format.seconds, [
    [0, '0 s'],
    [0.184, '184 ms'],
    [9.94, '9.9 s'],
    [59, '59 s'],
    [60, '1 min'],
    [3599.9, '60 min'],
    [3660, '1 h 1 min'],
    [90_000, '1 d 1 h'],
    [-5, '-5 s'],
  ]);
  table(format.percent, [
    [0, '0 %'],
    [0.01, '<0.1 %'],
    [33.333, '33.3 %'],
    [99.97, '100 %'],
    [100, '100 %'],
    [123.4, '123 %'],
  ]);
  table(format.share, [
    [0.5, '50 %'],
    [null, '–'],
  ]);
  table(format.tidied, [
    ['5.00 ms', '5 ms'],
    ['1.50 s', '1.5 s'],
    ['100 MiB', '100 MiB'],
    ['1.0 KiB', '1 KiB'],
    ['2,000/s', '2,000/s'],
  ]);
  table(format.words, [
    ['idle_in_transaction', 'Idle in transaction'],
    [null, ''],
    ['ok', 'Ok'],
  ]);
});

test('a value in its unit; one that is not known counts', () => {
  assert.equal(format.inUnit(5, 'percent'), '5 %');
  assert.equal(format.inUnit(5, 'milliseconds'), '5.00 ms');
  assert.equal(format.inUnit(1024, 'bytes'), '1.0 KiB');
  assert.equal(format.inUnit(3, 'per_second'), '3/s');
  assert.equal(format.inUnit(3, 'transactions'), '3');
  assert.equal(format.inUnit(null, 'bytes'), '–');
});

test('ago', () => {
  const now = Date.parse('2026-01-02T00:00:00Z');
  table(
    (at) => format.ago(at, now),
    [
      ['2026-01-01T23:59:58Z', 'just now'],
      ['2026-01-01T23:59:00Z', '1 min ago'],
      ['2026-01-01T00:00:00Z', '24 h ago'],
      ['2025-12-28T00:00:00Z', '5 d ago'],
      ['2026-01-02T01:00:00Z', 'in 1 h'],
      ['nonsense', '–'],
      [null, '–'],
    ],
  );
});

test('routes there and back', () => {
  table(
    (fragment) => formatRoute(parseRoute(fragment)),
    [
      ['', '#/overview'],
      ['#/queries', '#/queries'],
      ['#/queries/-12?sort=calls%3Adesc', '#/queries/-12?sort=calls%3Adesc'],
      ['#/analyze?sql=SELECT+1%3B+--+%26%3D%23', '#/analyze?sql=SELECT+1%3B+--+%26%3D%23'],
      ['#/views/a%2Fb', '#/views/a%2Fb'],
    ],
  );
  assert.equal(parseRoute('#/queries/%E0%A4%A').item, '%E0%A4%A', 'a link cut in the middle of an escape');
  assert.equal(parseRoute('#/x?__proto__=1&constructor=2').params.constructor, '2', 'names of objects are only names');
  assert.deepEqual(carried({ range: '6h', sort: 'a' }), { range: '6h' });
});

test('time ranges', () => {
  assert.deepEqual(rangeOf({}, 10_000), { name: '1h', from: 6400, to: 10_000 });
  assert.deepEqual(rangeOf({ range: 'toString' }, 10_000), { name: '1h', from: 6400, to: 10_000 });
  assert.deepEqual(rangeOf(/** @type {any} */ (customRange(100.4, 200)), 0), { name: 'custom', from: 100, to: 200 });
  assert.equal(
    rangeOf({ from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' }, 0).name,
    '1h',
    'the wrong way round',
  );
});

const COLUMNS = [
  { key: 'name', title: 'Name', value: (row) => row.name },
  { key: 'calls', title: 'Calls', isNumeric: true, value: (row) => row.calls },
];
const ROWS = [
  { name: 'b10', calls: 2 },
  { name: 'b9', calls: null },
  { name: 'a', calls: 30 },
];

test('rows sorted: unknown last either way, numbers within names by value', () => {
  const names = (sort) =>
    sorted(ROWS, COLUMNS, parseSort(sort, { key: '', isDescending: false })).map(({ name }) => name);
  table(names, [
    ['calls:desc', ['a', 'b10', 'b9']],
    ['calls:asc', ['b10', 'a', 'b9']],
    ['name:asc', ['a', 'b9', 'b10']],
    ['nothing:asc', ['b10', 'b9', 'a']],
    [undefined, ['b10', 'b9', 'a']],
  ]);
  assert.equal(
    formatSort(nextSort({ key: 'name', isDescending: false }, COLUMNS[1])),
    'calls:desc',
    'numbers begin with the largest',
  );
  assert.equal(formatSort(nextSort({ key: 'name', isDescending: false }, COLUMNS[0])), 'name:desc');
});

test('rows sorted by an order of their own', () => {
  const ranked = [{ ...COLUMNS[0], order: (row) => row.calls }];
  assert.deepEqual(
    sorted(ROWS, ranked, { key: 'name', isDescending: false }).map(({ name }) => name),
    ['b10', 'a', 'b9'],
  );
});

test('a range as the interface has it', () => {
  assert.deepEqual(timesOf({ name: '6h', from: 0, to: 21_600 }), { since: '6h' });
  assert.deepEqual(timesOf({ name: 'custom', from: 0, to: 60 }), {
    since: '1970-01-01T00:00:00Z',
    until: '1970-01-01T00:01:00Z',
  });
});

test('zero without a sign', () => {
  assert.equal(format.number(-0), '0');
  assert.equal(format.perSecond(-0), '0/s');
});

test('values of any shape', () => {
  const cases = [
    [['year', 2023], '2023'],
    [['policies', 2023], '2,023'],
    [['paid', 12_345], '12,345'],
    [['sum', '35712632.25'], '35,712,632.25'],
    [['sum', '-1234567.50'], '-1,234,567.50'],
    [['name', '1.2.3'], '1.2.3'],
    [['blocks', [{ pid: 7, blocks: [{ pid: 8 }, { pid: 9, blocks: [] }] }, { pid: 10 }]], '7 (and so 8, 9), 10'],
    [['more', { read_ms: 5, of: 'x' }], 'read ms: 5; of: x'],
    [['is_own', false], 'no'],
    [['none', []], '–'],
    [['none', ''], '–'],
  ];
  for (const [[key, value], expected] of cases) assert.equal(format.anything(key, value), expected, key);
});

test('views: what is due is not fresh', () => {
  const there = { exists: true, is_populated: true, failures: 0, changes: { kind: 'rows', rows: 5 } };
  table(viewStatus, [
    [{ exists: false }, ['critical', 'Not there']],
    [{ ...there, is_failing: true, failures: 6 }, ['critical', 'Failing: 6 times']],
    [{ ...there, is_populated: false }, ['warning', 'Empty']],
    [{ ...there, failures: 1 }, ['warning', '1 failure']],
    [{ ...there, next: { action: 'refresh', reason: 'age' } }, ['warning', 'Too old']],
    [{ ...there, next: { action: 'refresh', reason: 'schedule' } }, ['pending', 'Due']],
    [{ ...there, next: { action: 'wait', because: { reason: 'pressure' } } }, ['warning', 'Held back']],
    [{ ...there, next: { action: 'wait', because: { reason: 'not_due' } } }, ['ok', 'Fresh enough']],
    [{ ...there, changes: { kind: 'rows', rows: 0 }, next: { action: 'wait' } }, ['ok', 'Up to date']],
    [{ ...there, next: { action: 'skip' } }, ['ok', 'Up to date']],
    [there, ['unknown', 'Not known']],
  ]);
  table(pressureText, [
    [{ reason: 'pressure', cause: 'sessions', active: 30, active_max: 20 }, '30 of 20 sessions at work'],
    [{ reason: 'pressure', cause: 'standby', name: 'db2', behind: '42s' }, 'standby db2 is 42s behind'],
    [{ reason: 'pressure', cause: 'pooler', pool: 'shop/app', waited: '3s' }, 'clients of shop/app have waited 3s'],
    [{ reason: 'pressure', cause: 'vacuum' }, 'it is being vacuumed'],
    [{ reason: 'pressure' }, 'the database is busy'],
  ]);
});

test('rows filtered by all words', () => {
  table(
    (filter) => filtered(ROWS, COLUMNS, filter).length,
    [
      ['', 3],
      ['B', 2],
      ['b 2', 1],
      ['zzz', 0],
      [undefined, 3],
    ],
  );
});

test('CSV is quoted, and no statement becomes a formula', () => {
  const rows = [
    { name: 'a "b",\nc', calls: -1 },
    { name: '=cmd()', calls: null },
    { name: '-- SELECT', calls: 3 },
  ];
  assert.equal(toCsv(rows, COLUMNS), 'name,calls\r\n"a ""b"",\nc",-1\r\n\'=cmd(),\r\n\'-- SELECT,3\r\n');
  assert.deepEqual(JSON.parse(toJson(rows, COLUMNS))[1], { name: '=cmd()', calls: null });
});

test('SQL in words, and nothing of it is lost', () => {
  const kinds = (sql) =>
    sqlTokens(sql)
      .filter(({ kind }) => kind !== 'plain')
      .map(({ kind, text }) => `${kind}:${text}`);
  table(kinds, [
    ["SELECT 'it''s' -- x", ['keyword:SELECT', "string:'it''s'", 'comment:-- x']],
    ['where id = $1 AND n>2.5', ['keyword:where', 'parameter:$1', 'keyword:AND', 'number:2.5']],
    ['"select" selected', []],
    ['$q$a;b$q$', ['string:$q$a;b$q$']],
    ["'open", ["string:'open"]],
    ['/* open', ['comment:/* open']],
  ]);
  for (const sql of ["SELECT 'x", '"', '$$', '/*', 'a\n\tb', '', '😀 $1$', "E'\\'"])
    assert.equal(
      sqlTokens(sql)
        .map(({ text }) => text)
        .join(''),
      sql,
    );
});

test('long SQL is coloured without backtracking', () => {
  const began = performance.now();
  sqlTokens(`${"'".repeat(50_001)} ${'$a'.repeat(20_000)} ${'/*'.repeat(20_000)}`);
  assert.ok(performance.now() - began < 2000);
});

test('one line', () => {
  table(
    (sql) => oneLine(sql, 10),
    [
      ['a\n  b', 'a b'],
      ['abcdefghij', 'abcdefghij'],
      ['abcdefghijk', 'abcdefghi…'],
    ],
  );
});

const CHECKS = [
  { id: 'a', group: 'x', status: 'ok', value: 1, unit: 'percent', trend: null },
  {
    id: 'b',
    group: 'y',
    status: 'warning',
    value: 86,
    unit: 'percent',
    trend: { before: 71, seconds: 3600, seconds_until_critical: 2400 },
  },
  {
    id: 'c',
    group: 'x',
    status: 'critical',
    value: 5,
    unit: 'count',
    trend: { before: 5, seconds: 60, seconds_until_critical: null },
  },
  { id: 'd', group: 'x', status: 'unknown', value: null, unit: 'count', trend: null },
];

test('health: the worst first, and in words', () => {
  assert.deepEqual(
    worstFirst(CHECKS).map(({ id }) => id),
    ['c', 'b', 'd', 'a'],
  );
  assert.deepEqual(countByStatus(CHECKS), { critical: 1, warning: 1, unknown: 1, ok: 1 });
  assert.equal(verdict(CHECKS), '1 critical, 1 warning');
  assert.equal(verdict([CHECKS[0], CHECKS[3]]), '1 unknown');
  assert.equal(verdict([CHECKS[0]]), 'All well');
  assert.equal(trendText(CHECKS[1]), '71 % → 86 % in 1 h; critical in about 40 min at this pace');
  assert.equal(trendText(CHECKS[0]), '');
  const stale = { age_s: 90, reason: 'old' };
  assert.equal(staleReason({ checks: CHECKS }), null);
  assert.equal(staleReason({ checks: CHECKS, stale }), 'old');
  assert.equal(staleReason({ checks: CHECKS, stale }, { stale: null }), null, 'rounds go on again');
  assert.equal(staleReason({ checks: CHECKS, stale: null }, { stale }), 'old');
  assert.equal(staleReason({ checks: CHECKS, stale }, { status: 'ok' }), 'old', 'an older server says nothing of it');
  assert.deepEqual(CHECKS.map(trendDirection), [null, 'rising', null, null]);
  assert.deepEqual(
    byGroup(CHECKS).map(([group, checks]) => [group, checks.length]),
    [
      ['x', 3],
      ['y', 1],
    ],
  );
});

test('sparklines break at gaps and begin at zero', () => {
  assert.equal(sparkPath([0, 10], 100, 20), 'M0 20L100 0');
  assert.equal(sparkPath([10, null, 10, 10], 90, 20), 'M0 0M60 0L90 0');
  assert.equal(sparkPath([1], 100, 20), '');
  assert.equal(sparkPath([0, 0], 100, 20), 'M0 20L100 20');
});

test('points of a series, or the means of its buckets', () => {
  assert.deepEqual(pointsOf({ points: [[1, 2]] }), [[1, 2]]);
  assert.deepEqual(
    pointsOf({
      buckets: [
        { at: 10, mean: 2, max: 3 },
        { at: 20, mean: null, max: null },
      ],
    }),
    [
      [10, 2],
      [20, null],
    ],
  );
  assert.deepEqual(pointsOf(undefined), []);
});

test('series of PgBouncer', () => {
  assert.ok(
    seriesNames(ofPooler(OVERVIEW_CHARTS, 'pgbouncer'))
      .split(',')
      .every((name) => name.startsWith('pgbouncer.')),
  );
});
