//! A dashboard for Grafana over the metrics.

use serde_json::{Value, json};

use crate::health::{DEFINITIONS, Definition, Group, Unit};

const WIDTH: u64 = 24;
const HEIGHT: u64 = 8;

/// The file `deploy/grafana/pgprime.json`, for Grafana 10 or newer.
#[must_use]
pub fn grafana_dashboard() -> String {
    let mut board = Board::default();
    board.overview();
    board.poolers();
    board.result_cache();
    board.checks();
    let dashboard = json!({
        "uid": "pgprime",
        "title": "pgprime",
        "description": "PostgreSQL and its pooler, as pgprime sees them",
        "tags": ["postgresql", "pgprime"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
            {
                "name": "instance", "label": "Instance", "type": "query", "datasource": datasource(),
                "query": {"query": "label_values(pgprime_build_info, instance)", "refId": "instance"},
                "refresh": 2, "sort": 1,
            },
        ]},
        "annotations": {"list": []},
        "panels": board.panels,
    });
    let mut text = serde_json::to_string_pretty(&dashboard).unwrap_or_default();
    text.push('\n');
    text
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Panels from left to right and top to bottom.
#[derive(Default)]
struct Board {
    panels: Vec<Value>,
    id: u64,
    x: u64,
    y: u64,
}

/// A query and what its lines are called.
type Query<'a> = (&'a str, &'a str);

impl Board {
    fn overview(&mut self) {
        self.row("Overview", false);
        let statuses = json!([{"type": "value", "options": {
            "0": {"text": "well", "color": "green", "index": 0},
            "1": {"text": "unknown", "color": "blue", "index": 1},
            "2": {"text": "warning", "color": "orange", "index": 2},
            "3": {"text": "critical", "color": "red", "index": 3},
        }}]);
        let mut health =
            panel("stat", "Health", &[("pgprime_health_status{instance=\"$instance\"}", "")], "none");
        health["fieldConfig"]["defaults"]["mappings"] = statuses.clone();
        self.place(health, 4, HEIGHT);
        let firing = panel(
            "stat",
            "Alerts",
            &[("pgprime_alerts_firing{instance=\"$instance\"}", "{{severity}}")],
            "none",
        );
        self.place(firing, 4, HEIGHT);
        let mut bad = panel(
            "table",
            "Checks that are not well",
            &[("sort_desc(pgprime_check_status{instance=\"$instance\"} > 0)", "")],
            "none",
        );
        bad["targets"][0]["format"] = json!("table");
        bad["targets"][0]["instant"] = json!(true);
        bad["fieldConfig"]["defaults"]["mappings"] = statuses;
        bad["transformations"] = json!([{"id": "organize", "options": {
            "excludeByName": {"Time": true, "__name__": true, "instance": true, "job": true},
            "renameByName": {"check": "Check", "Value": "Status"},
        }}]);
        self.place(bad, 16, HEIGHT);
    }

    fn poolers(&mut self) {
        self.row("Poolers", false);
        let rate = |metric: &str| {
            format!("rate(pgprime_pooler_{metric}_total{{instance=\"$instance\"}}[$__rate_interval])")
        };
        let mean = |what: &str, by: &str| format!("{} / {}", rate(what), rate(by));
        let (transactions, queries) = (rate("transactions"), rate("queries"));
        let throughput: [Query<'_>; 2] =
            [(&transactions, "transactions {{pooler}}"), (&queries, "requests {{pooler}}")];
        self.place(panel("timeseries", "Throughput", &throughput, "ops"), 8, HEIGHT);
        let (query, wait) = (mean("query_seconds", "queries"), mean("wait_seconds", "transactions"));
        let times: [Query<'_>; 2] = [(&query, "a request {{pooler}}"), (&wait, "waiting {{pooler}}")];
        self.place(panel("timeseries", "Mean times", &times, "s"), 8, HEIGHT);
        let pool = |metric: &str| format!("pgprime_pool_{metric}{{instance=\"$instance\"}}");
        let name = "{{user}} on {{database}}";
        self.place(
            panel("timeseries", "Clients that wait", &[(&pool("clients_waiting"), name)], "short"),
            8,
            HEIGHT,
        );
        self.place(
            panel("timeseries", "Servers at work", &[(&pool("servers_active"), name)], "short"),
            8,
            HEIGHT,
        );
        self.place(panel("timeseries", "Longest wait", &[(&pool("wait_seconds"), name)], "s"), 8, HEIGHT);
        let (clients, most) = (
            "pgprime_pooler_clients{instance=\"$instance\"}",
            "pgprime_pooler_clients_max{instance=\"$instance\"}",
        );
        let clients: [Query<'_>; 2] = [(clients, "{{pooler}}"), (most, "most {{pooler}}")];
        self.place(panel("timeseries", "Client connections", &clients, "short"), 8, HEIGHT);
    }

    fn result_cache(&mut self) {
        self.row("Result cache", true);
        let rate = |metric: &str| {
            format!("rate(pgprime_cache_{metric}_total{{instance=\"$instance\"}}[$__rate_interval])")
        };
        let (hits, misses) = (rate("hits"), rate("misses"));
        let share = format!("{hits} / ({hits} + {misses})");
        self.nest(
            panel("timeseries", "Served from the cache", &[(&share, "{{query}}")], "percentunit"),
            12,
            HEIGHT,
        );
        let memory = "pgprime_cache_memory_bytes{instance=\"$instance\"}";
        self.nest(panel("timeseries", "Memory", &[(memory, "")], "bytes"), 12, HEIGHT);
    }

    /// A row for each group with a panel for each check, with its thresholds as lines.
    fn checks(&mut self) {
        let mut group: Option<Group> = None;
        for check in DEFINITIONS {
            if group != Some(check.group) {
                self.row(&group_title(check.group), true);
                group = Some(check.group);
            }
            self.nest(check_panel(check), 8, HEIGHT);
        }
    }

    fn row(&mut self, title: &str, is_collapsed: bool) {
        if self.x > 0 {
            self.y += HEIGHT;
        }
        self.x = 0;
        self.id += 1;
        let place = json!({"h": 1, "w": WIDTH, "x": 0, "y": self.y});
        self.y += 1;
        self.panels.push(json!({
            "id": self.id, "type": "row", "title": title, "gridPos": place, "collapsed": is_collapsed, "panels": [],
        }));
    }

    fn place(&mut self, mut panel: Value, width: u64, height: u64) {
        self.position(&mut panel, width, height);
        self.panels.push(panel);
    }

    /// Into the row that was begun last.
    fn nest(&mut self, mut panel: Value, width: u64, height: u64) {
        self.position(&mut panel, width, height);
        let panels = self.panels.last_mut().and_then(|row| row["panels"].as_array_mut());
        panels.into_iter().for_each(|panels| panels.push(panel.clone()));
    }

    fn position(&mut self, panel: &mut Value, width: u64, height: u64) {
        if self.x + width > WIDTH {
            self.x = 0;
            self.y += height;
        }
        self.id += 1;
        panel["id"] = json!(self.id);
        panel["gridPos"] = json!({"h": height, "w": width, "x": self.x, "y": self.y});
        self.x += width;
    }
}

fn panel(kind: &str, title: &str, queries: &[Query<'_>], unit: &str) -> Value {
    let target = |(index, (query, legend)): (usize, &Query<'_>)| {
        json!({
            "refId": char::from(b'A' + u8::try_from(index).unwrap_or(0)).to_string(),
            "expr": query, "legendFormat": legend, "datasource": datasource(),
        })
    };
    let targets: Vec<Value> = queries.iter().enumerate().map(target).collect();
    json!({
        "type": kind, "title": title, "datasource": datasource(), "targets": targets,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": {},
    })
}

fn check_panel(check: &Definition) -> Value {
    let query = format!("pgprime_check_value{{instance=\"$instance\",check=\"{}\"}}", check.id);
    let threshold = format!("pgprime_check_threshold{{instance=\"$instance\",check=\"{}\"}}", check.id);
    let mut queries: Vec<Query<'_>> = vec![(&query, check.title)];
    if check.thresholds.is_some() {
        queries.push((&threshold, "{{severity}}"));
    }
    let mut panel = panel("timeseries", check.title, &queries, unit(check.unit));
    panel["description"] = json!(check.why);
    let line = |name: &str, color: &str| {
        json!({
            "matcher": {"id": "byName", "options": name},
            "properties": [
                {"id": "color", "value": {"mode": "fixed", "fixedColor": color}},
                {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [6, 6]}},
                {"id": "custom.fillOpacity", "value": 0},
            ],
        })
    };
    panel["fieldConfig"]["overrides"] = json!([line("warning", "orange"), line("critical", "red")]);
    panel
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Percent => "percent",
        Unit::Seconds => "s",
        Unit::Milliseconds => "ms",
        Unit::Bytes => "bytes",
        Unit::Count | Unit::Transactions => "short",
        Unit::PerSecond => "cps",
    }
}

/// `Result cache` for `result_cache`.
fn group_title(group: Group) -> String {
    let name = serde_json::to_value(group).ok().and_then(|name| name.as_str().map(str::to_owned));
    let name = name.unwrap_or_default().replace('_', " ");
    let mut letters = name.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{} checks", letters.as_str())
}
