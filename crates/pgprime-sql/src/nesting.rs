//! An upper bound for the depth of a statement's tree, from its tokens alone.
//!
//! Everything that handles a tree of syntax recurses: the parser's output, decoding, walking, and freeing it. So its depth is
//! bounded before there is one. Each level of a tree needs a token of its own that is neither a name nor a constant, and
//! what stands between commas, or is joined by AND and OR (which the grammar flattens), is as deep as its deepest part.

use pg_query::protobuf::{ScanToken, Token};

/// Levels of nesting that are read: more than any statement that people or their tools write, and few enough for the
/// stacks of threads that hold a tree.
pub const NESTING_MAX: usize = 500;

/// Where the tokens pass [`NESTING_MAX`] levels, in bytes.
pub(super) fn first_too_deep(tokens: &[ScanToken]) -> Option<usize> {
    let mut groups = vec![Group::default()];
    let mut outside = 0;
    for token in tokens {
        match effect(token) {
            Effect::None => {}
            Effect::Open(closer) => {
                let top = groups.last().map_or(0, Group::depth);
                outside += top + 1;
                groups.push(Group { closer, outside: top + 1, ..Group::default() });
            }
            Effect::Close(closer)
                if groups.len() > 1 && groups.last().is_some_and(|group| group.closer == closer) =>
            {
                outside -= groups.pop().map_or(0, |group| group.outside);
            }
            // END or a bracket that closes nothing is the grammar's to refuse.
            Effect::Close(_) => {}
            Effect::Separate => top(&mut groups, |group| group.operators = 0),
            Effect::Chain => top(&mut groups, |group| {
                group.chained += 1;
                group.operators = 0;
            }),
            Effect::Operate => top(&mut groups, |group| group.operators += 1),
        }
        if outside + groups.last().map_or(0, Group::depth) > NESTING_MAX {
            return Some(usize::try_from(token.start).unwrap_or(0));
        }
    }
    None
}

/// What is between two brackets, or CASE and END.
#[derive(Default)]
struct Group {
    closer: Closer,
    /// What opening it added to the depth of what is inside.
    outside: usize,
    /// UNION and JOIN, each of which holds all those before it.
    chained: usize,
    /// What may nest since the last comma, AND or OR.
    operators: usize,
}

impl Group {
    fn depth(&self) -> usize {
        self.chained + self.operators
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Closer {
    #[default]
    Nothing,
    Bracket,
    End,
}

enum Effect {
    None,
    Open(Closer),
    Close(Closer),
    Separate,
    Chain,
    Operate,
}

fn top(groups: &mut [Group], change: impl FnOnce(&mut Group)) {
    if let Some(group) = groups.last_mut() {
        change(group);
    }
}

fn effect(token: &ScanToken) -> Effect {
    let kind = Token::try_from(token.token).unwrap_or(Token::Nul);
    match kind {
        Token::Ascii40 | Token::Ascii91 => Effect::Open(Closer::Bracket),
        Token::Ascii41 | Token::Ascii93 => Effect::Close(Closer::Bracket),
        Token::Case => Effect::Open(Closer::End),
        Token::EndP => Effect::Close(Closer::End),
        Token::Ascii44
        | Token::And
        | Token::Or
        | Token::When
        | Token::Then
        | Token::Else
        | Token::Ascii59 => Effect::Separate,
        Token::Union | Token::Intersect | Token::Except | Token::Join => Effect::Chain,
        Token::Ident | Token::Uident | Token::Fconst | Token::Sconst | Token::Usconst | Token::Bconst => {
            Effect::None
        }
        Token::Xconst | Token::Iconst | Token::Param | Token::Ascii46 => Effect::None,
        Token::SqlComment | Token::CComment => Effect::None,
        // Any other word may be an operator, whatever it is here.
        _ => Effect::Operate,
    }
}
