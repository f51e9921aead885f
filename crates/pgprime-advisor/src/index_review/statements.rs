//! Statements about indexes, and what takes them back.

use super::catalog::Index;
use crate::space::Remedy;

/// The longest name that PostgreSQL keeps, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// Drops an index without keeping anybody waiting, where that is possible.
pub(super) fn drop(index: &Index) -> Remedy {
    drop_named(&index.qualified, index.is_partitioned)
}

pub(super) fn drop_named(qualified: &str, is_partitioned: bool) -> Remedy {
    if is_partitioned {
        let remedy = Remedy::new(
            format!("DROP INDEX {qualified};"),
            "ACCESS EXCLUSIVE on the table and its partitions",
            "every read and write of the table, for a moment",
        );
        return remedy.noting("a partitioned index cannot be dropped concurrently; set lock_timeout before");
    }
    Remedy::quiet(format!("DROP INDEX CONCURRENTLY {qualified};"))
        .noting("waits for transactions that may still use it; not within a transaction")
}

/// Rows that are there twice where a unique index on `keys` is to be: while there are any, its build fails. Names and
/// expressions as SQL writes them.
#[must_use]
pub fn duplicates(table: &str, keys: &[String], predicate: Option<&str>, nulls_not_distinct: bool) -> String {
    let all = keys.join(", ");
    let mut conditions: Vec<String> =
        predicate.map(|predicate| format!("({predicate})")).into_iter().collect();
    if !nulls_not_distinct {
        conditions.extend(keys.iter().map(|key| format!("{key} IS NOT NULL")));
    }
    let conditions = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    let places: Vec<String> = (1..=keys.len()).map(|place| place.to_string()).collect();
    format!(
        "SELECT {all}, count(*) FROM {table}{conditions} GROUP BY {} HAVING count(*) > 1 LIMIT 20;",
        places.join(", ")
    )
}

/// Builds the index again as it was.
pub(super) fn create_again(index: &Index) -> Option<Remedy> {
    let unique = if index.is_unique { "UNIQUE " } else { "" };
    let rest = index.definition.strip_prefix(&format!("CREATE {unique}INDEX {} ON ", index.quoted))?;
    if index.is_partitioned {
        let rest = rest.strip_prefix("ONLY ").unwrap_or(rest);
        return Some(create_blocking(&format!("CREATE {unique}INDEX {} ON {rest};", index.quoted)));
    }
    Some(create_quietly(&format!("CREATE {unique}INDEX CONCURRENTLY {} ON {rest};", index.quoted)))
}

fn create_quietly(statement: &str) -> Remedy {
    Remedy::quiet(statement.to_owned())
        .noting("reads the table twice; not within a transaction; if it fails, drop what it left")
}

/// On a partitioned table, where there is no other way in one statement.
fn create_blocking(statement: &str) -> Remedy {
    let blocks = "every write of the table and its partitions until it is done";
    let note = "to let writes pass: CREATE INDEX … ON ONLY the table, then CONCURRENTLY on each partition, then ALTER \
                INDEX … ATTACH PARTITION";
    Remedy::new(statement.to_owned(), "SHARE", blocks).noting(note)
}

/// An index on these columns under a name that nobody has, and that name with its schema.
pub(super) fn create(table: &str, is_partitioned: bool, name: &str, columns_quoted: &[String]) -> Remedy {
    let (name, columns) = (quoted(name), columns_quoted.join(", "));
    if is_partitioned {
        return create_blocking(&format!("CREATE INDEX {name} ON {table} ({columns});"));
    }
    create_quietly(&format!("CREATE INDEX CONCURRENTLY {name} ON {table} ({columns});"))
}

/// A name for an index in the manner of PostgreSQL, short enough, and free.
pub(crate) fn free_name(table: &str, columns: &[String], is_taken: impl Fn(&str) -> bool) -> String {
    let stem = format!("{table}_{}", columns.join("_"));
    let named = |number: usize| {
        let end = if number == 0 { "_idx".to_owned() } else { format!("_idx{number}") };
        let mut stem = stem.as_str();
        while stem.len() + end.len() > NAME_BYTES_MAX {
            stem = stem.char_indices().next_back().map_or("", |(at, _)| &stem[..at]);
        }
        format!("{stem}{end}")
    };
    let mut number = 0;
    while is_taken(&named(number)) {
        number += 1;
    }
    named(number)
}

/// A name as SQL writes it. Names of our own end in `_idx`, so that none of them is a keyword.
pub(crate) fn quoted(name: &str) -> String {
    let is_plain = |(at, letter): (usize, char)| {
        letter.is_ascii_lowercase() || letter == '_' || at > 0 && letter.is_ascii_digit()
    };
    if name.chars().enumerate().all(is_plain) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_free() {
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(free_name("orders", &columns(&["a", "b"]), |_| false), "orders_a_b_idx");
        assert_eq!(free_name("orders", &columns(&["a"]), |name| name == "orders_a_idx"), "orders_a_idx1");
        let long = free_name(&"ü".repeat(40), &columns(&["a"]), |name| !name.ends_with("idx2"));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("_idx2"), "{long}");
        assert_eq!(quoted("orders_a_idx"), "orders_a_idx");
        assert_eq!(quoted("Orders \"x\"_idx"), "\"Orders \"\"x\"\"_idx\"");
    }

    #[test]
    fn what_keeps_a_unique_index_from_being_built() {
        let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            duplicates("public.t", &keys(&["a", "lower(b)"]), Some("c > 0"), false),
            "SELECT a, lower(b), count(*) FROM public.t WHERE (c > 0) AND a IS NOT NULL AND lower(b) IS NOT NULL GROUP BY 1, \
             2 HAVING count(*) > 1 LIMIT 20;"
        );
        assert_eq!(
            duplicates("public.t", &keys(&["a"]), None, true),
            "SELECT a, count(*) FROM public.t GROUP BY 1 HAVING count(*) > 1 LIMIT 20;"
        );
    }

    #[test]
    fn an_index_can_be_built_again() {
        let index = Index {
            quoted: "\"a ON b\"".to_owned(),
            definition: "CREATE UNIQUE INDEX \"a ON b\" ON public.t USING btree (a)".to_owned(),
            is_unique: true,
            ..Index::default()
        };
        let again = create_again(&index).map(|remedy| remedy.statement);
        let expected = "CREATE UNIQUE INDEX CONCURRENTLY \"a ON b\" ON public.t USING btree (a);";
        assert_eq!(again.as_deref(), Some(expected));
        let partitioned = Index {
            quoted: "p".to_owned(),
            definition: "CREATE INDEX p ON ONLY public.t USING btree (a)".to_owned(),
            is_partitioned: true,
            ..Index::default()
        };
        let again = create_again(&partitioned).map(|remedy| remedy.statement);
        assert_eq!(again.as_deref(), Some("CREATE INDEX p ON public.t USING btree (a);"));
    }
}
