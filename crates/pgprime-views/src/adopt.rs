//! Views that are there already, as declarations.

use tokio_postgres::Client;

use crate::catalog::{self, Index, QUALIFIED, Relation};
use crate::error::ViewsError;
use crate::names::ViewName;
use crate::schedule::Schedule;
use crate::session::{self, Begin};

/// The declaration of a view that is there, as TOML to be added to the configuration. The view is not changed.
///
/// # Errors
/// [`ViewsError::NotFound`], or the connection's.
pub async fn adopt(client: &Client, name: &ViewName) -> Result<String, ViewsError> {
    let begin = Begin {
        read_only: true,
        lock_timeout_ms: Some(5_000),
        search_path: Some(QUALIFIED),
        ..Begin::default()
    };
    session::begin(client, begin).await?;
    let read = async {
        let view = catalog::relation(client, name).await?.filter(Relation::is_view);
        let view = view.ok_or_else(|| ViewsError::NotFound { view: name.clone() })?;
        let indexes = catalog::indexes(client, view.oid).await?;
        let definition = catalog::definition(client, view.oid).await?;
        Ok(block(&view, &definition, &indexes))
    };
    let read = read.await;
    session::end(client, read).await
}

/// Materialized views that could be adopted.
///
/// # Errors
/// The connection's.
pub async fn adoptable(client: &Client) -> Result<Vec<ViewName>, ViewsError> {
    Ok(catalog::materialized_views(client).await?.into_iter().map(|view| view.name).collect())
}

/// The declaration of a view that is not there yet, as TOML to be added to the configuration.
#[must_use]
pub fn declaration(name: &ViewName, sql: &str, unique_key: &[String], schedule: &Schedule) -> String {
    let mut lines = start(name, sql);
    if !unique_key.is_empty() {
        lines.push(format!("unique_key = {}", list(unique_key)));
    }
    lines.push(format!("schedule = {}", basic(&schedule.to_string())));
    lines.join("\n") + "\n"
}

fn start(name: &ViewName, sql: &str) -> Vec<String> {
    // Between ''' everything stands for itself.
    let is_plain = !sql.contains("'''") && !sql.ends_with('\'') && !sql.chars().any(is_unusual);
    let text = if is_plain { format!("'''\n{sql}'''") } else { basic(sql) };
    vec!["[[views]]".to_owned(), format!("name = {}", basic(&name.to_string())), format!("sql = {text}")]
}

fn block(view: &Relation, sql: &str, indexes: &[Index]) -> String {
    let mut lines = start(&view.name, sql);
    let key = indexes.iter().find(|index| index.identifies_rows());
    if let Some(key) = key {
        lines.push(format!("unique_key = {}", list(&key.columns)));
    }
    let is_key = |index: &Index| key.is_some_and(|key| key.name == index.name);
    let is_plain = |index: &Index| index.is_btree && !index.is_unique && !index.is_partial && index.is_usable;
    let (plain, special): (Vec<&Index>, Vec<&Index>) =
        indexes.iter().filter(|index| !is_key(index)).partition(|index| is_plain(index));
    if !plain.is_empty() {
        let keys: Vec<String> = plain.iter().map(|index| index.keys.join(", ")).collect();
        lines.push(format!("indexes = {}", list(&keys)));
    }
    // What cannot be declared stays with the view all the same, also when it changes.
    lines.extend(
        special.iter().map(|index| format!("# kept as it is: {}", index.definition.replace('\n', " "))),
    );
    lines.push("# schedule = \"1h\"                 # or a cron pattern, as \"0 3 * * *\"".to_owned());
    lines.push("# staleness = { age_max = \"2h\" }  # or changes_max = 10000, or both".to_owned());
    lines.join("\n") + "\n"
}

fn is_unusual(letter: char) -> bool {
    letter.is_control() && letter != '\n' && letter != '\t'
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| basic(text)).collect::<Vec<_>>().join(", "))
}

/// A string of TOML in which nothing is taken for anything else.
fn basic(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            letter if letter.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(letter))),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::Declarations;

    #[test]
    fn a_block_is_read_back() {
        for sql in ["SELECT 1", "SELECT 'it''s'", "SELECT '\\', '\"', E'\u{1}'", "SELECT\n  '''x'''"] {
            let view = Relation {
                oid: 1,
                name: ViewName::from_catalog("My \"Shop\"", "v"),
                kind: "m".to_owned(),
                is_populated: true,
                owner: "x".to_owned(),
                comment: None,
                is_ours: true,
                bytes: 0,
            };
            let read = Declarations::from_toml(&block(&view, sql, &[])).unwrap();
            assert_eq!(read.views()[0].sql, sql);
            assert_eq!(read.views()[0].name, view.name);
            let (key, every) = (["a\"b".to_owned()], Schedule::parse("15m").unwrap());
            let read = Declarations::from_toml(&declaration(&view.name, sql, &key, &every)).unwrap();
            let declared = &read.views()[0];
            assert_eq!((declared.sql.as_str(), &declared.unique_key[..]), (sql, &key[..]));
            assert_eq!((&declared.name, &declared.schedule), (&view.name, &Some(every)));
        }
    }
}
