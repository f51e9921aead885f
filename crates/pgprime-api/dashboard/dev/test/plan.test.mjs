// Plans as lines and as text, with a real plan and with made ones.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { nodeFacts, nodeObject, nodeShare, nodeTitle, planLines, planText, rowError } from '../../lib/plan_layout.js';

const fixture = (name) => JSON.parse(readFileSync(new URL(`../fixtures/${name}.json`, import.meta.url), 'utf8'));
const executed = fixture('analyze');
const planned = fixture('analyze-planned');

/** A node with children, of the fewest fields. */
function node(id, ...children) {
  return { id, kind: 'Node', children, estimate: { rows: 1, total_cost: 1 }, actual: null, figures: {} };
}

test('the lines of a tree', () => {
  const lines = planLines(node(0, node(1, node(2)), node(3)), [{ node: 2, title: 'x' }]);
  assert.deepEqual(
    lines.map((line) => [line.node.id, line.depth, line.guides.slice(1), line.isLast, line.findings.length]),
    [
      [0, 0, [], true, 0],
      [1, 1, [], false, 0],
      [2, 2, [true], true, 1],
      [3, 1, [], true, 0],
    ],
  );
});

test('what is closed hides what is below', () => {
  assert.deepEqual(
    planLines(node(0, node(1, node(2)), node(3)), [], new Set([1])).map((line) => line.node.id),
    [0, 1, 3],
  );
});

test('a plan deeper than the stack', () => {
  let root = node(0);
  for (let id = 1; id < 5_000; id += 1) root = node(id, root);
  assert.equal(planLines(root, []).length, 5_000);
});

test('names of nodes', () => {
  const lines = planLines(executed.plan.root, []);
  assert.deepEqual(
    lines.slice(-2).map(({ node: each }) => `${nodeTitle(each)} ${nodeObject(each)}`),
    ['Index Scan on quotes q using quotes_customer_index', 'Index Scan on policies p using policies_customer_index'],
  );
  assert.equal(
    nodeTitle({ kind: 'Hash Join', join_type: 'Left', is_parallel_aware: true }),
    'Parallel Hash Join (Left)',
  );
  assert.equal(nodeObject({ relation: 'a', schema: 'admin', alias: 'a' }), 'on admin.a');
});

test('shares are of the whole, and never beyond it', () => {
  for (const measure of ['time', 'cost', 'rows', 'buffers']) {
    for (const report of [executed, planned]) {
      for (const { node: each } of planLines(report.plan.root, [])) {
        const { share } = nodeShare(each, report.plan.root, measure);
        assert.ok(share >= 0 && share <= 1, `${measure} ${share}`);
      }
    }
  }
  assert.deepEqual(nodeShare(planned.plan.root, planned.plan.root, 'time'), { value: null, share: 0 });
});

test('errors of estimates by grade', () => {
  const of = (factor, direction = 'underestimated') => rowError({ figures: { estimate_error: { factor, direction } } });
  assert.equal(of(1.2), null);
  assert.deepEqual([of(2)?.grade, of(10)?.grade, of(1000)?.grade], ['note', 'warning', 'critical']);
  assert.equal(of(8)?.text, '8× more than estimated');
  assert.equal(of(8, 'overestimated')?.text, '8× fewer than estimated');
  assert.equal(rowError({ figures: { estimate_error: null } }), null);
});

test('the text has every node, and the figures', () => {
  const text = planText(executed);
  assert.equal(
    text.split('\n').filter((line) => /\(.*rows/.test(line)).length,
    planLines(executed.plan.root, []).length,
  );
  assert.match(text, /^Limit {2}\(/);
  assert.match(text, /-> Seq Scan on customers c/);
  assert.match(text, /Execution: [\d.]+ ms$/);
  assert.match(planText(planned), /rows estimated/);
});

test('facts leave out what is empty', () => {
  for (const { node: each } of planLines(planned.plan.root, []))
    assert.ok(nodeFacts(each).every(([name, value]) => name && value));
});
