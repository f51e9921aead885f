//! Where in the file a mistake is, found by what is said of it: those who read a section know its settings, not its lines.

use super::{Configuration, located};

impl Configuration {
    /// The mistake with file and line, without the value that is wrong; `sections` are those that it may be in.
    pub(crate) fn placed(&self, sections: &[&str], error: impl Into<anyhow::Error>) -> anyhow::Error {
        let error = error.into();
        let Some(path) = &self.path else { return error };
        if let Some(toml) = error.chain().find_map(|cause| cause.downcast_ref::<toml::de::Error>()) {
            return anyhow::anyhow!("{}", located(path, &self.text, toml));
        }
        let said = crate::exit::describe(&error);
        let said = said.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&said);
        match line_about(&self.text, sections, said) {
            Some(line) => anyhow::anyhow!("{}:{line}: {said}", path.display()),
            None => anyhow::anyhow!("{}: {said}", path.display()),
        }
    }
}

/// The line whose setting is spoken of first, or whose value is the name of the entry that is.
fn line_about(text: &str, sections: &[&str], said: &str) -> Option<usize> {
    let entry = said.strip_prefix("[[").and_then(|rest| rest.split_once("]] ")?.1.split_once(": "));
    let mut section = String::new();
    let mut found = None;
    for (line, number) in text.lines().zip(1_usize..) {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_start_matches('[').split(']').next().unwrap_or_default().trim().to_owned();
            continue;
        }
        let is_in = |wanted: &&str| {
            section.strip_prefix(*wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let Some((key, value)) = line.split_once('=').filter(|_| sections.iter().any(is_in)) else {
            continue;
        };
        let name = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        let at = match entry {
            Some((entry, _)) => (name(value) == entry).then_some(0),
            None => word_at(said, &name(key)),
        };
        if let Some(at) = at.filter(|at| found.is_none_or(|(before, _)| *at < before)) {
            found = Some((at, number));
        }
    }
    found.map(|(_, number)| number)
}

/// Where a word stands, for itself.
fn word_at(text: &str, word: &str) -> Option<usize> {
    let is_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let alone = |at: &usize| {
        let (before, after) = (text.get(..*at), text.get(at + word.len()..));
        !before.is_some_and(|before| before.ends_with(is_of_word))
            && !after.is_some_and(|after| after.starts_with(is_of_word))
    };
    text.match_indices(word).map(|(at, _)| at).find(alone).filter(|_| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[database]\ninterval = 1\n[health]\ninterval = \"1\"\nslow_ms = 3\n\
        [health.thresholds]\n\"conections.used\" = { warning = 1 }\n[pooler]\ndefault_pol_size = 3\n\
        [pooler.users]\napp = 'x'\n[[alerts.rules]]\ncheck = 'a'\n[[alerts.rules]]\nname = 'n'\ncheck = 'b'\n";

    #[test]
    fn the_line_that_is_spoken_of() {
        for (sections, said, expected) in [
            (vec!["health"], "[health] interval: too short", Some(4)),
            (vec!["health"], "[health] there is no check \"conections.used\"; slow_ms", Some(7)),
            (vec!["pooler"], "there is no setting default_pol_size", Some(9)),
            (vec!["pooler"], "app: expected key=value", Some(11)),
            (vec!["alerts"], "[[alerts.rules]] b: there is no such check", Some(16)),
            (vec!["alerts"], "[[alerts.rules]] c: there is no such check", None),
            (vec!["health"], "nothing of it", None),
        ] {
            assert_eq!(line_about(TEXT, &sections, said), expected, "{said}");
        }
    }

    #[test]
    fn a_word_is_no_part_of_another() {
        assert_eq!(word_at("slow_ms: slow", "slow"), Some(9));
        assert_eq!(word_at("slower", "slow"), None);
        assert_eq!(word_at("slow", ""), None);
    }
}
