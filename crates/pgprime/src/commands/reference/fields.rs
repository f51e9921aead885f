//! What stands in each section of pgprime.toml. Tests hold names and defaults to what the sections' readers say.

/// A section: its name in brackets, what it is for, and its settings.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) fields: &'static [Field],
}

/// One setting.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// As it would be written.
    pub(super) default: Option<&'static str>,
    pub(super) meaning: &'static str,
}

const fn with(name: &'static str, default: &'static str, meaning: &'static str) -> Field {
    Field { name, default: Some(default), meaning }
}

const fn without(name: &'static str, meaning: &'static str) -> Field {
    Field { name, default: None, meaning }
}

/// All sections.
#[rustfmt::skip]
pub(super) const SECTIONS: &[Section] = &[
    Section { name: "[database]", about: "What is watched, and what the pooler leads to.", fields: &[
        without("url", "the database itself, not a pooler in front of it; `DATABASE_URL` wins over it"),
        with("connections_max", "4", "connections for looking, recording and REST, 2 to 50, opened when needed; as many again for the dashboard's figures"),
        with("statement_timeout", "\"120s\"", "a statement that somebody waits for is given up after this; 5 s to an hour. Advice on indexes plans all of the workload. Rounds of checks have limits of their own"),
    ]},
    Section { name: "[pgbouncer]", about: "A PgBouncer that runs in front of the database already, in the built-in pooler's place.", fields: &[
        without("url", "its console; `PGPRIME_PGBOUNCER_URL` wins over it"),
    ]},
    Section { name: "[pooler]", about: "The built-in pooler. Its further settings have PgBouncer's names: see below.", fields: &[
        without("enabled", "whether it runs; it does unless there is a `[pgbouncer]`"),
        without("workers", "event loops; half of the cores where nothing is said"),
        without("ini", "a pgbouncer.ini that says everything; then only `enabled` and `workers` may stand beside it"),
        without("databases", "a table: the name that clients ask for, and `host`, `port`, `dbname` and so on, as a table or a connection string. Without it there is one database, that of `[database]`, for its user with its password"),
        without("users", "a table: limits of users by name, as in PgBouncer's `[users]`"),
    ]},
    Section { name: "[api]", about: "Dashboard, REST and metrics.", fields: &[
        with("listen", "\"127.0.0.1:8000\"", "address and port. Other machines reach `0.0.0.0:8000`, which needs a token"),
        without("loopback_role", "what programs on this machine may do without a token: `none`, `read`, `analyze` or `admin`. Where nothing is said `admin`, and `none` once there are tokens, hosts or a public_url"),
        with("tokens", "[]", "everybody else: see `[[api.tokens]]`"),
        without("tls", "certificate and key: see `[api.tls]`; without them HTTP is plain"),
        with("hosts", "[]", "names under which it is reached, besides this machine's addresses. A request with another one in its `Host` is refused where no token proves who asks"),
        with("connections_max", "512", "connections at once, 8 to 65,536; further ones wait. Half of them, and 200 at most, may be live streams"),
        with("requests_per_minute", "1200", "of one address, or of one IPv6 network of 64 bits"),
        with("allow_execute", "true", "whether statements may be executed for `analyze-query`, by those with the role for it"),
        without("audit_file", "where every action is noted besides the log"),
        without("public_url", "the dashboard's address in messages"),
    ]},
    Section { name: "[[api.tokens]]", about: "`pgprime token NAME` makes one and prints these lines.", fields: &[
        without("name", "who it is, for the audit log"),
        without("role", "`read`: figures and texts without constants; `analyze`: running statements too, and explaining; `admin`: cancelling, refreshing and testing too"),
        without("sha256", "the token's SHA-256 in hexadecimal; the token itself is kept nowhere"),
    ]},
    Section { name: "[api.tls]", about: "Files in PEM.", fields: &[
        without("certificate", "the certificate and those between it and its root"),
        without("key", "its private key"),
    ]},
    Section { name: "[history]", about: "The files of the past: `series.sqlite` (figures of each round of checks), `history.sqlite` (what statements did) and `alerts.sqlite`. Commands that read or record, such as `pgprime slow-queries`, go by it as well where they find the configuration (`PGPRIME_CONFIG`).", fields: &[
        without("directory", "their folder; `--state` wins over it. Otherwise pgprime below `$XDG_STATE_HOME` or `~/.local/state`"),
        with("rounds_for", "\"48h\"", "the figures of each round are kept for this long, an hour at least; then those of minutes, and after 14 days those of quarters of an hour"),
        with("series_for", "\"400d\"", "nothing of them is kept for longer"),
        with("series_size_max", "\"256MB\"", "what `series.sqlite` may use, 4MB at least; when there is more, the oldest rounds go first. 256MB hold about 300 series"),
        with("statements_every", "\"1m\"", "between two readings of what statements did; 10 s to an hour"),
        with("statements_for", "\"400d\"", "what statements did is kept for this long, an hour at least: for two days as it was read, for a month by hours, then by days"),
        with("statements_size_max", "\"256MB\"", "what `history.sqlite` may use, 4MB at least; when there is more, it becomes coarser earlier"),
    ]},
    Section { name: "[cache]", about: "For how long what was asked for is shown again without asking the database: dashboard and REST. `REDIS_URL` is the Redis that keeps figures besides memory.", fields: &[
        with("figures_ttl", "\"1m\"", "figures of `[[figures]]` that say nothing themselves; a second to a day"),
        with("statements_ttl", "\"5s\"", "statistics of statements and of views; a second to an hour"),
        with("advice_ttl", "\"1m\"", "advice on indexes, reports on space, the checklist; a second to a day"),
        with("memory_max", "\"16MB\"", "what figures may take in memory; 1MB to 1TB"),
        with("listen", "false", "whether figures are made anew as soon as other programs change their tables, where `pgprime cache triggers` or `pgprime cache publication` has them tell; then `[database] url` must be PostgreSQL's own, not a pooler's"),
    ]},
    Section { name: "[health]", about: "How the database is looked at, and from where on it is bad.", fields: &[
        with("interval", "\"10s\"", "between two looks; a second at least"),
        with("timeout", "\"5s\"", "of a whole look, connecting included; 100 ms to a minute. A statement gets half of it, and 2 s at most"),
        with("slow_ms", "1000", "from how many milliseconds on a statement is slow"),
        without("replicas", "how many standbys there have to be; otherwise those that were seen in the past week"),
        with("catalog_every", "\"60s\"", "between two looks at tables, indexes and sizes"),
        with("space_every", "\"30m\"", "between two reports on space, from which bloat is told; a minute at least"),
        with("views_every", "\"60s\"", "between two looks at declared views"),
        with("thresholds", "{}", "a table: a check, and its `warning`, its `critical` or both; one that is left out is never reached. Units as in the table of checks: percent, seconds, bytes"),
        with("off", "[]", "checks that are not wanted"),
    ]},
    Section { name: "[alerts]", about: "Checks that stay bad, and who is told.", fields: &[
        with("defaults", "true", "whether the default rules hold"),
        with("group_wait", "\"10s\"", "what changes within this time goes into one message"),
        with("repeat", "\"4h\"", "what still fires is said again after this; a minute at least"),
        with("source", "\"\"", "what messages call the database, such as `insurance at db1`"),
        with("rules", "[]", "see `[[alerts.rules]]`"),
        with("channels", "[]", "see `[[alerts.channels]]`"),
    ]},
    Section { name: "[[alerts.rules]]", about: "Changes a default rule, or adds one with a name of its own. `pgprime alerts rules` lists what holds.", fields: &[
        without("name", "the check and the severity where nothing is said, such as `connections.used.critical`"),
        without("check", "one of the checks below"),
        without("severity", "`warning` or `critical`: how bad the check has to be"),
        without("for", "how long it has to be bad; needed where there is no default rule"),
        with("clear_after", "\"5m\"", "how long it has to be well again"),
        with("margin", "5", "by how many percent of the threshold it has to be well, 0 to 50"),
        without("description", "what messages say"),
        with("enabled", "true", "`false` switches a default rule off"),
    ]},
    Section { name: "[[alerts.channels]]", about: "Where messages go. `pgprime alerts test` sends a test to each.", fields: &[
        without("name", "its name, in logs and lists"),
        without("kind", "`webhook`, `slack`, `alertmanager` or `pagerduty`"),
        without("url", "where to; PagerDuty has a usual one"),
        without("url_file", "a file that holds it, beside the configuration"),
        without("key", "the routing key of PagerDuty"),
        without("key_file", "a file that holds it"),
        without("authorization", "the header `Authorization`"),
        without("authorization_file", "a file that holds it"),
        with("severity", "\"warning\"", "less grave alerts are not sent"),
        without("repeat", "as of `[alerts]`; a minute for Alertmanager, which takes an alert for resolved when it does not hear of it"),
        without("ca_file", "certificates in PEM that are trusted instead of the system's"),
    ]},
    Section { name: "[[views]]", about: "Materialized views: see [views.md](views.md).", fields: &[
        without("name", "as in SQL; a schema that is missing is created"),
        without("sql", "the query; or `file`"),
        without("file", "a file that holds it, beside the configuration"),
        with("unique_key", "[]", "the columns that identify a row; with them a refresh lets readers go on"),
        with("indexes", "[]", "further ones: lists of columns or expressions"),
        without("schedule", "an interval such as `15m`, or a cron pattern"),
        without("time_zone", "of the cron pattern; UTC where nothing is said"),
        with("staleness", "{}", "what brings a refresh forward: `age_max`, `changes_max` in rows, or both"),
        with("timeout", "\"10m\"", "a refresh that takes longer is given up"),
    ]},
    Section { name: "[view_policy]", about: "How all views are looked after: when a refresh that can wait does, and what becomes of one that fails ([views.md](views.md#when-a-view-is-refreshed)).", fields: &[
        without("active_max", "with more sessions at work than these, refreshes wait. Where nothing is said half of `max_connections`, and no more than four fifths of the built-in pooler's servers"),
        with("lag_max", "\"10s\"", "while a standby is further behind, refreshes wait; 100 ms to a day. It has to be more than a standby is delayed on purpose"),
        with("wait_max", "\"1s\"", "while a client of the pooler has waited longer for a server, refreshes wait; 10 ms to an hour"),
        with("failures_max", "5", "failures in a row from which on a view is failing; 1 to 100"),
        with("backoff", "\"30s\"", "the pause after the first failure, doubled after each; a second to an hour"),
        with("failing_interval", "\"6h\"", "how often a failing view is tried; a minute to a week"),
        with("lock_timeout", "\"5s\"", "how long a refresh waits for its lock; readers queue behind it"),
        with("poll_interval", "\"30s\"", "between two looks at the views at most; a second to an hour"),
        with("history_max", "500", "refreshes of each view that are remembered"),
    ]},
    Section { name: "[[figures]]", about: "Figures of the dashboard, served from the result cache.", fields: &[
        without("name", "letters, digits and `_`"),
        without("title", "what people read; the name where nothing is said"),
        without("sql", "the query; or `file`"),
        without("file", "a file that holds it, beside the configuration"),
        without("ttl", "how long its rows are shown before they are asked for again; `figures_ttl` of `[cache]` where nothing is said"),
        without("unit", "what its values are in"),
        with("labels", "[]", "the columns that say what a row is about; all others are values"),
    ]},
];
