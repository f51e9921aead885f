//! The trigger on tables.

use std::fmt::Write as _;

use pgprime_client::Error;
use pgprime_client::outside::{self, Watched};
use serde::Serialize;
use tokio_postgres::Client;

use super::done::{Done, named};
use super::options::{Tables, Wish};

/// Which tables say that they are changed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    tables: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    table: String,
    trigger: Trigger,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Trigger {
    Enabled,
    Disabled,
    None,
}

pub(super) async fn carry_out(client: &Client, tables: &Tables) -> Result<Done<Report>, Error> {
    let (named, wish) = (named(client, tables).await?, tables.wish());
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    match wish {
        Wish::Install => drop(outside::install(client, &named).await?),
        Wish::Remove => outside::remove(client, &named).await?,
        Wish::Tell | Wish::Print => {}
    }
    let tables = outside::families(client, &named).await?;
    if wish == Wish::Print {
        return Ok(Done::Sql(outside::triggers_sql(tables.iter().map(String::as_str))));
    }
    Ok(Done::Report(Report::new(tables, &outside::installed(client).await?)))
}

impl Report {
    /// Of these tables; of those with the trigger if none is named.
    fn new(mut tables: Vec<String>, installed: &[Watched]) -> Self {
        if tables.is_empty() {
            tables = installed.iter().map(|watched| watched.table.clone()).collect();
        }
        let line = |table: String| {
            let trigger = match installed.iter().find(|watched| watched.table == table) {
                Some(watched) if watched.is_enabled => Trigger::Enabled,
                Some(_) => Trigger::Disabled,
                None => Trigger::None,
            };
            Line { table, trigger }
        };
        Self { tables: tables.into_iter().map(line).collect() }
    }

    /// Whether all is as it was wished.
    pub(super) fn is_as(&self, wish: Wish) -> bool {
        let expected = if wish == Wish::Remove { Trigger::None } else { Trigger::Enabled };
        self.tables.iter().all(|line| line.trigger == expected)
    }

    pub(super) fn text(&self) -> String {
        if self.tables.is_empty() {
            return "No table says that it is changed; --install makes the trigger that does.\n".to_owned();
        }
        let width = self.tables.iter().map(|line| line.table.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for Line { table, trigger } in &self.tables {
            let said = match trigger {
                Trigger::Enabled => "says when it is changed",
                Trigger::Disabled => "has the trigger, which is disabled",
                Trigger::None => "says nothing",
            };
            let _ = writeln!(text, "{table:width$}  {said}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_tables_are_heard() {
        let installed = [("a", true), ("long.name", false)];
        let installed = installed.map(|(table, is_enabled)| Watched { table: table.to_owned(), is_enabled });
        let report = Report::new(vec!["a".into(), "long.name".into(), "c".into()], &installed);
        let expected = "a          says when it is changed\n\
                        long.name  has the trigger, which is disabled\n\
                        c          says nothing\n";
        assert_eq!(report.text(), expected);
        assert!(!report.is_as(Wish::Install));
        let all = Report::new(Vec::new(), &installed[..1]);
        assert!(all.is_as(Wish::Tell) && !all.is_as(Wish::Remove));
        assert!(Report::new(Vec::new(), &[]).text().starts_with("No table"));
    }
}
