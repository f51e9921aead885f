//! The sections of pgprime.toml.

use std::fmt::Write as _;

use super::fields::{Field, SECTIONS, Section};

/// The part of the reference.
pub(super) fn text() -> String {
    let heading = "## Settings of pgprime.toml\n\n\
         It is looked for as pgprime.toml, config/pgprime.toml and /etc/pgprime/pgprime.toml where nobody names one. \
         Variables of the environment win over it, and options over both. Unknown settings are refused. Paths begin at its \
         folder, and times are written as `30s`, `5m` or `4h`, under `[history]` and `[cache]` also as `14d`.\n";
    SECTIONS.iter().fold(heading.to_owned(), |text, section| text + "\n" + &of_section(section))
}

fn of_section(section: &Section) -> String {
    let mut text = format!(
        "### `{}`\n\n{}\n\n| setting | default | meaning |\n|---|---|---|\n",
        section.name, section.about
    );
    for Field { name, default, meaning } in section.fields {
        let default = default.map_or_else(|| "–".to_owned(), |default| format!("`{default}`"));
        let _ = writeln!(text, "| `{name}` | {default} | {meaning} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use pgprime_api::ApiConfig;
    use pgprime_monitor::alerts::AlertSettings;
    use pgprime_monitor::health::Settings;
    use pgprime_views::{Declarations, Figures};

    use super::*;
    use crate::config::{CacheSection, DatabaseSection, File, HistorySection};

    /// No reader knows it, and says which it knows.
    const UNKNOWN: &str = "no_such_setting";

    fn section(name: &str) -> &'static Section {
        SECTIONS.iter().find(|section| section.name == name).unwrap()
    }

    /// What the reader of a section says about a setting that it does not know.
    fn refusal(section: &str, text: &str) -> String {
        let within = |prefix: &str| section.trim_matches(['[', ']']).starts_with(prefix);
        match section {
            _ if within("api") => ApiConfig::from_toml(&text.replace("api.", "")).unwrap_err().to_string(),
            _ if within("health") => Settings::from_toml(text).unwrap_err().to_string(),
            _ if within("alerts") => AlertSettings::from_toml(text).unwrap_err().to_string(),
            _ if within("view") => Declarations::from_toml(text).unwrap_err().to_string(),
            _ if within("figures") => Figures::from_toml(text).unwrap_err().to_string(),
            _ => toml::from_str::<File>(text).unwrap_err().to_string(),
        }
    }

    /// The names in "expected one of `a`, `b`", "expected `a` or `b`", "expected `a`".
    fn expected(said: &str) -> BTreeSet<&str> {
        let (_, list) = said.split_once("expected ").unwrap_or_else(|| panic!("no names in {said}"));
        list.lines().next().unwrap().split('`').skip(1).step_by(2).collect()
    }

    #[test]
    fn every_setting_that_a_section_takes_is_told() {
        for section in SECTIONS.iter().filter(|section| section.name != "[pooler]") {
            let text = match section.name {
                "[api]" => format!("{UNKNOWN} = 1"),
                name => format!("{name}\n{UNKNOWN} = 1"),
            };
            let said = refusal(section.name, &text);
            let told: BTreeSet<&str> = section.fields.iter().map(|field| field.name).collect();
            assert_eq!(told, expected(&said), "{}: {said}", section.name);
        }
    }

    #[test]
    fn every_section_is_told() {
        let said = toml::from_str::<File>(&format!("{UNKNOWN} = 1")).unwrap_err().to_string();
        let name =
            |section: &Section| section.name.trim_matches(['[', ']']).split('.').next().unwrap().to_owned();
        let told: BTreeSet<String> = SECTIONS.iter().map(name).collect();
        let known = expected(&said);
        assert_eq!(told.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
    }

    #[test]
    fn defaults_are_what_holds_without_them() {
        let written = |name: &str| {
            section(name)
                .fields
                .iter()
                .filter_map(|field| Some(format!("{} = {}\n", field.name, field.default?)))
                .collect::<String>()
        };
        let api = ApiConfig::from_toml(&written("[api]")).unwrap();
        assert_eq!(format!("{api:?}"), format!("{:?}", ApiConfig::default()));
        let health = Settings::from_toml(&format!("[health]\n{}", written("[health]"))).unwrap();
        assert_eq!(health, Settings::default());
        let alerts = AlertSettings::from_toml(&format!("[alerts]\n{}", written("[alerts]"))).unwrap();
        assert_eq!(alerts, AlertSettings::default());
        let rule = "[[alerts.rules]]\ncheck = \"disk.free\"\nseverity = \"warning\"\nfor = \"5m\"\n";
        let rules = |more: &str| AlertSettings::from_toml(&format!("{rule}{more}")).unwrap();
        assert_eq!(rules(&written("[[alerts.rules]]")), rules(""));
        let channel = "[[alerts.channels]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"http://h\"\n";
        let channels = |more: &str| AlertSettings::from_toml(&format!("{channel}{more}")).unwrap();
        assert_eq!(channels(&written("[[alerts.channels]]")), channels(""));
        let kept = |name: &str| toml::from_str::<File>(&format!("{name}\n{}", written(name))).unwrap();
        assert_eq!(kept("[history]").history, HistorySection::default());
        assert_eq!(kept("[cache]").cache, CacheSection::default());
        let database = kept("[database]").database;
        assert_eq!(format!("{database:?}"), format!("{:?}", DatabaseSection::default()));
        let views =
            |more: &str| Declarations::from_toml(&format!("[[views]]\nname = 'v'\nsql = 'SELECT 1'\n{more}"));
        assert_eq!(views(&written("[[views]]")).unwrap(), views("").unwrap());
        let policy =
            Declarations::from_toml(&format!("[view_policy]\n{}", written("[view_policy]"))).unwrap();
        assert_eq!(policy, Declarations::default());
        let figures =
            |more: &str| Figures::from_toml(&format!("[[figures]]\nname = 'f'\nsql = 'SELECT 1'\n{more}"));
        assert_eq!(figures(&written("[[figures]]")).unwrap(), figures("").unwrap());
    }
}
