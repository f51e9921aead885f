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

  'slow statements are marked among all, and alone only where that is asked for': async () => {
    const page = await open('#/queries?threshold_ms=100');
    await page.until('document.querySelectorAll("tbody tr").length === 20');
    assert.equal(await page.value('document.querySelectorAll("tbody .status.is-warning").length'), 2);
    await page.value('[...document.querySelectorAll(".inline-field")].find((each) => each.textContent.includes("Only slow")).querySelector("input").click()');
    await page.until('document.querySelectorAll("tbody tr").length === 2 && location.hash.includes("slow=yes")');
    await page.value('location.hash = "#/queries?threshold_ms=5000&slow=yes"');
    await page.until('document.querySelector(".table-empty")?.textContent.includes("No statement takes 5.00 s or more")');
    return page;
  },

  'a range of one’s own is asked for with its end, for statements as well': async () => {
    const span = 'from=2026-11-20T10:00:00Z&to=2026-11-20T11:00:00Z';
    const page = await open(`#/queries?${span}`);
    await page.until('document.querySelector(".page-sub")?.textContent.includes("As recorded: 2026-11-20")');
    await click(page, 'tbody a');
    await page.until(heading('Query'));
    await page.until('document.querySelector(".page-sub")?.textContent.includes("As recorded: 2026-11-20")');
    const asked = 'performance.getEntriesByType("resource").map(({ name }) => new URL(name)).filter(({ pathname }) => pathname.includes("slow-queries"))';
    await page.until(`${asked}.length >= 2`);
    assert.ok(
      await page.value(
        `${asked}.every(({ searchParams }) => searchParams.get("since") === "2026-11-20T10:00:00Z" && searchParams.get("until") === "2026-11-20T11:00:00Z")`,
      ),
    );
    return page;
  },

  'a range of one’s own by keyboard: its form has the focus, says what is wrong, and Escape closes it': async () => {
    const page = await open('#/overview');
    await page.value(
      '(() => { const select = document.querySelector("[name=range]"); select.focus(); select.value = "own"; select.dispatchEvent(new Event("change", { bubbles: true })); })()',
    );
    await page.until('document.activeElement?.name === "from"');
    await page.value(
      '(() => { const form = document.activeElement.form; form.elements.from.value = "2026-11-21T10:00"; form.elements.to.value = "2026-11-20T10:00"; form.requestSubmit(); })()',
    );
    await page.until('document.querySelector(".range-own [role=alert]")?.textContent.includes("before")');
    assert.doesNotMatch(await page.value('location.hash'), /from=/);
    assert.equal(await page.value('document.querySelector("[name=from]").value'), '2026-11-21T10:00', 'what was typed stays');
    await page.press('Escape');
    await page.until('!document.querySelector(".range-own") && document.activeElement?.name === "range"');
    return page;
  },

  'the focus goes back to where it was before a dialog': async () => {
    const page = await open('#/connections');
    await page.until('document.querySelector("td .is-danger")');
    await page.value('document.querySelector("td .is-danger").focus()');
    const before = 'document.activeElement === document.querySelector("td .is-danger")';
    await page.press('Enter');
    await page.until('document.querySelector("dialog[open]")');
    await page.press('Escape');
    await page.until(`!document.querySelector("dialog") && ${before}`);
    await page.value('document.querySelector(".help-button").focus()');
    await page.press('Enter');
    await page.until('document.querySelector("dialog[open]")');
    await page.press('Enter');
    await page.until('!document.querySelector("dialog") && document.activeElement.matches(".help-button")');
    return page;
  },

  'any number of tabs answer, as only the one that is seen listens': async () => {
    const { browserContextId } = await browser.send('Target.createBrowserContext');
    const pages = [];
    for (let tab = 0; tab < 8; tab += 1) {
      const page = await browser.open(browserContextId);
      pages.push(page);
      await page.go(`${base}mode-normal/#/analyze`);
      await page.until('document.querySelector(".who") && document.querySelector(".live.is-live")');
      assert.equal(await page.value('document.querySelector(".analyze-form .is-primary").disabled'), false);
    }
    const first = pages[0];
    if (await first.value('document.hidden')) {
      await first.send('Page.bringToFront');
      await first.until('!document.hidden && document.querySelector(".live.is-live")');
    }
    const problems = pages.flatMap((page) => page.problems);
    for (const page of pages.slice(1)) await page.close();
    assert.deepEqual(problems, []);
    return first;
  },

  'a tab that goes from page to page and back keeps no stream': async () => {
    const page = await open('#/capacity');
    for (let visit = 0; visit < 8; visit += 1) {
      await page.go('about:blank');
      await page.go(`${base}mode-normal/#/capacity`);
      await page.until('document.querySelector(".live.is-live") && document.querySelector(".figures")');
    }
    // Later, so that the answer comes before the page is left; the mark tells the page that is left from the other.
    await page.value('window.isLeft = true; setTimeout(() => history.go(-2)); 0');
    await page.until('!window.isLeft && document.querySelector(".live.is-live") && document.querySelector(".figures")');
    return page;
  },

  'who holds others up stands first, and who is idle runs no query': async () => {
    const page = await open('#/connections');
    await page.until('document.querySelector("tbody tr")');
    const cells = await page.value(
      '[...document.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.innerText.trim()))',
    );
    assert.match(cells[0].join(), /^48120,Idle in transaction/);
    assert.equal(cells[0][3], '–', 'a query that is over');
    return page;
  },

  'statements of the admin pool have their texts and figures': async () => {
    const page = await open('#/views');
    await page.until('[...document.querySelectorAll("caption")].some((each) => each.textContent.startsWith("Slowest statements"))');
    const text = await page.value(
      '[...document.querySelectorAll("caption")].find((each) => each.textContent.startsWith("Slowest statements")).closest("table").tBodies[0].innerText',
    );
    assert.match(text, /date_trunc/);
    assert.match(text, /41\s+5\.12 s\s+125 ms\s+410 ms/);
    return page;
  },

  'refused input shows no older answer': async () => {
    const page = await open('#/capacity?rps=2500');
    await page.until('document.querySelector(".figures")');
    await page.value('location.hash = "#/capacity?rps=2500&safety_margin=3"');
    await page.until('document.querySelector(".notice")?.innerText.includes("Share to use") && !document.querySelector(".figures")');
    assert.doesNotMatch(await page.value('document.querySelector("main").innerText'), /Stale/);
    page.problems = page.problems.filter((text) => !text.includes('400'));
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

  'who one is and is not known yet is loading, and no refusal': async () => {
    const page = await open('#/analyze', 'slow');
    await page.until('document.querySelector(".analyze-form")?.innerText.includes("Loading who you are")');
    assert.doesNotMatch(await page.value('document.querySelector("main").innerText'), /needs the role/);
    await page.until('document.querySelector(".who") && !document.querySelector(".analyze-form .is-primary").disabled');
    assert.doesNotMatch(await page.value('document.querySelector("main").innerText'), /Loading who/);
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

  'a session that is idle in a transaction is ended, and the page says what came of it': async () => {
    const page = await open('#/connections?tab=blocking');
    await page.until('document.querySelector(".blocker.is-root .row-actions")');
    const offered = await page.value('document.querySelector(".blocker.is-root .row-actions").innerText');
    assert.equal(offered.trim(), 'End', 'cancelling would do nothing');
    assert.match(await page.value('document.querySelector(".blocking").innerText'), /for a row of policies/);
    await click(page, '.blocker.is-root .is-danger');
    await page.until('document.querySelector("dialog[open]")?.innerText.includes("rolled back")');
    await click(page, 'dialog .is-danger');
    await page.until('document.querySelector("main .notice[role=status]")?.innerText.includes("Session 48120 has ended")');
    await click(page, '.blocker:not(.is-root) .is-danger');
    await page.until('document.querySelector("dialog[open]")?.innerText.includes("57014")');
    await click(page, 'dialog .is-danger');
    await page.until('document.querySelector("main .notice[role=status]")?.innerText.includes("The query of session 48177 has ended")');
    return page;
  },

  'a pooler that is watched over its console is shown like the built-in one': async () => {
    const page = await open('#/overview', 'console');
    await page.until('document.querySelector(".card[aria-label=Latency]")?.innerText.includes("mean")');
    await page.until('document.querySelector(".card[aria-label=Throughput] .big")?.innerText.includes("/s")');
    assert.match(await page.value('document.querySelector("main").innerText'), /PgBouncer 1\.18\.0 at 10\.0\.1\.7:6432/);
    await page.value('location.hash = "#/connections?tab=clients"');
    await page.until('document.querySelector("main").innerText.includes("Clients of PgBouncer 1.18.0, at 10.0.1.7:6432")');
    assert.ok(await page.value('document.querySelectorAll("tbody tr").length > 3'));
    await page.value('location.hash = "#/capacity"');
    await page.until('document.querySelector(".capacity-form .button")');
    await click(page, '.capacity-form .button');
    await page.until('document.querySelector(".capacity-form [role=status]")?.innerText.includes("Taken from PgBouncer 1.18.0 at 10.0.1.7:6432")');
    return page;
  },

  'where no pooler is watched the page says so, and what to do': async () => {
    const page = await open('#/connections?tab=servers', 'empty');
    await page.until('document.querySelector(".empty-title")?.textContent === "No pooler is watched"');
    await page.value('location.hash = "#/capacity"');
    await page.until('document.querySelector(".capacity-form .button")');
    await click(page, '.capacity-form .button');
    await page.until('document.querySelector(".capacity-form [role=status]")?.innerText.includes("No pooler is watched")');
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
    await page.until('document.activeElement.matches(".navigation a")');
    await page.press('Escape');
    await page.until('!document.querySelector(".navigation").checkVisibility() && document.activeElement.matches(".menu-button")');
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
