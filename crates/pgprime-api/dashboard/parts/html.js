// Templates and hooks in one place, so that pages need one import and vendor/ has one user.
import { h, render } from '../vendor/preact.js';
import htm from '../vendor/htm.js';

export { render };
export { useEffect, useLayoutEffect, useMemo, useRef, useState, useId } from '../vendor/preact-hooks.js';
export { batch, computed, effect, signal, useComputed, useSignal } from '../vendor/signals.js';
export const html = htm.bind(h);
