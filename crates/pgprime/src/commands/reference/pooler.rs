//! The pooler's settings: names, defaults, what they are, whether they have an effect, and when a change applies.

use std::fmt::Write as _;

use pgprime_pooler::settings::{SettingRow, Settings};

/// Values of every kind that there is: each setting takes some of them.
const SAMPLES: [&str; 15] = [
    "0",
    "1",
    "2",
    "4096",
    "/sample",
    "sample",
    "disable",
    "prefer",
    "require",
    "trust",
    "plain",
    "cert",
    "hba",
    "transaction",
    "0700",
];

/// What a refusal says of a value that PgBouncer has and this pooler lacks.
const PLANNED: &str = "not supported yet";

/// The part of the reference.
pub(super) fn text() -> String {
    let mut text = String::from(
        "## Settings of the pooler\n\n\
         In `[pooler]` of pgprime.toml, or in a pgbouncer.ini: names, units, defaults and meanings are \
         [PgBouncer's](https://www.pgbouncer.org/config.html). Times are in seconds, switches 0 or 1. A value that has no \
         effect yet is warned about at the start; [pooler.md](pooler.md) says more.\n\n\
         | setting | default | meaning | has an effect | a change applies |\n|---|---|---|---|---|\n",
    );
    for row in Settings::default().show() {
        let default = match row.default.as_deref() {
            None | Some("") => "none".to_owned(),
            Some(value) => format!("`{}`", value.replace('|', "\\|")),
        };
        let when = if row.changeable { "at once" } else { "at a restart" };
        let _ =
            writeln!(text, "| `{}` | {default} | {} | {} | {when} |", row.key, meaning(&row), effect(&row));
    }
    text
}

/// As the other tables of the reference write it: no capital, no point at its end.
fn meaning(row: &SettingRow) -> String {
    let text = row.about.strip_suffix('.').unwrap_or(row.about);
    let mut letters = text.chars();
    let starts_with_name =
        text.split(' ').next().is_some_and(|word| word.chars().skip(1).any(char::is_uppercase));
    match letters.next() {
        Some(first) if !starts_with_name => first.to_lowercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
    .replace('|', "\\|")
}

/// What the pooler says of values other than the default.
fn effect(row: &SettingRow) -> &'static str {
    let (mut with, mut without) = (false, false);
    for sample in SAMPLES {
        let mut settings = Settings::default();
        match settings.set(row.key, sample) {
            Err(error) if error.to_string().contains(PLANNED) => without = true,
            Ok(()) if !is_default(&settings, row) => match settings.warning(row.key) {
                None => with = true,
                Some(_) => without = true,
            },
            _ => {}
        }
    }
    match (with, without) {
        (true, false) => "yes",
        (true, true) => "some values",
        (false, _) => "not yet",
    }
}

fn is_default(settings: &Settings, row: &SettingRow) -> bool {
    settings.show().iter().any(|shown| shown.key == row.key && shown.value == row.default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_setting() {
        let text = text();
        for line in [
            "| `default_pool_size` | `20` | server connections at most for each pair of user and database | yes | at once |",
            "| `listen_port` | `6432` | port of the TCP and the Unix sockets; 0 lets the system choose. 6432 is one off PostgreSQL's, so both can run on one machine | yes | at a restart |",
            "| `logfile` | none | the file to log to | yes | at a restart |",
            "| `unix_socket_mode` | `0777` | permissions of the Unix socket. Open to all, as authentication is what guards it | yes | at a restart |",
            "| `tcp_defer_accept` | `1` | wake up for a new client only when its first bytes are there | not yet | at once |",
            "| `auth_type` | `md5` | how clients prove who they are | some values | at once |",
            "| `server_tls_sslmode` | `prefer` |",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn samples_are_of_every_kind() {
        for row in Settings::default().show() {
            let takes = |sample: &str| {
                let mut settings = Settings::default();
                settings.set(row.key, sample).is_ok() && !is_default(&settings, &row)
            };
            assert!(SAMPLES.iter().any(|sample| takes(sample)), "{}: no sample is another value", row.key);
        }
    }
}
