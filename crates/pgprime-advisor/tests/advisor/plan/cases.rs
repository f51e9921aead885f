//! The planted cases and the plans kept of them: `plans/VERSION/CASE.json` and `.txt`, from real servers.

use std::path::{Path, PathBuf};

/// The servers whose plans are kept.
pub(super) const VERSIONS: [u32; 2] = [15, 18];

/// What is planted, and what must be found.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    pub(super) name: String,
    /// The rules that must find something, and no other may.
    pub(super) shows: Vec<String>,
    /// Rules that depend on the speed of the machine; they hold for the plans kept.
    pub(super) timing: Vec<String>,
    options: String,
    versions: Vec<u32>,
    setup: String,
    statement: String,
}

impl Case {
    pub(super) fn runs_on(&self, version: u32) -> bool {
        self.versions.contains(&version)
    }

    pub(super) fn is_executed(&self) -> bool {
        self.options.contains("ANALYZE")
    }

    /// What psql is told in order to print the plan in `format`; nothing of it stays.
    pub(super) fn script(&self, format: &str) -> String {
        let options = &self.options;
        let explain = format!("EXPLAIN ({options}, FORMAT {format}) {}", self.statement);
        let style = if format == "TEXT" { "\\pset format aligned\n\\pset tuples_only off\n" } else { "" };
        format!(
            "\\set QUIET on\nBEGIN;\nSET LOCAL lc_numeric = 'C';\n{}{style}{explain}\nROLLBACK;\n",
            self.setup
        )
    }

    /// The file with this case's plan on a version.
    pub(super) fn path(&self, version: u32, extension: &str) -> PathBuf {
        plans_dir().join(version.to_string()).join(format!("{}.{extension}", self.name))
    }

    pub(super) fn plan_text(&self, version: u32, extension: &str) -> String {
        let path = self.path(version, extension);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

pub(super) fn plans_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/advisor/plans")
}

/// The tables of the cases.
pub(super) fn schema() -> &'static str {
    include_str!("../plans/schema.sql")
}

/// All cases, in order.
pub(super) fn cases() -> Vec<Case> {
    let text = include_str!("../plans/cases.sql");
    text.split("-- case: ").skip(1).map(case).collect()
}

/// Every case and version whose plan is kept.
pub(super) fn kept() -> impl Iterator<Item = (Case, u32)> {
    cases()
        .into_iter()
        .flat_map(|case| VERSIONS.map(|version| (case.clone(), version)))
        .filter(|(case, version)| case.runs_on(*version))
}

fn case(text: &str) -> Case {
    let (name, rest) = text.split_once('\n').expect("a case has lines");
    let mut case = Case {
        name: name.trim().to_owned(),
        options: "ANALYZE, BUFFERS".to_owned(),
        versions: VERSIONS.to_vec(),
        ..Case::default()
    };
    let mut is_statement = false;
    for line in rest.lines() {
        if let Some(statement) = line.strip_prefix("EXPLAIN ") {
            is_statement = true;
            case.statement = format!("{statement}\n");
        } else if let Some((key, value)) = line.strip_prefix("-- ").and_then(|line| line.split_once(':')) {
            set(&mut case, key, value.trim());
        } else if is_statement {
            case.statement += &format!("{line}\n");
        } else {
            case.setup += &format!("{line}\n");
        }
    }
    case
}

fn set(case: &mut Case, key: &str, value: &str) {
    let words =
        || value.split([',', ' ']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    match key {
        "shows" => case.shows = words(),
        "timing" => case.timing = words(),
        "versions" => case.versions = words().iter().map(|word| word.parse().expect("a version")).collect(),
        "options" => case.options = value.to_owned(),
        other => panic!("case {}: unknown key {other}", case.name),
    }
}
