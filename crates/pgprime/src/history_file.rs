//! Where the history is.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

const FILE: &str = "pgprime/history.sqlite";

/// The file of the history, unless one is named; None where there is no home.
pub(crate) fn default_path() -> Option<PathBuf> {
    path_below(env::var_os("XDG_STATE_HOME"), env::var_os("HOME"))
}

/// Relative folders in `XDG_STATE_HOME` do not count, as its specification says.
fn path_below(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let state = state.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let home = home.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let folder = state.or_else(|| home.map(|home| home.join(".local/state")))?;
    Some(folder.join(FILE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_before_home() {
        let table = [
            (Some("/s"), Some("/h"), Some("/s/pgprime/history.sqlite")),
            (None, Some("/h"), Some("/h/.local/state/pgprime/history.sqlite")),
            (Some(""), Some("/h"), Some("/h/.local/state/pgprime/history.sqlite")),
            (Some("s"), None, None),
            (None, Some(""), None),
        ];
        for (state, home, expected) in table {
            let found = path_below(state.map(OsString::from), home.map(OsString::from));
            assert_eq!(found, expected.map(PathBuf::from), "{state:?} {home:?}");
        }
    }
}
