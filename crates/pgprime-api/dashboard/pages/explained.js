// @ts-check
// The answer to analyze-query: plan, problems, indexes. Used by Analyze and by the detail of a query.
import { isAborted, request } from '../api.js';
import { html, useEffect, useState } from '../parts/html.js';
import { PlanDocument, PlanFigures, PlanText, PlanTree } from '../parts/plan.js';
import { route, setParams } from '../parts/router.js';
import { Empty, Failure, Missing, Notes, Skeleton, Tabs } from '../parts/states.js';
import { Suggestions } from './suggestions.js';

/** @typedef {{query: string, parameters?: (string | null)[], execute: boolean}} Asked */

/**
 * Asked once for each question, and again only on demand: planning is cheap, executing is not.
 * @param {{asked: Asked}} props
 */
export function Explained({ asked }) {
  const [state, setState] = useState(/** @type {any} */ ({ report: null, error: null }));
  const [round, setRound] = useState(0);
  const question = JSON.stringify(asked);
  useEffect(() => {
    const aborter = new AbortController();
    setState({ report: null, error: null });
    request('monitoring/analyze-query', { method: 'POST', body: JSON.parse(question), signal: aborter.signal })
      .then((report) => {
        if (!aborter.signal.aborted) setState({ report, error: null });
      })
      .catch((error) => {
        if (!isAborted(error) && !aborter.signal.aborted) setState({ report: null, error });
      });
    return () => aborter.abort();
  }, [question, round]);
  if (state.error) return html`<${Failure} error=${state.error} retry=${() => setRound(round + 1)} />`;
  return state.report ? html`<${Report} report=${state.report} />` : html`<${Skeleton} rows=${6} />`;
}

/** @param {{report: any}} props */
function Report({ report }) {
  const { params } = route.value;
  const suggested = report.indexes?.suggestions?.length ?? 0;
  const tabs = [
    { key: 'tree', title: 'Tree' },
    { key: 'text', title: 'Text' },
    { key: 'indexes', title: 'Indexes', count: suggested },
    { key: 'json', title: 'JSON' },
  ];
  const current = tabs.some(({ key }) => key === params.tab) ? params.tab : 'tree';
  return html`<div class="explained" aria-live="polite">
    <${PlanFigures} report=${report} />
    <${Parameters} parameters=${report.parameters} />
    <${Notes} items=${report.notes} /><${Missing} items=${report.missing} />
    <${Tabs} name="Plan" tabs=${tabs} current=${current} onChoose=${(tab) => setParams({ tab })} />
    ${
      current === 'tree' &&
      html`<${PlanTree} report=${report} measure=${params.measure}
      onMeasure=${(measure) => setParams({ measure })} />`
    }
    ${current === 'text' && html`<${PlanText} report=${report} />`}
    ${current === 'json' && html`<${PlanDocument} report=${report} />`}
    ${
      current === 'indexes' &&
      (suggested
        ? html`<${Suggestions} advice=${report.indexes} />`
        : html`<${Empty}
      title="No index would help" />`)
    }
  </div>`;
}

/** Which values stood in for `$1`. @param {{parameters: any}} props */
function Parameters({ parameters }) {
  if (!parameters?.values?.length) return null;
  const values = parameters.values.map(
    ({ number, value, origin }) => `$${number} = ${value ?? 'NULL'}${origin ? ` (${origin})` : ''}`,
  );
  return html`<p class="muted">Parameters (${String(parameters.source).replaceAll('_', ' ')}): <code>
    ${values.join(', ')}</code></p>`;
}
