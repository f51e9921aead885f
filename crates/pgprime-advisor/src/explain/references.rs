//! What a stored expression refers to.
//!
//! Views, policies and checks are stored as trees in a text form in which every reference is a number behind the name of
//! its field: `{FUNCEXPR :funcid 1598 …}`. Names in it have their spaces escaped, so that they cannot hide a reference; at
//! worst one looks like a reference that is not there.

use std::collections::BTreeSet;

const RELATIONS: &[&str] = &[":relid "];
const FUNCTIONS: &[&str] =
    &[":funcid ", ":aggfnoid ", ":winfnoid ", ":tsmhandler ", ":startInRangeFunc ", ":endInRangeFunc "];
const OPERATORS: &[&str] = &[":opno ", ":eqop ", ":sortop ", ":opnos (o "];
const TYPES: &[&str] = &[":resulttype ", ":typid "];
/// Nodes that run the functions of the type that they result in.
const CONVERSIONS: &[&str] = &["{COERCETODOMAIN", "{COERCEVIAIO", "{JSON"];

/// Numbers (OIDs) of what expressions refer to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct References {
    pub(super) relations: BTreeSet<u32>,
    pub(super) functions: BTreeSet<u32>,
    pub(super) operators: BTreeSet<u32>,
    pub(super) types: BTreeSet<u32>,
}

impl References {
    /// Adds what a tree refers to.
    pub(super) fn add(&mut self, tree: &str) {
        let gather = |into: &mut BTreeSet<u32>, fields: &[&str]| {
            fields.iter().for_each(|field| into.extend(numbers(tree, field)));
        };
        gather(&mut self.relations, RELATIONS);
        gather(&mut self.functions, FUNCTIONS);
        gather(&mut self.operators, OPERATORS);
        if CONVERSIONS.iter().any(|node| tree.contains(node)) {
            gather(&mut self.types, TYPES);
        }
    }
}

/// All numbers behind a field, up to the end of its value.
fn numbers(tree: &str, field: &str) -> impl Iterator<Item = u32> {
    tree.split(field).skip(1).flat_map(|after| {
        let value = after.split([':', ')', '}', '{']).next().unwrap_or_default();
        value.split_ascii_whitespace().map_while(|word| word.parse().ok()).filter(|number| *number != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_by_their_fields() {
        let mut found = References::default();
        found.add(
            "({QUERY :rtable ({RANGETBLENTRY :rtekind 0 :relid 16400 :relkind r}) :targetList ({TARGETENTRY :expr \
             {FUNCEXPR :funcid 1598 :funcresulttype 701 :args ({OPEXPR :opno 96 :opfuncid 65}{ROWCOMPAREEXPR :opnos (o \
             97 98) :opfamilies (o 1976)}{COERCETODOMAIN :arg 1 :resulttype 16500 :resulttypmod -1})} :relid 0})",
        );
        assert_eq!(found.relations, [16400].into());
        assert_eq!(found.functions, [1598].into());
        assert_eq!(found.operators, [96, 97, 98].into());
        assert_eq!(found.types, [16500].into());
    }
}
