// @ts-check
// The dashboard: pages, in the order of the navigation, and what starts them.
import { html, render } from './parts/html.js';
import { startLive } from './parts/live.js';
import { listenToKeys, Shell } from './parts/shell.js';
import { Alerts } from './pages/alerts.js';
import { Analyze } from './pages/analyze.js';
import { Capacity } from './pages/capacity.js';
import { Checklist } from './pages/checklist.js';
import { Connections } from './pages/connections.js';
import { Indexes } from './pages/indexes.js';
import { Overview } from './pages/overview.js';
import { Queries } from './pages/queries.js';
import { Replication } from './pages/replication.js';
import { Space } from './pages/space.js';
import { Views } from './pages/views.js';

const pages = [
  { path: 'overview', title: 'Overview', key: 'o', component: Overview, hasRange: true },
  { path: 'queries', title: 'Queries', key: 'q', component: Queries, hasRange: true },
  { path: 'analyze', title: 'Analyze', key: 'a', component: Analyze },
  { path: 'indexes', title: 'Indexes', key: 'i', component: Indexes },
  { path: 'space', title: 'Space', key: 's', component: Space },
  { path: 'connections', title: 'Connections', key: 'c', component: Connections, hasRange: true },
  { path: 'replication', title: 'Replication', key: 'r', component: Replication, hasRange: true },
  { path: 'views', title: 'Views and cache', key: 'v', component: Views },
  { path: 'checklist', title: 'Checklist', key: 'l', component: Checklist },
  { path: 'alerts', title: 'Alerts', key: 'e', component: Alerts },
  { path: 'capacity', title: 'Capacity', key: 'p', component: Capacity },
];

listenToKeys(pages);
startLive();
const place = /** @type {HTMLElement} */ (document.getElementById('app'));
place.replaceChildren();
render(html`<${Shell} pages=${pages} />`, place);
