//! The publication.

use std::fmt::Write as _;

use pgprime_client::Error;
use pgprime_client::outside::{self, Columns, Need, Published};
use serde::Serialize;
use tokio_postgres::Client;

use super::done::{Done, named};
use super::options::{Publication, Wish};

/// Which tables are published, and what is missing for hearing them.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    tables: Vec<Line>,
    needs: Vec<String>,
    /// Whether nothing can be heard as things are.
    #[serde(skip)]
    is_hopeless: bool,
}

#[derive(Debug, Serialize)]
struct Line {
    table: String,
    is_published: bool,
    /// Whether it can be published, and is, if it is, as it should be.
    is_usable: bool,
    trouble: Option<String>,
}

pub(super) async fn carry_out(client: &Client, asked: &Publication) -> Result<Done<Report>, Error> {
    let named = named(client, &asked.tables).await?;
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let columns = if asked.keys_only { Columns::Key } else { Columns::All };
    let published = match asked.tables.wish() {
        Wish::Print => return Ok(Done::Sql(outside::publication_sql(client, &named, columns).await?)),
        Wish::Install => outside::publish(client, &named, columns).await?,
        wish @ (Wish::Remove | Wish::Tell) => {
            if wish == Wish::Remove {
                outside::unpublish(client, &named).await?;
            }
            outside::published(client, &outside::families(client, &named).await?).await?
        }
    };
    Ok(Done::Report(Report::new(published, &outside::publication_needs(client).await?)))
}

impl Report {
    fn new(published: Vec<Published>, needs: &[Need]) -> Self {
        let line = |Published { table, is_published, unfit }: Published| Line {
            table,
            is_published,
            is_usable: unfit.is_none(),
            trouble: unfit.map(|unfit| unfit.to_string()),
        };
        let is_hopeless = needs.iter().any(|need| matches!(need, Need::WalLevel(_)));
        let tables = published.into_iter().map(line).collect();
        Self { tables, needs: needs.iter().map(Need::to_string).collect(), is_hopeless }
    }

    /// Whether all is as it was wished. Slots may be taken by those who listen already, and another role may be theirs.
    pub(super) fn is_as(&self, wish: Wish) -> bool {
        let is_hopeless = self.is_hopeless && !self.tables.is_empty();
        match wish {
            Wish::Remove => self.tables.iter().all(|line| !line.is_published),
            _ => !is_hopeless && self.tables.iter().all(|line| line.is_published && line.is_usable),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if self.tables.is_empty() {
            text.push_str("No table is published; --install makes the publication.\n");
        }
        let width = self.tables.iter().map(|line| line.table.chars().count()).max().unwrap_or(0);
        for Line { table, is_published, trouble, .. } in &self.tables {
            let said = match (is_published, trouble) {
                (true, None) => "is published".to_owned(),
                (true, Some(trouble)) => format!("is published, but {trouble}"),
                (false, None) => "is not published".to_owned(),
                (false, Some(trouble)) => format!("is not published: {trouble}"),
            };
            let _ = writeln!(text, "{table:width$}  {said}");
        }
        for need in &self.needs {
            let _ = writeln!(text, "To be heard: {need}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use pgprime_client::outside::Unfit;

    use super::*;

    fn published(table: &str, is_published: bool, unfit: Option<Unfit>) -> Published {
        Published { table: table.to_owned(), is_published, unfit }
    }

    #[test]
    fn it_says_which_tables_are_published_and_what_is_wrong() {
        let gone = Unfit::NoIdentity { is_partitioned: false, is_published: true };
        let report = Report::new(
            vec![
                published("a", true, None),
                published("long.name", true, Some(gone)),
                published("c", false, None),
                published("d", false, Some(Unfit::Unlogged)),
            ],
            &[Need::Slots],
        );
        let expected = "a          is published\n\
                        long.name  is published, but it has no replica identity any more, so its UPDATE and DELETE fail; \
                        add a primary key, or take it out with --remove\n\
                        c          is not published\n\
                        d          is not published: it is unlogged, so nothing of it is published; use the trigger\n\
                        To be heard: all replication slots are taken: raise max_replication_slots by one for each instance\n";
        assert_eq!(report.text(), expected);
        assert!(!report.is_as(Wish::Install) && !report.is_as(Wish::Remove));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (&json["tables"][1]["is_usable"], &json["tables"][0]["is_usable"]),
            (&false.into(), &true.into())
        );
    }

    #[test]
    fn what_is_well() {
        let one = |is_published, needs: &[Need]| Report::new(vec![published("a", is_published, None)], needs);
        let level = || Need::WalLevel("replica".to_owned());
        for (report, wish, expected) in [
            (one(true, &[]), Wish::Tell, true),
            (one(true, &[Need::Slots, Need::Role("r".to_owned())]), Wish::Install, true),
            (one(true, &[level()]), Wish::Tell, false),
            (one(false, &[]), Wish::Tell, false),
            (one(false, &[level()]), Wish::Remove, true),
            (Report::new(Vec::new(), &[level()]), Wish::Tell, true),
        ] {
            assert_eq!(report.is_as(wish), expected, "{report:?} {wish:?}");
        }
        assert!(Report::new(Vec::new(), &[]).text().starts_with("No table is published"));
    }
}
