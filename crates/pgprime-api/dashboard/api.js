// @ts-check
// The REST interface: requests with the token of this tab, and errors as the server describes them (problem+json).
import { eventParser, reconnectMs } from './lib/event_stream.js';
import { signal } from './parts/html.js';

const BASE = new URL('api/v1/', document.baseURI);
const TOKEN_KEY = 'pgprime.token';
/** Longer than the server's own limits, so that its explanation comes first. */
const TIMEOUT_MS = 45_000;

/** Whether the server wants a token, and why the last one was refused. */
export const login = signal(
  /** @type {{isNeeded: boolean, refusal: string | null}} */ ({ isNeeded: false, refusal: null }),
);
/** Counts accepted tokens: what depends on who one is asks again. */
export const identity = signal(0);

export class ApiError extends Error {
  /** @param {{status?: number, title: string, detail?: string | null}} problem */
  constructor({ status = 0, title, detail = null }) {
    super(title);
    this.name = 'ApiError';
    this.status = status;
    this.title = title;
    this.detail = detail;
  }
}

/** Only for this tab, and gone with it: never in an address, a cookie or a lasting store. @param {string} token */
export function setToken(token) {
  sessionStorage.setItem(TOKEN_KEY, token);
  login.value = { isNeeded: false, refusal: null };
  identity.value += 1;
}

export function forgetToken() {
  sessionStorage.removeItem(TOKEN_KEY);
  identity.value += 1;
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN_KEY) !== null;
}

/**
 * @param {string} path below /api/v1/
 * @param {{method?: string, body?: unknown, signal?: AbortSignal}} [options]
 */
export async function request(path, { method = 'GET', body, signal: aborted } = {}) {
  const response = await send(path, {
    method,
    headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: withTimeout(aborted),
  });
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch (error) {
    throw unreachable(error);
  }
}

/** @param {AbortSignal | undefined} aborted */
function withTimeout(aborted) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  return aborted ? AbortSignal.any([aborted, timeout]) : timeout;
}

/** @param {string} path @param {RequestInit} options */
async function send(path, options) {
  const token = sessionStorage.getItem(TOKEN_KEY);
  const headers = {
    Accept: 'application/json',
    ...options.headers,
    ...(token && { Authorization: `Bearer ${token}` }),
  };
  let response;
  try {
    response = await fetch(new URL(path, BASE), { ...options, headers, credentials: 'omit', redirect: 'error' });
  } catch (error) {
    throw unreachable(error);
  }
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === 401) {
    login.value = { isNeeded: true, refusal: token ? (problem.detail ?? problem.title) : null };
  }
  throw problem;
}

/** @param {unknown} error */
function unreachable(error) {
  if (error instanceof DOMException && error.name === 'AbortError') return error;
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new ApiError({ title: 'No answer', detail: `pgprime did not answer within ${TIMEOUT_MS / 1000} s.` });
  }
  return new ApiError({
    title: 'pgprime cannot be reached',
    detail: 'The connection failed. Is pgprime running, and is the network up?',
  });
}

/** @param {Response} response */
async function problemOf(response) {
  const fallback = { status: response.status, title: response.statusText || `The server answered ${response.status}` };
  try {
    const problem = await response.json();
    return new ApiError({ ...fallback, ...(problem.title && { title: problem.title }), detail: problem.detail });
  } catch {
    return new ApiError(fallback);
  }
}

/** @param {unknown} error */
export function isAborted(error) {
  return error instanceof DOMException && error.name === 'AbortError';
}

/**
 * Events until aborted; connects again by itself, later after each failure.
 * @param {string} path
 * @param {{onEvent: (event: import('./lib/event_stream.js').ServerEvent) => void, onState: (state: 'connecting' | 'live' | 'lost') => void, signal: AbortSignal}} handlers
 */
export async function listen(path, { onEvent, onState, signal: aborted }) {
  let failures = 0;
  while (!aborted.aborted) {
    try {
      const response = await send(path, {
        headers: { Accept: 'text/event-stream' },
        signal: aborted,
        cache: 'no-store',
      });
      failures = 0;
      onState('live');
      await readEvents(response, onEvent);
    } catch (error) {
      if (isAborted(error)) return;
      // Without a token no attempt can succeed; `identity` starts this anew.
      if (error instanceof ApiError && error.status === 401) return;
    }
    onState('lost');
    await pause(reconnectMs(failures, Math.random()), aborted);
    failures += 1;
  }
}

/** @param {Response} response @param {(event: import('./lib/event_stream.js').ServerEvent) => void} onEvent */
async function readEvents(response, onEvent) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  const decoder = new TextDecoder();
  const parser = eventParser();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    parser.push(decoder.decode(value, { stream: true })).forEach(onEvent);
  }
}

/** @param {number} durationMs @param {AbortSignal} aborted */
function pause(durationMs, aborted) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, durationMs);
    aborted.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve(undefined);
      },
      { once: true },
    );
  });
}
