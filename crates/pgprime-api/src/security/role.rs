//! Roles, each with all that the one before it may.

use serde::{Deserialize, Serialize};

/// What a caller may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// See figures and texts without constants.
    Read,
    /// See running statements with their values, have statements explained and executed where that is harmless.
    Analyze,
    /// Cancel statements, refresh views, test alerts.
    Admin,
}

impl Role {
    /// The role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "read" => Some(Self::Read),
            "analyze" => Some(Self::Analyze),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Analyze => "analyze",
            Self::Admin => "admin",
        }
    }
}
