// Screenshots of every page and state, in both colours and at two widths. Fails on console errors, on what the content
// security policy forbids, and on what inspect.mjs complains of.
//   node dev/shots.mjs FOLDER [NAME…]      NAMEs: only shots whose name contains one of them
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch } from './browser.mjs';
import { INSPECTION } from './inspect.mjs';
import { start } from './mock.mjs';

const SQL = `SELECT c.risk_class, p.product, count(*) AS policies, sum(m.amount) AS paid
FROM customers c
JOIN policies p ON p.customer_id = c.id
LEFT JOIN payments m ON m.policy_id = p.id AND m.status = 'settled'
WHERE lower(c.last_name) LIKE 'm%' AND p.starts_on > DATE '2024-01-01'
GROUP BY c.risk_class, p.product
ORDER BY paid DESC LIMIT 20`;
const sql = encodeURIComponent(SQL);

/** Name, address, and the mode where it is not the usual one. @type {[string, string, string?][]} */
const PAGES = [
  ['overview', '#/overview'],
  ['queries', '#/queries'],
  ['query', '#/queries/-4922882474069691897'],
  ['query-plan', '#/queries/-3374410860076996473?plan=yes'],
  ['analyze', '#/analyze'],
  ['analyze-tree', `#/analyze?sql=${sql}`],
  ['analyze-text', `#/analyze?sql=${sql}&tab=text`],
  ['analyze-indexes', `#/analyze?sql=${sql}&tab=indexes`],
  ['indexes', '#/indexes'],
  ['indexes-review', '#/indexes?tab=review&row=unused/public.customers_name_index'],
  ['space', '#/space'],
  ['space-sequences', '#/space?tab=sequences'],
  ['space-ids', '#/space?tab=ids'],
  ['connections', '#/connections'],
  ['connections-blocking', '#/connections?tab=blocking'],
  ['connections-clients', '#/connections?tab=clients'],
  ['replication', '#/replication'],
  ['views', '#/views?row=admin.claims_by_region'],
  ['checklist', '#/checklist'],
  ['alerts', '#/alerts'],
  ['capacity', '#/capacity'],
  ['missing-page', '#/nowhere'],
];
/** States that one look at each is enough for. @type {[string, string, string][]} */
const STATES = [
  ...['overview', 'queries', 'indexes', 'space', 'connections', 'replication', 'views', 'checklist', 'alerts'].map(
    (page) => /** @type {[string, string, string]} */ ([`empty-${page}`, `#/${page}`, 'empty']),
  ),
  ['error-overview', '#/overview', 'error'],
  ['error-queries', '#/queries', 'error'],
  ['loading-queries', '#/queries', 'slow'],
  ['login', '#/overview', 'login'],
  ['readonly-connections', '#/connections', 'readonly'],
  ['readonly-analyze', '#/analyze', 'readonly'],
  ['down-overview', '#/overview', 'down'],
  ['console-overview', '#/overview', 'console'],
  ['console-servers', '#/connections?tab=servers', 'console'],
];
const VARIANTS = [
  ['light', 1280],
  ['dark', 1280],
  ['light', 360],
  ['dark', 360],
];
/** What failing requests leave in a console, by the browser itself. */
const EXPECTED = {
  down: /Failed to load resource.*503/,
  error: /Failed to load resource.*503/,
  login: /Failed to load resource.*401/,
};

const [folder = 'shots', ...wanted] = process.argv.slice(2);
const isWanted = (name) => wanted.length === 0 || wanted.some((part) => name.includes(part));
mkdirSync(folder, { recursive: true });
const server = await start(0);
const base = `http://127.0.0.1:${server.address().port}/`;
const browser = await launch();
let failures = 0;

/** Until nothing is loading, and what was drawn is drawn. */
const SETTLED =
  'document.querySelector("h1") && !document.querySelector(".skeleton") && document.fonts.status === "loaded"';

async function take(name, fragment, mode, theme, width) {
  const page = await browser.open();
  await page.size(width, width < 500 ? 740 : 800, theme === 'dark');
  await page.go(`${base}mode-${mode}/${fragment}`);
  await page.until(mode === 'slow' || mode === 'login' ? 'document.querySelector("h1")' : SETTLED);
  if (mode === 'login') await page.until('document.querySelector("dialog[open]")');
  if (mode === 'normal' && fragment === '#/overview') await page.until('document.querySelector(".cards .big")');
  await page.value('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
  const problems = [...page.problems.filter((text) => !EXPECTED[mode]?.test(text)), ...(await page.value(INSPECTION))];
  const file = `${name}-${theme}-${width}.png`;
  writeFileSync(join(folder, file), await page.shot());
  await page.close();
  for (const problem of problems) console.log(`${file}: ${problem}`);
  failures += problems.length;
}

try {
  for (const [name, fragment] of PAGES.filter(([name]) => isWanted(name))) {
    for (const [theme, width] of VARIANTS) await take(name, fragment, 'normal', theme, width);
  }
  for (const [name, fragment, mode] of STATES.filter(([name]) => isWanted(name)))
    await take(name, fragment, mode, name === 'login' ? 'dark' : 'light', 1280);
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
console.log(failures === 0 ? 'No complaints.' : `${failures} complaints.`);
process.exitCode = failures === 0 ? 0 : 1;
