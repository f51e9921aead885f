// @ts-check
// Light, dark, or as the system says. theme_first.js sets the choice before the first paint.
import { signal } from './html.js';

const KEY = 'pgprime.theme';
const ORDER = /** @type {const} */ (['auto', 'light', 'dark']);

export const choice = signal(/** @type {string} */ (document.documentElement.dataset.theme ?? 'auto'));
const system = matchMedia('(prefers-color-scheme: dark)');
/** What is on the screen: charts draw anew when it changes. */
export const theme = signal(effective());
system.addEventListener('change', () => {
  theme.value = effective();
});

function effective() {
  if (choice.value === 'auto') return system.matches ? 'dark' : 'light';
  return choice.value;
}

export function nextTheme() {
  choice.value = ORDER[(ORDER.indexOf(/** @type {any} */ (choice.value)) + 1) % ORDER.length];
  if (choice.value === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice.value;
  try {
    localStorage.setItem(KEY, choice.value);
  } catch {
    // A browser that keeps nothing asks the system each time.
  }
  theme.value = effective();
}
