//! Texts of all kinds, read.

use pgprime_sql::{PlpgsqlBody, Tree, with_statements};

use crate::uses::Uses;
use crate::utility::around_bound;
use crate::walk::Walk;

/// Statements, any number of them.
pub(crate) fn statements(text: &str) -> Uses {
    read(text, |walk, tree| walk.statement(tree))
}

/// The actions of a rule, from its definition.
pub(crate) fn rule(definition: &str) -> Uses {
    read(definition, |walk, tree| walk.rule(tree))
}

/// The body of a function in SQL that is bound to what it names.
pub(crate) fn bound(body: &str) -> Uses {
    read(&around_bound(body), |walk, tree| walk.bound(tree))
}

/// The body of a PL/pgSQL function or procedure.
pub(crate) fn plpgsql(arguments: &str, result: Option<&str>, body: &str) -> Uses {
    let mut uses = Uses::default();
    add_plpgsql(&mut uses, arguments, result, body);
    add_blocks(&mut uses);
    uses
}

/// A text that is not there to be read.
pub(crate) fn nothing(why: &str) -> Uses {
    Uses { unparsed: Some(why.to_owned()), ..Uses::default() }
}

fn read(text: &str, each: fn(&mut Walk<'_>, &Tree)) -> Uses {
    let mut uses = Uses::default();
    add(&mut uses, text, each);
    add_blocks(&mut uses);
    uses
}

fn add(uses: &mut Uses, text: &str, each: fn(&mut Walk<'_>, &Tree)) {
    let walked = with_statements(text, |trees| {
        let mut walk = Walk::new(uses);
        trees.iter().for_each(|tree| each(&mut walk, tree));
    });
    if let Err(error) = walked {
        uses.unparsed.get_or_insert(error.to_string());
    }
}

/// DO within DO comes out of it layer by layer; each is shorter than the one around it.
fn add_blocks(uses: &mut Uses) {
    let (statements, is_query) = (uses.statements, uses.is_query);
    while let Some(body) = uses.blocks.pop() {
        add_plpgsql(uses, "", None, &body);
        (uses.statements, uses.is_query) = (statements, is_query);
    }
}

fn add_plpgsql(uses: &mut Uses, arguments: &str, result: Option<&str>, body: &str) {
    match PlpgsqlBody::parse(arguments, result, body) {
        Ok(body) => {
            uses.is_dynamic |= body.is_dynamic;
            uses.controls |= body.ends_transactions;
            add(uses, &body.statements.join("\n;\n"), |walk, tree| walk.statement(tree));
        }
        Err(error) => drop(uses.unparsed.get_or_insert(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uses::{Extent, Name};

    #[test]
    fn knows_the_parsers_numbers() {
        let view = statements("CREATE MATERIALIZED VIEW v AS SELECT 1");
        assert!(view.anything.is_some() && view.created.is_empty(), "{view:?}");
        let table = statements("CREATE TABLE t AS SELECT 1");
        assert!(table.anything.is_none() && table.created.len() == 1, "{table:?}");
        assert!(statements("COMMIT PREPARED 'a'").anything.is_some());
        assert!(statements("ROLLBACK PREPARED 'a'").anything.is_some());
        assert!(statements("COMMIT").anything.is_none());
        assert!(statements("RESET ALL").changes_session);
        assert!(!statements("RESET work_mem").changes_session);
    }

    #[test]
    fn what_makes_functions_and_rules_is_not_what_they_do() {
        for text in
            ["CREATE FUNCTION bound() RETURNS int RETURN 1", "CREATE RULE r AS ON UPDATE TO t DO NOTHING"]
        {
            assert!(statements(text).changes_definitions, "{text}");
        }
    }

    #[test]
    fn reads_bound_bodies() {
        for body in ["RETURN (SELECT a FROM s.t)", "BEGIN ATOMIC\n SELECT 1;\n SELECT a FROM s.t;\nEND"] {
            let uses = bound(body);
            let name = Name { schema: Some("s".to_owned()), name: "t".to_owned() };
            assert!(uses.reads.contains(&(name, Extent::Whole)), "{uses:?}");
            assert!(uses.anything.is_none(), "{uses:?}");
        }
    }
}
