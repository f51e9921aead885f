// A server for development and tests: these files and the REST interface, answered from fixtures/. No dependencies.
//   node dev/mock.mjs [PORT]          then http://127.0.0.1:PORT/?mode=…
// Modes: normal, empty, error, slow, readonly, login (token: secret), down, unwatched (nobody looks at the database any more), stale (fails after the first answer), bare (without history,
// alerts and views), console (a PgBouncer is watched, nothing is built in). Each is
// served below a path of its own, as behind a proxy. The headers are those of the real server, so that what its policy
// forbids fails here, too.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  emptied,
  fixtures,
  healthDown,
  healthUnwatched,
  historySeries,
  livePoint,
  overConsole,
  recentTimes,
  slowQueries,
  statementDetail,
} from './mock_data.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const API = '/api/v1/';
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const HEADERS = {
  'Content-Security-Policy':
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};
const SLOW_MS = 2500;
const LIVE_MS = 2000;

/** @param {import('node:http').ServerResponse} response */
function answer(response, status, content, type = 'application/json', caching = 'no-store') {
  const text = typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content);
  response.writeHead(status, { ...HEADERS, 'Content-Type': type, 'Cache-Control': caching });
  response.end(text);
}

function problem(response, status, title, detail) {
  answer(response, status, { type: 'about:blank', title, status, detail }, 'application/problem+json');
}

async function serveFile(url, response) {
  const path = normalize(join(ROOT, url.pathname === '/' ? 'index.html' : decodeURIComponent(url.pathname)));
  const mode = url.searchParams.get('mode');
  if (mode) {
    response.writeHead(303, { Location: `/mode-${mode}/` });
    return response.end();
  }
  if (!path.startsWith(ROOT) || path.includes('/dev/')) return problem(response, 404, 'Not found');
  try {
    // Files may be kept, and with them a whole page for the way back, as by the real server.
    answer(response, 200, await readFile(path), TYPES[extname(path)] ?? 'application/octet-stream', 'no-cache');
  } catch {
    problem(response, 404, 'Not found');
  }
}

const FIXED = {
  session: 'session',
  'monitoring/health': 'health',
  'monitoring/admin/metrics': 'admin-metrics',
  'monitoring/pool-stats': 'pool-stats',
  'monitoring/slow-queries': 'slow-queries',
  'monitoring/indexes': 'indexes',
  'monitoring/bloat': 'bloat',
  'monitoring/replication': 'replication',
  'monitoring/connections': 'connections',
  'monitoring/views': 'views',
  'monitoring/cache': 'cache',
  'monitoring/checklist': 'checklist',
  'monitoring/alerts': 'alerts',
  'monitoring/capacity': 'capacity',
};
const CAPACITY = [
  'rps',
  'peak_rps',
  'service_ms',
  'service_p95_ms',
  'instances',
  'users',
  'db_max_connections',
  'db_reserved_connections',
  'safety_margin',
  'cores',
  'p99_wait_ms',
  'pool_size',
  'replica',
];
/** What needs the database at the moment of asking. */
const FROM_DATABASE = /slow-queries|indexes|bloat|connections|replication|analyze/;
const askedBefore = new Set();

async function serveApi(url, mode, request, response) {
  const path = url.pathname.slice(API.length);
  if (mode === 'slow') await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
  if (mode === 'login' && request.headers.authorization !== 'Bearer secret') {
    return problem(
      response,
      401,
      'Unauthorized',
      request.headers.authorization
        ? 'This token is not known. Tokens are in [api] tokens, hashed.'
        : 'A token is needed.',
    );
  }
  const isFailing =
    mode === 'error' || (mode === 'down' && FROM_DATABASE.test(path)) || (mode === 'stale' && askedBefore.has(path));
  if (mode === 'stale') askedBefore.add(path);
  if (isFailing && path !== 'session')
    return problem(
      response,
      503,
      'The database does not answer',
      'Connection refused at 10.0.1.5:5432: is PostgreSQL running there?',
    );
  if (path === 'monitoring/events') return serveEvents(request, response, mode);
  if (request.method === 'POST') return serveAction(path, request, response, mode);
  if (mode === 'bare' && /history|alerts|views/.test(path))
    return problem(response, 404, 'Not Found', 'Nothing of this is kept here: it needs `pgprime run`.');
  const unknown =
    path === 'monitoring/capacity' && [...url.searchParams.keys()].find((name) => !CAPACITY.includes(name));
  if (path === 'monitoring/capacity' && Number(url.searchParams.get('safety_margin') ?? 0.8) > 1)
    return problem(response, 400, 'Bad Request', 'safety_margin is more than 0 and at most 1');
  if (unknown || (path === 'monitoring/capacity' && !url.searchParams.get('rps')))
    return problem(response, 400, 'Bad Request', unknown ? `There is no parameter ${unknown}.` : 'rps is missing.');
  const content = contentOf(path, url, mode);
  return content ? answer(response, 200, content) : problem(response, 404, 'Not found', 'There is no such statement.');
}

function contentOf(path, url, mode) {
  const shown = mode === 'empty' ? emptied : fixtures;
  if (path === 'monitoring/history') return historySeries(url.searchParams, mode === 'empty');
  const statement = /^monitoring\/slow-queries\/(.+)$/.exec(path);
  if (statement) return recentTimes(statementDetail(decodeURIComponent(statement[1]), url.searchParams, mode === 'empty'));
  const content = path === 'monitoring/health' ? healthOf(mode) : shown[FIXED[path]];
  if (path === 'monitoring/slow-queries') return recentTimes(slowQueries(content, url.searchParams));
  if (path === 'session' && mode === 'readonly') return { ...recentTimes(content), role: 'read' };
  if (path === 'monitoring/connections' && mode === 'readonly') return recentTimes(withoutSql(content));
  return content && recentTimes(mode === 'console' ? overConsole(path, content) : content);
}

function healthOf(mode) {
  if (mode === 'down') return healthDown;
  if (mode === 'unwatched') return healthUnwatched;
  return (mode === 'empty' ? emptied : fixtures).health;
}

function withoutSql(content) {
  return JSON.parse(JSON.stringify(content), (key, value) => (key === 'query' ? null : value));
}

async function serveAction(path, request, response, mode) {
  let text = '';
  for await (const chunk of request) text += chunk;
  if (path === 'monitoring/analyze-query') return analyze(JSON.parse(text), response, mode);
  if (mode === 'readonly') return problem(response, 403, 'Forbidden', 'This needs the role admin; yours is read.');
  const told = /^monitoring\/connections\/(\d+)\/(cancel|terminate)$/.exec(path);
  if (told?.[2] === 'cancel') return answer(response, 200, { pid: Number(told[1]), cancelled: true, after: 'idle' });
  if (told) return answer(response, 200, { pid: Number(told[1]), terminated: true, after: 'gone' });
  const view = /^monitoring\/views\/(.+)\/refresh$/.exec(path);
  if (view) return answer(response, 200, { name: decodeURIComponent(view[1]), outcome: 'refreshed' });
  if (path === 'monitoring/alerts/test')
    return answer(response, 200, {
      deliveries: [
        { channel: 'operations', ok: true, detail: null },
        { channel: 'on-call', ok: false, detail: '503 Service Unavailable' },
      ],
    });
  return problem(response, 404, 'Not found');
}

function analyze({ query, execute }, response, mode) {
  if (/\b(drop|delete|update|insert)\b/i.test(query))
    return problem(response, 422, 'Refused', 'Only one statement that reads can be explained; this one changes data.');
  if (mode === 'readonly') return problem(response, 403, 'Forbidden', 'This needs the role analyze; yours is read.');
  const plan = execute || /risk_class/.test(query) ? fixtures.analyze : fixtures['analyze-planned'];
  return answer(response, 200, { ...plan, statement: query });
}

function serveEvents(request, response, mode) {
  response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream' });
  const send = (event, data) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  response.write(': hello\n\n');
  // A client of today starts with an empty line; with some points at once screenshots show one.
  for (let back = 60; back >= 0; back -= 1) send('live', livePoint(Date.now() - back * LIVE_MS, mode));
  send('health', recentTimes(healthOf(mode)));
  const timer = setInterval(() => send('live', livePoint(Date.now(), mode)), LIVE_MS);
  request.on('close', () => clearInterval(timer));
}

/** @param {number} port 0 for any @returns {Promise<import('node:http').Server>} */
export function start(port) {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const [, mode = 'normal', path] = /^(?:\/mode-(\w+))?(\/.*)$/.exec(url.pathname) ?? [];
    url.pathname = path;
    const served = path.startsWith(API) ? serveApi(url, mode, request, response) : serveFile(url, response);
    Promise.resolve(served).catch((error) => problem(response, 500, 'The mock failed', String(error)));
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const server = await start(Number(process.argv[2] ?? 8010));
  console.log(`http://127.0.0.1:${server.address().port}/`);
}
