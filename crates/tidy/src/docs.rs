//! Documentation: what is public says what it is, and a crate says what it is for.
//!
//! Fields, variants and methods of traits are left to rustc's `missing_docs`.

use proc_macro2::Ident;
use syn::{Attribute, Expr, ExprLit, ImplItem, Item, ItemImpl, ItemMod, Lit, Meta, Visibility};

use crate::finding::Finding;
use crate::source::Source;
use crate::tree::{child_folder, module_file};

/// The lines in which a crate says what it is for, what it never does, and its main types.
const HEADING_LINES_MIN: usize = 3;

/// Public items of `source` without a doc comment, and a crate without a heading.
pub(crate) fn check(source: &Source, sources: &[Source]) -> Vec<Finding> {
    let mut missing = Missing { source, sources, findings: Vec::new() };
    let file = source.path.rsplit_once("/src/").map_or("", |(_, file)| file);
    if matches!(file, "lib.rs" | "main.rs") && source.heading_lines < HEADING_LINES_MIN {
        let message =
            format!("a crate begins with {HEADING_LINES_MIN} lines of `//!` or more: what it is for");
        missing.findings.push(Finding::new(&source.path, 1, message));
    }
    missing.items(&source.ast.items);
    missing.findings
}

struct Missing<'a> {
    source: &'a Source,
    sources: &'a [Source],
    findings: Vec<Finding>,
}

impl Missing<'_> {
    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Const(item) => self.judge(&item.vis, &item.attrs, &item.ident),
                Item::Enum(item) => self.judge(&item.vis, &item.attrs, &item.ident),
                Item::Fn(item) => self.judge(&item.vis, &item.attrs, &item.sig.ident),
                Item::Static(item) => self.judge(&item.vis, &item.attrs, &item.ident),
                Item::Struct(item) => self.judge(&item.vis, &item.attrs, &item.ident),
                Item::Trait(item) => self.judge(&item.vis, &item.attrs, &item.ident),
                Item::Type(item) => self.judge(&item.vis, &item.attrs, &item.ident),
                Item::Union(item) => self.judge(&item.vis, &item.attrs, &item.ident),
                Item::Mod(item) => self.module(item),
                Item::Impl(item) if item.trait_.is_none() => self.methods(item),
                _ => {}
            }
        }
    }

    fn methods(&mut self, item: &ItemImpl) {
        for item in &item.items {
            match item {
                ImplItem::Fn(item) => self.judge(&item.vis, &item.attrs, &item.sig.ident),
                ImplItem::Const(item) => self.judge(&item.vis, &item.attrs, &item.ident),
                _ => {}
            }
        }
    }

    /// A module may say what it is where it is declared or at the top of its file.
    fn module(&mut self, item: &ItemMod) {
        if let Some((_, items)) = &item.content {
            self.judge(&item.vis, &item.attrs, &item.ident);
            return self.items(items);
        }
        let folder = format!("{}/{}", child_folder(&self.source.path), item.ident);
        let file = module_file(self.sources, &folder);
        if !file.is_some_and(|file| is_documented(&self.sources[file].ast.attrs)) {
            self.judge(&item.vis, &item.attrs, &item.ident);
        }
    }

    fn judge(&mut self, visibility: &Visibility, attributes: &[Attribute], name: &Ident) {
        let line = name.span().start().line;
        let is_public = matches!(visibility, Visibility::Public(_)) && !self.source.is_test_line(line);
        if is_public && !is_documented(attributes) {
            let message = format!("`{name}` is public and has no doc comment");
            self.findings.push(Finding::new(&self.source.path, line, message));
        }
    }
}

fn is_documented(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => !text.value().trim().is_empty(),
            _ => true,
        },
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::lines;

    fn found(text: &str) -> Vec<String> {
        let parse = |path: &str, text: &str| Source::parse(path, text.to_owned()).expect("the case is Rust");
        let child = parse("crates/x/src/a/child.rs", "//! A child.");
        let sources = [parse("crates/x/src/a.rs", text), child];
        lines(check(&sources[0], &sources))
    }

    #[test]
    fn finds_public_items_without_docs() {
        for text in [
            "pub fn x() {}",
            "pub struct x;",
            "pub enum x {}",
            "pub trait x {}",
            "pub type x = u8;",
            "pub const x: u8 = 1;",
            "pub static x: u8 = 1;",
            "pub mod x;",
            "pub mod x {}",
            "mod private { pub fn x() {} }",
            "impl S { pub fn x() {} }",
            "#[doc(hidden)] pub fn x() {}",
            "/**/ pub fn x() {}",
        ] {
            assert_eq!(found(text), ["1: `x` is public and has no doc comment"], "{text}");
        }
    }

    #[test]
    fn is_silent_about_documented_and_private_items() {
        for text in [
            "/// Does x.\n#[inline]\npub fn x() {}",
            "#[doc = include_str!(\"x.md\")] pub struct x;",
            "fn x() {} pub(crate) struct y; pub use a::b;",
            "impl T for S { fn x() {} }",
            "pub mod child;",
            "/// A module.\npub mod other;",
            "#[cfg(test)] pub fn x() {}",
            "fn f() { pub struct x; }",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn finds_crates_without_heading() {
        let heading = |path: &str, text: &str| {
            let source = Source::parse(path, text.to_owned()).expect("the case is Rust");
            check(&source, &[]).len()
        };
        assert_eq!(heading("crates/x/src/lib.rs", "//! One.\n//! Two."), 1);
        assert_eq!(heading("crates/x/src/main.rs", "\n//! One.\n//! Two.\n//! Three."), 1);
        assert_eq!(heading("crates/x/src/lib.rs", "//! One.\n//!\n//! Three."), 0);
        assert_eq!(heading("crates/x/src/a.rs", "//! One."), 0);
    }
}
