// @ts-check
// A line in a small box, as the path of an SVG. Pure.
import { isNumber } from './format.js';

/**
 * Gaps (`null`) break the line. The line begins at zero unless all values are far from it: a small change in a large
 * figure must not look like a collapse.
 * @param {(number | null | undefined)[]} values @param {number} width @param {number} height
 */
export function sparkPath(values, width, height) {
  const known = values.filter(isNumber);
  if (known.length < 2) return '';
  const highest = Math.max(...known, 0);
  const lowest = Math.min(...known, 0);
  const span = highest - lowest || 1;
  const step = width / (values.length - 1);
  let isPen = false;
  let path = '';
  values.forEach((value, at) => {
    if (!isNumber(value)) {
      isPen = false;
      return;
    }
    const y = height - ((value - lowest) / span) * height;
    path += `${isPen ? 'L' : 'M'}${round(at * step)} ${round(y)}`;
    isPen = true;
  });
  return path;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}
