//! Values and errors of kept rows are those of the driver's rows.

use pgprime_client::types::{FromSql, ToSql, Type};
use pgprime_client::{CachedSource, Error};

use crate::cached::{config, fetch};
use crate::support::{Place, connect, place, run, sqlstate};

/// A value as it was sent, with its type.
#[derive(Debug, PartialEq)]
struct Raw(Type, Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(type_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(type_.clone(), raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// An enumeration, as derived implementations read it.
#[derive(Debug, PartialEq, Clone, Copy)]
enum Mood {
    Low,
    High,
}

impl<'a> FromSql<'a> for Mood {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        match raw {
            b"low" => Ok(Self::Low),
            b"high" => Ok(Self::High),
            _ => Err("no such label".into()),
        }
    }

    fn accepts(type_: &Type) -> bool {
        type_.name() == "mood"
            && matches!(type_.kind(), pgprime_client::types::Kind::Enum(labels) if labels.len() == 2)
    }
}

fn with_types() -> Place {
    let place = place();
    place.psql(
        "CREATE TYPE mood AS ENUM ('low', 'high'); CREATE DOMAIN amount AS numeric CHECK (VALUE >= 0); \
         CREATE DOMAIN temper AS mood; CREATE TYPE pair AS (a int, b text); \
         CREATE TYPE moods AS RANGE (subtype = mood); \
         CREATE TABLE things (n int, mood mood, moods mood[], temper temper, amount amount, amounts amount[], \
             price numeric(12, 2), document jsonb, key uuid, at timestamptz, day date, took interval, raw bytea, \
             names text[], grid int[][], span int4range, address inet, flag bool, ratio float8, code char(3), none text); \
         INSERT INTO things SELECT 1, 'high', '{low,NULL,high}', 'low', 1.5, '{1.5,2.5}', 1234.50, '{\"a\": [1, null]}', \
             '6f1ed002-ab5d-4b5b-8f1f-5f6d3c6f0001', '2026-02-03 04:05:06.789+02', '2026-02-03', '1 day 02:03', '\\x00ff', \
             '{a,\"b c\",NULL}', '{{1,2},{3,4}}', '[1,5)', '10.0.0.0/8', true, 'NaN', 'ab', NULL; \
         INSERT INTO things (n) VALUES (2);",
    );
    place
}

#[test]
fn all_types_are_as_the_database_gives_them() {
    run(async {
        let place = with_types();
        let database = connect(config(&place)).await;
        let sql = "SELECT * FROM things ORDER BY n";
        let direct = database.main().query(sql, &[]).await.unwrap();
        for expected in [CachedSource::Filled, CachedSource::Memory, CachedSource::Memory] {
            let rows = fetch(&database, sql).await;
            assert_eq!((rows.source(), rows.not_kept(), rows.len()), (expected, None, 2));
            for (cached, direct) in rows.iter().zip(&direct) {
                assert_eq!(cached.len(), direct.len());
                for (position, column) in direct.columns().iter().enumerate() {
                    let found = &cached.columns()[position];
                    assert_eq!((found.name(), found.type_()), (column.name(), column.type_()));
                    assert_eq!(found.type_().kind(), column.type_().kind(), "{}", column.name());
                    let expected = direct.get::<_, Option<Raw>>(position);
                    assert_eq!(cached.get::<_, Option<Raw>>(position), expected, "{}", column.name());
                    assert_eq!(cached.get::<_, Option<Raw>>(column.name()), expected);
                }
            }
            let row = rows.row(0).unwrap();
            assert_eq!(row.get::<_, Mood>("mood"), Mood::High);
            assert_eq!(row.get::<_, Vec<Option<Mood>>>("moods"), [Some(Mood::Low), None, Some(Mood::High)]);
            assert_eq!(row.get::<_, Vec<Option<&str>>>("names"), [Some("a"), Some("b c"), None]);
            assert_eq!(row.get::<_, &[u8]>("raw"), [0, 255]);
            assert_eq!(row.get::<_, Option<i32>>("N"), Some(1), "names are found whatever their case");
            assert_eq!(rows.row(1).unwrap().get::<_, Option<Mood>>("mood"), None);
        }
    });
}

#[test]
fn errors_are_those_of_the_drivers_rows() {
    run(async {
        let place = with_types();
        let database = connect(config(&place)).await;
        let sql = "SELECT n, none, mood FROM things WHERE n = 1";
        let direct = database.main().query_one(sql, &[]).await.unwrap();
        for _ in 0..2 {
            let cached = database.cached(sql, &[]).fetch_one().await.unwrap();
            let pairs = [
                (cached.try_get::<_, i64>(0).map(drop), direct.try_get::<_, i64>(0).map(drop)),
                (cached.try_get::<_, String>(1).map(drop), direct.try_get::<_, String>(1).map(drop)),
                (cached.try_get::<_, i32>(7).map(drop), direct.try_get::<_, i32>(7).map(drop)),
                (cached.try_get::<_, i32>("gone").map(drop), direct.try_get::<_, i32>("gone").map(drop)),
                (
                    cached.try_get::<_, String>("mood").map(drop),
                    direct.try_get::<_, String>("mood").map(drop),
                ),
            ];
            for (cached, direct) in pairs {
                let (cached, direct) = (cached.unwrap_err(), Error::from(direct.unwrap_err()));
                assert_eq!(cached.to_string(), direct.to_string());
                assert_eq!((cached.sqlstate(), cached.step()), (direct.sqlstate(), direct.step()));
                assert!(!cached.is_connection_lost() && !cached.is_retryable());
                assert_eq!(causes(&cached), causes(&direct));
            }
        }
    });
}

/// The texts of an error's causes, without the library's own.
fn causes(error: &Error) -> Vec<String> {
    let first = std::error::Error::source(error);
    let causes = std::iter::successors(first, |cause| std::error::Error::source(*cause));
    causes.map(ToString::to_string).collect()
}

#[test]
fn types_made_of_parts_are_run_and_it_is_said_what_to_do() {
    run(async {
        let place = with_types();
        let database = connect(config(&place)).await;
        for (sql, type_) in [
            ("SELECT n, (n, 'x')::pair AS it FROM things WHERE n = 1", "public.pair"),
            ("SELECT n, ARRAY[(n, 'x')::pair] AS it FROM things WHERE n = 1", "public._pair"),
            ("SELECT n, moods('low', 'high') AS it FROM things WHERE n = 1", "public.moods"),
            ("SELECT n, NULL::pair AS it FROM things WHERE n = 3", "public.pair"),
        ] {
            for _ in 0..2 {
                let rows = fetch(&database, sql).await;
                let reason = rows.not_kept().unwrap_or_default();
                assert!(reason.contains("\"it\"") && reason.contains(type_), "{sql}: {reason}");
                assert_eq!(rows.source(), CachedSource::NotKept);
                if let Some(row) = rows.row(0) {
                    assert_eq!(row.get::<_, i32>("n"), 1);
                    let direct = database.main().query_one(sql, &[]).await.unwrap();
                    assert_eq!(row.get::<_, Raw>("it"), direct.get::<_, Raw>("it"));
                }
            }
        }
        let rows = fetch(&database, "SELECT ((n, 'x')::pair)::text AS it FROM things WHERE n = 1").await;
        assert_eq!((rows.not_kept(), rows.row(0).unwrap().get::<_, &str>(0)), (None, "(1,x)"));
        assert_eq!(database.report().cache.unwrap().refusals.len(), 4);
    });
}

#[test]
fn parameters_of_all_types_make_their_own_results() {
    run(async {
        let place = with_types();
        let database = connect(config(&place)).await;
        let read = async |sql: &str, parameters: &[&(dyn ToSql + Sync)]| {
            let row = database.cached(sql, parameters).fetch_one().await.unwrap();
            row.get::<_, Option<String>>(0)
        };
        for _ in 0..2 {
            assert_eq!(read("SELECT $1::int8::text", &[&1_i64]).await.as_deref(), Some("1"));
            assert_eq!(read("SELECT $1::int8::text", &[&2_i64]).await.as_deref(), Some("2"));
            assert_eq!(read("SELECT $1::int8::text", &[&None::<i64>]).await, None);
            assert_eq!(read("SELECT $1::text", &[&""]).await.as_deref(), Some(""));
            assert_eq!(read("SELECT $1::text", &[&None::<&str>]).await, None);
            assert_eq!(read("SELECT $1::text || $2::text", &[&"a", &"bc"]).await.as_deref(), Some("abc"));
            assert_eq!(
                read("SELECT concat($1::text, '-', $2::text)", &[&"a", &"bc"]).await.as_deref(),
                Some("a-bc")
            );
            assert_eq!(
                read("SELECT concat($1::text, '-', $2::text)", &[&"ab", &"c"]).await.as_deref(),
                Some("ab-c")
            );
            let names = vec!["x", "y"];
            assert_eq!(read("SELECT $1::text[]::text", &[&names]).await.as_deref(), Some("{x,y}"));
        }
        let outcome = database.cached("SELECT n::text FROM things WHERE mood = $1", &[&"high"]).await;
        assert_eq!(sqlstate(outcome), "42804", "as with query()");
    });
}
