//! The pooler whose figures are shown: the one in this process, else one that is watched over its console.

use std::sync::Arc;

use pgprime_monitor::pooler::PoolerKind;
use pgprime_monitor::watch::Console;
use pgprime_pooler::Handle;
use serde::Serialize;

/// Where figures of the pooler come from.
#[derive(Clone)]
pub(crate) enum Pooler {
    BuiltIn(Handle),
    /// Watched over its console; by the configuration it is of this kind.
    Watched(Arc<Console>, PoolerKind),
}

/// Which pooler it is.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PoolerAt {
    /// `pgprime` or `pgbouncer`.
    #[schema(value_type = String)]
    kind: PoolerKind,
    /// Whether it runs in this process. Else it is watched over its console.
    is_built_in: bool,
    /// Its name and version, as it says: `PgBouncer 1.18.0`.
    name: String,
    /// Host and port of its console, once that has answered; `null` for the built-in one.
    address: Option<String>,
}

impl Pooler {
    pub(crate) fn at(&self) -> PoolerAt {
        match self {
            Self::BuiltIn(_) => PoolerAt {
                kind: PoolerKind::Pgprime,
                is_built_in: true,
                name: concat!("pgprime ", env!("CARGO_PKG_VERSION")).to_owned(),
                address: None,
            },
            Self::Watched(console, expected) => {
                let met = console.met();
                let kind = met.as_ref().map_or(*expected, |met| met.kind);
                PoolerAt {
                    kind,
                    is_built_in: false,
                    name: met.as_ref().map_or_else(|| name(kind, ""), |met| name(kind, &met.version)),
                    address: met.map(|met| met.address),
                }
            }
        }
    }
}

/// pgprime says which PgBouncer it is compatible with, and itself in brackets.
fn name(kind: PoolerKind, version: &str) -> String {
    let in_brackets = || version.rsplit_once('(')?.1.strip_suffix(')');
    match kind {
        PoolerKind::Pgprime => in_brackets().unwrap_or("pgprime").to_owned(),
        PoolerKind::Pgbouncer if version.is_empty() => "PgBouncer".to_owned(),
        PoolerKind::Pgbouncer => version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poolers_have_their_names() {
        for (kind, version, is) in [
            (PoolerKind::Pgprime, "PgBouncer 1.25.0 (pgprime 0.1.0)", "pgprime 0.1.0"),
            (PoolerKind::Pgprime, "", "pgprime"),
            (PoolerKind::Pgbouncer, "PgBouncer 1.18.0", "PgBouncer 1.18.0"),
            (PoolerKind::Pgbouncer, "", "PgBouncer"),
        ] {
            assert_eq!(name(kind, version), is);
        }
    }
}
