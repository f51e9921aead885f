//! Indexes that a failed build left behind. Pure.

use super::catalog::Index;
use super::finding::{Confidence, IndexFinding, IndexProblem};
use super::statements;
use crate::space::{Remedy, Severity};

/// What is to be said of an index that no query may use.
pub(super) fn invalid(index: &Index) -> Option<IndexFinding> {
    if index.is_usable() {
        return None;
    }
    let cost = if index.is_ready { "every write keeps it up" } else { "no write keeps it up" };
    let mut finding = IndexFinding {
        problem: IndexProblem::Invalid,
        severity: Severity::Warning,
        confidence: Confidence::High,
        index: Some(index.qualified.clone()),
        table: index.table.clone(),
        covered_by: None,
        reason: format!("Its build did not end: {cost}, and no query uses it."),
        remedies: Vec::new(),
        undo: None,
        freed_bytes: None,
        scans: Some(index.scans),
    };
    if index.is_partitioned {
        finding.reason =
            "A partition lacks its part of this index: create it there and ALTER INDEX … ATTACH PARTITION."
                .to_owned();
        finding.severity = Severity::Info;
        return Some(finding);
    }
    if index.may_be_building {
        finding.reason =
            "It is not valid yet; somebody is working on its table and may be building it now.".to_owned();
        finding.severity = Severity::Info;
        finding.confidence = Confidence::Low;
        return Some(finding);
    }
    // A leftover of building another one anew; that one is still there.
    if is_leftover(&index.name) {
        finding.reason += " It is a leftover of REINDEX CONCURRENTLY.";
        finding.freed_bytes = Some(index.bytes);
        finding.remedies = vec![statements::drop(index)];
        return Some(finding);
    }
    if index.is_unique {
        finding.reason += " A unique index is not built where rows are there twice.";
        finding.remedies.push(look_for_duplicates(index));
    }
    finding.remedies.push(Remedy::reindex(&index.qualified));
    if !index.is_bound() {
        finding.remedies.push(statements::drop(index));
    }
    Some(finding)
}

fn look_for_duplicates(index: &Index) -> Remedy {
    let keys = index.columns.get(..index.key_columns).unwrap_or(&index.columns);
    let statement =
        statements::duplicates(&index.table, keys, index.predicate.as_deref(), index.nulls_not_distinct);
    Remedy::query(statement)
        .noting("reads the table; put right what it finds before anything else, or the build fails again")
}

/// Whether PostgreSQL gave it its name, quoted or not, while it built another one anew.
#[must_use]
pub fn is_leftover(name: &str) -> bool {
    let stem = name.trim_end_matches('"').trim_end_matches(|letter: char| letter.is_ascii_digit());
    stem.ends_with("_ccnew") || stem.ends_with("_ccold")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_depends_on_where_it_comes_from() {
        let index = |name: &str| Index {
            name: name.to_owned(),
            qualified: format!("public.{name}"),
            is_ready: true,
            ..Index::default()
        };
        let first = |index: &Index| {
            invalid(index).and_then(|finding| Some(finding.remedies.first()?.statement.clone()))
        };
        for name in ["t_a_idx_ccnew", "t_a_idx_ccnew12", "t_a_idx_ccold"] {
            assert_eq!(first(&index(name)), Some(format!("DROP INDEX CONCURRENTLY public.{name};")));
        }
        assert_eq!(first(&index("t_a_idx")).as_deref(), Some("REINDEX INDEX CONCURRENTLY public.t_a_idx;"));
        let unique = Index {
            is_unique: true,
            table: "public.t".to_owned(),
            columns: vec!["a".to_owned(), "included".to_owned()],
            key_columns: 1,
            ..index("t_a_idx")
        };
        let statements: Vec<String> = invalid(&unique)
            .map(|finding| finding.remedies.into_iter().map(|remedy| remedy.statement).collect())
            .unwrap_or_default();
        assert_eq!(
            statements,
            [
                "SELECT a, count(*) FROM public.t WHERE a IS NOT NULL GROUP BY 1 HAVING count(*) > 1 LIMIT 20;",
                "REINDEX INDEX CONCURRENTLY public.t_a_idx;",
                "DROP INDEX CONCURRENTLY public.t_a_idx;",
            ]
        );
        assert!(is_leftover(r#""T_ccnew3""#) && !is_leftover("t_ccnewer"));
        let building = Index { may_be_building: true, ..index("t_a_idx") };
        assert_eq!(first(&building), None);
        assert_eq!(invalid(&building).map(|finding| finding.severity), Some(Severity::Info));
        assert_eq!(invalid(&Index { is_valid: true, ..index("a") }), None);
    }
}
