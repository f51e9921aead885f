//! Space that a table or index takes beyond what its rows need.

use serde::Serialize;

/// Space that is taken beyond what the rows need: dead rows, and room that is free for new ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Waste {
    /// From statistics of the columns; some are off by ten points or more. `None`: see `not_estimated`.
    pub estimated: Option<WasteFigure>,
    /// By pgstattuple. `None` where it was not asked: see `not_measured`.
    pub measured: Option<WasteFigure>,
    /// Why the estimate does not apply here.
    pub not_estimated: Option<NoEstimate>,
    /// Why measuring was wanted and did not come about.
    pub not_measured: Option<String>,
}

impl Waste {
    /// The measured figure, else the estimated one.
    #[must_use]
    pub fn best(&self) -> Option<WasteFigure> {
        self.measured.or(self.estimated)
    }

    pub(crate) fn of_estimate(estimate: Result<WasteFigure, NoEstimate>) -> Self {
        match estimate {
            Ok(figure) => Self { estimated: Some(figure), ..Self::default() },
            Err(reason) => Self { not_estimated: Some(reason), ..Self::default() },
        }
    }
}

/// An amount of waste.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct WasteFigure {
    /// Bytes.
    pub bytes: u64,
    /// Of the whole, 0 to 100.
    pub percent: f64,
}

impl WasteFigure {
    /// What of `bytes` is not needed.
    pub(crate) fn beyond(bytes: u64, needed_bytes: f64) -> Self {
        let whole = bytes as f64;
        let wasted = (whole - needed_bytes).clamp(0.0, whole);
        let percent = if whole > 0.0 { wasted / whole * 100.0 } else { 0.0 };
        Self { bytes: wasted as u64, percent }
    }
}

/// Why an estimate does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "reason")]
pub enum NoEstimate {
    /// There are no statistics of its columns: it was never analyzed.
    NeverAnalyzed,
    /// The role may not read columns, so the server hides their statistics.
    NotPermitted,
    /// Row security applies to this role, so the server hides the statistics.
    RowSecurity,
    /// There are no statistics of these columns: added since the last analyze, or with a statistics target of 0.
    ColumnsWithoutStatistics {
        /// Their names, not quoted.
        columns: Vec<String>,
    },
    /// It is smaller than [`SpaceOptions::estimate_bytes_min`](super::SpaceOptions::estimate_bytes_min).
    Small,
    /// Another session has locked it, so that its size is not known.
    Locked,
    /// Only B-trees are estimated.
    NotBTree {
        /// Of the index, as `gin`.
        method: String,
    },
    /// Only PostgreSQL's own way of storing rows is estimated.
    NotHeap,
    /// An index that is not valid holds an unknown part of the rows.
    Invalid,
}

impl NoEstimate {
    /// In words, to stand behind "no estimate: ".
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::NeverAnalyzed => "it was never analyzed".to_owned(),
            Self::NotPermitted => {
                "this role may not read its columns, so their statistics are hidden".to_owned()
            }
            Self::RowSecurity => "row security hides its statistics from this role".to_owned(),
            Self::ColumnsWithoutStatistics { columns } => {
                format!("there are no statistics of {}", columns.join(", "))
            }
            Self::Small => "too small to matter".to_owned(),
            Self::Locked => "another session has locked it".to_owned(),
            Self::NotBTree { method } => format!("it is no B-tree but {method}"),
            Self::NotHeap => "its rows are stored by an extension".to_owned(),
            Self::Invalid => "it is not valid".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waste_is_never_negative_nor_more_than_all() {
        assert_eq!(WasteFigure::beyond(1_000, 700.0), WasteFigure { bytes: 300, percent: 30.0 });
        assert_eq!(WasteFigure::beyond(1_000, 1_200.0), WasteFigure { bytes: 0, percent: 0.0 });
        assert_eq!(WasteFigure::beyond(1_000, -5.0), WasteFigure { bytes: 1_000, percent: 100.0 });
        assert_eq!(WasteFigure::beyond(0, 8_192.0), WasteFigure { bytes: 0, percent: 0.0 });
    }
}
