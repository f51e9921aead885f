//! Where a statement's parameters stand.

use pg_query::protobuf::AExprKind;
use serde::Serialize;

use super::names::TableName;
use super::scopes::Scopes;
use super::tree::{Node, Tree};

/// What a parameter is for, as far as it tells what values it may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "place", rename_all = "snake_case")]
pub enum ParameterPlace {
    /// It is compared with a column, or assigned to it.
    Column(ColumnPlace),
    /// The number of rows of LIMIT or FETCH FIRST.
    Limit,
    /// The number of rows of OFFSET.
    Offset,
    /// Anything else.
    Other,
}

/// A column that a parameter is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnPlace {
    /// The tables that the column may be one of, those of the innermost query first.
    pub tables: Vec<TableName>,
    /// Its name.
    pub column: String,
    /// Which of the column's values it is, most common ones first: 0, unless it stands in a list.
    pub rank: usize,
    /// Whether it is the upper end of a range.
    pub is_upper: bool,
    /// Whether it is an array of such values.
    pub is_array: bool,
    /// Whether it is compared for equality or assigned, rather than by order or pattern.
    pub is_equality: bool,
}

/// The places of a statement's parameters, by their numbers.
#[derive(Default)]
pub(super) struct Places(Vec<ParameterPlace>);

impl Places {
    pub(super) fn into_places(self) -> Vec<ParameterPlace> {
        self.0
    }

    /// A parameter that was met, wherever.
    pub(super) fn meet(&mut self, parameter: &Node) -> usize {
        let number = usize::try_from(parameter.number("number")).unwrap_or(0).min(PARAMETERS_MAX);
        if number > self.0.len() {
            self.0.resize(number, ParameterPlace::Other);
        }
        number
    }

    pub(super) fn limit(&mut self, count: &Tree, place: ParameterPlace) {
        if let Some(parameter) = parameter(count) {
            self.set(parameter, place);
        }
    }

    /// `column = $1` in an UPDATE.
    pub(super) fn assign(&mut self, target: &Node, scopes: &Scopes) {
        if let Some(parameter) = parameter(target.field("val")) {
            let column = (None, target.text("name"));
            self.set(parameter, place(column, scopes, |place| place.is_equality = true));
        }
    }

    /// A comparison of any kind, in either order.
    pub(super) fn compare(&mut self, expression: &Node, scopes: &Scopes) {
        if !is_comparison(expression) {
            return;
        }
        let (left, right) = (expression.field("lexpr"), expression.field("rexpr"));
        if let Some(column) = column(left) {
            self.compare_with(expression, column, right, scopes);
        } else if let (Some(column), Some(parameter)) = (column(right), parameter(left)) {
            let is_equality = is_equality(expression);
            self.set(parameter, place(column, scopes, |place| place.is_equality = is_equality));
        }
    }

    fn compare_with(&mut self, expression: &Node, column: Column<'_>, right: &Tree, scopes: &Scopes) {
        let kind = kind(expression);
        let is_range = matches!(kind, AExprKind::AexprBetween | AExprKind::AexprNotBetween);
        let is_equality = is_equality(expression);
        if let Some(parameter) = parameter(right) {
            let is_array = matches!(kind, AExprKind::AexprOpAny | AExprKind::AexprOpAll);
            self.set(
                parameter,
                place(column, scopes, |place| (place.is_array, place.is_equality) = (is_array, is_equality)),
            );
            return;
        }
        for (rank, item) in right.items().iter().enumerate() {
            let Some(parameter) = parameter(item) else { continue };
            let at = |place: &mut ColumnPlace| {
                place.is_equality = is_equality;
                match is_range {
                    true => place.is_upper = rank == 1,
                    false => place.rank = rank,
                }
            };
            self.set(parameter, place(column, scopes, at));
        }
    }

    /// The first place of a parameter that says something stands.
    fn set(&mut self, parameter: &Node, place: ParameterPlace) {
        let number = self.meet(parameter);
        let slot = number.checked_sub(1).and_then(|index| self.0.get_mut(index));
        if let Some(slot) = slot.filter(|slot| **slot == ParameterPlace::Other) {
            *slot = place;
        }
    }
}

/// The wire protocol counts parameters in two bytes.
pub(super) const PARAMETERS_MAX: usize = 65_535;

/// Qualifier and name.
type Column<'a> = (Option<&'a str>, &'a str);

fn place(column: Column<'_>, scopes: &Scopes, change: impl FnOnce(&mut ColumnPlace)) -> ParameterPlace {
    let mut place = ColumnPlace {
        tables: scopes.tables_of(column.0),
        column: column.1.to_owned(),
        rank: 0,
        is_upper: false,
        is_array: false,
        is_equality: false,
    };
    change(&mut place);
    ParameterPlace::Column(place)
}

/// A parameter, cast or not.
fn parameter(tree: &Tree) -> Option<&Node> {
    let node = tree.node()?;
    match node.name {
        "ParamRef" => Some(node),
        "TypeCast" => parameter(node.field("arg")),
        _ => None,
    }
}

/// A column, not cast: what is known of its values holds for no other type.
fn column(tree: &Tree) -> Option<Column<'_>> {
    let node = tree.node().filter(|node| node.name == "ColumnRef")?;
    match node.words("fields").as_slice() {
        [name] if node.list("fields").len() == 1 => Some((None, name)),
        [.., qualifier, name] => Some((Some(qualifier), name)),
        _ => None,
    }
}

fn kind(expression: &Node) -> AExprKind {
    let kind = i32::try_from(expression.number("kind")).ok().and_then(|kind| AExprKind::try_from(kind).ok());
    kind.unwrap_or(AExprKind::Undefined)
}

/// Rather than arithmetic, whose other side is not of the column's values.
fn is_comparison(expression: &Node) -> bool {
    matches!(expression.words("name").as_slice(), [.., "=" | "<>" | "<" | "<=" | ">" | ">=" | "~~" | "~~*"])
        || matches!(kind(expression), AExprKind::AexprBetween | AExprKind::AexprNotBetween)
}

fn is_equality(expression: &Node) -> bool {
    matches!(expression.words("name").as_slice(), [.., "=" | "<>"])
}
