// @ts-check
// Icons: drawn here, 16 by 16, in the colour of the text. Never alone: a word stands beside each, or it is hidden.
import { html } from './html.js';

const PATHS = {
  ok: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13ZM5 8.2l2.1 2.1L11 6.2',
  warning: 'M8 2 1.5 13.5h13L8 2ZM8 6.5v3.2M8 11.6v.2',
  critical: 'M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3l3.8-3.8ZM8 4.6v4.2M8 11v.2',
  unknown: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13ZM6.2 6.3a1.9 1.9 0 1 1 2.6 1.8c-.6.3-.8.6-.8 1.2M8 11.3v.2',
  note: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13ZM8 7.2v4M8 4.7v.2',
  pending: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13ZM8 4.5V8l2.4 1.6',
  overview: 'M2 2h5v6H2zM9 2h5v3.5H9zM9 7.5h5V14H9zM2 10h5v4H2z',
  queries: 'M2 3.5h12M2 8h8.5M2 12.5h5',
  analyze: 'M3 2.5h4v3H3zM9 10.5h4v3H9zM9 6h4v3H9zM5 5.5V12h4M5 7.5h4',
  indexes: 'M2.5 2.5h11v11h-11zM2.5 6h11M6 6v7.5',
  space:
    'M8 1.8c3.6 0 5.5 1 5.5 2.2S11.6 6.2 8 6.2 2.5 5.2 2.5 4 4.4 1.8 8 1.8ZM2.5 4v8c0 1.2 1.9 2.2 5.5 2.2s5.5-1 5.5-2.2V4M2.5 8c0 1.2 1.9 2.2 5.5 2.2s5.5-1 5.5-2.2',
  connections:
    'M3.5 6a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM12.5 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5 5.5l6 5M12.5 6a2 2 0 1 0 0-4 2 2 0 0 0 0 4ZM5.5 4h5',
  replication: 'M2 2.5h5.5V8H2zM8.5 8H14v5.5H8.5zM10 2.5h2.5V6M6 13.5H3.5V10',
  views: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8ZM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4Z',
  checklist: 'M2 3.8l1.2 1.2L5.5 2.7M2 11.3l1.2 1.2 2.3-2.3M8 4h6M8 11.5h6',
  alerts: 'M4 11V7a4 4 0 1 1 8 0v4l1.5 1.5h-11L4 11ZM6.8 14h2.4',
  capacity: 'M2 14V2M2 14h12M4.5 11.5c4 0 6-1.5 8.5-8',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  done: 'M3 8.5l3.3 3.3L13 5',
  down: 'M4 6l4 4 4-4',
  right: 'M6 4l4 4-4 4',
  menu: 'M2 4h12M2 8h12M2 12h12',
  theme: 'M8 1.5a6.5 6.5 0 1 0 0 13ZM8 1.5a6.5 6.5 0 0 1 0 13',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M12.6 3.4l-.9.9M4.3 11.7l-.9.9',
  moon: 'M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7Z',
  close: 'M4 4l8 8M12 4l-8 8',
  clock: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13ZM8 4.5V8l2.4 1.6',
  rising: 'M3 12l9-8M7 4h5v5',
  falling: 'M3 4l9 8M7 12h5V7',
  download: 'M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.3 10.3 14 14',
};

/** @param {{name: keyof typeof PATHS}} props */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
    <path d=${PATHS[name] ?? PATHS.note} /></svg>`;
}

const STATUS_WORDS = {
  ok: 'OK',
  warning: 'Warning',
  critical: 'Critical',
  unknown: 'Unknown',
  info: 'Note',
  note: 'Note',
  minor: 'Minor',
  major: 'Major',
  met: 'Met',
  not_met: 'Not met',
  cannot_tell: 'Cannot tell',
  firing: 'Firing',
  pending: 'Pending',
  resolved: 'Resolved',
};
const LOOKS = {
  info: 'note',
  minor: 'note',
  major: 'warning',
  met: 'ok',
  not_met: 'warning',
  cannot_tell: 'unknown',
  firing: 'critical',
  resolved: 'ok',
};

/** The look of a status: one of ok, warning, critical, unknown, note, pending. @param {string} status */
export function lookOf(status) {
  return LOOKS[/** @type {keyof typeof LOOKS} */ (status)] ?? (status in STATUS_WORDS ? status : 'note');
}

/** A status as icon and word: colour alone says nothing to many. @param {{status: string, word?: string}} props */
export function Status({ status, word }) {
  const look = lookOf(status);
  return html`<span class=${`status is-${look}`}><${Icon} name=${look} />
    ${' '}${word ?? STATUS_WORDS[status] ?? status}</span>`;
}
