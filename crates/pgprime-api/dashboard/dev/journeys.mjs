// What people do, in a real browser against the mock: keys, filters, links that reproduce a state, zoom, dialogs, login,
// failures. Run: node dev/journeys.mjs [NAME]
import assert from 'node:assert/strict';
import { launch } from './browser.mjs';
import { start } from './mock.mjs';

const server = await start(0);
const base = `http://127.0.0.1:${server.address().port}/`;
const browser = await launch();

/** @param {string} fragment @param {string} [mode] */
async function open(fragment, mode = 'normal') {
  const page = await browser.open();
  await page.size(1280);
  await page.go(`${base}mode-${mode}/${fragment}`);
  await page.until('document.querySelector("h1")');
  return page;
}
const heading = (text) => `document.querySelector("h1")?.textContent === ${JSON.stringify(text)}`;
const click = (page, selector) => page.value(`document.querySelector(${JSON.stringify(selector)}).click()`);

const journeys = {
  'the keys lead to pages, and the heading has the focus': async () => {
    const page = await open('#/overview');
    for (const [key, title] of [
      ['q', 'Queries'],
      ['a', 'Analyze'],
      ['i', 'Indexes'],
      ['s', 'Space'],
      ['c', 'Connections'],
      ['r', 'Replication'],
      ['v', 'Views and cache'],
      ['l', 'Checklist'],
      ['e', 'Alerts'],
      ['p', 'Capacity'],
      ['o', 'Overview'],
    ]) {
      await page.press('g');
      await page.press(key);
      await page.until(heading(title));
      await page.until('document.activeElement === document.querySelector("h1")');
      assert.equal(await page.value('document.title'), `${title} · pgprime`);
    }
    await page.press('?');
    await page.until('document.querySelector("dialog[open] kbd")');
    await page.press('Escape');
    await page.until('!document.querySelector("dialog")');
    return page;
  },

  'nobody looks at the database any more, and the overview says so first': async () => {
    const page = await open('#/overview', 'unwatched');
    await page.until('document.querySelector(".banners > .banner.is-unknown")?.textContent.includes("184 s ago")');
    await page.until('document.querySelector(".pill.is-unknown")?.textContent.includes("Nobody looks")');
    return page;
  },

  'tables are filtered and sorted by keys, and the address says so': async () => {
    const page = await open('#/queries');
    await page.until('document.querySelector("tbody tr")');
    await page.press('/');
    await page.until('document.activeElement.matches("[data-filter]")');
    await page.type('payments');
    await page.until('location.hash.includes("filter=payments") && document.querySelectorAll("tbody tr").length < 20');
    await page.value(
      '[...document.querySelectorAll("th button")].find((button) => button.textContent.startsWith("Mean")).focus()',
    );
    await page.press('Enter');
    await page.until('document.querySelector("th[aria-sort=descending] button")?.textContent.startsWith("Mean")');
    await page.press('Enter');
    await page.until('document.querySelector("th[aria-sort=ascending] button")?.textContent.startsWith("Mean")');
    const [address, shown] = [
      await page.value('location.hash'),
      await page.value('document.querySelector("tbody").innerText'),
    ];
    const other = await open(address);
    await other.until(`document.querySelector("tbody")?.innerText === ${JSON.stringify(shown)}`);
    await other.close();
    return page;
  },

  'from the list to a statement, its plan, and back': async () => {
    const page = await open('#/queries?range=6h');
    await page.until('document.querySelector("tbody a")');
    await click(page, 'tbody a');
    await page.until(heading('Query'));
    assert.match(await page.value('location.hash'), /range=6h/, 'the time range goes along');
    await page.until('document.querySelector(".section .is-primary")');
    await click(page, '.section .is-primary');
    await page.until('document.querySelector("[role=treeitem]")');
    await page.value('history.go(-1)');
    await page.until(heading('Queries'));
    return page;
  },

  'dragging over a chart zooms, and one step back undoes it': async () => {
    const page = await open('#/overview');
    await page.until('document.querySelector(".u-over")?.getBoundingClientRect().width > 100');
    await page.value('document.querySelector(".u-over").scrollIntoView({ block: "center" })');
    const { x, y, width } = await page.value(
      '(({ x, y, width }) => ({ x, y, width }))(document.querySelector(".u-over").getBoundingClientRect())',
    );
    await page.mouse('mousePressed', x + width * 0.3, y + 40, 1);
    for (const part of [0.35, 0.5, 0.6]) await page.mouse('mouseMoved', x + width * part, y + 40, 1);
    await page.mouse('mouseReleased', x + width * 0.6, y + 40);
    await page.until('location.hash.includes("from=") && location.hash.includes("to=")');
    await page.value('history.back()');
    await page.until('!location.hash.includes("from=")');
    return page;
  },

  'executing asks first, and is never in a link': async () => {
    const page = await open('#/analyze?sql=SELECT+1&execute=yes');
    await page.until('document.querySelector("[role=treeitem]")');
    assert.equal(await page.value('document.querySelector(".figure dt").textContent'), 'Cost', 'planned only');
    await click(page, '[name=execute]');
    await click(page, '.analyze-form .is-primary');
    await page.until('document.querySelector("dialog[open]")?.innerText.includes("Execute the statement?")');
    await click(page, 'dialog .is-primary');
    await page.until('document.querySelector(".figure dt")?.textContent === "Execution"');
    assert.doesNotMatch(await page.value('location.hash'), /isExecuted|execute=true/);
    return page;
  },

  'a refused statement says why': async () => {
    const page = await open(`#/analyze?sql=${encodeURIComponent('DELETE FROM policies')}`);
    await page.until('document.querySelector(".notice.is-critical")?.innerText.includes("changes data")');
    page.problems = page.problems.filter((text) => !text.includes('422'));
    return page;
  },

  'the tree goes by arrow keys': async () => {
    const page = await open(`#/analyze?sql=${encodeURIComponent('SELECT risk_class')}`);
    await page.until('document.querySelectorAll("[role=treeitem]").length > 5');
    const count = await page.value('document.querySelectorAll("[role=treeitem]").length');
    await page.value('document.querySelector("[role=treeitem]").focus()');
    await page.press('ArrowDown');
    await page.until('document.activeElement === document.querySelectorAll("[role=treeitem]")[1]');
    await page.press('ArrowLeft');
    await page.until('document.querySelectorAll("[role=treeitem]").length === 2');
    await page.press('ArrowRight');
    await page.until(`document.querySelectorAll("[role=treeitem]").length === ${count}`);
    await page.press('Enter');
    await page.until('document.querySelector(".facts")');
    return page;
  },

  'cancelling asks, and readers have no button': async () => {
    const page = await open('#/connections');
    await page.until('document.querySelector("td .is-danger")');
    await click(page, 'td .is-danger');
    await page.until('document.querySelector("dialog[open] .is-danger")');
    await page.press('Escape');
    await page.until('!document.querySelector("dialog")');
    const reader = await open('#/connections', 'readonly');
    await reader.until('document.querySelector("tbody tr") && document.querySelector(".who")');
    assert.equal(await reader.value('document.querySelectorAll("td .is-danger").length'), 0);
    assert.match(await reader.value('document.querySelector("tbody").innerText'), /not shown to this role/);
    await reader.close();
    return page;
  },

  'the token is asked for, kept in this tab, and in no address': async () => {
    const page = await open('#/overview', 'login');
    for (const token of ['wrong', 'secret']) {
      await page.until('document.querySelector("dialog[open] input[name=token]") === document.activeElement');
      await page.value('document.activeElement.value = ""');
      await page.type(token);
      await page.press('Enter');
      if (token === 'wrong')
        await page.until('document.querySelector("dialog h2")?.textContent === "The token was refused"');
    }
    await page.until('document.querySelector(".banner") && document.querySelector(".live.is-live")');
    assert.equal(await page.value('sessionStorage.getItem("pgprime.token")'), 'secret');
    assert.equal(
      await page.value(
        'location.href.includes("secret") || Object.values(localStorage).join().includes("secret") || document.cookie.includes("secret")',
      ),
      false,
    );
    page.problems = page.problems.filter((text) => !text.includes('401'));
    return page;
  },

  'old data stays when the server fails, and says how old it is': async () => {
    const page = await open('#/space', 'stale');
    await page.until('document.querySelector("tbody tr")');
    await click(page, '.page-actions button');
    await page.until('document.querySelector(".notice.is-warning")?.innerText.includes("Stale since")');
    assert.ok(await page.value('document.querySelectorAll("tbody tr").length > 5'));
    page.problems = page.problems.filter((text) => !text.includes('503'));
    return page;
  },

  'colours change by a key, and stay': async () => {
    const page = await open('#/capacity');
    await page.press('t');
    await page.press('t');
    await page.until(
      'document.documentElement.dataset.theme === "dark" && getComputedStyle(document.body).backgroundColor === "rgb(16, 20, 26)"',
    );
    await page.send('Page.reload');
    await page.until('document.documentElement.dataset.theme === "dark"');
    return page;
  },

  'inputs of the planner are in the address': async () => {
    const page = await open('#/capacity?rps=2500');
    await page.until('document.querySelector("[name=rps]")?.value === "2500" && document.querySelector(".u-over")');
    await page.value(
      '(() => { const input = document.querySelector("[name=instances]"); input.value = "7"; input.dispatchEvent(new Event("change", { bubbles: true })); })()',
    );
    await page.until('location.hash.includes("instances=7") && location.hash.includes("rps=2500")');
    return page;
  },

  'statements are copied, and tables exported': async () => {
    const page = await open('#/indexes');
    await page.until('document.querySelector(".statement .copy")');
    await click(page, '.statement .copy');
    await page.until('document.querySelector(".statement .copy").textContent.includes("Copied")');
    await page.value(
      'URL.createObjectURL = (blob) => { blob.text().then((text) => { window.exported = text; }); return "blob:"; }; HTMLAnchorElement.prototype.click = () => {}; 0',
    );
    await page.value('location.hash = "#/space"');
    await page.until('document.querySelector(".exports button")');
    await page.value(
      'document.querySelector(".exports button").dispatchEvent(new MouseEvent("click", { bubbles: true }))',
    );
    await page.until('window.exported?.startsWith("qualified,total_bytes,")');
    assert.match(await page.value('window.exported'), /\r\npublic\.quotes,\d+,/);
    return page;
  },

  'what this process does not do is said calmly': async () => {
    for (const [fragment, count] of [
      ['#/alerts', 1],
      ['#/views', 1],
      ['#/replication', 1],
    ]) {
      const page = await open(fragment, 'bare');
      await page.until(
        `document.querySelectorAll(".empty").length >= ${count} && document.querySelector("main").innerText.includes("it needs")`,
      );
      assert.equal(await page.value('document.querySelectorAll(".notice.is-critical").length'), 0);
      await page.close();
    }
    return open('#/space', 'bare');
  },

  'measured figures fill the planner': async () => {
    const page = await open('#/capacity');
    await page.until('document.querySelector(".capacity-form .button")');
    await click(page, '.capacity-form .button');
    await page.until('location.hash.includes("rps=842.4") && location.hash.includes("db_max_connections=100")');
    return page;
  },

  'markup in data stays text': async () => {
    const page = await open(
      `#/analyze?sql=${encodeURIComponent("SELECT '<img src=x onerror=alert(1)>' -- <script>alert(1)</script>")}`,
    );
    await page.until('document.querySelector("[role=treeitem]")');
    assert.equal(await page.value('document.querySelectorAll("main img, main script").length'), 0);
    return page;
  },

  'on a phone the navigation opens and closes': async () => {
    const page = await browser.open();
    await page.size(360, 740);
    await page.go(`${base}#/overview`);
    await page.until('document.querySelector(".menu-button")');
    assert.equal(await page.value('document.querySelector(".navigation").checkVisibility()'), false);
    await click(page, '.menu-button');
    await page.until('document.querySelector(".navigation").checkVisibility()');
    await click(page, '.navigation li:nth-child(5) a');
    await page.until(`${heading('Space')} && !document.querySelector(".navigation").checkVisibility()`);
    return page;
  },
};

let failures = 0;
try {
  for (const [name, journey] of Object.entries(journeys).filter(([name]) => name.includes(process.argv[2] ?? ''))) {
    try {
      const page = await journey();
      assert.deepEqual(page.problems, [], 'nothing in the console');
      await page.close();
      console.log(`ok      ${name}`);
    } catch (error) {
      failures += 1;
      console.log(`FAILED  ${name}\n        ${String(error.message).replaceAll('\n', '\n        ')}`);
    }
  }
} finally {
  await browser.close();
  server.closeAllConnections();
  server.close();
}
process.exitCode = failures === 0 ? 0 : 1;
