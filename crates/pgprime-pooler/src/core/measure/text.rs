//! The text of a statement without its constants: what statements are told apart by, and all of a text that is kept.
//!
//! Constants become `$n` behind the highest parameter of the statement, comments go, white space is one space, lists of
//! constants behind IN, ARRAY and VALUES are cut to their first element.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use super::tokens::{Token, Tokens};

/// No more of a text is looked at.
pub(crate) const TEXT_BYTES_MAX: usize = 4_096;
/// Stands for a constant until the text is shown. Control characters of a client's become spaces.
const CONSTANT: u8 = 1;
/// Stands for what was left out.
const LEFT_OUT: &[u8] = b"...";
/// A longer name in quotes, or one with a quote in it, may well be a string that was meant for a constant.
const NAME_BYTES_MAX: usize = 130;
/// Constants told of at most.
const CONSTANTS_MAX: usize = 64;

/// How a statement counts in the search for repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It fetches or changes something.
    Work,
    /// It steers the session, a transaction or a cursor.
    Control,
}

/// Words that begin statements of [`Kind::Control`].
const CONTROL: [&[u8]; 19] = [
    b"ABORT",
    b"BEGIN",
    b"CHECKPOINT",
    b"CLOSE",
    b"COMMIT",
    b"DEALLOCATE",
    b"DECLARE",
    b"DISCARD",
    b"END",
    b"FETCH",
    b"LISTEN",
    b"MOVE",
    b"RELEASE",
    b"RESET",
    b"ROLLBACK",
    b"SAVEPOINT",
    b"SET",
    b"SHOW",
    b"START",
];

/// A text being made; to be used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Normalizer {
    out: Vec<u8>,
    /// Where the constants stand in the client's text, if that is asked for.
    constants: Option<Vec<Range<usize>>>,
    list: List,
    /// The last word, if nothing came after it, in `out`.
    word: Range<usize>,
    words: usize,
    values: Values,
    depth: usize,
    /// SET: what comes is a value, up to the statement's end.
    setting: Setting,
    names_next: bool,
    /// FETCH or MOVE: the name of a cursor comes behind FROM or IN.
    fetches: bool,
    /// ALTER … SET has values like SET.
    alters: bool,
}

/// A list whose elements are constants, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum List {
    #[default]
    None,
    Open {
        elements: usize,
        cut: bool,
        /// A comma that is written only if something else than a constant follows.
        comma: bool,
    },
}

/// Rows of constants behind VALUES.
#[derive(Clone, Debug, Default)]
struct Values {
    is_open: bool,
    row: usize,
    last: Option<Range<usize>>,
    cut: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Setting {
    #[default]
    No,
    Name,
    Value,
}

impl Normalizer {
    /// The text without constants, in a form of our own; [`shown`] makes it readable. The result holds until the next call.
    pub(crate) fn normalize(&mut self, text: &[u8]) -> &[u8] {
        let looked_at = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
        self.begin();
        let mut tokens = Tokens::new(looked_at);
        let mut has_gap = false;
        while let Some((token, place)) = tokens.next() {
            if token == Token::Gap {
                has_gap = true;
                continue;
            }
            if token == Token::Unclear {
                self.close_list();
                self.space(has_gap);
                self.out.extend_from_slice(LEFT_OUT);
                break;
            }
            let bytes = looked_at.get(place.clone()).unwrap_or_default();
            if token == Token::Constant
                && let Some(constants) = self.constants.as_mut().filter(|known| known.len() < CONSTANTS_MAX)
            {
                constants.push(place);
            }
            self.take(token, bytes, std::mem::take(&mut has_gap));
        }
        self.close_list();
        while self.out.last().is_some_and(|byte| matches!(byte, b';' | b' ')) {
            self.out.pop();
        }
        if text.len() > looked_at.len() {
            self.out.extend_from_slice(b" ...");
        }
        &self.out
    }

    /// The constants of a text, in order, as they stand there.
    pub(crate) fn constants<'t>(&mut self, text: &'t [u8]) -> Vec<&'t [u8]> {
        self.constants = Some(Vec::new());
        self.normalize(text);
        let places = self.constants.take().unwrap_or_default();
        places.into_iter().filter_map(|place| text.get(place)).collect()
    }

    fn begin(&mut self) {
        self.out.clear();
        self.list = List::None;
        self.word = 0..0;
        self.words = 0;
        self.values = Values::default();
        self.depth = 0;
        self.setting = Setting::No;
        self.names_next = false;
        self.fetches = false;
        self.alters = false;
    }

    fn space(&mut self, has_gap: bool) {
        if has_gap && !matches!(self.out.last(), None | Some(b'(')) {
            self.out.push(b' ');
        }
    }

    fn take(&mut self, token: Token, bytes: &[u8], has_gap: bool) {
        if self.setting != Setting::No && self.take_setting(token, bytes, has_gap) {
            return;
        }
        if self.list != List::None && self.take_element(token, bytes, has_gap) {
            return;
        }
        let after_word = std::mem::take(&mut self.word);
        match token {
            Token::Sign(sign) => self.sign(sign, &after_word, has_gap),
            Token::Constant => {
                self.space(has_gap);
                self.out.push(CONSTANT);
            }
            Token::Word => self.put_word(bytes, has_gap),
            Token::QuotedName => {
                self.space(has_gap);
                self.quoted_name(bytes);
            }
            _ => {
                self.space(has_gap);
                self.out.extend_from_slice(bytes);
            }
        }
        self.names_next &= token == Token::Word && !self.word.is_empty();
    }

    fn put_word(&mut self, bytes: &[u8], has_gap: bool) {
        if self.values.is_open && self.depth == 0 {
            self.close_values();
        }
        self.space(has_gap);
        let is = |word: &[u8]| bytes.eq_ignore_ascii_case(word);
        if self.names_next && !is(b"PREPARE") {
            // Frameworks make up a name for each.
            self.out.push(CONSTANT);
            return;
        }
        let start = self.out.len();
        self.out.extend_from_slice(bytes);
        self.word = start..self.out.len();
        self.words += 1;
        if self.words == 1 {
            self.alters = is(b"ALTER");
            self.fetches = is(b"FETCH") || is(b"MOVE");
        }
        if is(b"SET") && (self.words == 1 || self.alters) {
            self.setting = Setting::Name;
        }
        let names_first = is(b"DECLARE") || is(b"CLOSE") || is(b"DEALLOCATE");
        self.names_next = is(b"SAVEPOINT")
            || self.names_next
            || names_first && self.words == 1
            || self.fetches && (is(b"FROM") || is(b"IN"));
    }

    fn quoted_name(&mut self, bytes: &[u8]) {
        if self.names_next {
            self.out.push(CONSTANT);
        } else if bytes.len() > NAME_BYTES_MAX || bytes.contains(&b'\'') {
            self.out.extend_from_slice(b"\"...\"");
        } else {
            self.out.extend(bytes.iter().map(|byte| if *byte < b' ' { b' ' } else { *byte }));
        }
    }

    fn sign(&mut self, sign: u8, after_word: &Range<usize>, has_gap: bool) {
        let word = self.out.get(after_word.clone()).unwrap_or_default();
        let follows = |name: &[u8]| word.eq_ignore_ascii_case(name);
        let opens_list = sign == b'(' && follows(b"IN") || sign == b'[' && follows(b"ARRAY");
        let opens_values = sign == b'(' && follows(b"VALUES");
        if self.values.is_open && self.depth == 0 && !matches!(sign, b'(' | b',') {
            self.close_values();
        }
        if opens_values {
            self.values = Values { is_open: true, ..Values::default() };
            self.depth = 0;
        }
        self.space(has_gap && !matches!(sign, b',' | b')' | b';'));
        if sign == b'(' && self.values.is_open && self.depth == 0 {
            self.values.row = self.out.len();
        }
        self.out.push(sign);
        match sign {
            b'(' => self.depth += 1,
            b')' => {
                self.depth = self.depth.saturating_sub(1);
                if self.values.is_open && self.depth == 0 {
                    self.end_row();
                }
            }
            b';' => {
                self.words = 0;
                self.values = Values::default();
            }
            _ => {}
        }
        if opens_list {
            self.list = List::Open { elements: 0, cut: false, comma: false };
        }
    }

    /// A row of VALUES that looks like the one before is left out.
    fn end_row(&mut self) {
        let row = self.values.row..self.out.len();
        let is_same = self.values.last.clone().is_some_and(|last| {
            looks_alike(self.out.get(last).unwrap_or_default(), self.out.get(row.clone()).unwrap_or_default())
        });
        match (&self.values.last, is_same) {
            (Some(last), true) => {
                self.out.truncate(last.end);
                self.values.cut = true;
            }
            _ => self.values.last = Some(row),
        }
    }

    fn close_values(&mut self) {
        if self.values.cut {
            self.out.extend_from_slice(b", ...");
        }
        self.values = Values::default();
    }

    /// An element of a list of constants; `false`: it is more than a constant, and the list is kept from here on.
    fn take_element(&mut self, token: Token, bytes: &[u8], has_gap: bool) -> bool {
        let List::Open { elements, cut, comma } = self.list else { return false };
        match token {
            Token::Constant | Token::Parameter if elements == 0 => {
                self.space(has_gap);
                if token == Token::Constant {
                    self.out.push(CONSTANT);
                } else {
                    self.out.extend_from_slice(bytes);
                }
                self.list = List::Open { elements: 1, cut, comma: false };
                true
            }
            Token::Constant | Token::Parameter => {
                self.list = List::Open { elements: elements + 1, cut: true, comma: false };
                true
            }
            Token::Sign(sign @ (b',' | b'-' | b'+')) if elements > 0 => {
                self.list = List::Open { elements, cut, comma: comma || sign == b',' };
                true
            }
            Token::Sign(sign @ (b'-' | b'+')) => {
                self.space(has_gap);
                self.out.push(sign);
                true
            }
            _ => {
                self.close_list();
                if comma && token != Token::Sign(b')') {
                    self.out.push(b',');
                }
                false
            }
        }
    }

    fn close_list(&mut self) {
        if let List::Open { cut: true, .. } = self.list {
            self.out.extend_from_slice(b", ...");
        }
        self.list = List::None;
        if self.values.is_open && self.depth == 0 {
            self.close_values();
        }
    }

    /// The value of SET may be a word and is a constant all the same.
    fn take_setting(&mut self, token: Token, bytes: &[u8], has_gap: bool) -> bool {
        if token == Token::Sign(b';') {
            self.setting = Setting::No;
            return false;
        }
        if self.setting == Setting::Value {
            return true;
        }
        let begins_value =
            token == Token::Sign(b'=') || token == Token::Word && bytes.eq_ignore_ascii_case(b"TO");
        if begins_value {
            self.space(has_gap);
            self.out.extend_from_slice(bytes);
            self.out.extend_from_slice(&[b' ', CONSTANT]);
            self.setting = Setting::Value;
            self.word = 0..0;
        }
        begins_value
    }
}

/// Whether two rows differ in nothing but the numbers of their parameters.
fn looks_alike(one: &[u8], other: &[u8]) -> bool {
    without_numbers(one).eq(without_numbers(other))
}

fn without_numbers(text: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut in_parameter = false;
    text.iter().copied().filter(move |byte| {
        let is_number = in_parameter && byte.is_ascii_digit();
        in_parameter = *byte == b'$' || is_number;
        !is_number && *byte != b' '
    })
}

/// A normalized text for people.
pub(crate) fn shown(normalized: &[u8]) -> String {
    let mut number = parameters(normalized);
    let mut text = String::with_capacity(normalized.len() + 16);
    for (place, piece) in normalized.split(|byte| *byte == CONSTANT).enumerate() {
        if place > 0 {
            number += 1;
            // Writing to a String does not fail.
            let _ = write!(text, "${number}");
        }
        let piece: Cow<'_, str> = String::from_utf8_lossy(piece);
        text.push_str(&piece);
    }
    text
}

/// The highest number of a parameter.
fn parameters(normalized: &[u8]) -> u64 {
    let mut highest = 0;
    for piece in normalized.split(|byte| *byte == b'$').skip(1) {
        let digits = piece.iter().take_while(|byte| byte.is_ascii_digit()).take(6);
        highest = highest.max(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')));
    }
    highest
}

/// How a statement counts in the search for repeats.
pub(crate) fn kind(normalized: &[u8]) -> Kind {
    let end = normalized.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(normalized.len());
    let first = normalized.get(..end).unwrap_or_default();
    let is_control = normalized.is_empty() || CONTROL.iter().any(|word| first.eq_ignore_ascii_case(word));
    if is_control { Kind::Control } else { Kind::Work }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &[u8]) -> String {
        shown(Normalizer::default().normalize(text))
    }

    #[test]
    fn constants_become_parameters() {
        for (text, expected) in [
            ("SELECT  *\n FROM t WHERE id = 42 ;", "SELECT * FROM t WHERE id = $1"),
            ("SELECT $2, 'a''b', $1", "SELECT $2, $3, $1"),
            ("SELECT f( 1 , 2 ) ; SELECT 3", "SELECT f($1, $2); SELECT $3"),
            ("select /* app */ 1 -- end", "select $1"),
            ("SELECT E'a\\'b' || $q$c$q$ || x'ff'", "SELECT $1 || $2 || $3"),
            ("SELECT a FROM t WHERE id IN (1, 2,3 , 4) AND b", "SELECT a FROM t WHERE id IN ($1, ...) AND b"),
            ("… id in($1,$2) or x in (-1, -2)", "… id in($1, ...) or x in (-$2, ...)"),
            ("SELECT ARRAY[1,2] IN (SELECT 1, 2)", "SELECT ARRAY[$1, ...] IN (SELECT $2, $3)"),
            ("IN (1)", "IN ($1)"),
            ("IN (1, f(2), 3)", "IN ($1, f($2), $3)"),
            (
                "INSERT INTO t VALUES (1, 'a'), (2, 'b'),(3,'c') RETURNING id",
                "INSERT INTO t VALUES ($1, $2), ... RETURNING id",
            ),
            ("INSERT INTO t (a) VALUES ($1), ($2)", "INSERT INTO t (a) VALUES ($1), ..."),
            ("SET app.token TO abc", "SET app.token TO $1"),
            ("set LOCAL a = b, c; SELECT d", "set LOCAL a = $1; SELECT d"),
            ("ALTER ROLE a SET app.key TO secret", "ALTER ROLE a SET app.key TO $1"),
            ("UPDATE t SET a = 1, b = c", "UPDATE t SET a = $1, b = c"),
            ("SAVEPOINT s140_x1", "SAVEPOINT $1"),
            ("ROLLBACK TO SAVEPOINT \"x\"", "ROLLBACK TO SAVEPOINT $1"),
            ("DEALLOCATE PREPARE \"PGPRIME_1\"", "DEALLOCATE PREPARE $1"),
            ("DECLARE c1 CURSOR FOR SELECT 1", "DECLARE $1 CURSOR FOR SELECT $2"),
            ("fetch 10 from c1", "fetch $1 from $2"),
            ("SELECT \"a b\", \"it's\"", "SELECT \"a b\", \"...\""),
            ("SELECT 'a\\' secret'", "SELECT ..."),
            ("", ""),
            (" ; ", ""),
        ] {
            assert_eq!(normal(text.as_bytes()), expected, "{text}");
        }
    }

    /// What hides a client's data: constants in every way of writing them, and comments.
    const SECRETS: [&[u8]; 28] = [
        b"'secret'",
        b"'a\nsecret'",
        b"'a */ secret'",
        b"'it''s secret'",
        b"'secret''''secret'",
        b"E'secret\\'s secret'",
        b"e'\\\\secret'",
        b"E'secret\\\\\\' secret'",
        b"E'a'\n'secret\\' secret'",
        b"'secret'\n\t 'secret'",
        b"'a\\' secret'",
        b"'secret\\\\'",
        b"'\x95\\' OR secret'",
        b"E'\x95\\' secret '",
        b"$$secret 'secret$$",
        b"$t$ secret $$ secret $t$",
        b"$t\xc3\xa4$ secret \" $t\xc3\xa4$",
        b"U&'secret\\0061'",
        b"N'secret'",
        b"x'7777777'",
        b"7777777",
        b"7777777.7777777e-7777777",
        b".7777777",
        b"0x7777777",
        b"1$a$secret secret$a$",
        b"/* secret ' /* secret */ \" secret */",
        b"-- secret ' \" $$ /* secret\n",
        b"--secret '\r",
    ];
    #[rustfmt::skip]
    const HARMLESS: [&[u8]; 26] = [
        b"a", b"E", b"u&", b"x", b"$1", b"\"a b\"", b"\"a\"\"b\"", b"t$1", b"IN", b"VALUES", b"ARRAY", b"SET", b"to",
        b"(", b")", b"[", b"]", b"-", b"/", b"*", b";", b"=", b"::", b"\\", b"\xff\xfe", b"SAVEPOINT",
    ];
    const BETWEEN: [&[u8]; 8] = [b" ", b"\n", b",", b"(", b")", b"=", b" \t", b"\r\n"];

    fn leaks(text: &[u8]) -> bool {
        let shown = normal(text);
        shown.contains("secret") || shown.contains("777777")
    }

    #[test]
    fn no_constant_survives() {
        let mut rng = fastrand::Rng::with_seed(11);
        for round in 0..60_000 {
            let mut text: Vec<u8> = Vec::new();
            if round % 8 == 0 {
                // The secrets stand where the text is cut.
                text.extend(b"SELECT ");
                text.resize(TEXT_BYTES_MAX - rng.usize(0..40), b'a');
                text.push(b' ');
            }
            for _ in 0..rng.usize(1..8) {
                let pieces: &[&[u8]] = if rng.bool() { &SECRETS } else { &HARMLESS };
                text.extend_from_slice(pieces[rng.usize(..pieces.len())]);
                text.extend_from_slice(BETWEEN[rng.usize(..BETWEEN.len())]);
            }
            if rng.bool() {
                text.truncate(rng.usize(..=text.len()));
            }
            assert!(!leaks(&text), "{:?}\n{}", String::from_utf8_lossy(&text), normal(&text));
        }
    }

    #[test]
    fn any_bytes_are_taken() {
        let mut rng = fastrand::Rng::with_seed(5);
        let alphabet = b"'\"\\$-/*eEuU&xaIN( ),;[].0\n\r\0\x01\x80\xff=SET";
        let mut normalizer = Normalizer::default();
        for _ in 0..60_000 {
            let text: Vec<u8> = (0..rng.usize(..24)).map(|_| alphabet[rng.usize(..alphabet.len())]).collect();
            let once = shown(normalizer.normalize(&text));
            assert_eq!(once, shown(normalizer.normalize(&text)), "nothing of a text stays for the next");
            assert!(!once.contains('\u{1}') && once.len() <= 8 * text.len() + 8, "{text:?}: {once:?}");
            let constants = normalizer.constants(&text);
            assert!(constants.iter().map(|constant| constant.len()).sum::<usize>() <= text.len());
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let text = format!("SELECT 1{}'secret'", " + 1".repeat(2_000));
        let short = normal(text.as_bytes());
        assert!(short.len() < 3 * TEXT_BYTES_MAX && short.ends_with(" ..."), "{short}");
        let text = format!("SELECT '{}', secret", "x".repeat(TEXT_BYTES_MAX));
        assert_eq!(normal(text.as_bytes()), "SELECT $1 ...");
    }

    #[test]
    fn kinds() {
        for (text, expected) in [
            ("SELECT 1", Kind::Work),
            ("begin isolation level serializable", Kind::Control),
            ("BEGINNER", Kind::Work),
            ("", Kind::Control),
            ("FETCH 10 FROM c", Kind::Control),
            ("(SELECT 1)", Kind::Work),
            ("WITH a AS (SELECT 1) SELECT 2", Kind::Work),
        ] {
            assert_eq!(kind(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn constants_are_told_when_asked_for() {
        let mut normalizer = Normalizer::default();
        let text = b"SELECT 'a', 1.5 FROM t IN (2, 3) -- 4";
        let told: Vec<&[u8]> = vec![b"'a'", b"1.5", b"2", b"3"];
        assert_eq!(normalizer.constants(text), told);
        assert!(normalizer.constants.is_none());
    }
}
