//! What the body of a PL/pgSQL function runs, as far as its text tells.

use pg_query::protobuf::{ScanToken, Token};
use serde_json::Value;

use super::error::SqlError;
use super::parser::on_deep_stack;

/// The SQL in a PL/pgSQL body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlpgsqlBody {
    /// Every statement and expression in it, each as a statement of its own. Variables look like columns.
    pub statements: Vec<String>,
    /// Whether it runs SQL that it puts together itself: EXECUTE of anything but a constant.
    pub is_dynamic: bool,
    /// Whether it has COMMIT or ROLLBACK.
    pub ends_transactions: bool,
}

/// How a body's expression is meant, in the parser's numbers.
const STATEMENT: i64 = 0;
const ASSIGNMENTS: std::ops::RangeInclusive<i64> = 3..=5;

/// What a trigger's function finds declared. The parser knows it, but writes it so that it cannot be read; as arguments it can.
const TRIGGER: &str = r#""new" record, "old" record, tg_name text, tg_when text, tg_level text, tg_op text, tg_relid oid,
    tg_relname text, tg_table_name text, tg_table_schema text, tg_nargs integer, tg_argv text[]"#;
const EVENT_TRIGGER: &str = "tg_event text, tg_tag text";

impl PlpgsqlBody {
    /// Reads a body. `arguments` and `result` are what `pg_get_function_arguments` and `pg_get_function_result` say;
    /// a procedure and a DO block have no result.
    ///
    /// # Errors
    /// [`SqlError`] when it cannot be read.
    pub fn parse(arguments: &str, result: Option<&str>, body: &str) -> Result<Self, SqlError> {
        on_deep_stack(body, || {
            let definition = definition(arguments, result, body)?;
            let parsed = pg_query::parse_plpgsql(&definition).map_err(refused)?;
            let mut found = Self::default();
            found.value(&parsed)?;
            Ok(found)
        })
    }

    fn value(&mut self, value: &Value) -> Result<(), SqlError> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item)),
            Value::Object(fields) => fields.iter().try_for_each(|(name, field)| self.field(name, field)),
            _ => Ok(()),
        }
    }

    fn field(&mut self, name: &str, field: &Value) -> Result<(), SqlError> {
        match name {
            "PLpgSQL_expr" => return self.expression(field),
            "PLpgSQL_stmt_commit" | "PLpgSQL_stmt_rollback" => self.ends_transactions = true,
            "PLpgSQL_stmt_dynexecute" | "PLpgSQL_stmt_dynfors" => self.dynamic(field.get("query"))?,
            "dynquery" => self.dynamic(Some(field))?,
            _ => {}
        }
        self.value(field)
    }

    fn expression(&mut self, expression: &Value) -> Result<(), SqlError> {
        let text = expression.get("query").and_then(Value::as_str).unwrap_or_default();
        match expression.get("parseMode").and_then(Value::as_i64).unwrap_or(STATEMENT) {
            STATEMENT => self.statements.push(text.to_owned()),
            mode if ASSIGNMENTS.contains(&mode) => {
                let (target, value) = assignment(text)?;
                self.statements.extend([format!("SELECT {target}"), format!("SELECT {value}")]);
            }
            _ => self.statements.push(format!("SELECT {text}")),
        }
        Ok(())
    }

    /// SQL that is run from a value: a constant is as good as written out.
    fn dynamic(&mut self, query: Option<&Value>) -> Result<(), SqlError> {
        let text =
            query.and_then(|query| query.get("PLpgSQL_expr")).and_then(|expression| expression.get("query"));
        let text = text.and_then(Value::as_str).unwrap_or_default();
        match constant(text)? {
            Some(constant) => self.statements.push(constant),
            None => self.is_dynamic = true,
        }
        Ok(())
    }
}

fn refused(error: pg_query::Error) -> SqlError {
    match error {
        pg_query::Error::Parse(message) | pg_query::Error::Scan(message) => {
            SqlError::Syntax { message, position: None, is_cut: false }
        }
        other => SqlError::Parser { reason: other.to_string() },
    }
}

/// A definition that the parser, which knows no types, takes: `a%ROWTYPE` is a record to it, and a variadic argument any.
fn definition(arguments: &str, result: Option<&str>, body: &str) -> Result<String, SqlError> {
    let body = with_records(body)?;
    let mut tag = String::from("body");
    while body.contains(&format!("${tag}")) {
        tag.push('_');
    }
    let (kind, arguments, returns) = match result {
        Some("trigger") => ("FUNCTION", TRIGGER.to_owned(), "RETURNS record".to_owned()),
        Some("event_trigger") => ("FUNCTION", EVENT_TRIGGER.to_owned(), "RETURNS void".to_owned()),
        Some(result) => ("FUNCTION", without_variadic(arguments)?, format!("RETURNS {result}")),
        None => ("PROCEDURE", without_variadic(arguments)?, String::new()),
    };
    Ok(format!("CREATE {kind} f({arguments}) {returns} LANGUAGE plpgsql AS ${tag}${body}${tag}$"))
}

fn tokens(text: &str) -> Result<Vec<ScanToken>, SqlError> {
    if super::parser::is_white(text) {
        return Ok(Vec::new());
    }
    pg_query::scan_tokens(text).map_err(refused)
}

fn span(token: &ScanToken) -> (usize, usize) {
    (usize::try_from(token.start).unwrap_or(0), usize::try_from(token.end).unwrap_or(0))
}

fn kind(token: &ScanToken) -> Token {
    Token::try_from(token.token).unwrap_or(Token::Nul)
}

fn without_variadic(arguments: &str) -> Result<String, SqlError> {
    let mut kept = arguments.to_owned();
    for token in tokens(arguments)?.iter().rev().filter(|token| kind(token) == Token::Variadic) {
        let (start, end) = span(token);
        kept.replace_range(start..end, "");
    }
    Ok(kept)
}

fn with_records(body: &str) -> Result<String, SqlError> {
    let all = tokens(body)?;
    let tokens: Vec<&ScanToken> =
        all.iter().filter(|token| !matches!(kind(token), Token::SqlComment | Token::CComment)).collect();
    let text =
        |at: usize| tokens.get(at).and_then(|token| body.get(span(token).0..span(token).1)).unwrap_or("");
    let mut changed = body.to_owned();
    for at in (2..tokens.len()).rev() {
        if !text(at).eq_ignore_ascii_case("rowtype") || text(at - 1) != "%" {
            continue;
        }
        let mut first = at - 2;
        while first >= 2 && text(first - 1) == "." {
            first -= 2;
        }
        changed.replace_range(span(tokens[first]).0..span(tokens[at]).1, "record");
    }
    Ok(changed)
}

/// Target and value of `a.b[1] := 2`, which may be written with `=`.
fn assignment(text: &str) -> Result<(&str, &str), SqlError> {
    let mut depth = 0_usize;
    for token in tokens(text)? {
        let (start, end) = span(&token);
        match kind(&token) {
            Token::Ascii91 | Token::Ascii40 => depth += 1,
            Token::Ascii93 | Token::Ascii41 => depth = depth.saturating_sub(1),
            Token::ColonEquals | Token::Ascii61 if depth == 0 => {
                return Ok((text.get(..start).unwrap_or(""), text.get(end..).unwrap_or("")));
            }
            _ => {}
        }
    }
    Err(SqlError::Parser { reason: "an assignment without a value".to_owned() })
}

/// The text of an expression that is a string constant and nothing else.
fn constant(text: &str) -> Result<Option<String>, SqlError> {
    let found = tokens(text)?;
    match found.as_slice() {
        [token] if kind(token) == Token::Sconst => {}
        _ => return Ok(None),
    }
    let literal = text.trim();
    let inner = literal.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    Ok(inner.map(|inner| inner.replace("''", "'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(body: &str) -> Vec<String> {
        PlpgsqlBody::parse("", Some("trigger"), body).unwrap().statements
    }

    #[test]
    fn finds_sql_wherever_an_expression_may_stand() {
        let body = "
            DECLARE x int := (SELECT 1 FROM t1); r s.o%ROWTYPE; c CURSOR FOR SELECT 1 FROM t2; a int[];
            BEGIN
              NEW.b := (SELECT 1 FROM t3); x := 2; a[(SELECT 1 FROM t4)] = (SELECT 1 FROM t5); r.id := 1;
              SELECT 1 INTO x FROM t6;
              PERFORM 1 FROM t7;
              FOR r IN SELECT 1 FROM t8 LOOP INSERT INTO t9 VALUES (r.id) RETURNING id INTO x; END LOOP;
              FOREACH x IN ARRAY (SELECT a FROM t10) LOOP NULL; END LOOP;
              FOR i IN (SELECT 1 FROM t11)..(SELECT 1 FROM t12) BY (SELECT 1 FROM t13) LOOP NULL; END LOOP;
              WHILE (SELECT true FROM t14) LOOP EXIT WHEN (SELECT true FROM t15); END LOOP;
              IF (SELECT true FROM t16) THEN NULL; ELSIF (SELECT true FROM t17) THEN NULL; ELSE x := (SELECT 1 FROM t18); END IF;
              CASE (SELECT 1 FROM t19) WHEN (SELECT 1 FROM t20) THEN x := (SELECT 1 FROM t21); ELSE x := (SELECT 1 FROM t22); END CASE;
              RAISE NOTICE '%', (SELECT 1 FROM t23) USING HINT = (SELECT 1 FROM t24);
              ASSERT (SELECT true FROM t25), (SELECT '' FROM t26);
              CALL p((SELECT 1 FROM t27));
              BEGIN NULL; EXCEPTION WHEN OTHERS THEN DELETE FROM t28; END;
              OPEN c;
              EXECUTE 'DELETE FROM t29 WHERE a = ''x''' USING (SELECT 1 FROM t30);
              RETURN (SELECT 1 FROM t31);
            END";
        let parsed = PlpgsqlBody::parse("", Some("trigger"), body).unwrap();
        let all = parsed.statements.join("\n");
        for table in 1..=31 {
            let name = format!("t{table}");
            let mut words = all.split(|letter: char| !letter.is_alphanumeric());
            assert!(words.any(|word| word == name), "{name} in {all}");
        }
        assert!(!parsed.is_dynamic && !parsed.ends_transactions);
    }

    #[test]
    fn takes_arguments_of_all_kinds() {
        let taken = [
            (
                "r public.orders, VARIADIC a integer[] DEFAULT '{}'::integer[]",
                Some("TABLE(b integer, c text)"),
            ),
            ("INOUT a integer", None),
            ("a anyelement, OUT b anyarray", Some("anyarray")),
            ("", Some("SETOF public.orders")),
        ];
        for (arguments, result) in taken {
            let body = "BEGIN INSERT INTO t VALUES (1); COMMIT; END";
            let parsed = PlpgsqlBody::parse(arguments, result, body).unwrap();
            assert_eq!(parsed.statements, ["INSERT INTO t VALUES (1)"], "{arguments}");
            assert!(parsed.ends_transactions);
        }
    }

    #[test]
    fn tells_sql_that_is_put_together() {
        for body in [
            "BEGIN EXECUTE 'DELETE FROM ' || t; END",
            "DECLARE r record; BEGIN FOR r IN EXECUTE format('SELECT 1') LOOP NULL; END LOOP; END",
            "DECLARE c refcursor; BEGIN OPEN c FOR EXECUTE $1; END",
            "BEGIN EXECUTE E'DELETE'; END",
        ] {
            assert!(PlpgsqlBody::parse("t text", Some("void"), body).unwrap().is_dynamic, "{body}");
        }
        let body = "BEGIN RETURN QUERY EXECUTE t; END";
        assert!(PlpgsqlBody::parse("t text", Some("SETOF int"), body).unwrap().is_dynamic);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for body in ["", "BEGIN", "BEGIN x := 1; END", "BEGIN $body$ END", "\0", "BEGIN 'END", "%rowtype"] {
            assert!(PlpgsqlBody::parse("", Some("void"), body).is_err(), "{body}");
        }
        assert_eq!(statements("BEGIN NEW.a = tg_op; RETURN NEW; END"), ["SELECT NEW.a ", "SELECT  tg_op"]);
    }
}
