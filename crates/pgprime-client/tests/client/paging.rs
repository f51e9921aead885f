//! Pages by key: each row exactly once, in order.

use pgprime_client::{Access, Direction, Error, Keyset};

use crate::support::{place, run, sqlstate};

const ASCENDING: Direction = Direction::Ascending;
const DESCENDING: Direction = Direction::Descending;

/// All pages, with the sizes asked for.
async fn ids(access: &Access, keyset: &Keyset, between: impl Fn(usize)) -> Vec<i64> {
    let (mut ids, mut cursor, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let page = access.page(keyset, &[&"open"], cursor.as_deref()).await.unwrap();
        assert!(page.rows.len() <= keyset.rows_max() as usize);
        assert!(page.next.is_none() || page.rows.len() == keyset.rows_max() as usize);
        ids.extend(page.rows.iter().map(|row| row.get::<_, i64>("id")));
        between(pages);
        pages += 1;
        match page.next {
            Some(next) => cursor = Some(next),
            None => return ids,
        }
    }
}

const TABLE: &str = "CREATE TABLE quotes (id bigint PRIMARY KEY, status text NOT NULL, price numeric NOT NULL, \
                     at timestamptz NOT NULL, \"odd name\" text NOT NULL); \
                     CREATE INDEX ON quotes (status, price, id); \
                     INSERT INTO quotes SELECT i, CASE WHEN i % 10 = 0 THEN 'closed' ELSE 'open' END, i % 5 + 0.25, \
                     '2026-01-01 00:00:00.123456+00'::timestamptz + (i % 7) * interval '1 microsecond', \
                     chr(224 + i % 3) || '''' || i % 4 FROM generate_series(1, 300) i";
const QUERY: &str = "SELECT id, price, at, \"odd name\" FROM quotes WHERE status = $1";

#[test]
fn all_rows_come_once_and_in_order() {
    run(async {
        let place = place();
        place.psql(TABLE);
        let database = place.connect().await;
        for keys in [
            &[("id", "bigint", ASCENDING)][..],
            &[("id", "bigint", DESCENDING)],
            // Many rows with the same key.
            &[("price", "numeric", ASCENDING), ("id", "bigint", ASCENDING)],
            &[("price", "numeric", DESCENDING), ("id", "bigint", ASCENDING)],
            &[
                ("at", "timestamptz", DESCENDING),
                ("price", "numeric", ASCENDING),
                ("id", "bigint", DESCENDING),
            ],
            &[
                ("odd name", "text", ASCENDING),
                ("at", "timestamp with time zone", ASCENDING),
                ("id", "int8", ASCENDING),
            ],
        ] {
            let order: Vec<String> = keys
                .iter()
                .map(|(name, _, direction)| {
                    format!("\"{name}\" {}", if *direction == ASCENDING { "ASC" } else { "DESC" })
                })
                .collect();
            let sql = format!("{QUERY} ORDER BY {}", order.join(", "));
            let rows = database.main().query(&sql, &[&"open"]).await.unwrap();
            let expected: Vec<i64> = rows.iter().map(|row| row.get("id")).collect();
            assert_eq!(expected.len(), 270);
            for rows_max in [1, 7, 27, 270, 1_000] {
                let keyset =
                    keys.iter().fold(Keyset::new(QUERY, rows_max), |keyset, (name, type_name, direction)| {
                        keyset.key(name, type_name, *direction)
                    });
                if rows_max == 1 && keys.len() > 2 {
                    continue;
                }
                let access = if rows_max % 2 == 0 { database.main() } else { database.read() };
                assert_eq!(ids(&access, &keyset, |_| {}).await, expected, "{order:?} {rows_max}");
            }
        }
    });
}

#[test]
fn what_is_inserted_in_between_moves_no_page() {
    run(async {
        let place = place();
        place.psql(TABLE);
        let database = place.connect().await;
        let keyset = Keyset::new(QUERY, 9).key("price", "numeric", ASCENDING).key("id", "bigint", ASCENDING);
        let found = ids(&database.read(), &keyset, |page| {
            // One before all that is read, and one behind all.
            place.psql(&format!(
                "INSERT INTO quotes VALUES (1000 + {page}, 'open', -1, now(), ''), (2000 + {page}, 'open', 99, now(), '')"
            ));
            if page == 10 {
                place.psql("DELETE FROM quotes WHERE id = 1");
            }
        })
        .await;
        let mut unique = found.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), found.len(), "a row came twice");
        assert_eq!(found.iter().filter(|id| **id <= 300).count(), 270, "a row was left out");
        assert!(found.iter().all(|id| !(1000..2000).contains(id)));
        assert!(found.contains(&2000), "what is inserted ahead is found");
    });
}

#[test]
fn a_cursor_that_is_foreign_or_broken_is_refused() {
    run(async {
        let place = place();
        place.psql(TABLE);
        let database = place.connect().await;
        let (main, open) = (database.main(), "open");
        let two = Keyset::new(QUERY, 5).key("price", "numeric", ASCENDING).key("id", "bigint", ASCENDING);
        let one = Keyset::new(QUERY, 5).key("id", "bigint", ASCENDING);
        let text = Keyset::new(QUERY, 5).key("odd name", "text", ASCENDING);
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&open];
        let cursor = main.page(&two, &parameters, None).await.unwrap().next.unwrap();
        for broken in [cursor.as_str(), "", "%", "AAAA", &cursor[..cursor.len() / 2], &"A".repeat(100_000)] {
            let error = main.page(&one, &parameters, Some(broken)).await.unwrap_err();
            assert!(matches!(&error, Error::Cursor), "{error}");
        }
        // As many keys, but others: the database refuses the value, and nothing else happens.
        let foreign = main.page(&text, &parameters, None).await.unwrap().next.unwrap();
        let outcome = main.page(&one, &parameters, Some(&foreign)).await;
        assert_eq!(sqlstate(outcome), "22P02");
        // A key that is null cannot be continued from.
        let null = Keyset::new("SELECT NULL::bigint AS id FROM generate_series(1, 9) WHERE $1 <> ''", 5);
        let error = main.page(&null.key("id", "bigint", ASCENDING), &parameters, None).await.unwrap_err();
        assert!(error.to_string().contains("NOT NULL"), "{error}");
        let keyless = Keyset::new(QUERY, 5);
        assert!(
            main.page(&keyless, &parameters, None)
                .await
                .unwrap_err()
                .to_string()
                .contains("at least one key")
        );
    });
}
