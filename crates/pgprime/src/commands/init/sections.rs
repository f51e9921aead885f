//! The text of the configuration, section by section.

use pgprime_planner::files::Database;
use pgprime_views::ViewName;

use super::address::Address;
use super::load::Sizes;
use super::pooler;
use crate::toml_text::{comment, quoted};

/// Where the pooler listens, and where it does if the database itself is there.
pub(super) const POOLER_PORT: u16 = 6_432;
const POOLER_PORT_OTHER: u16 = 6_433;
/// More views are not listed one by one.
const VIEWS_LISTED: usize = 10;

/// What a configuration is made from.
pub(super) struct Contents<'a> {
    /// The address as it is to be written.
    pub(super) address: &'a Address,
    pub(super) pgbouncer: Option<&'a Address>,
    /// Whether what is written holds the passwords that were given.
    pub(super) with_password: bool,
    pub(super) database: &'a Database,
    /// Such as `15.4`.
    pub(super) server_version: &'a str,
    pub(super) sizes: &'a Sizes,
    /// Replicas that follow now.
    pub(super) replicas: usize,
    pub(super) views: &'a [ViewName],
}

impl Contents<'_> {
    /// The whole file.
    pub(super) fn text(&self) -> String {
        let sections = [
            self.heading(),
            self.database_section(),
            self.pgbouncer_section(),
            self.pooler_section(),
            api_section(),
            self.health_section(),
            self.alerts_section(),
            kept_section(),
            self.views_section(),
        ];
        sections.into_iter().filter(|section| !section.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn heading(&self) -> String {
        let Database { host, port, name, .. } = self.database;
        comment(&format!(
            "pgprime's configuration, made by `pgprime init` for the database {name} at {host}:{port}, PostgreSQL {}.\n\
             `pgprime run --config FILE` runs all of it; unknown settings are refused. Every setting: `pgprime reference`.",
            self.server_version
        ))
    }

    fn database_section(&self) -> String {
        let words = match (self.address.had_password, self.with_password) {
            (true, false) => {
                "The database itself, not a pooler in front of it. Its password is not kept here: set DATABASE_URL to the \
                 whole address, which wins over this line."
            }
            (true, true) => {
                "The database itself, not a pooler in front of it. The password is in it: this file is for its owner's eyes \
                 only. DATABASE_URL wins over this line."
            }
            (false, _) => {
                "The database itself, not a pooler in front of it. DATABASE_URL wins over this line; set it where a \
                 password is needed."
            }
        };
        format!("[database]\n{}url = {}\n", comment(words), quoted(&self.address.text))
    }

    fn pgbouncer_section(&self) -> String {
        let Some(address) = self.pgbouncer else { return String::new() };
        let words = match address.had_password && !self.with_password {
            true => {
                "The PgBouncer in front of the database, which stays. Its password is not kept here: set \
                 PGPRIME_PGBOUNCER_URL to the whole address."
            }
            false => "The PgBouncer in front of the database, which stays (PGPRIME_PGBOUNCER_URL).",
        };
        format!("[pgbouncer]\n{}url = {}\n", comment(words), quoted(&address.text))
    }

    fn pooler_section(&self) -> String {
        let mut text = String::from("[pooler]\n");
        text += &comment("The settings have PgBouncer's names and meanings. What the sizes rest on:");
        for assumption in &self.sizes.assumptions {
            text += &comment(&format!("- {assumption}"));
        }
        for finding in &self.sizes.plan.findings {
            text += &comment(&format!("- {}", finding.text));
        }
        if self.pgbouncer.is_some() {
            text += &comment(
                "The built-in pooler rests while there is a PgBouncer; the sizes below are what its own pgbouncer.ini \
                 should have.",
            );
            text += "enabled = false\n";
        }
        text.push('\n');
        text += &self.listening();
        text.push('\n');
        text += &pooler::lines(self.sizes, self.database);
        text.push('\n');
        text += &self.databases();
        text
    }

    /// Where clients connect and who they are.
    fn listening(&self) -> String {
        let is_here = matches!(self.database.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        let port = match is_here && self.database.port == POOLER_PORT {
            true => POOLER_PORT_OTHER,
            false => POOLER_PORT,
        };
        let (scheme, why) = match self.address.had_password {
            true => ("scram-sha-256", "Clients log in with the user and password of DATABASE_URL."),
            false => (
                "trust",
                "The database asks its user for no password, and neither does the pooler, on this machine only. With a \
                 password in DATABASE_URL: \"scram-sha-256\".",
            ),
        };
        format!(
            "{}listen_addr = \"127.0.0.1\"\nlisten_port = {port}\n\
             {}unix_socket_dir = \"\"\n\
             {}auth_type = {}\n\
             {}stats_users = [{user}]\n{}# admin_users = [{user}]\n",
            comment("Loopback only: for applications on other machines add this machine's address."),
            comment("A folder here, such as \"/run/postgresql\", opens a Unix socket as well."),
            comment(why),
            quoted(scheme),
            comment(
                "Who may look at the console, as `pgprime health` does: psql -h localhost -p PORT pgbouncer"
            ),
            comment("Who may run every command of it."),
            user = quoted(&self.database.user),
        )
    }

    fn databases(&self) -> String {
        let Database { host, port, name, user } = self.database;
        let words = format!(
            "The databases that clients may ask for, by name. Without this section it is the one above, for its user. With it \
             users are those of auth_file, which holds a line such as \"{}\" \"PASSWORD\" for each.",
            user.escape_debug()
        );
        let entry = format!("{{ host = {}, port = {port}, dbname = {} }}", quoted(host), quoted(name));
        format!(
            "{}# auth_file = \"/etc/pgprime/userlist.txt\"\n# [pooler.databases]\n# {} = {entry}\n",
            comment(&words),
            quoted(name)
        )
    }

    fn health_section(&self) -> String {
        let replicas = match self.replicas {
            0 => {
                comment("Replicas that there have to be; otherwise those that were seen in the past hour.")
                    + "# replicas = 1\n"
            }
            count => {
                comment("Replicas that there have to be: as many as follow now.")
                    + &format!("replicas = {count}\n")
            }
        };
        format!(
            "[health]\n{}interval = \"10s\"\n{}slow_ms = 1000\n{replicas}\
             {}# off = [\"views.stale\"]\n\
             {}# [health.thresholds]\n# \"connections.used\" = {{ warning = 70, critical = 85 }}\n",
            comment("Between two looks at the database; a look takes milliseconds."),
            comment("From how many milliseconds on a statement is slow."),
            comment("Checks that are not wanted."),
            comment(
                "From where on a check is bad: `pgprime reference checks` lists all with their thresholds."
            ),
        )
    }

    fn alerts_section(&self) -> String {
        let Database { host, name, .. } = self.database;
        let mut text = format!(
            "[alerts]\n{}source = {}\n{}repeat = \"4h\"\n",
            comment("What messages call the database."),
            quoted(&format!("{name} at {host}")),
            comment("What still fires is said again after this."),
        );
        text += &comment(
            "Where messages go: slack, webhook, alertmanager or pagerduty. Nobody is told before there is one. `pgprime \
             alerts test` sends a test to each, `pgprime alerts rules` lists the rules.",
        );
        text += "# [[alerts.channels]]\n# name = \"team\"\n# kind = \"slack\"\n\
                 # url_file = \"slack.url\"          # beside this file; or url = \"https://…\"\n\
                 # severity = \"warning\"            # nothing less grave\n";
        text += &comment("A rule of its own, or another time for a default one.");
        text += "# [[alerts.rules]]\n# check = \"connections.used\"\n# severity = \"critical\"\n# for = \"30s\"\n";
        text
    }

    fn views_section(&self) -> String {
        if self.views.is_empty() {
            return String::new();
        }
        let names: Vec<String> = self.views.iter().take(VIEWS_LISTED).map(ToString::to_string).collect();
        let more = match self.views.len().saturating_sub(VIEWS_LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        comment(&format!(
            "Materialized views that are there: {}{more}. `pgprime views adopt NAME` prints the declaration of one, to be \
             added here: then pgprime refreshes it when it is worth it.",
            names.join(", ")
        ))
    }
}

fn kept_section() -> String {
    format!(
        "{}# [history]\n# directory = \"/var/lib/pgprime\"\n# series_for = \"400d\"\n# series_size_max = \"256MB\"\n\
         # statements_for = \"400d\"\n# statements_size_max = \"256MB\"\n\n\
         {}# [cache]\n# figures_ttl = \"1m\"\n# statements_ttl = \"5s\"\n# advice_ttl = \"1m\"\n# memory_max = \"16MB\"\n# listen = false\n",
        comment("How long figures and statements are kept, in how many bytes, and where."),
        comment("For how long what was asked for is shown again without asking the database."),
    )
}

fn api_section() -> String {
    format!(
        "[api]\n{}listen = \"127.0.0.1:8000\"\n{}# loopback_role = \"read\"\n\
         {}# public_url = \"https://db.example.com\"\n\
         {}# tls = {{ certificate = \"server.crt\", key = \"server.key\" }}\n\
         {}# [[api.tokens]]\n# name = \"grafana\"\n# role = \"read\"\n# sha256 = \"…\"\n",
        comment(
            "Dashboard, REST and metrics. Other machines reach it at \"0.0.0.0:8000\", which needs a token below."
        ),
        comment("What programs on this machine may do without a token: none, read, analyze or admin."),
        comment("The dashboard's address in messages."),
        comment("Certificate and key in PEM; without them HTTP is plain."),
        comment("Everybody else needs a token: `pgprime token NAME` makes one and prints these lines."),
    )
}
