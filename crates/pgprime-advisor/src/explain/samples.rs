//! Values for parameters from what pg_stats knows of the columns that they are compared with.

use tokio_postgres::types::Type;

use super::error::ExplainError;
use super::literal::array;
use super::parameters::{ParameterSource, ParameterValue, Parameters};
use super::session::{Session, column};
use crate::Missing;
use crate::sql::{ColumnPlace, ParameterPlace, Statement};

const NAMES: &str = include_str!("../../sql/explain_names.sql");
const SAMPLES: &str = include_str!("../../sql/explain_samples.sql");
const STEP: &str = "read samples of a column";

/// Rows that LIMIT is taken to ask for: a page.
const LIMIT_ROWS: &str = "20";
/// Values of an array that stands for a list.
const ARRAY_VALUES: usize = 3;

/// A value for every parameter, or why not.
pub(super) enum Samples {
    Found(Parameters),
    NotFound { why: String, missing: Option<Missing> },
}

pub(super) async fn find(
    session: &Session<'_>,
    statement: &Statement,
    types: &[String],
) -> Result<Samples, ExplainError> {
    let mut values = Vec::new();
    for (index, (place, type_name)) in statement.parameter_places().iter().zip(types).enumerate() {
        let number = index + 1;
        let (value, origin) = match place {
            ParameterPlace::Limit => (LIMIT_ROWS.to_owned(), "assumed for LIMIT".to_owned()),
            ParameterPlace::Offset => ("0".to_owned(), "assumed for OFFSET".to_owned()),
            ParameterPlace::Other => {
                let why = format!("${number} is not compared with a column");
                return Ok(Samples::NotFound { why, missing: None });
            }
            ParameterPlace::Column(place) => match of_column(session, place).await? {
                Sample::Found { value, origin } => (value, origin),
                Sample::NotFound { why, missing } => {
                    return Ok(Samples::NotFound { why: format!("${number}: {why}"), missing });
                }
            },
        };
        values.push(ParameterValue { number, type_name: type_name.clone(), value: Some(value), origin });
    }
    Ok(Samples::Found(Parameters { source: ParameterSource::Sampled, values }))
}

enum Sample {
    Found { value: String, origin: String },
    NotFound { why: String, missing: Option<Missing> },
}

async fn of_column(session: &Session<'_>, place: &ColumnPlace) -> Result<Sample, ExplainError> {
    let not_found = |why: String| Ok(Sample::NotFound { why, missing: None });
    let names: Vec<String> = place.tables.iter().map(crate::sql::TableName::quoted).collect();
    let parameters: [super::session::Parameter<'_>; 2] =
        [(&names, Type::TEXT_ARRAY), (&Vec::<String>::new(), Type::TEXT_ARRAY)];
    let row = session.row(STEP, NAMES, &parameters).await?;
    let oids: Vec<u32> = column::<Vec<Option<u32>>>(&row, STEP, "relations")?.into_iter().flatten().collect();
    session.enter_catalog().await?;
    let rows = session.rows(STEP, SAMPLES, &[(&oids, Type::OID_ARRAY), (&place.column, Type::TEXT)]).await;
    let rows = session.leave_catalog(rows).await?;
    let Some(row) = rows.first() else {
        return not_found(format!("no table of the statement has the column {}", place.column));
    };
    let relation: String = column(row, STEP, "relation")?;
    let name = format!("{relation}.{}", place.column);
    if !column::<bool>(row, STEP, "has_stats")? {
        let missing = Missing {
            what: format!("what {name} holds"),
            why: "pg_stats shows nothing of it: the table was never analyzed, or the role may not read it"
                .to_owned(),
            statement: Some(format!("ANALYZE {relation}")),
        };
        return Ok(Sample::NotFound {
            why: format!("pg_stats shows nothing of {name}"),
            missing: Some(missing),
        });
    }
    let values = |field| column::<Option<Vec<Option<String>>>>(row, STEP, field);
    let known = |values: Option<Vec<Option<String>>>| -> Vec<String> {
        values.into_iter().flatten().flatten().collect()
    };
    match choose(place, &known(values("common")?), &known(values("bounds")?)) {
        Some((value, which)) => Ok(Sample::Found { value, origin: format!("{which} of {name}") }),
        None => not_found(format!("pg_stats has no value of {name}")),
    }
}

/// A value of a column for a place: for equality the most common one that is not taken yet, for a range the middle of
/// what the column holds.
fn choose(place: &ColumnPlace, common: &[String], bounds: &[String]) -> Option<(String, &'static str)> {
    let middle = || {
        let at = if place.is_upper { bounds.len() * 3 / 4 } else { bounds.len() / 2 };
        bounds
            .get((at + place.rank) % bounds.len().max(1))
            .cloned()
            .map(|value| (value, "the middle of the histogram"))
    };
    let most_common = || {
        let value = common.get(place.rank % common.len().max(1)).cloned();
        value.map(|value| (value, "the most common value"))
    };
    if place.is_array {
        let list = if common.is_empty() { bounds } else { common };
        let values = list.iter().take(ARRAY_VALUES).map(String::as_str);
        return (!list.is_empty()).then(|| (array(values), "common values"));
    }
    if place.is_equality { most_common().or_else(middle) } else { middle().or_else(most_common) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_values_for_equality_and_the_middle_for_ranges() {
        let place = ColumnPlace {
            tables: Vec::new(),
            column: "a".to_owned(),
            rank: 0,
            is_upper: false,
            is_array: false,
            is_equality: true,
        };
        let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (common, bounds) = (list("x y"), list("1 2 3 4 5 6 7 8"));
        let value = |place: &ColumnPlace, common: &[String], bounds: &[String]| {
            choose(place, common, bounds).map(|found| found.0)
        };
        assert_eq!(value(&place, &common, &bounds).as_deref(), Some("x"));
        assert_eq!(value(&place, &[], &bounds).as_deref(), Some("5"));
        assert_eq!(value(&place, &[], &[]), None);
        let second = ColumnPlace { rank: 1, ..place.clone() };
        assert_eq!(value(&second, &common, &bounds).as_deref(), Some("y"));
        let range = ColumnPlace { is_equality: false, ..place.clone() };
        assert_eq!(value(&range, &common, &bounds).as_deref(), Some("5"));
        assert_eq!(value(&ColumnPlace { is_upper: true, ..range }, &common, &bounds).as_deref(), Some("7"));
        let array = ColumnPlace { is_array: true, ..place };
        assert_eq!(value(&array, &common, &bounds).as_deref(), Some(r#"{"x","y"}"#));
    }
}
