// @ts-check
// Charts over time (and other curves) by uPlot, in the colours of the style sheet; dragging zooms the time range.
import { inUnit, isNumber, tidied, UNKNOWN } from '../lib/format.js';
import { customRange } from '../lib/route.js';
import { sparkPath } from '../lib/spark.js';
import uPlot from '../vendor/uplot.js';
import { html, useEffect, useRef } from './html.js';
import { setParams } from './router.js';
import { theme } from './theme.js';

/** A drag of fewer pixels is a click. */
const DRAG_PIXELS_MIN = 8;

/**
 * @typedef {{title: string, unit: string, points: [number, number | null][], look?: number, isFilled?: boolean}} Series
 * `look`: which of the six colours
 */

/**
 * A colour as the browser computed it: uPlot draws on a canvas, which knows no variables.
 * @param {Element} element
 * @param {string} name
 */
function colour(element, name) {
  const probe = document.createElement('span');
  probe.className = `probe-${name}`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** @param {Series[]} series @returns {any} one column of times, and one of values for each series */
function columnsOf(series) {
  const times = [...new Set(series.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const rows = new Map(times.map((at, row) => [at, row]));
  return [
    times,
    ...series.map(({ points }) => {
      const values = new Array(times.length).fill(null);
      for (const [at, value] of points) values[/** @type {number} */ (rows.get(at))] = value;
      return values;
    }),
  ];
}

/** @param {HTMLElement} box @param {Series[]} series @param {any} options */
function settings(box, series, { height, isTime, isLogarithmic, xTitle, group }) {
  const unit = series[0]?.unit ?? 'count';
  const axis = {
    stroke: colour(box, 'muted'),
    grid: { stroke: colour(box, 'grid'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  };
  const shape = (line, at) => ({
    label: line.title,
    stroke: colour(box, `series-${line.look ?? at + 1}`),
    width: 1.5,
    points: { show: false },
    fill: line.isFilled ? colour(box, `fill-${line.look ?? at + 1}`) : undefined,
    value: (_, value) => (value === null ? UNKNOWN : inUnit(value, line.unit)),
  });
  return {
    width: box.clientWidth,
    height,
    legend: { show: true, live: true },
    padding: [8, 20, 0, 0],
    cursor: {
      drag: { x: isTime, y: false, setScale: false, dist: DRAG_PIXELS_MIN },
      points: { size: 6 },
      ...(group && { sync: { key: group } }),
    },
    scales: { x: { time: isTime }, y: isLogarithmic ? { distr: 3 } : { range: fromZero } },
    axes: [
      {
        ...axis,
        size: xTitle ? 44 : 28,
        space: 70,
        label: xTitle,
        labelSize: 16,
        labelFont: '11px system-ui, sans-serif',
        ...(isTime && { values: timeTicks }),
      },
      {
        ...axis,
        size: 62,
        space: 28,
        values: (/** @type {any} */ _, /** @type {any[]} */ ticks) =>
          ticks.map((tick) => (tick === null ? '' : tidied(inUnit(tick, unit)))),
      },
    ],
    series: [
      { label: isTime ? 'Time' : xTitle, value: (_, at) => (at === null ? UNKNOWN : isTime ? clock(at) : String(at)) },
      ...series.map(shape),
    ],
    hooks: { setSelect: [zoomed], setCursor: [showLast], setData: [showLast] },
  };
}

/** @param {any} _ @param {number} low @param {number} high @returns {[number, number]} */
function fromZero(_, low, high) {
  if (!isNumber(low) || !isNumber(high)) return [0, 1];
  return [Math.min(0, low), high <= 0 ? 1 : high * 1.08];
}

/**
 * @param {any} plot
 * @param {number[]} ticks
 * @param {number} _axis
 * @param {number} _space
 * @param {number} stepSeconds
 */
function timeTicks(plot, ticks, _axis, _space, stepSeconds) {
  return ticks.map((at) => {
    const [day, time] = local(at).split('T');
    if (stepSeconds >= 86_400) return day.slice(5);
    return time.startsWith('00:00') && stepSeconds >= 3600 ? day.slice(5) : time.slice(0, stepSeconds < 60 ? 8 : 5);
  });
}

/** @param {number} at seconds */
function local(at) {
  const date = new Date(at * 1000);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString();
}

/** @param {number} at seconds */
function clock(at) {
  return local(at).slice(5, 19).replace('T', ' ');
}

/** Without a pointer the legend says the last values. @param {any} plot */
function showLast(plot) {
  if (plot.cursor.idx !== null && plot.cursor.idx !== undefined) return;
  const values = plot.data.slice(1);
  const idx = plot.data[0].findLastIndex((_, at) => values.some((/** @type {any[]} */ column) => isNumber(column[at])));
  if (idx >= 0) plot.setLegend({ idx });
}

/** @param {any} plot */
function zoomed(plot) {
  const { left, width } = plot.select;
  if (width < DRAG_PIXELS_MIN || !plot.scales.x.time) return;
  const [from, to] = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')];
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (to - from >= 10) setParams(customRange(from, to), 'push');
}

/** @param {Series} series */
function summary({ title, unit, points }) {
  const known = points.map(([, value]) => value).filter(isNumber);
  if (known.length === 0) return `${title}: no data`;
  return `${title}: last ${inUnit(known.at(-1), unit)}, lowest ${inUnit(Math.min(...known), unit)}, highest ${inUnit(Math.max(...known), unit)}`;
}

/**
 * @param {object} props
 * @param {string} props.title
 * @param {Series[]} props.series of one unit
 * @param {number} [props.height]
 * @param {boolean} [props.isTime] whether x is a time
 * @param {boolean} [props.isLogarithmic]
 * @param {string} [props.xTitle]
 * @param {string} [props.group] charts of one group show their cursors together
 */
export function Chart({ title, series, height = 180, isTime = true, isLogarithmic = false, xTitle, group }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const shape = series.map(({ title: name, unit }) => `${name}/${unit}`).join() + theme.value;
  const columns = columnsOf(series);
  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (box.current);
    const drawn = new /** @type {any} */ (uPlot)(
      settings(element, series, { height, isTime, isLogarithmic, xTitle, group }),
      columns,
      element,
    );
    plot.current = drawn;
    const observer = new ResizeObserver(() => drawn.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      drawn.destroy();
    };
  }, [shape, height, isLogarithmic]);
  useEffect(() => {
    plot.current?.setData(columns);
  }, [series]);
  const isEmpty = columns[0].length === 0;
  return html`<figure class="chart">
    <figcaption>${title}</figcaption>
    <div class=${`chart-box ${isEmpty ? 'is-empty' : ''}`} ref=${box} role="img"
      aria-label=${`${title}. ${series.map(summary).join('. ')}`}></div>
    ${isEmpty && html`<p class="chart-empty">No data in this time range yet.</p>`}
  </figure>`;
}

/**
 * A small line without axes; the figure beside it says the value.
 * @param {{values: (number | null)[], look?: number}} props
 */
export function Spark({ values, look = 1 }) {
  const path = sparkPath(values, 160, 32);
  return html`<svg class=${`spark series-${look}`} viewBox="-1 -2 162 36" preserveAspectRatio="none" aria-hidden="true">
    ${path && html`<path class="spark-line" d=${path} />`}</svg>`;
}
