// @ts-check
// An annotated plan: the tree with bars for what each node takes, row estimates, and problems at their nodes.
import { number, ms, share } from '../lib/format.js';
import {
  accessed,
  MEASURES,
  nodeFacts,
  nodeObject,
  nodeRows,
  nodeShare,
  nodeTitle,
  planLines,
  planText,
  rowError,
} from '../lib/plan_layout.js';
import { CopyButton, Statement } from './copy.js';
import { Icon, Status } from './icons.js';
import { html, useRef, useState } from './html.js';
import { Figures, Tabs } from './states.js';

const MEASURE_TITLES = { time: 'Time', cost: 'Cost', rows: 'Rows', buffers: 'Blocks' };

/** The figures of the whole. @param {{report: any}} props */
export function PlanFigures({ report }) {
  const { plan } = report;
  const worst = worstNode(plan.root, plan.root.actual ? 'time' : 'cost');
  return html`<${Figures} items=${[
    report.is_executed
      ? { title: 'Execution', value: ms(plan.execution_ms) }
      : { title: 'Cost', value: number(plan.root.estimate.total_cost), sub: 'not executed' },
    { title: 'Planning', value: ms(plan.planning_ms) },
    {
      title: 'Rows',
      value: number(nodeRows(plan.root).actual ?? plan.root.estimate.rows),
      sub: report.is_executed ? '' : 'estimated',
    },
    plan.root.buffers && {
      title: 'Blocks',
      value: number(accessed(plan.root.buffers)),
      sub: `${number(plan.root.buffers.shared_read)} read`,
    },
    worst && {
      title: report.is_executed ? 'Slowest node' : 'Dearest node',
      value: share(worst.share),
      sub: `${nodeTitle(worst.node)} ${nodeObject(worst.node)}`,
    },
    { title: 'Problems', value: number(report.findings.length) },
  ]} />`;
}

/** @param {any} root @param {string} measure */
function worstNode(root, measure) {
  const nodes = planLines(root, []).map(({ node }) => ({ node, share: nodeShare(node, root, measure).share }));
  return nodes.reduce((worst, next) => (next.share > (worst?.share ?? 0) ? next : worst), /** @type {any} */ (null));
}

/** @param {{report: any, measure: string | undefined, onMeasure: (measure: string) => void}} props */
export function PlanTree({ report, measure, onMeasure }) {
  const { root } = report.plan;
  const offered = MEASURES.filter((name) => root.actual || name === 'cost' || name === 'rows').filter(
    (name) => name !== 'buffers' || root.buffers,
  );
  const current = offered.find((name) => name === measure) ?? offered[0];
  const [closed, setClosed] = useState(/** @type {ReadonlySet<number>} */ (new Set()));
  const [opened, setOpened] = useState(/** @type {number | null} */ (null));
  const lines = planLines(root, report.findings, closed);
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const toggle = (id) =>
    setClosed((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
    });
  return html`<div class="plan">
    <div class="plan-tools"><${Tabs} name="What the bars show" current=${current} onChoose=${onMeasure}
      tabs=${offered.map((key) => ({ key, title: MEASURE_TITLES[key] }))} />
      <span class="muted">The bar is each node's own share of the whole.</span></div>
    <${PlanWide} findings=${report.findings.filter((finding) => finding.node === null)} />
    <div class="plan-scroll"><ul class="plan-tree" role="tree" aria-label="Plan" ref=${list}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => moveFocus(event, list.current)}>
      ${lines.map(
        (
          line,
          at,
        ) => html`<${PlanNode} key=${line.node.id} line=${line} root=${root} measure=${current} isFirst=${at === 0}
        isClosed=${closed.has(line.node.id)} isOpen=${opened === line.node.id}
        onToggle=${() => toggle(line.node.id)}
          onOpen=${() => setOpened(opened === line.node.id ? null : line.node.id)} />`,
      )}</ul></div>
  </div>`;
}

/** Arrow keys go from node to node, as trees do. @param {KeyboardEvent} event @param {HTMLElement | null} list */
function moveFocus(event, list) {
  const steps = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity });
  if (!(event.key in steps) || !list) return;
  const items = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[role=treeitem]')]);
  const now = items.findIndex((item) => item === document.activeElement?.closest('[role=treeitem]'));
  const next = Math.min(Math.max(now + steps[event.key], 0), items.length - 1);
  event.preventDefault();
  items[next]?.focus();
}

/** @param {any} props */
function PlanNode({ line, root, measure, isFirst, isClosed, isOpen, onToggle, onOpen }) {
  const { node } = line;
  const onKeyDown = (/** @type {KeyboardEvent} */ event) => {
    if (event.target !== event.currentTarget) return;
    if (event.key === 'Enter' || event.key === ' ') onOpen();
    else if (line.hasChildren && event.key === (isClosed ? 'ArrowRight' : 'ArrowLeft')) onToggle();
    else return;
    event.preventDefault();
  };
  return html`<li role="treeitem" class=${`plan-node ${line.findings.length ? 'has-findings' : ''}`}
    tabindex=${isFirst ? 0 : -1} aria-level=${line.depth + 1}
      aria-expanded=${line.hasChildren ? String(!isClosed) : undefined} onKeyDown=${onKeyDown}>
    <div class="plan-row">
      <div class="plan-name"><${Guides} line=${line} />
        ${
          line.hasChildren
            ? html`<button type="button" tabindex="-1" class="button is-icon" onClick=${onToggle}
          aria-label=${isClosed ? 'Open' : 'Close'}><${Icon} name=${isClosed ? 'right' : 'down'} />
          </button>`
            : html`<span class="plan-leaf"></span>`
        }
        <button type="button" tabindex="-1" class="plan-title" onClick=${onOpen}
          aria-expanded=${isOpen ? 'true' : 'false'}><strong>${nodeTitle(node)}</strong> ${nodeObject(node)}</button>
          </div>
      <${NodeBar} node=${node} root=${root} measure=${measure} />
      <${NodeRowsCell} node=${node} />
    </div>
    ${
      (isOpen || line.findings.length > 0) &&
      html`<div class="plan-below">
      ${line.findings.map((finding) => html`<${Finding} finding=${finding} />`)}
      ${
        isOpen &&
        html`<dl class="facts">
        ${nodeFacts(node).map(([name, text]) => html`<div><dt>${name}</dt><dd>${text}</dd></div>`)}</dl>`
      }</div>`
    }
  </li>`;
}

/** The lines that join a node to its parent. @param {{line: import('../lib/plan_layout.js').PlanLine}} props */
function Guides({ line }) {
  if (line.depth === 0) return null;
  return html`${line.guides.slice(1).map(
    (goesOn) => html`<span class=${`guide ${goesOn ? 'is-through' : ''}`}>
    </span>`,
  )}
    <span class=${`guide ${line.isLast ? 'is-end' : 'is-fork'}`}></span>`;
}

/** @param {{node: any, root: any, measure: string}} props */
function NodeBar({ node, root, measure }) {
  const { value, share: part } = nodeShare(node, root, measure);
  const look = measure === 'rows' ? 'accent' : part >= 0.9 ? 'critical' : part >= 0.4 ? 'warning' : 'accent';
  const text = measure === 'time' ? ms(value) : number(value);
  return html`<div class="plan-measure"><span class="plan-value">${text}</span>
    <span class="bar" aria-hidden="true"><span class=${`bar-fill is-${look}`} style=${{ width: `${part * 100}%` }}>
      </span></span>
    <span class="plan-share">${share(part)}</span></div>`;
}

/** @param {{node: any}} props */
function NodeRowsCell({ node }) {
  const { estimated, actual, loops } = nodeRows(node);
  const error = rowError(node);
  if (actual === null)
    return html`<div class="plan-rows"><span class="muted">${number(estimated)} rows estimated</span></div>`;
  return html`<div class="plan-rows"><span>${number(actual)} rows</span>
    ${loops > 1 && html` <span class="muted">in ${number(loops)} loops</span>`}
    ${
      error &&
      html` <span class=${`badge is-${error.grade}`} title=${`${number(estimated)} rows were estimated`}>
      ${error.text}</span>`
    }</div>`;
}

/** @param {{findings: any[]}} props */
function PlanWide({ findings }) {
  return findings.map((finding) => html`<${Finding} finding=${finding} />`);
}

/** @param {{finding: any}} props */
export function Finding({ finding }) {
  return html`<div class=${`finding is-${finding.severity}`}>
    <p><${Status} status=${finding.severity} /> <strong>${finding.title}</strong>
      ${finding.is_estimate && html` <span class="badge">estimated</span>`} ${finding.explanation}</p>
    <p>${finding.advice}</p>
    ${finding.statement && html`<${Statement} text=${finding.statement} />`}</div>`;
}

/** @param {{report: any}} props */
export function PlanText({ report }) {
  const text = planText(report);
  return html`<div class="plan-text"><div class="plan-tools"><${CopyButton} text=${text} what="plan" /></div><pre
    tabindex="0">${text}</pre></div>`;
}

/** PostgreSQL's own document. @param {{report: any}} props */
export function PlanDocument({ report }) {
  const text = JSON.stringify(report.document, null, 2);
  return html`<div class="plan-text"><div class="plan-tools"><${CopyButton} text=${text} what="document" /></div><pre
    tabindex="0">${text}</pre></div>`;
}
