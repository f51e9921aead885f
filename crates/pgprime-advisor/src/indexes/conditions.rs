//! What a statement demands of the rows of a table.

use pg_query::protobuf::{AExprKind, BoolExprType, BoolTestType, NullTestType};

use super::expression::constant;
use super::table_use::{Condition, ConditionKind, Constant, Item};
use super::uses::Walk;
use crate::sql::{Node, Tree};

/// The shortest piece of a pattern that trigrams narrow down.
const TRIGRAM_CHARACTERS_MIN: usize = 3;

impl Walk<'_> {
    /// A condition that all rows have to fulfil.
    pub(super) fn holds(&mut self, tree: &Tree) {
        self.mark(tree);
        self.condition(tree, false);
    }

    pub(super) fn add_join(&mut self, table_use: usize, item: Item, other: usize) {
        self.add(table_use, Condition { item, kind: ConditionKind::Join(other) }, false);
    }

    fn add(&mut self, table_use: usize, condition: Condition, is_alternative: bool) {
        let Some(table_use) = self.uses.tables.get_mut(table_use) else { return };
        let list = if is_alternative { &mut table_use.alternatives } else { &mut table_use.conditions };
        if !list.contains(&condition) {
            list.push(condition);
        }
    }

    fn condition(&mut self, tree: &Tree, is_alternative: bool) {
        let Some(node) = tree.node() else { return };
        match node.name {
            "BoolExpr" => {
                let kind = node.number("boolop");
                if kind == BoolExprType::AndExpr as i64 {
                    node.list("args").iter().for_each(|argument| self.condition(argument, is_alternative));
                } else if kind == BoolExprType::OrExpr as i64 {
                    node.list("args").iter().for_each(|argument| self.condition(argument, true));
                } else if let [argument] = node.list("args") {
                    self.is_bool(argument, false, is_alternative);
                }
            }
            "AExpr" => self.comparison(node, is_alternative),
            "ColumnRef" => self.is_bool(tree, true, is_alternative),
            "NullTest" => {
                let is_null = node.number("nulltesttype") == NullTestType::IsNull as i64;
                let kind = if is_null { ConditionKind::IsNull } else { ConditionKind::IsNotNull };
                self.demand(node.field("arg"), kind, is_alternative);
            }
            "BooleanTest" => match node.number("booltesttype") {
                kind if kind == BoolTestType::IsTrue as i64 => {
                    self.is_bool(node.field("arg"), true, is_alternative)
                }
                kind if kind == BoolTestType::IsFalse as i64 => {
                    self.is_bool(node.field("arg"), false, is_alternative)
                }
                _ => {}
            },
            _ => {}
        }
    }

    fn demand(&mut self, tree: &Tree, kind: ConditionKind, is_alternative: bool) {
        if let Some((table_use, item)) = self.item(tree) {
            self.add(table_use, Condition { item, kind }, is_alternative);
        }
    }

    /// A boolean column by itself.
    fn is_bool(&mut self, tree: &Tree, wanted: bool, is_alternative: bool) {
        if tree.node().is_none_or(|node| node.name != "ColumnRef") {
            return;
        }
        let (value, sql) = if wanted { ("t", "true") } else { ("f", "false") };
        let constant = Constant { value: value.to_owned(), sql: sql.to_owned() };
        self.demand(tree, ConditionKind::Equal(Some(constant)), is_alternative);
    }

    fn comparison(&mut self, node: &Node, is_alternative: bool) {
        let kind = i32::try_from(node.number("kind")).ok().and_then(|kind| AExprKind::try_from(kind).ok());
        let words = node.words("name");
        let operator = words.last().copied().unwrap_or_default();
        let (left, right) = (node.field("lexpr"), node.field("rexpr"));
        match kind {
            Some(AExprKind::AexprOp) => self.operator(operator, left, right, is_alternative),
            Some(AExprKind::AexprIn) if operator == "=" => {
                self.demand(left, ConditionKind::In(right.items().len().max(1)), is_alternative);
            }
            Some(AExprKind::AexprOpAny) if operator == "=" => {
                self.demand(left, ConditionKind::In(LIST_LENGTH), is_alternative);
            }
            Some(AExprKind::AexprBetween) => {
                let bound =
                    |place: usize| right.items().get(place).and_then(constant).map(|constant| constant.value);
                let kind = ConditionKind::Range { low: bound(0), high: bound(1), has_both: true };
                self.demand(left, kind, is_alternative);
            }
            Some(AExprKind::AexprLike) if operator == "~~" => {
                let kind = match constant(right) {
                    Some(pattern) => like(&pattern.value),
                    None => is_parameter(right).then_some(ConditionKind::LikeUnknown),
                };
                if let Some(kind) = kind {
                    self.demand(left, kind, is_alternative);
                }
            }
            Some(AExprKind::AexprIlike) if operator == "~~*" => {
                let is_long = constant(right)
                    .is_some_and(|pattern| longest_piece(&pattern.value) >= TRIGRAM_CHARACTERS_MIN);
                if is_long {
                    self.demand(left, ConditionKind::LikeAnywhere, is_alternative);
                }
            }
            _ => {}
        }
    }

    fn operator(&mut self, operator: &str, left: &Tree, right: &Tree, is_alternative: bool) {
        match operator {
            "=" => self.equality(left, right, is_alternative),
            "<" | "<=" | ">" | ">=" => {
                self.range(left, right, operator.starts_with('<'), is_alternative);
                self.range(right, left, operator.starts_with('>'), is_alternative);
            }
            "@>" | "&&" | "?" | "?|" | "?&" | "@@" | "@?" => self.contains(operator, left, is_alternative),
            "<@" => self.contains("@>", right, is_alternative),
            _ => {}
        }
    }

    fn equality(&mut self, left: &Tree, right: &Tree, is_alternative: bool) {
        match (self.item(left), self.item(right)) {
            (Some((one, _)), Some((other, _))) if one == other => {}
            (Some((one, left)), Some((other, right))) => {
                self.add(one, Condition { item: left, kind: ConditionKind::Join(other) }, is_alternative);
                self.add(other, Condition { item: right, kind: ConditionKind::Join(one) }, is_alternative);
            }
            (Some((one, item)), None) => {
                self.add(one, Condition { item, kind: ConditionKind::Equal(plain(right)) }, is_alternative);
            }
            (None, Some((other, item))) => {
                self.add(other, Condition { item, kind: ConditionKind::Equal(plain(left)) }, is_alternative);
            }
            (None, None) => {}
        }
    }

    /// `column < value` is a range with an upper end.
    fn range(&mut self, column: &Tree, value: &Tree, is_upper: bool, is_alternative: bool) {
        let Some((table_use, item)) = self.item(column) else { return };
        if self.item(value).is_some_and(|(other, _)| other == table_use) {
            return;
        }
        let bound = constant(value).map(|constant| constant.value);
        let (low, high) = if is_upper { (None, bound) } else { (bound, None) };
        let list = self.uses.tables.get_mut(table_use).map(|table_use| &mut table_use.conditions);
        let same = list.into_iter().flatten().find(|condition| {
            condition.item == item && matches!(condition.kind, ConditionKind::Range { has_both: false, .. })
        });
        // Two ends of one range.
        if let (
            false,
            Some(Condition { kind: ConditionKind::Range { low: first, high: last, has_both }, .. }),
        ) = (is_alternative, same)
        {
            (*first, *last, *has_both) = (first.take().or(low), last.take().or(high), true);
            return;
        }
        let kind = ConditionKind::Range { low, high, has_both: false };
        self.add(table_use, Condition { item, kind }, is_alternative);
    }

    fn contains(&mut self, operator: &str, left: &Tree, is_alternative: bool) {
        let Some((table_use, item)) = self.item(left) else { return };
        let relation =
            self.uses.tables.get(table_use).map(|table_use| &self.inventory.relations[table_use.relation]);
        let column = relation.and_then(|relation| relation.column(item.columns.first()?));
        let Some(column) = column else { return };
        let kind = match operator {
            "@@" if item.is_expression && item.sql.contains("to_tsvector(")
                || column.type_name == "tsvector" =>
            {
                ConditionKind::TextSearch
            }
            "@>" | "?" | "?|" | "?&" | "@?" | "@@" if column.type_name == "jsonb" => {
                ConditionKind::Json { operator: operator.to_owned() }
            }
            "@>" | "&&" if column.category == "A" => ConditionKind::Array,
            _ => return,
        };
        self.add(table_use, Condition { item, kind }, is_alternative);
    }
}

/// The length that is assumed of a list given as one value; PostgreSQL assumes the same.
const LIST_LENGTH: usize = 10;

/// A constant that is not cast.
fn plain(tree: &Tree) -> Option<Constant> {
    tree.node().filter(|node| node.name == "AConst")?;
    constant(tree)
}

/// What an index can do for a pattern.
fn is_parameter(tree: &Tree) -> bool {
    tree.node().is_some_and(|node| match node.name {
        "ParamRef" => true,
        "TypeCast" => is_parameter(node.field("arg")),
        _ => false,
    })
}

fn like(pattern: &str) -> Option<ConditionKind> {
    let end = pattern.find(['%', '_', '\\']).unwrap_or(pattern.len());
    match pattern.get(..end) {
        Some(prefix) if !prefix.is_empty() => Some(ConditionKind::LikePrefix(prefix.to_owned())),
        _ if longest_piece(pattern) >= TRIGRAM_CHARACTERS_MIN => Some(ConditionKind::LikeAnywhere),
        _ => None,
    }
}

fn longest_piece(pattern: &str) -> usize {
    pattern.split(['%', '_', '\\']).map(|piece| piece.chars().count()).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_is_good_for() {
        for (pattern, expected) in [
            ("abc%", Some(ConditionKind::LikePrefix("abc".to_owned()))),
            ("a_c", Some(ConditionKind::LikePrefix("a".to_owned()))),
            ("%abc%", Some(ConditionKind::LikeAnywhere)),
            ("%ab%", None),
            ("%", None),
            ("", None),
        ] {
            assert_eq!(like(pattern), expected, "{pattern}");
        }
    }
}
