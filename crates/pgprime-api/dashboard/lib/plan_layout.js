// @ts-check
// A plan tree as lines for the screen and as text. Pure.

import { isNumber, ms, number } from './format.js';

/**
 * @typedef {object} PlanLine
 * @property {any} node
 * @property {number} depth
 * @property {boolean[]} guides for each level above, whether its line goes on below this node
 * @property {boolean} isLast among its siblings
 * @property {boolean} hasChildren
 * @property {any[]} findings
 */

/** What the bars may show. */
export const MEASURES = /** @type {const} */ (['time', 'cost', 'rows', 'buffers']);

/**
 * Nodes from the root down; those below a closed one are left out.
 * @param {any} root
 * @param {any[]} findings
 * @param {ReadonlySet<number>} closed
 * @returns {PlanLine[]}
 */
export function planLines(root, findings, closed = new Set()) {
  /** @type {PlanLine[]} */
  const lines = [];
  // An own stack, because a plan can be deeper than the engine's.
  const stack = [{ node: root, guides: /** @type {boolean[]} */ ([]), isLast: true }];
  for (let next = stack.pop(); next; next = stack.pop()) {
    const { node, guides, isLast } = next;
    const children = node.children ?? [];
    lines.push({
      node,
      guides,
      isLast,
      depth: guides.length,
      hasChildren: children.length > 0,
      findings: findings.filter((finding) => finding.node === node.id),
    });
    if (closed.has(node.id)) continue;
    const below = [...guides, !isLast];
    for (let at = children.length - 1; at >= 0; at -= 1) {
      stack.push({ node: children[at], guides: below, isLast: at === children.length - 1 });
    }
  }
  return lines;
}

/** `Index Scan using a on b`. @param {any} node */
export function nodeTitle(node) {
  const kind = [node.operation && node.kind === 'ModifyTable' ? node.operation : node.kind];
  if (node.join_type && node.join_type !== 'Inner') kind.push(`(${node.join_type})`);
  if (node.is_parallel_aware) kind.unshift('Parallel');
  return kind.join(' ');
}

/** `on policies p using policies_pkey`. @param {any} node */
export function nodeObject(node) {
  const parts = [];
  const target = node.relation ?? node.cte ?? node.function;
  if (target) {
    const schema = node.schema && node.schema !== 'public' ? `${node.schema}.` : '';
    const alias = node.alias && node.alias !== target ? ` ${node.alias}` : '';
    parts.push(`on ${schema}${target}${alias}`);
  }
  if (node.index) parts.push(`using ${node.index}`);
  return parts.join(' ');
}

/** Rows of all executions, as estimated and as counted. @param {any} node */
export function nodeRows(node) {
  const loops = node.actual?.loops ?? 1;
  return {
    estimated: node.estimate?.rows * Math.max(loops, 1),
    actual: node.actual ? node.actual.rows * loops : null,
    loops,
  };
}

/**
 * How far the estimate is off, with the words for it.
 * @param {any} node
 * @returns {{factor: number, text: string, grade: 'ok' | 'note' | 'warning' | 'critical'} | null}
 */
export function rowError(node) {
  const error = node.figures?.estimate_error;
  if (!error || !isNumber(error.factor) || error.factor < 1.5) return null;
  const fewer = String(error.direction).startsWith('over');
  const grade = error.factor >= 100 ? 'critical' : error.factor >= 10 ? 'warning' : 'note';
  return { factor: error.factor, grade, text: `${number(error.factor)}× ${fewer ? 'fewer' : 'more'} than estimated` };
}

/**
 * The share of one node in the whole, 0 to 1, with the value it comes from.
 * @param {any} node
 * @param {any} root
 * @param {string} measure
 */
export function nodeShare(node, root, measure) {
  if (measure === 'rows') return partOf(nodeRows(node).actual ?? node.estimate?.rows, mostRows(root));
  if (measure === 'buffers') return partOf(accessed(node.figures?.self_buffers), accessed(root.buffers));
  if (measure === 'cost') return partOf(node.figures?.self_cost, root.figures?.total_cost);
  return partOf(node.figures?.self_ms, root.figures?.total_ms);
}

/** @param {unknown} part @param {unknown} whole */
function partOf(part, whole) {
  if (!isNumber(part)) return { value: null, share: 0 };
  return { value: part, share: isNumber(whole) && whole > 0 ? Math.min(Math.max(part / whole, 0), 1) : 0 };
}

/** @param {any} root */
function mostRows(root) {
  return Math.max(...planLines(root, []).map(({ node }) => nodeRows(node).actual ?? node.estimate?.rows ?? 0));
}

/** Blocks touched in memory or on disk. @param {any} buffers */
export function accessed(buffers) {
  if (!buffers) return null;
  return buffers.shared_hit + buffers.shared_read + buffers.local_hit + buffers.local_read;
}

/** What is known about a node, for its details: names with texts. @param {any} node @returns {[string, string][]} */
export function nodeFacts(node) {
  /** @type {[string, unknown][]} */
  const facts = [
    ...(node.conditions ?? []).map((/** @type {any} */ condition) => [
      condition.kind.replaceAll('_', ' '),
      condition.text,
    ]),
    ['sort by', node.sort_keys?.join(', ')],
    ['group by', node.group_keys?.join(', ')],
    ['rows removed', removed(node)],
    [
      'sort',
      node.sort &&
        `${node.sort.method}, ${number(node.sort.space_kib)} KiB ${node.sort.space_type === 'disk' ? 'on disk' : 'in memory'}`,
    ],
    ['hash', node.hash && hashText(node.hash)],
    ['heap fetches', node.heap_fetches === null ? '' : number(node.heap_fetches)],
    ['workers', node.workers_planned ? `${node.workers_launched ?? 0} of ${node.workers_planned} launched` : ''],
    [
      'blocks',
      node.buffers &&
        `${number(node.buffers.shared_hit)} in memory, ${number(node.buffers.shared_read)} read${tempText(node.buffers)}`,
    ],
    ['loops', node.actual && node.actual.loops > 1 ? number(node.actual.loops) : ''],
    [
      'estimate',
      node.estimate &&
        `cost ${number(node.estimate.startup_cost)} to ${number(node.estimate.total_cost)}, ${number(node.estimate.rows)} rows of ${number(node.estimate.width_bytes)} bytes`,
    ],
    ['output', node.output?.join(', ')],
  ];
  return /** @type {[string, string][]} */ (facts.filter(([, text]) => text));
}

/** @param {any} node */
function removed(node) {
  const { filter = 0, index_recheck = 0, join_filter = 0 } = node.rows_removed ?? {};
  const total = filter + index_recheck + join_filter;
  return total > 0 ? number(total * (node.actual?.loops ?? 1)) : '';
}

/** @param {any} hash */
function hashText(hash) {
  const batches = hash.batches ?? 1;
  const memory = hash.memory_kib ?? hash.peak_memory_kib;
  return `${number(batches)} ${batches === 1 ? 'batch' : 'batches'}${isNumber(memory) ? `, ${number(memory)} KiB` : ''}`;
}

/** @param {any} buffers */
function tempText(buffers) {
  const temporary = buffers.temp_read + buffers.temp_written;
  return temporary > 0 ? `, ${number(temporary)} temporary` : '';
}

/** The plan as text, for tickets and mails. @param {any} report */
export function planText(report) {
  const lines = planLines(report.plan.root, report.findings).flatMap((line) => {
    const indent = '  '.repeat(line.depth) + (line.depth > 0 ? '-> ' : '');
    const inner = '  '.repeat(line.depth) + (line.depth > 0 ? '     ' : '  ');
    const head = `${indent}${nodeTitle(line.node)} ${nodeObject(line.node)}`.trimEnd();
    const facts = nodeFacts(line.node).filter(([name]) => name !== 'output' && name !== 'estimate');
    return [
      `${head}  (${figuresText(line.node)})`,
      ...facts.map(([name, text]) => `${inner}${name}: ${text}`),
      ...line.findings.map((finding) => `${inner}! ${finding.title}: ${finding.explanation}`),
    ];
  });
  if (isNumber(report.plan.planning_ms)) lines.push(`Planning: ${ms(report.plan.planning_ms)}`);
  if (isNumber(report.plan.execution_ms)) lines.push(`Execution: ${ms(report.plan.execution_ms)}`);
  return lines.join('\n');
}

/** @param {any} node */
function figuresText(node) {
  const { estimated, actual, loops } = nodeRows(node);
  const cost = `cost ${number(node.estimate?.total_cost)}`;
  if (actual === null) return `${cost}, ${number(estimated)} rows estimated`;
  const time = `${ms(node.figures?.total_ms)}, ${number(actual)} rows of ${number(estimated)} estimated`;
  return loops > 1 ? `${time}, ${number(loops)} loops` : time;
}
