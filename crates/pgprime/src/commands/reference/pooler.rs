//! The pooler's settings: names, defaults, whether they have an effect, and when a change applies.

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
         | setting | default | has an effect | a change applies |\n|---|---|---|---|\n",
    );
    for row in Settings::default().show() {
        let default = match row.default.as_deref() {
            None | Some("") => "none".to_owned(),
            Some(value) => format!("`{}`", value.replace('|', "\\|")),
        };
        let when = if row.changeable { "at once" } else { "at a restart" };
        let _ = writeln!(text, "| `{}` | {default} | {} | {when} |", row.key, effect(&row));
    }
    text
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
            "| `default_pool_size` | `20` | yes | at once |",
            "| `listen_port` | `6432` | yes | at a restart |",
            "| `logfile` | none | yes | at a restart |",
            "| `unix_socket_mode` | `0777` | yes | at a restart |",
            "| `tcp_defer_accept` | `1` | not yet | at once |",
            "| `auth_type` | `md5` | some values | at once |",
            "| `server_tls_sslmode` | `prefer` | some values | at once |",
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
