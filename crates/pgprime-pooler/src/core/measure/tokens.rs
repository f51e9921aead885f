//! The tokens of a statement, as far as its constants can be told from the rest.
//!
//! What is a constant depends on settings of the session (`standard_conforming_strings`, the encoding) that need not be
//! known here. Wherever two readings of a text part ways, the rest of it is not looked at: no constant is ever taken for
//! something else.

use std::ops::Range;

/// One piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// White space, comments, control characters.
    Gap,
    /// A number or a string, with its quotes and prefix.
    Constant,
    /// `$n`.
    Parameter,
    /// A key word or a name.
    Word,
    /// A name in double quotes.
    QuotedName,
    /// One other character.
    Sign(u8),
    /// The rest cannot be told: it may be a constant or not.
    Unclear,
}

/// Reads a text from its beginning.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
}

/// What a quote within a string means.
enum Quote {
    Closes,
    Escaped,
    /// That depends on the session.
    Unclear,
}

/// What a backslash means in a string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backslash {
    /// It takes the next character along: `E'…'`.
    Escapes,
    /// Nothing, unless `standard_conforming_strings` is off.
    Perhaps,
}

impl<'a> Tokens<'a> {
    /// The text ends at a NUL.
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next token and where it stands.
    pub(super) fn next(&mut self) -> Option<(Token, Range<usize>)> {
        let start = self.at;
        let first = self.peek(0).filter(|byte| *byte != 0)?;
        let token = match first {
            b'-' if self.peek(1) == Some(b'-') => self.line_comment(),
            b'/' if self.peek(1) == Some(b'*') => self.block_comment(),
            _ if is(first, GAP) => self.run(Token::Gap, GAP),
            b'\'' => self.string(0, Backslash::Perhaps),
            b'"' => self.quoted_name(),
            b'$' => self.dollar(),
            _ if is(first, BEGINS_NAME) => self.word(first),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|next| next.is_ascii_digit()) => self.number(),
            _ => {
                self.at += 1;
                Token::Sign(first)
            }
        };
        Some((token, start..self.at))
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// A character and all after it that are of this class.
    #[inline]
    fn run(&mut self, token: Token, class: u8) -> Token {
        self.at += 1;
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !is(*byte, class)).unwrap_or(rest.len());
        token
    }

    fn line_comment(&mut self) -> Token {
        self.run(Token::Gap, LINE)
    }

    /// Comments lie within comments.
    fn block_comment(&mut self) -> Token {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek(0) {
            match (byte, self.peek(1)) {
                (b'/', Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
            if depth == 0 {
                break;
            }
        }
        Token::Gap
    }

    /// A string with `prefix` bytes before its quote, and the parts that follow it on other lines.
    fn string(&mut self, prefix: usize, backslash: Backslash) -> Token {
        self.at += prefix + 1;
        loop {
            let Some(byte) = self.peek(0) else { return Token::Constant };
            self.at += 1;
            if byte != b'\'' {
                continue;
            }
            match self.quote(backslash) {
                Quote::Escaped => {}
                Quote::Unclear => {
                    self.at = self.text.len();
                    return Token::Unclear;
                }
                Quote::Closes if self.peek(0) == Some(b'\'') => self.at += 1,
                Quote::Closes => match self.continued() {
                    Some(next) => self.at = next,
                    None => return Token::Constant,
                },
            }
        }
    }

    /// What the quote means that was just passed: the backslashes before it decide.
    fn quote(&self, backslash: Backslash) -> Quote {
        let before = self.text.get(..self.at - 1).unwrap_or_default();
        let count = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        if count == 0 {
            return Quote::Closes;
        }
        // In some encodings a backslash may be the second half of a character.
        let is_half = before.len().checked_sub(count + 1).and_then(|place| before.get(place));
        if is_half.is_some_and(|byte| *byte >= 0x80) {
            return Quote::Unclear;
        }
        match (count % 2, backslash) {
            (0, _) => Quote::Closes,
            (_, Backslash::Escapes) => Quote::Escaped,
            (_, Backslash::Perhaps) => Quote::Unclear,
        }
    }

    /// Where the string goes on, behind white space with the end of a line in it.
    fn continued(&self) -> Option<usize> {
        let rest = self.text.get(self.at..)?;
        let gap = rest.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0x0b).count();
        let has_line_end = rest.get(..gap)?.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        (has_line_end && rest.get(gap) == Some(&b'\'')).then_some(self.at + gap + 1)
    }

    fn quoted_name(&mut self) -> Token {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            self.at += 1;
            if byte == b'"' {
                if self.peek(0) != Some(b'"') {
                    return Token::QuotedName;
                }
                self.at += 1;
            }
        }
        Token::Unclear
    }

    /// `$1`, or a string between `$tag$` and `$tag$`.
    fn dollar(&mut self) -> Token {
        let start = self.at;
        if self.peek(1).is_some_and(|next| next.is_ascii_digit()) {
            return self.run(Token::Parameter, DIGIT);
        }
        let rest = self.text.get(start + 1..).unwrap_or_default();
        let name = rest.iter().take_while(|byte| is(**byte, NUMBER) && **byte != b'.').count();
        if rest.get(name) != Some(&b'$') {
            self.at += 1;
            return Token::Sign(b'$');
        }
        let end = start + name + 2;
        let tag = self.text.get(start..end).unwrap_or_default();
        let body = self.text.get(end..).unwrap_or_default();
        let closing = body.windows(tag.len()).position(|window| window == tag);
        self.at = closing.map_or(self.text.len(), |place| end + place + tag.len());
        Token::Constant
    }

    /// A number with all that hangs on it: what is no number to PostgreSQL is no name either.
    fn number(&mut self) -> Token {
        let start = self.at;
        loop {
            self.run(Token::Constant, NUMBER);
            let is_power = self.text.get(self.at - 1).is_some_and(|byte| matches!(byte, b'e' | b'E'))
                && self.at > start + 1
                && matches!(self.peek(0), Some(b'+' | b'-'))
                && self.peek(1).is_some_and(|next| next.is_ascii_digit());
            if !is_power {
                return Token::Constant;
            }
        }
    }

    /// A word, or a string that begins with letters.
    fn word(&mut self, first: u8) -> Token {
        match (first, self.peek(1), self.peek(2)) {
            (b'e' | b'E', Some(b'\''), _) => self.string(1, Backslash::Escapes),
            (b'b' | b'B' | b'x' | b'X' | b'n' | b'N', Some(b'\''), _) => self.string(1, Backslash::Perhaps),
            (b'u' | b'U', Some(b'&'), Some(b'\'')) => self.string(2, Backslash::Perhaps),
            _ => self.run(Token::Word, NAME),
        }
    }
}

/// White space and control characters, but for the NUL that ends a text.
const GAP: u8 = 1;
const BEGINS_NAME: u8 = 2;
const NAME: u8 = 4;
/// What a number may consist of, and what hangs on it.
const NUMBER: u8 = 8;
const DIGIT: u8 = 16;
/// All but the end of a line.
const LINE: u8 = 32;
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut place = 0;
    while place < classes.len() {
        let byte = place as u8;
        let begins_name = byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80;
        let is_digit = byte.is_ascii_digit();
        let is_gap = byte != 0 && (byte <= b' ' || byte == 0x7f);
        classes[place] = class_if(is_gap, GAP)
            | class_if(begins_name, BEGINS_NAME)
            | class_if(begins_name || is_digit || byte == b'$', NAME)
            | class_if(begins_name || is_digit || byte == b'.', NUMBER)
            | class_if(is_digit, DIGIT)
            | class_if(!matches!(byte, b'\n' | b'\r' | 0), LINE);
        place += 1;
    }
    classes
}

const fn class_if(is_of_it: bool, class: u8) -> u8 {
    if is_of_it { class } else { 0 }
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASSES[usize::from(byte)] & class != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constants(text: &str) -> Vec<&str> {
        let mut tokens = Tokens::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some((token, place)) = tokens.next() {
            if matches!(token, Token::Constant | Token::Unclear) {
                found.push(&text[place]);
            }
        }
        found
    }

    #[test]
    fn constants_are_found_whole() {
        for (text, expected) in [
            ("SELECT 'a''b', 1.5e-3, .5, 0xFF, 1_000", &["'a''b'", "1.5e-3", ".5", "0xFF", "1_000"][..]),
            ("E'a\\'b' e'c' B'1' x'2' N'ä' U&'d'", &["E'a\\'b'", "e'c'", "B'1'", "x'2'", "N'ä'", "U&'d'"]),
            ("$$a 'b'$$ $q$ $$ $q$ $1 a$b$c", &["$$a 'b'$$", "$q$ $$ $q$"]),
            ("'a'\n  'b' 'c'", &["'a'\n  'b'", "'c'"]),
            ("E'a'\n'b\\'c' d", &["E'a'\n'b\\'c'"]),
            ("/* 'a' /* 'b' */ 'c' */ 'd' -- 'e'\r'f'", &["'d'", "'f'"]),
            ("1$a$secret x$a$", &["1", "$a$secret x$a$"]),
            ("'open", &["'open"]),
            ("t1.a2 \"a'b\" date'x'", &["'x'"]),
        ] {
            assert_eq!(constants(text), expected, "{text}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_ends_the_text() {
        for text in
            ["'a\\' secret'", "'a\\', 'secret'", "x = 'C:\\' AND secret", "\"open 'secret'", "U&'a\\' b'"]
        {
            let found = constants(text);
            assert!(found.last().is_some_and(|last| text.ends_with(last)), "{text}: {found:?}");
        }
        // A backslash as the second half of a character.
        let text = b"E'\x95\x5c' OR secret'";
        let mut tokens = Tokens::new(text);
        assert_eq!(tokens.next(), Some((Token::Unclear, 0..text.len())));
        assert_eq!(constants("'a\\\\' b"), ["'a\\\\'"], "an even number is the same either way");
    }
}
