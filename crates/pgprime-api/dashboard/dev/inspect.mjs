// What can be told of a page without eyes, as code that runs in it: contrast, names, overflow. Gives a list of complaints.

/** Runs within the page; may use nothing from outside. */
function complaints() {
  const found = [];
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
    return [red, green, blue, alpha / 255];
  };
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) layers.push(colour);
      if (colour[3] === 1) break;
    }
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const luminance = (colour) => {
    const [red, green, blue] = colour
      .slice(0, 3)
      .map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (a, b) =>
    (Math.max(luminance(a), luminance(b)) + 0.05) / (Math.min(luminance(a), luminance(b)) + 0.05);
  const seen = new Set();
  for (const element of document.querySelectorAll('body *')) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (
      !hasText ||
      element.closest('.visually-hidden, .skip, svg, :disabled') ||
      !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    )
      continue;
    const below = ground(element);
    const ratio = contrast(over(rgba(getComputedStyle(element).color), below), below);
    const key = `${element.tagName}.${element.className}`;
    if (ratio < 4.5 && !seen.has(key)) {
      seen.add(key);
      found.push(`contrast ${ratio.toFixed(2)}: ${key} “${element.textContent.trim().slice(0, 30)}”`);
    }
  }
  for (const control of document.querySelectorAll('button, a[href], input, select, textarea, summary')) {
    const label = control.getAttribute('aria-label') ?? (control.labels?.[0]?.textContent || control.textContent);
    if (!label?.trim()) found.push(`no name: ${control.outerHTML.slice(0, 80)}`);
  }
  if (document.querySelectorAll('h1').length !== 1)
    found.push(`${document.querySelectorAll('h1').length} headings of the first level`);
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) found.push(`id twice: ${id}`);
  if (document.documentElement.scrollWidth > screen.width) {
    const wide = [...document.querySelectorAll('body *')].filter(
      (element) =>
        element.getBoundingClientRect().right > screen.width + 1 &&
        !element.closest('.table-scroll, .plan-scroll, pre, summary'),
    );
    found.push(
      `wider than the screen by ${document.documentElement.scrollWidth - screen.width}: ${wide
        .slice(0, 3)
        .map((element) => `${element.tagName}.${element.className}`)
        .join(' ')}`,
    );
  }
  return found;
}

export const INSPECTION = `(${complaints})()`;
