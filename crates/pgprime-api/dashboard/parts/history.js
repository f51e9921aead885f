// @ts-check
// Charts of the history in the chosen time range.
import { rfc3339 } from '../lib/route.js';
import { ofPooler, pointsOf, seriesNames } from '../lib/series.js';
import { Chart } from './chart.js';
import { query, useData } from './data.js';
import { html, useEffect, useState } from './html.js';
import { session } from './live.js';
import { currentRange } from './range.js';
import { Failure, Missing, Skeleton } from './states.js';

const POINTS = 300;

/** The range in whole minutes, moving on by itself: each minute is one more question, not each rendering. */
export function useRange() {
  const [, setRound] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) setRound((round) => round + 1);
    }, 30_000);
    return () => clearInterval(timer);
  }, []);
  const { name, from, to } = currentRange();
  if (name === 'custom') return { name, from, to };
  const end = Math.floor(to / 30) * 30;
  return { name, from: end - (to - from), to: end };
}

/** @param {{charts: import('../lib/series.js').ChartOf[], group?: string, height?: number}} props */
export function HistoryCharts({ charts: wanted, group, height = 170 }) {
  const charts = ofPooler(wanted, prefixOf(session.value?.features));
  const { from, to } = useRange();
  const path = `monitoring/history${query({ series: seriesNames(charts), from: rfc3339(from), to: rfc3339(to), points: POINTS })}`;
  const { data, error, reload } = useData(path, { everyMs: 0 });
  if (!data) return error ? html`<${Failure} error=${error} retry=${reload} />` : html`<${Skeleton} rows=${4} />`;
  const known = new Map(data.series.map((series) => [series.name, series]));
  return html`${error && html`<${Failure} error=${error} retry=${reload} />`}
    <div class="charts">${charts.map(
      (chart) => html`<${Chart} key=${chart.title} title=${chart.title} group=${group} height=${height}
      series=${linesOf(chart, known)} />`,
    )}</div>
    <${Missing} items=${data.missing} />`;
}

/**
 * Lines that were never recorded are left out, unless none was.
 * @param {import('../lib/series.js').ChartOf} chart
 * @param {Map<string, any>} known
 */
function linesOf(chart, known) {
  const lines = chart.series.map((line) => ({
    ...line,
    unit: known.get(line.name)?.unit ?? 'count',
    points: pointsOf(known.get(line.name)),
  }));
  const recorded = lines.filter(({ points }) => points.length > 0);
  return recorded.length > 0 ? recorded : lines;
}

/** A pgprime elsewhere has the built-in pooler's series. @param {any} features @returns {'pooler' | 'pgbouncer'} */
function prefixOf(features) {
  return features?.pooler === false && features?.pgbouncer ? 'pgbouncer' : 'pooler';
}
