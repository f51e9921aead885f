//! Module cycles: within a crate, files that need each other are one file in disguise.
//!
//! An edge goes from a file to the file that holds the deepest module named by a path in it. Declaring a child
//! and re-exporting from a descendant is no edge, and a path through a re-export leads to where the item is.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{Attribute, ItemMod, ItemUse, Macro, Path, VisRestricted, Visibility};

use crate::finding::Finding;
use crate::source::{Lexeme, Source, flatten};
use crate::tree::{Names, Tree, imports};

/// For each file, the files it needs and the first line that says so.
type Edges = BTreeMap<usize, BTreeMap<usize, usize>>;

/// One finding for each set of files of which each needs each.
pub(crate) fn check(sources: &[Source], tree: &Tree) -> Vec<Finding> {
    let edges = edges(sources, tree);
    let reach: BTreeMap<usize, BTreeSet<usize>> =
        edges.keys().map(|&file| (file, reachable(&edges, file))).collect();
    let (mut findings, mut reported) = (Vec::new(), BTreeSet::new());
    for (&file, reached) in &reach {
        if !reached.contains(&file) || reported.contains(&file) {
            continue;
        }
        let both_ways = |other: &&usize| reach.get(other).is_some_and(|back| back.contains(&file));
        let cycle: BTreeSet<usize> = reached.iter().filter(both_ways).copied().collect();
        findings.push(describe(sources, &edges, &cycle));
        reported.extend(cycle);
    }
    findings
}

fn edges(sources: &[Source], tree: &Tree) -> Edges {
    let mut edges = Edges::new();
    for (file, module) in tree.product_files() {
        let source = &sources[file];
        let mut uses = Uses { tree, source, file, here: module.clone(), needed: BTreeMap::new() };
        uses.visit_file(&source.ast);
        edges.insert(file, uses.needed);
    }
    edges
}

/// The files that `file` needs, directly or not; itself only if on a cycle.
fn reachable(edges: &Edges, file: usize) -> BTreeSet<usize> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![file]);
    while let Some(next) = open.pop() {
        open.extend(
            edges.get(&next).into_iter().flatten().map(|(&to, _)| to).filter(|&to| reached.insert(to)),
        );
    }
    reached
}

fn describe(sources: &[Source], edges: &Edges, cycle: &BTreeSet<usize>) -> Finding {
    let name = |file: usize| sources[file].path.rsplit_once("/src/").map_or("", |(_, name)| name);
    let mut steps = Vec::new();
    for &file in cycle {
        let inside = edges[&file].iter().filter(|(to, _)| cycle.contains(to));
        steps.extend(inside.map(|(&to, &line)| (file, to, line)));
    }
    let text: Vec<String> = steps
        .iter()
        .map(|&(from, to, line)| format!("{} -> {} (line {line})", name(from), name(to)))
        .collect();
    let (first, _, line) = steps[0];
    Finding::new(&sources[first].path, line, format!("module cycle: {}", text.join(", ")))
}

/// Gathers the files that one file needs.
struct Uses<'a> {
    tree: &'a Tree,
    source: &'a Source,
    file: usize,
    here: Names,
    needed: BTreeMap<usize, usize>,
}

impl Uses<'_> {
    fn add(&mut self, path: &[String], line: usize) {
        let target = self.tree.resolve(&self.here, path).and_then(|module| self.tree.file(&module));
        let counts = |&file: &usize| file != self.file && self.tree.holds_product(file);
        if let Some(file) = target.filter(counts).filter(|_| !self.source.is_test_line(line)) {
            self.needed.entry(file).or_insert(line);
        }
    }

    /// Inside a macro there is no syntax to walk, so paths are read from its tokens.
    fn add_tokens(&mut self, lexemes: &[Lexeme]) {
        let is = |at: usize, text: &str| lexemes.get(at).is_some_and(|lexeme| lexeme.text == text);
        let mut at = 0;
        while let Some(first) = lexemes.get(at) {
            let mut path = vec![first.text.clone()];
            while is(at + 1, ":") && is(at + 2, ":") && at + 3 < lexemes.len() {
                at += 3;
                path.push(lexemes[at].text.clone());
            }
            if path.len() > 1 {
                self.add(&path, first.line);
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.here.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.here.pop();
    }

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        let reexported = !matches!(import.vis, Visibility::Inherited);
        let line = import.use_token.span.start().line;
        for (path, _) in imports(&import.tree) {
            let target = self.tree.resolve(&self.here, &path);
            let from_descendant = target.is_some_and(|module| module.starts_with(&self.here));
            if !(reexported && from_descendant) {
                self.add(&path, line);
            }
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let names: Names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 && path.leading_colon.is_none() {
            self.add(&names, path.segments[0].ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        let mut lexemes = Vec::new();
        flatten(call.tokens.clone(), &mut lexemes);
        self.add_tokens(&lexemes);
        visit::visit_macro(self, call);
    }

    /// `pub(in crate::a)` says who may look, not what is needed.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::lines;
    use crate::tree::trees;

    /// Findings for a crate given as files, sorted by name.
    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let parse =
            |(name, text): &(&str, &str)| Source::parse(&format!("crates/x/src/{name}"), text.to_string());
        let sources: Vec<Source> = files.iter().map(|file| parse(file).expect("the case is Rust")).collect();
        lines(trees(&sources).iter().flat_map(|tree| check(&sources, tree)))
    }

    const LIB: (&str, &str) = ("lib.rs", "mod a; mod b; pub use b::B;");

    #[test]
    fn finds_cycles() {
        let b = ("b.rs", "fn f(x: u8) {}\npub struct B;\nconst C: u8 = super::a::X;");
        let expected = ["1: module cycle: a.rs -> b.rs (line 1), b.rs -> a.rs (line 3)"];
        for a in [
            "use crate::b::f;",
            "fn g() { crate::b::f(1) }",
            "fn g() { println!(\"{}\", super::b::f(1)) }",
            "mod inner { use super::super::b; }",
            "type T = Vec<crate::b::B>;",
            "use crate::B;",
            "use super::{b::{self as other}, c};",
        ] {
            assert_eq!(found(&[("a.rs", a), b, LIB]), expected, "{a}");
        }
        let parent = [("a.rs", "mod c;\nuse c::C;"), ("a/c.rs", "use super::X;"), ("lib.rs", "mod a;")];
        assert_eq!(found(&parent), ["2: module cycle: a.rs -> a/c.rs (line 2), a/c.rs -> a.rs (line 1)"]);
    }

    #[test]
    fn is_silent_without_cycles() {
        let b = ("b.rs", "use crate::a::A; pub struct B;");
        for a in [
            "pub struct A;",
            "use std::b::B; fn g() { other::b::f() }",
            "#[cfg(test)] mod tests { use crate::b::B; }",
            "impl A { pub(in crate::b) fn f() {} }",
        ] {
            assert_eq!(found(&[("a.rs", a), b, LIB]), [""; 0], "{a}");
        }
        let reexport = [("a.rs", "mod c;\npub use c::C;"), ("a/c.rs", "use super::X;"), ("lib.rs", "mod a;")];
        assert_eq!(found(&reexport), [""; 0]);
        let test_file = [("a.rs", "#[cfg(test)] mod c;"), ("a/c.rs", "use super::X;"), ("lib.rs", "mod a;")];
        assert_eq!(found(&test_file), [""; 0]);
    }

    #[test]
    fn finds_files_no_module_declares() {
        let parse = |path: &str, text: &str| Source::parse(path, text.to_owned()).expect("the case is Rust");
        let sources = [
            parse("crates/x/src/a/mod.rs", ""),
            parse("crates/x/src/b.rs", ""),
            parse("crates/x/src/lib.rs", "mod a;"),
            parse("crates/x/tests/t.rs", ""),
        ];
        let findings = crate::tree::check_reached(&sources, &trees(&sources));
        assert_eq!(findings, [Finding::new("crates/x/src/b.rs", 1, "no `mod` declares this file")]);
    }
}
