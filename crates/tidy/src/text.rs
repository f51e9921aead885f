//! Text: what a file must not carry, whatever its language.

use crate::finding::Finding;

const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".sh", ".sql", ".py", ".js"];

/// Folders below which each person has one.
const HOMES: &[&str] = &["/home/", "/Users/"];

/// The folders there that are nobody's: the same on every machine that has them.
const SHARED: &[&str] = &["linuxbrew", "Shared"];

/// Whether the file at `path` is text that is looked at.
pub(crate) fn is_checked(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name == "Makefile" || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Paths of someone's machine, white space at a line's end, and tabs in Rust; `root` is this very workspace.
pub(crate) fn check(path: &str, text: &str, root: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, line) in text.split('\n').enumerate() {
        let mut add = |message: &str| findings.push(Finding::new(path, at + 1, message));
        if line.ends_with(char::is_whitespace) {
            add("white space at the end of the line");
        }
        if path.ends_with(".rs") && line.contains('\t') {
            add("a tab: indent with spaces");
        }
        if names_machine(line, root) {
            add("a path of one machine");
        }
    }
    findings
}

fn names_machine(line: &str, root: &str) -> bool {
    // A workspace right below the file system's root is a container's; its name may well be in use elsewhere.
    let is_telling = root.matches('/').count() > 1;
    let in_home = |home: &str| line.match_indices(home).any(|(at, _)| is_home(line, at, at + home.len()));
    is_telling && line.contains(root) || HOMES.iter().any(|home| in_home(home))
}

/// Whether a path starts at `start`, and from `name` on it names a folder that is someone's.
fn is_home(line: &str, start: usize, name: usize) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    let is_start = !line[..start].ends_with(is_part);
    let folder = line[name..].split_once('/').map_or("", |(folder, _)| folder);
    let is_name = !folder.is_empty() && folder.chars().all(is_part);
    is_start && is_name && !SHARED.contains(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::lines;

    const ROOT: &str = "/src/checkout";

    #[test]
    fn finds_what_a_file_must_not_carry() {
        let home = ["1: a path of one machine"];
        assert_eq!(lines(check("a.md", &format!("in {}alice/x", HOMES[0]), ROOT)), home);
        assert_eq!(lines(check("a.sh", &format!("cd={}bob/x", HOMES[1]), ROOT)), home);
        assert_eq!(lines(check("a.toml", &format!("'{ROOT}/x'"), ROOT)), home);
        assert_eq!(lines(check("a.md", "x\ny \n", ROOT)), ["2: white space at the end of the line"]);
        assert_eq!(lines(check("a.md", "x\r\n", ROOT)), ["1: white space at the end of the line"]);
        assert_eq!(lines(check("a.rs", "\tx", ROOT)), ["1: a tab: indent with spaces"]);
    }

    #[test]
    fn is_silent_about_the_rest() {
        for line in [
            "/home/<name>/",
            "/home/$USER/x",
            "example.com/home/page/x",
            "/home/linuxbrew/bin",
            "/home/",
            "/tmp/x",
            "/srcs",
        ] {
            assert_eq!(lines(check("a.md", line, ROOT)), [""; 0], "{line}");
        }
        assert_eq!(lines(check("Makefile", "\tcargo build\n", ROOT)), [""; 0]);
        assert_eq!(lines(check("a.md", "the /app folder", "/app")), [""; 0]);
    }

    #[test]
    fn looks_at_text_only() {
        assert!(is_checked("Makefile") && is_checked("demo/Makefile") && is_checked("a/b.sql"));
        assert!(!is_checked("a.png") && !is_checked("LICENSE"));
    }
}
