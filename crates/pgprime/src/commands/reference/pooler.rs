//! The pooler's settings: names, defaults, and when a change applies.

use std::fmt::Write as _;

use pgprime_pooler::settings::Settings;

/// The part of the reference.
pub(super) fn text() -> String {
    let mut text = String::from(
        "## Settings of the pooler\n\n\
         In `[pooler]` of pgprime.toml, or in a pgbouncer.ini: names, units, defaults and meanings are PgBouncer's. Times are \
         in seconds, switches 0 or 1. [pooler.md](pooler.md) says which are supported so far; what is not is warned about.\n\n\
         | setting | default | a change applies |\n|---|---|---|\n",
    );
    for row in Settings::default().show() {
        let default = match row.default.as_deref() {
            None | Some("") => "none".to_owned(),
            Some(value) => format!("`{}`", value.replace('|', "\\|")),
        };
        let when = if row.changeable { "at once" } else { "at a restart" };
        let _ = writeln!(text, "| `{}` | {default} | {when} |", row.key);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_setting() {
        let text = text();
        assert!(text.contains("| `default_pool_size` | `20` | at once |"), "{text}");
        assert!(text.contains("| `listen_port` | `6432` | at a restart |"), "{text}");
        assert!(text.contains("| `logfile` | none | at a restart |"), "{text}");
    }
}
