//! Texts that are compared with files in `tests/planner/expected`. With `UPDATE_EXPECTED=1` the files are written anew,
//! to be looked at in the difference.

use std::path::Path;
use std::{env, fs};

#[track_caller]
pub(crate) fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/planner/expected").join(name);
    if env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(text == expected, "{name} differs; with UPDATE_EXPECTED=1 it is written anew. Now:\n{text}");
}
