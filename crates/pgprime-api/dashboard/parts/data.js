// @ts-check
// What the server said to a request, kept fresh while it is looked at, and kept on the screen when it fails.
import { ApiError, identity, isAborted, request } from '../api.js';
import { useEffect, useRef, useState } from './html.js';

/** @typedef {{data: any, error: any, isLoading: boolean, at: number | null, reload: () => void}} Loaded */

const REMEMBERED_MAX = 60;
/**
 * Answers by path: a page that was seen shows at once, and is then refreshed.
 * @type {Map<string, {data: any, at: number}>}
 */
const remembered = new Map();

/**
 * @param {string | null} path nothing is asked for `null`
 * @param {{everyMs?: number}} [options] how often to ask again while the page is visible; 0 for never
 * @returns {Loaded}
 */
export function useData(path, { everyMs = 15_000 } = {}) {
  const [state, setState] = useState(() => initial(path));
  const [round, setRound] = useState(0);
  const asked = useRef(path);
  const who = identity.value;

  useEffect(() => {
    if (path === null) return undefined;
    const aborter = new AbortController();
    const isOther = resource(asked.current) !== resource(path);
    asked.current = path;
    setState((before) => (isOther ? initial(path) : { ...before, isLoading: true }));
    ask(path, aborter.signal, setState);
    const timer =
      everyMs > 0
        ? setInterval(() => {
            if (!document.hidden) ask(path, aborter.signal, setState);
          }, everyMs)
        : undefined;
    const onVisible = () => {
      if (!document.hidden && everyMs > 0) ask(path, aborter.signal, setState);
    };
    document.addEventListener('visibilitychange', onVisible);
    return () => {
      aborter.abort();
      clearInterval(timer);
      document.removeEventListener('visibilitychange', onVisible);
    };
  }, [path, everyMs, round, who]);

  return { ...state, reload: () => setRound((before) => before + 1) };
}

/** The same list in another range replaces the old one softly; another thing does not. @param {string | null} path */
function resource(path) {
  return path?.split('?')[0];
}

/** @param {string | null} path */
function initial(path) {
  const known = path === null ? undefined : remembered.get(path);
  return { data: known?.data ?? null, at: known?.at ?? null, error: null, isLoading: path !== null };
}

/** @param {string} path @param {AbortSignal} aborted @param {(change: any) => void} setState */
async function ask(path, aborted, setState) {
  try {
    const data = await request(path, { signal: aborted });
    if (aborted.aborted) return;
    const at = Date.now();
    remember(path, { data, at });
    setState({ data, at, error: null, isLoading: false });
  } catch (error) {
    if (isAborted(error) || aborted.aborted) return;
    // What was asked wrongly has no answer; an older one to another question is none.
    const isRefused = error instanceof ApiError && error.status === 400;
    setState((before) => ({ ...before, ...(isRefused && { data: null, at: null }), error, isLoading: false }));
  }
}

/** @param {string} path @param {{data: any, at: number}} answer */
function remember(path, answer) {
  remembered.delete(path);
  remembered.set(path, answer);
  const oldest = remembered.keys().next().value;
  if (remembered.size > REMEMBERED_MAX && oldest !== undefined) remembered.delete(oldest);
}

/** What one role sees is not for the next. */
identity.subscribe(() => remembered.clear());

/** @param {Record<string, unknown>} params */
export function query(params) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text ? `?${text}` : '';
}
