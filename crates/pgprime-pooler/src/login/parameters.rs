//! The parameters of a startup message: which follow the client, which are ignored, which are refused.

use pgprime_wire::startup::StartupMessage;

use super::error::{LoginError, refuse};
use super::origin::Origin;
use crate::core::{Parameters, Tracked};
use crate::settings::Settings;

/// PostgreSQL's own limit on names: what follows is cut there.
const APPLICATION_NAME_BYTES_MAX: usize = 63;

/// The tracked parameters that the client asks for.
pub(super) fn read(
    startup: &StartupMessage,
    settings: &Settings,
    tracked: &Tracked,
    origin: &Origin,
) -> Result<Parameters, LoginError> {
    let mut parameters = Parameters::unknown(tracked);
    for (name, value) in &startup.parameters {
        match name.as_str() {
            "user" | "database" => {}
            name if name.starts_with("_pq_.") => {}
            "replication" if matches!(value.as_str(), "0" | "false" | "off" | "no") => {}
            "replication" => {
                return Err(refuse(
                    "0A000",
                    "replication connections are not supported: connect to the server itself",
                ));
            }
            "options" => read_options(value, settings, tracked, &mut parameters)?,
            name => take(name, value, settings, tracked, &mut parameters)
                .map_err(|name| refuse("08P01", unsupported("startup parameter", &name)))?,
        }
    }
    if settings.application_name_add_host
        && let Some(index) = tracked.index("application_name")
    {
        let name = with_host(parameters.value(index).unwrap_or("app"), origin);
        parameters.set(index, &name);
    }
    Ok(parameters)
}

fn unsupported(what: &str, name: &str) -> String {
    format!("unsupported {what}: {name}; if ignoring it is safe, add it to ignore_startup_parameters")
}

fn take(
    name: &str,
    value: &str,
    settings: &Settings,
    tracked: &Tracked,
    parameters: &mut Parameters,
) -> Result<(), String> {
    if let Some(index) = tracked.index(name) {
        parameters.set(index, value);
        return Ok(());
    }
    let is_ignored =
        settings.ignore_startup_parameters.iter().any(|ignored| ignored.eq_ignore_ascii_case(name));
    if is_ignored { Ok(()) } else { Err(name.to_string()) }
}

/// `-c name=value` and `--name=value`, with backslashes before spaces, as PostgreSQL reads them.
fn read_options(
    text: &str,
    settings: &Settings,
    tracked: &Tracked,
    parameters: &mut Parameters,
) -> Result<(), LoginError> {
    let ignores_all = settings.ignore_startup_parameters.iter().any(|ignored| ignored == "options");
    let mut words = split_options(text).into_iter();
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("-c").or(word.strip_prefix("--")) {
            Some("") => words.next(),
            Some(assignment) => Some(assignment.to_string()),
            None => None,
        };
        let pair = assignment.as_deref().and_then(|assignment| assignment.split_once('='));
        let taken = match pair {
            Some((name, value)) => take(&name.replace('-', "_"), value, settings, tracked, parameters),
            None => Err(word),
        };
        if let (Err(name), false) = (taken, ignores_all) {
            return Err(refuse("08P01", unsupported("startup parameter in options", &name)));
        }
    }
    Ok(())
}

fn split_options(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            character if character.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            character => word.push(character),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn with_host(name: &str, origin: &Origin) -> String {
    let host = if origin.peer.is_some() {
        "unix".to_string()
    } else {
        format!("{}:{}", origin.address, origin.port)
    };
    let suffix = format!(" - {host}");
    let mut end = name.len().min(APPLICATION_NAME_BYTES_MAX.saturating_sub(suffix.len()));
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", name.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pairs(pairs: &[(&str, &str)], settings: &Settings) -> Result<Parameters, String> {
        let parameters = pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let startup = StartupMessage { major: 3, minor: 0, parameters };
        let origin = Origin {
            address: "10.0.0.1".into(),
            port: 5,
            local_address: String::new(),
            local_port: 0,
            peer: None,
        };
        let tracked = Tracked::new(&["IntervalStyle".into()]);
        read(&startup, settings, &tracked, &origin).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_tracked_ignored_or_refused() {
        let settings =
            Settings { ignore_startup_parameters: vec!["extra_float_digits".into()], ..Settings::default() };
        let tracked = Tracked::new(&["IntervalStyle".into()]);
        let read = read_pairs(
            &[
                ("user", "a"),
                ("timezone", "UTC"),
                ("extra_float_digits", "3"),
                ("options", "-c datestyle=ISO\\ x --intervalstyle=iso_8601"),
            ],
            &settings,
        )
        .expect("all known");
        let value = |name| tracked.index(name).and_then(|index| read.value(index));
        assert_eq!(value("TimeZone"), Some("UTC"));
        assert_eq!(value("datestyle"), Some("ISO x"));
        assert_eq!(value("intervalstyle"), Some("iso_8601"));
        for (pair, expected) in [
            (("geqo", "off"), "unsupported startup parameter: geqo"),
            (("options", "-c geqo=off"), "unsupported startup parameter in options: geqo"),
            (("replication", "database"), "replication"),
        ] {
            let error = read_pairs(&[pair], &settings).expect_err("refused");
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_host_is_added_within_the_length_of_a_name() {
        let settings = Settings { application_name_add_host: true, ..Settings::default() };
        let tracked = Tracked::new(&[]);
        let index = tracked.index("application_name").expect("tracked");
        let long = "ä".repeat(60);
        for (name, expected) in [
            ("psql", "psql - 10.0.0.1:5".to_string()),
            (long.as_str(), format!("{} - 10.0.0.1:5", "ä".repeat(25))),
        ] {
            let read = read_pairs(&[("application_name", name)], &settings).expect("fits");
            assert_eq!(read.value(index), Some(expected.as_str()));
        }
    }
}
