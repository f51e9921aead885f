//! A parsed Rust file, the lines of it that only tests see, and its tokens in a row.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, Token};

use crate::finding::Finding;

/// A Rust file of the workspace.
pub(crate) struct Source {
    /// Relative to the workspace, with `/` between its parts.
    pub(crate) path: String,
    /// The number of lines.
    pub(crate) lines: usize,
    /// The lines with which the file begins that are `//!` comments.
    pub(crate) heading_lines: usize,
    /// The file as syntax.
    pub(crate) ast: syn::File,
    /// The file as tokens, in the order of the text.
    pub(crate) tokens: Vec<Lexeme>,
    test_lines: Vec<RangeInclusive<usize>>,
}

/// A token or a bracket, and its line.
pub(crate) struct Lexeme {
    /// As in the file; one character for an operator's part or a bracket.
    pub(crate) text: String,
    /// From 1.
    pub(crate) line: usize,
}

impl Source {
    /// Parses the file at `path`; text that is no Rust is a finding.
    pub(crate) fn parse(path: &str, text: String) -> Result<Self, Finding> {
        let failed = |error: syn::Error| Finding::new(path, error.span().start().line, error.to_string());
        let stream: TokenStream = text.parse().map_err(|error| failed(syn::Error::from(error)))?;
        let mut tokens = Vec::new();
        flatten(stream.clone(), &mut tokens);
        let ast: syn::File = syn::parse2(stream).map_err(failed)?;
        let mut tests = TestLines(Vec::new());
        tests.visit_file(&ast);
        let heading_lines = text.lines().take_while(|line| line.starts_with("//!")).count();
        let lines = text.lines().count();
        Ok(Self { path: path.to_owned(), lines, heading_lines, ast, tokens, test_lines: tests.0 })
    }

    /// Whether `line` is compiled for tests only, as far as this file tells.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        is_test(&self.ast.attrs) || self.test_lines.iter().any(|lines| lines.contains(&line))
    }
}

/// Whether attributes make what they stand on a test, or part of tests only.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    fn demands_test(meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => path.is_ident("test"),
            Meta::List(list) if list.path.is_ident("all") => list
                .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
                .is_ok_and(|all| all.iter().any(demands_test)),
            _ => false,
        }
    }
    attributes.iter().any(|attribute| {
        let is_cfg = attribute.path().is_ident("cfg");
        attribute.path().segments.last().is_some_and(|name| name.ident == "test")
            || is_cfg && attribute.parse_args::<Meta>().is_ok_and(|meta| demands_test(&meta))
    })
}

/// The attributes of an item; none for a kind of item that is not looked into.
fn item_attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Appends the tokens of `stream` and of its groups to `lexemes`.
pub(crate) fn flatten(stream: TokenStream, lexemes: &mut Vec<Lexeme>) {
    for token in stream {
        let line = token.span().start().line;
        let mut push = |text: String, line| lexemes.push(Lexeme { text, line });
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned(), line);
                flatten(group.stream(), lexemes);
                lexemes.push(Lexeme { text: close.to_owned(), line: group.span_close().end().line });
            }
            other => push(other.to_string(), line),
        }
    }
}

/// Gathers the lines of items that only tests see.
struct TestLines(Vec<RangeInclusive<usize>>);

impl TestLines {
    fn add(&mut self, item: &impl Spanned) {
        self.0.push(item.span().start().line..=item.span().end().line);
    }
}

impl<'ast> Visit<'ast> for TestLines {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(item_attributes(item)) {
            self.add(item);
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, method: &'ast syn::ImplItemFn) {
        if is_test(&method.attrs) {
            self.add(method);
        } else {
            visit::visit_impl_item_fn(self, method);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_lines_of_tests() {
        let cases = [
            ("fn f() {}\n#[cfg(test)]\nmod tests {\n}\n", vec![2, 3, 4]),
            ("#[cfg(all(test, unix))]\nuse a::b;\nfn f() {}", vec![1, 2]),
            ("#[test]\nfn f() {}\n#[tokio::test]\nasync fn g() {}", vec![1, 2, 3, 4]),
            ("#[cfg(any(test, unix))]\nfn f() {}\n#[cfg(unix)]\nfn g() {}", vec![]),
            ("struct S;\nimpl S {\n#[cfg(test)]\nfn f() {}\nfn g() {}\n}", vec![3, 4]),
            ("#![cfg(test)]\nfn f() {}", vec![1, 2]),
        ];
        for (text, expected) in cases {
            let source = Source::parse("a.rs", text.to_owned()).expect("the case is Rust");
            let lines: Vec<usize> = (1..=source.lines).filter(|&line| source.is_test_line(line)).collect();
            assert_eq!(lines, expected, "{text}");
        }
    }

    #[test]
    fn reports_what_is_no_rust() {
        let finding = Source::parse("a.rs", "fn f() {}\nfn".to_owned()).err().map(|found| found.to_string());
        assert!(finding.is_some_and(|text| text.starts_with("a.rs:")));
    }
}
