//! Additions to `postgresql.conf`

use pgprime_capacity::postgres::{Recommendation, Section};

use super::inputs::FileInputs;
use super::template::{comment, fill};
use crate::reason::sentence;

const TEMPLATE: &str = include_str!("templates/postgresql.conf");

pub(super) fn text(inputs: &FileInputs<'_>) -> String {
    let values = [
        ("command", inputs.command.to_owned()),
        ("hardware", comment("#", inputs.hardware)),
        ("settings", settings(inputs.settings).trim_end().to_owned()),
    ];
    fill(TEMPLATE, &values)
}

fn settings(settings: &[Recommendation]) -> String {
    let mut text = String::new();
    let mut section: Option<Section> = None;
    for setting in settings {
        if section != Some(setting.section) {
            text.push_str(&format!("# --- {}\n\n", setting.section));
            section = Some(setting.section);
        }
        let restart = if setting.restart { " (restart)" } else { "" };
        let reason = comment("#", &format!("{}{restart}", sentence(&setting.reason)));
        text.push_str(&format!("# {reason}\n{setting}\n\n"));
    }
    text
}
