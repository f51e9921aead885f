//! Where the history is, and how long it is kept: the same for `pgprime run` and for the commands that read and record.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use pgprime_advisor::history::History;

use crate::config::Configuration;

const FOLDER: &str = "pgprime";
const FILE: &str = "history.sqlite";

/// The history in the file that was named, else in that of the configuration, else in the usual one. What is kept is what the
/// configuration says, so that a command never drops what `pgprime run` is to keep.
pub(crate) fn open(named: Option<&Path>) -> anyhow::Result<History> {
    let path = env::var_os("PGPRIME_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
    let configuration = Configuration::load(path.as_deref())?;
    let path = named.map(Path::to_owned).or_else(|| Some(folder(&configuration)?.join(FILE)));
    let path = path.context("there is no home folder for the history: name a file with --history")?;
    Ok(History::open(&path, configuration.file.history.of_statements())?)
}

/// The folder of all histories; None where nobody named one and there is no home.
pub(crate) fn folder(configuration: &Configuration) -> Option<PathBuf> {
    let named = configuration.file.history.directory.as_ref();
    let named = named.map(|directory| configuration.folder().join(directory));
    named.or_else(|| folder_below(env::var_os("XDG_STATE_HOME"), env::var_os("HOME")))
}

/// Relative folders in `XDG_STATE_HOME` do not count, as its specification says.
fn folder_below(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let state = state.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = home.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = state.or_else(|| home.map(|home| home.join(".local/state")))?;
    Some(folder.join(FOLDER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_before_home() {
        let table = [
            (Some("/s"), Some("/h"), Some("/s/pgprime")),
            (None, Some("/h"), Some("/h/.local/state/pgprime")),
            (Some(""), Some("/h"), Some("/h/.local/state/pgprime")),
            (Some("s"), None, None),
            (None, Some(""), None),
        ];
        for (state, home, expected) in table {
            let found = folder_below(state.map(OsString::from), home.map(OsString::from));
            assert_eq!(found, expected.map(PathBuf::from), "{state:?} {home:?}");
        }
    }
}
