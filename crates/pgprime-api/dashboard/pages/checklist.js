// @ts-check
// The checklist for performance, at four levels, each item with its verdict, evidence and fix.
import { ago, words } from '../lib/format.js';
import { CopyButton, Statement } from '../parts/copy.js';
import { useData } from '../parts/data.js';
import { html } from '../parts/html.js';
import { Icon, Status } from '../parts/icons.js';
import { Prose } from '../parts/prose.js';
import { route, setParams } from '../parts/router.js';
import { PageHead } from '../parts/shell.js';
import { Empty, Loaded, Missing, Section, Tabs } from '../parts/states.js';

const LEVELS = [
  ['database', 'Database'],
  ['application', 'Application'],
  ['query', 'Queries'],
  ['monitoring', 'Monitoring'],
];
const GRAVITY = { not_met: 0, cannot_tell: 1, met: 2 };

export function Checklist() {
  const result = useData('monitoring/checklist', { everyMs: 0 });
  return html`<${PageHead} title="Checklist" sub=${result.data ? `Looked at ${ago(result.data.taken_at)}` : ''}
      actions=${html`<button type="button" class="button" onClick=${result.reload}
        disabled=${result.isLoading}>Check again</button>`} />
    <${Loaded} of=${result} rows=${12}>${(data) => html`<${Report} data=${data} />`}<//>`;
}

/** @param {{data: any}} props */
function Report({ data }) {
  const wanted = route.value.params.verdict ?? 'all';
  const { met, not_met: notMet, cannot_tell: cannotTell } = data.counts;
  const tabs = [
    { key: 'all', title: 'All', count: data.items.length },
    { key: 'not_met', title: 'Not met', count: notMet },
    { key: 'cannot_tell', title: 'Cannot tell', count: cannotTell },
    { key: 'met', title: 'Met', count: met },
  ];
  const items = data.items.filter((item) => wanted === 'all' || item.verdict === wanted);
  return html`<${Progress} counts=${data.counts} total=${data.items.length} />
    <div class="list-tools"><${Tabs} name="Verdict" tabs=${tabs} current=${wanted}
      onChoose=${(verdict) => setParams({ verdict: verdict === 'all' ? null : verdict })} />
      <${CopyFixes} items=${data.items} /></div>
    ${items.length === 0 && html`<${Empty} title="None" />`}
    ${LEVELS.map(
      ([level, title]) => html`<${Level} key=${level} title=${title}
      items=${items.filter((item) => item.level === level)} />`,
    )}
    <${Missing} items=${data.missing} />`;
}

/** @param {{counts: any, total: number}} props */
function Progress({ counts, total }) {
  const part = (count) => ({ width: `${total ? (count / total) * 100 : 0}%` });
  return html`<div class="progress"><p><strong>${counts.met} of ${total} met</strong> <span class="muted">
    ${counts.not_met} not met, ${counts.cannot_tell} cannot be told</span></p>
    <span class="bar is-parts is-tall" aria-hidden="true"><span class="bar-fill is-ok" style=${part(counts.met)}></span>
      <span class="bar-fill is-warning" style=${part(counts.not_met)}></span><span class="bar-fill is-unknown"
      style=${part(counts.cannot_tell)}></span></span></div>`;
}

/** All that SQL can mend, as one script. @param {{items: any[]}} props */
function CopyFixes({ items }) {
  const fixes = items.filter(({ verdict, fix }) => verdict === 'not_met' && fix?.kind === 'sql');
  if (fixes.length === 0) return null;
  const script = fixes
    .map((item) => `-- ${item.title}${item.needs_restart ? ' (needs a restart)' : ''}\n${item.fix.text}`)
    .join('\n\n');
  return html`<${CopyButton} text=${`${script}\n`} label=${`Copy ${fixes.length} fixes as SQL`} what="" />`;
}

/** @param {{title: string, items: any[]}} props */
function Level({ title, items }) {
  if (items.length === 0) return null;
  const ordered = [...items].sort((a, b) => verdictRank(a) - verdictRank(b));
  const met = items.filter(({ verdict }) => verdict === 'met').length;
  return html`<${Section} title=${title} sub=${`${met} of ${items.length} met`}><ul class="checklist">
    ${ordered.map((item) => html`<${Item} key=${item.id} item=${item} />`)}</ul><//>`;
}

/** @param {any} item */
function verdictRank(item) {
  return GRAVITY[/** @type {keyof typeof GRAVITY} */ (item.verdict)] ?? 1;
}

/** @param {{item: any}} props */
function Item({ item }) {
  const fix = item.verdict === 'met' ? null : item.fix;
  return html`<li class=${`check-item is-${item.verdict}`}><details open=${item.verdict === 'not_met'}>
    <summary><${Status} status=${item.verdict} /><span class="check-item-title">${item.title}</span>
      ${fix && item.needs_restart && html`<span class="badge is-warning">needs a restart</span>`}
      <span class="check-item-evidence"><${Prose} text=${item.evidence} /></span><span class="chevron"><${Icon} name="down" /></span>
        </summary>
    <div class="check-item-more"><p><${Prose} text=${item.why} /></p>
      ${
        fix &&
        (fix.kind === 'advice'
          ? html`<p><strong>What to do:</strong> <${Prose} text=${fix.text} /></p>`
          : html`<${Statement}
        text=${fix.text} kind=${fix.kind} label=${words(fix.kind === 'sql' ? '' : fix.kind)} />`)
      }</div></details>
        </li>`;
}
