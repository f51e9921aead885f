//! Checks the shape of this workspace: what neither the compiler nor clippy looks at.
//!
//! Run with `cargo run -q -p tidy`. One line per finding and exit code 1; one line of summary and exit code 0
//! when there is none; exit code 2 when the workspace could not be read. It never changes a file.
//!
//! This file reads the workspace; every rule is a pure function from sources to [`Finding`]s in a module of its
//! own: [`layers`], [`cycles`], [`shape`], [`panics`], [`docs`], [`text`]. [`source`] and [`tree`] hold what they
//! share: a parsed file, and the modules of a crate.

mod cycles;
mod docs;
mod finding;
mod layers;
mod panics;
mod shape;
mod source;
mod text;
mod tree;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use finding::Finding;
use source::Source;
use tree::Tree;

fn main() -> ExitCode {
    match check(&workspace_root()) {
        Ok((findings, summary)) if findings.is_empty() => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Ok((findings, _)) => {
            findings.iter().for_each(|finding| println!("{finding}"));
            eprintln!("tidy: {} findings", findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("tidy: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The root of the workspace this was started in, or else the one it was built in.
fn workspace_root() -> PathBuf {
    let manifest_dir = std::env::var("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").to_owned());
    Path::new(&manifest_dir).ancestors().nth(2).map_or(PathBuf::from("."), Path::to_owned)
}

/// All findings in the workspace at `root`, sorted, and the summary for when there are none.
fn check(root: &Path) -> anyhow::Result<(Vec<Finding>, String)> {
    let paths = listed_files(root)?;
    let root_text = root.to_string_lossy();
    let (mut findings, mut sources, mut manifests) = (Vec::new(), Vec::new(), 0);
    for path in paths.iter().filter(|path| text::is_checked(path)) {
        let bytes = std::fs::read(root.join(path)).with_context(|| format!("reading {path}"))?;
        let content = String::from_utf8_lossy(&bytes).into_owned();
        findings.extend(text::check(path, &content, &root_text));
        if layers::is_crate_manifest(path) {
            manifests += 1;
            findings.extend(layers::check(path, &content));
        }
        if tree::in_crate(path).is_some() && path.ends_with(".rs") {
            match Source::parse(path, content) {
                Ok(source) => sources.push(source),
                Err(finding) => findings.push(finding),
            }
        }
    }
    findings.extend(check_sources(&sources));
    findings.sort();
    findings.dedup();
    let summary = format!("tidy: {manifests} crates, {} Rust files, nothing to report", sources.len());
    Ok((findings, summary))
}

/// The findings of every rule about Rust sources; `sources` is sorted by path.
fn check_sources(sources: &[Source]) -> Vec<Finding> {
    let trees = tree::trees(sources);
    let is_product = |file: usize| trees.iter().any(|tree: &Tree| tree.holds_product(file));
    let mut findings = tree::check_reached(sources, &trees);
    findings.extend(trees.iter().flat_map(|tree| cycles::check(sources, tree)));
    for (file, source) in sources.iter().enumerate() {
        findings.extend(shape::check_functions(source));
        findings.extend(panics::check_unsafe(source));
        if is_product(file) {
            findings.extend(shape::check_length(source));
            findings.extend(panics::check(source));
            findings.extend(docs::check(source, sources));
        }
    }
    findings
}

/// The paths below `root` that git tracks or would track, sorted, with `/` between their parts.
fn listed_files(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("running git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    let listing = String::from_utf8_lossy(&output.stdout);
    // A file may be deleted in the working tree and still be in the index.
    let present = |path: &&str| !path.is_empty() && root.join(path).is_file();
    let mut paths: Vec<String> = listing.split('\0').filter(present).map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}
