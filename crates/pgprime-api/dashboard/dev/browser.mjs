// A headless Chromium, driven over its debugging pipe: no dependency, no port. Gathers everything a console would show.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHROMIUM = process.env.CHROMIUM ?? 'chromium';
const ANSWER_MS = 20_000;
const WAIT_MS = 10_000;
const POLL_MS = 50;

/** @returns {Promise<Browser>} */
export async function launch() {
  const folder = mkdtempSync(join(tmpdir(), 'pgprime-dashboard-'));
  const child = spawn(
    CHROMIUM,
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--remote-debugging-pipe',
      '--hide-scrollbars',
      '--mute-audio',
      '--disable-background-networking',
      '--disable-component-update',
      '--no-first-run',
      '--force-color-profile=srgb',
      `--user-data-dir=${folder}`,
      'about:blank',
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  );
  const browser = new Browser(child, folder);
  return browser;
}

class Browser {
  constructor(child, folder) {
    this.child = child;
    this.folder = folder;
    this.nextId = 1;
    this.asked = new Map();
    this.pages = new Map();
    let rest = '';
    child.stdio[4].setEncoding('utf8').on('data', (text) => {
      const messages = (rest + text).split('\0');
      rest = messages.pop();
      for (const message of messages) this.take(JSON.parse(message));
    });
  }

  take({ id, result, error, method, params, sessionId }) {
    const asked = this.asked.get(id);
    if (asked) {
      this.asked.delete(id);
      clearTimeout(asked.timer);
      return error ? asked.reject(new Error(`${asked.method}: ${error.message}`)) : asked.resolve(result);
    }
    return this.pages.get(sessionId)?.take(method, params);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.nextId++;
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.asked.delete(id);
        reject(new Error(`${method}: no answer`));
      }, ANSWER_MS);
      this.asked.set(id, { resolve, reject, method, timer });
    });
  }

  /** A page with a storage of its own, unless it shares that of others. */
  async open(shared = undefined) {
    const browserContextId = shared ?? (await this.send('Target.createBrowserContext')).browserContextId;
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId, targetId);
    this.pages.set(sessionId, page);
    for (const domain of ['Page', 'Runtime', 'Log', 'Audits']) await page.send(`${domain}.enable`);
    return page;
  }

  async close() {
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    await this.send('Browser.close').catch(() => this.child.kill());
    await gone;
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Page {
  constructor(browser, sessionId, targetId) {
    this.browser = browser;
    this.sessionId = sessionId;
    this.targetId = targetId;
    this.problems = [];
  }

  send(method, params) {
    return this.browser.send(method, params, this.sessionId);
  }

  take(method, params) {
    if (method === 'Runtime.exceptionThrown')
      this.problems.push(
        `exception: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`,
      );
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type)) {
      this.problems.push(
        `console.${params.type}: ${params.args.map((each) => each.value ?? each.description).join(' ')}`,
      );
    }
    if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level))
      this.problems.push(`${params.entry.source}: ${params.entry.text} ${params.entry.url ?? ''}`);
    if (method === 'Audits.issueAdded' && params.issue.code === 'ContentSecurityPolicyIssue')
      this.problems.push(`policy: ${JSON.stringify(params.issue.details.contentSecurityPolicyIssueDetails)}`);
  }

  async size(width, height = 900, isDark = false) {
    await this.send('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      screenWidth: width,
      screenHeight: height,
      deviceScaleFactor: 1,
      mobile: width < 500,
    });
    await this.send('Emulation.setEmulatedMedia', {
      features: [
        { name: 'prefers-color-scheme', value: isDark ? 'dark' : 'light' },
        { name: 'prefers-reduced-motion', value: 'reduce' },
      ],
    });
  }

  async go(url) {
    await this.send('Page.navigate', { url });
    await this.until('document.readyState === "complete"');
  }

  /** The value of an expression in the page. */
  async value(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
      userGesture: true,
    });
    if (exceptionDetails)
      throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  /** Waits until an expression holds: for what happens, never for a time. */
  async until(expression) {
    const end = Date.now() + WAIT_MS;
    while (!(await this.value(expression).catch(() => false))) {
      if (Date.now() > end) throw new Error(`never came: ${expression}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Keys as a person presses them. */
  async press(key, modifiers = 0) {
    const text = key.length === 1 ? key : key === 'Enter' ? '\r' : undefined;
    const code = {
      Enter: 13,
      Escape: 27,
      Tab: 9,
      ArrowDown: 40,
      ArrowUp: 38,
      ArrowLeft: 37,
      ArrowRight: 39,
      End: 35,
      Home: 36,
      ' ': 32,
    }[key];
    const event = {
      key,
      text: modifiers ? undefined : text,
      modifiers,
      windowsVirtualKeyCode: code ?? key.toUpperCase().charCodeAt(0),
      code: key.length === 1 ? undefined : key,
    };
    await this.send('Input.dispatchKeyEvent', { type: 'keyDown', ...event });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', ...event, text: undefined });
  }

  async type(text) {
    await this.send('Input.insertText', { text });
  }

  async mouse(type, x, y, buttons = 0) {
    await this.send('Input.dispatchMouseEvent', {
      type,
      x,
      y,
      button: type === 'mouseMoved' && !buttons ? 'none' : 'left',
      buttons,
      clickCount: type === 'mouseMoved' ? 0 : 1,
    });
  }

  async shot() {
    const {
      cssContentSize: { height },
      cssLayoutViewport: { clientWidth },
    } = await this.send('Page.getLayoutMetrics');
    const { data } = await this.send('Page.captureScreenshot', {
      format: 'png',
      captureBeyondViewport: true,
      clip: { x: 0, y: 0, width: clientWidth, height: Math.min(Math.ceil(height), 6000), scale: 1 },
    });
    return Buffer.from(data, 'base64');
  }

  async close() {
    this.browser.pages.delete(this.sessionId);
    await this.browser.send('Target.closeTarget', { targetId: this.targetId });
  }
}
