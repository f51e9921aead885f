//! Layers: a crate of this workspace depends only on crates below it.

use toml::de::DeTable;

use crate::finding::Finding;

/// The layer of every crate but this one; ARCHITECTURE.md says what each is for.
const LAYERS: &[(&str, u8)] = &[
    ("pgprime-wire", 0),
    ("pgprime-capacity", 0),
    ("pgprime-sql", 0),
    ("pgprime-tls", 0),
    ("pgprime-pool", 1),
    ("pgprime-cache", 1),
    ("pgprime-footprint", 1),
    ("pgprime-readonly", 1),
    ("pgprime-cluster", 1),
    ("pgprime-pooler", 2),
    ("pgprime-client", 2),
    ("pgprime-advisor", 3),
    ("pgprime-planner", 3),
    ("pgprime-views", 3),
    ("pgprime-monitor", 4),
    ("pgprime-api", 5),
    ("pgprime-demo", 6),
    ("pgprime", 7),
];

/// What tests of any crate may use: a database, and load on it.
const TEST_TOOLS: &[&str] = &["pgprime-cluster", "pgprime-demo"];

/// Whether `path` is the manifest of a member of the workspace.
pub(crate) fn is_crate_manifest(path: &str) -> bool {
    crate::tree::in_crate(path).is_some_and(|file| file == "Cargo.toml")
}

/// The dependencies in the manifest `text` that do not point down.
pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let manifest = match DeTable::parse(text) {
        Ok(manifest) => manifest.into_inner(),
        Err(error) => return vec![Finding::new(path, 1, error.message())],
    };
    let package = manifest.get("package").and_then(|package| package.as_ref().get("name"));
    let name = package.and_then(|name| name.as_ref().as_str()).unwrap_or_default();
    if is_ours(name) && layer(name).is_none() {
        return vec![Finding::new(path, 1, unknown(name))];
    }
    let mut findings = Vec::new();
    check_tables(&manifest, &mut |dependency, offset, for_tests| {
        let line = text[..offset].matches('\n').count() + 1;
        findings.extend(judge(name, dependency, for_tests).map(|message| Finding::new(path, line, message)));
    });
    findings
}

/// Calls `each` with name, offset in the text and purpose of every dependency, those of a target included.
fn check_tables(table: &DeTable<'_>, each: &mut impl FnMut(&str, usize, bool)) {
    for (kind, for_tests) in
        [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
    {
        let dependencies = table.get(kind).and_then(|found| found.as_ref().as_table());
        for (key, value) in dependencies.into_iter().flatten() {
            let renamed = value.as_ref().get("package").and_then(|name| name.as_ref().as_str());
            each(renamed.unwrap_or(key.as_ref()), key.span().start, for_tests);
        }
    }
    let targets = table.get("target").and_then(|found| found.as_ref().as_table());
    for target in targets.into_iter().flatten().filter_map(|(_, value)| value.as_ref().as_table()) {
        check_tables(target, each);
    }
}

/// Why crate `name` may not depend on `dependency`, if so.
fn judge(name: &str, dependency: &str, for_tests: bool) -> Option<String> {
    // A crate's tests may ask for the crate itself, with its features.
    if !is_ours(dependency) || for_tests && (dependency == name || TEST_TOOLS.contains(&dependency)) {
        return None;
    }
    let Some(below) = layer(dependency) else { return Some(unknown(dependency)) };
    // A crate outside the table is a tool of the workspace: it may look at any layer, none at it.
    let above = layer(name)?;
    (below >= above).then(|| {
        format!("{name} (layer {above}) must not depend on {dependency} (layer {below}): arrows point down")
    })
}

fn is_ours(name: &str) -> bool {
    name == "pgprime" || name.starts_with("pgprime-")
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

fn unknown(name: &str) -> String {
    format!("{name} has no layer: name it in the layer table (crates/tidy/src/layers.rs)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::lines;

    fn found(name: &str, rest: &str) -> Vec<String> {
        lines(check("crates/x/Cargo.toml", &format!("[package]\nname = \"{name}\"\n{rest}")))
    }

    #[test]
    fn finds_arrows_that_do_not_point_down() {
        let same = "pgprime-pool (layer 1) must not depend on pgprime-cache (layer 1): arrows point down";
        let up = "pgprime-wire (layer 0) must not depend on pgprime-pool (layer 1): arrows point down";
        let cases = [
            ("pgprime-pool", "[dependencies]\npgprime-cache.workspace = true", format!("4: {same}")),
            ("pgprime-wire", "[dev-dependencies]\npgprime-pool = { path = \"p\" }", format!("4: {up}")),
            ("pgprime-wire", "[build-dependencies.pgprime-pool]\npath = \"p\"", format!("3: {up}")),
            ("pgprime-wire", "[target.'cfg(unix)'.dependencies]\npgprime-pool = \"1\"", format!("4: {up}")),
            ("pgprime-wire", "[dependencies]\np = { package = \"pgprime-pool\" }", format!("4: {up}")),
            ("pgprime", "[dependencies]\npgprime-new = \"1\"", format!("4: {}", unknown("pgprime-new"))),
            ("pgprime-new", "", format!("1: {}", unknown("pgprime-new"))),
        ];
        for (name, rest, expected) in cases {
            assert_eq!(found(name, rest), [expected], "{name}: {rest}");
        }
    }

    #[test]
    fn is_silent_about_arrows_that_point_down() {
        for (name, rest) in [
            ("pgprime-pooler", "[dependencies]\npgprime-pool.workspace = true\nserde = \"1\""),
            ("pgprime-wire", "[dev-dependencies]\npgprime-cluster.workspace = true"),
            ("pgprime", "[dependencies]\npgprime-demo.workspace = true"),
            ("tidy", "[dependencies]\ntoml = \"1\""),
        ] {
            assert_eq!(found(name, rest), [""; 0], "{name}: {rest}");
        }
    }

    #[test]
    fn knows_manifests_of_members() {
        assert!(is_crate_manifest("crates/pgprime/Cargo.toml"));
        assert!(!is_crate_manifest("Cargo.toml"));
        assert!(!is_crate_manifest("crates/pgprime-wire/fuzz/Cargo.toml"));
    }
}
