//! Who asks, what they may, and what is noted of it.

mod audit;
mod caller;
mod headers;
mod identity;
mod rate;
mod role;
mod token;

pub(crate) use audit::Audit;
pub(crate) use caller::{Administrator, Analyst, Caller, Reader};
pub(crate) use headers::security_headers;
pub(crate) use identity::{Peer, identify};
pub(crate) use rate::Rates;
pub use role::Role;
pub use token::NewToken;
pub(crate) use token::Tokens;
