//! Who asks, as the handlers see it.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::problem::Problem;
use crate::security::Role;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The token's name, or `loopback`.
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) address: IpAddr,
    pub(crate) is_loopback: bool,
}

pub(crate) fn refused(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
}

fn of(parts: &Parts, least: Role) -> Result<Caller, Problem> {
    let caller = parts.extensions.get::<Result<Caller, Problem>>();
    let caller = caller.cloned().unwrap_or_else(|| Err(refused("nobody was identified")))?;
    match caller.role >= least {
        true => Ok(caller),
        false => Err(Problem::forbidden(format!(
            "this needs the role {}; yours is {}",
            least.name(),
            caller.role.name()
        ))),
    }
}

/// A caller who may see figures.
pub(crate) struct Reader(pub(crate) Caller);
/// A caller who may have statements explained.
pub(crate) struct Analyst(pub(crate) Caller);
/// A caller who may change something.
pub(crate) struct Administrator(pub(crate) Caller);

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        of(parts, Role::Read).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Analyst {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        of(parts, Role::Analyze).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Administrator {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        of(parts, Role::Admin).map(Self)
    }
}
