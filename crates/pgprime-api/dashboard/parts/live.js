// @ts-check
// What the server tells by itself: the live figures of each two seconds, health when it was taken, alerts at changes.
import { ApiError, identity, listen, request } from '../api.js';
import { signal } from './html.js';

/** Ten minutes of live figures. */
const POINTS_MAX = 300;

export const live = signal(/** @type {any[]} */ ([]));
export const liveState = signal(/** @type {'connecting' | 'live' | 'lost'} */ ('connecting'));
export const health = signal(/** @type {any} */ (null));
export const healthError = signal(/** @type {any} */ (null));
export const session = signal(/** @type {any} */ (null));
/** The last change of an alert, for the corner of the screen and for screen readers. */
export const alertChange = signal(/** @type {any} */ (null));

/** Points further apart are not joined: nobody looked meanwhile. */
const GAP_MS = 10_000;

/** @type {AbortController | null} null while the page is not seen */
let current = null;
/** Whether another page is shown in this tab, and this one is only kept for the way back. */
let isLeft = false;

/**
 * Begins, and begins anew whenever somebody else logs in. A browser has six connections for one server, and a stream holds
 * one of them: pages that nobody sees hold none, so that any number of tabs can be open.
 */
export function startLive() {
  identity.subscribe(() => follow(true));
  document.addEventListener('visibilitychange', () => follow());
  addEventListener('pagehide', () => {
    isLeft = true;
    follow();
  });
  addEventListener('pageshow', () => {
    isLeft = false;
    follow();
  });
}

/** @param {boolean} [isAnew] even where it goes on already */
function follow(isAnew = false) {
  const isWanted = !document.hidden && !isLeft;
  if (isWanted && current && !isAnew) return;
  current?.abort();
  current = isWanted ? new AbortController() : null;
  if (current) connect(current.signal);
}

/** @param {AbortSignal} aborted */
function connect(aborted) {
  liveState.value = 'connecting';
  loadSession(aborted);
  loadHealth();
  listen('monitoring/events', {
    signal: aborted,
    onState: (state) => {
      liveState.value = state;
      if (state === 'live' && !session.value) loadSession(aborted);
      // Says what is wrong, instead of showing old health as if it were new.
      if (state === 'lost') loadHealth();
    },
    onEvent: take,
  });
}

/** @param {AbortSignal} aborted */
async function loadSession(aborted) {
  try {
    session.value = await request('session', { signal: aborted });
  } catch (error) {
    // The pages say what is wrong. Who one was is forgotten only where one is nobody now.
    if (error instanceof ApiError && error.status === 401) session.value = null;
  }
}

export async function loadHealth() {
  try {
    health.value = await request('monitoring/health');
    healthError.value = null;
  } catch (error) {
    healthError.value = error;
  }
}

/** @param {import('../lib/event_stream.js').ServerEvent} event */
function take({ event, data }) {
  let content;
  try {
    content = JSON.parse(data);
  } catch {
    return;
  }
  if (event === 'live') live.value = [...joined(live.value, content).slice(1 - POINTS_MAX), content];
  if (event === 'alert') alertChange.value = content.alert ?? content;
  if (event === 'health') {
    health.value = content;
    healthError.value = null;
  }
}

/** An empty point keeps what was before apart. @param {any[]} points @param {any} next */
function joined(points, next) {
  const last = points.at(-1);
  return last && Date.parse(next.at) - Date.parse(last.at) > GAP_MS ? [...points, {}] : points;
}

const RANKS = { read: 0, analyze: 1, admin: 2 };

/** Whether the role of this session suffices; it does not as long as `session` is not known. @param {'read' | 'analyze' | 'admin'} role */
export function may(role) {
  const own = session.value?.role;
  return own in RANKS && RANKS[/** @type {keyof typeof RANKS} */ (own)] >= RANKS[role];
}
