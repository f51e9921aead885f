//! Shape: what does not fit on a page is not read.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Expr, ImplItemFn, ItemFn, Signature, TraitItemFn};

use crate::finding::Finding;
use crate::source::Source;

/// From the line of `fn` to that of the closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a file that not only tests see.
const FILE_LINES_MAX: usize = 600;
/// Blocks of `if`, `match`, `for`, `while` and `loop` in each other; an `else if` stands beside its `if`.
const NESTING_MAX: usize = 5;

/// Functions too long or nested too deep, tests included.
pub(crate) fn check_functions(source: &Source) -> Vec<Finding> {
    let mut functions = Functions { path: &source.path, findings: Vec::new(), depth: 0, deepest: (0, 0) };
    functions.visit_file(&source.ast);
    functions.findings
}

/// A file too long, lines of tests left out.
pub(crate) fn check_length(source: &Source) -> Option<Finding> {
    let lines = (1..=source.lines).filter(|&line| !source.is_test_line(line)).count();
    let message = || format!("{lines} lines before tests, at most {FILE_LINES_MAX}: split the file");
    (lines > FILE_LINES_MAX).then(|| Finding::new(&source.path, FILE_LINES_MAX + 1, message()))
}

struct Functions<'a> {
    path: &'a str,
    findings: Vec<Finding>,
    depth: usize,
    /// Depth and line of the deepest block of the function being visited.
    deepest: (usize, usize),
}

impl Functions<'_> {
    fn function(&mut self, signature: &Signature, block: &Block) {
        let (name, line) = (&signature.ident, signature.span().start().line);
        let lines = block.span().end().line + 1 - line;
        if lines > FUNCTION_LINES_MAX {
            let message = format!("`{name}` has {lines} lines, at most {FUNCTION_LINES_MAX}");
            self.findings.push(Finding::new(self.path, line, message));
        }
        // A function inside a function starts from nothing, and the outer one goes on where it was.
        let outer = (std::mem::take(&mut self.depth), std::mem::take(&mut self.deepest));
        visit::visit_block(self, block);
        let (depth, line) = self.deepest;
        if depth > NESTING_MAX {
            let message = format!("`{name}` nests {depth} blocks, at most {NESTING_MAX}");
            self.findings.push(Finding::new(self.path, line, message));
        }
        (self.depth, self.deepest) = outer;
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.sig, &function.block);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.function(&function.sig, &function.block);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.sig, block);
        }
    }

    fn visit_expr(&mut self, expression: &'ast Expr) {
        let opens = matches!(
            expression,
            Expr::If(_) | Expr::Match(_) | Expr::ForLoop(_) | Expr::While(_) | Expr::Loop(_)
        );
        self.depth += usize::from(opens);
        if self.depth > self.deepest.0 {
            self.deepest = (self.depth, expression.span().start().line);
        }
        visit::visit_expr(self, expression);
        self.depth -= usize::from(opens);
    }

    fn visit_expr_if(&mut self, choice: &'ast syn::ExprIf) {
        self.visit_expr(&choice.cond);
        self.visit_block(&choice.then_branch);
        match choice.else_branch.as_ref().map(|(_, branch)| branch.as_ref()) {
            Some(Expr::If(next)) => self.visit_expr_if(next),
            Some(other) => self.visit_expr(other),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::lines;

    fn parse(text: String) -> Source {
        Source::parse("crates/x/src/lib.rs", text).expect("the case is Rust")
    }

    fn function_of_lines(count: usize) -> String {
        format!("/// Not counted.\npub fn f() {{\n{}}}\n", "g();\n".repeat(count - 2))
    }

    #[test]
    fn finds_long_functions() {
        let found = |text| lines(check_functions(&parse(text)));
        assert_eq!(found(function_of_lines(70)), [""; 0]);
        assert_eq!(found(function_of_lines(71)), ["2: `f` has 71 lines, at most 70"]);
        let method = format!("impl S {{\n{}}}\n#[cfg(test)]\nmod tests {{}}", function_of_lines(72));
        assert_eq!(found(method), ["3: `f` has 72 lines, at most 70"]);
        let in_tests = format!("#[cfg(test)]\nmod tests {{\n{}}}", function_of_lines(71));
        assert_eq!(found(in_tests), ["4: `f` has 71 lines, at most 70"]);
    }

    #[test]
    fn finds_long_files() {
        let found = |text| lines(check_length(&parse(text)));
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn g() {}\n".repeat(300));
        assert_eq!(found("fn f() {}\n".repeat(600) + &tests), [""; 0]);
        let message = "601: 601 lines before tests, at most 600: split the file";
        assert_eq!(found("fn f() {}\n".repeat(601) + &tests), [message]);
    }

    #[test]
    fn finds_deep_nesting() {
        let found = |text: &str| lines(check_functions(&parse(text.to_owned())));
        let five = "fn f() { if a { for b in c { while d { loop { match e { _ =>\nX } } } } } }";
        assert_eq!(found(&five.replace('X', "g()")), [""; 0]);
        assert_eq!(found(&five.replace('X', "if x { y }")), ["2: `f` nests 6 blocks, at most 5"]);
        assert_eq!(found(&five.replace('X', "h(|| if x { y })")), ["2: `f` nests 6 blocks, at most 5"]);
        assert_eq!(found(&five.replace('X', "{ fn inner() { if x { y } } }")), [""; 0]);
        assert_eq!(found(&format!("fn f() {{ if a {{ }} {} }}", "else if a { } ".repeat(9))), [""; 0]);
    }
}
