//! The verifiers of roles, for a pooler's list of users.

use std::fmt;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::error::ObserveError;
use pgprime_readonly::{Attempt, ReadError, Session, column};

/// A role that may log in, with what the server checks its password by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleVerifier {
    /// The role.
    pub name: String,
    /// What its password is checked by.
    pub verifier: Verifier,
}

/// What a password is checked by: it is a secret, since it makes guessing cheap (SCRAM) or is as good as the password
/// itself (MD5). It is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier(String);

impl Verifier {
    /// The text as PostgreSQL stores it, which is how a list of users has it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> VerifierKind {
        if self.0.starts_with("SCRAM-SHA-256$") {
            VerifierKind::ScramSha256
        } else if is_md5(&self.0) {
            VerifierKind::Md5
        } else {
            VerifierKind::Other
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({:?}, redacted)", self.kind())
    }
}

/// How a verifier was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerifierKind {
    /// PostgreSQL's default since version 14.
    ScramSha256,
    /// The old one, which PostgreSQL is giving up.
    Md5,
    /// Something that PostgreSQL does not have yet.
    Other,
}

fn is_md5(text: &str) -> bool {
    let digits = text.strip_prefix("md5").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// The roles that may log in with a password now, by name. Roles whose password has expired are left out: a pooler would
/// go on letting them in.
///
/// The connection must not be in a transaction, as with [`observe`](super::observe).
///
/// # Errors
/// [`ObserveError::NotAllowed`] with the grant that is needed unless the role is a superuser; others when the
/// connection fails.
pub async fn roles(client: &Client) -> Result<Vec<RoleVerifier>, ObserveError> {
    let session = Session::begin(client, super::TIMEOUTS).await?;
    let outcome = look(&session).await;
    session.end(outcome).await
}

async fn look(session: &Session<'_>) -> Result<Vec<RoleVerifier>, ObserveError> {
    let step = "read the roles' verifiers";
    let refusal = match session.attempt(step, include_str!("../../sql/roles.sql"), &[]).await? {
        Attempt::Rows(rows) => return rows.iter().map(|row| verifier(row, step)).collect(),
        Attempt::Refused { state, message } => (state, message),
    };
    let (state, message) = refusal;
    if state != SqlState::INSUFFICIENT_PRIVILEGE {
        return Err(ReadError::Answer { step, reason: message }.into());
    }
    let row = session.row(step, "SELECT /* pgprime: who asks */ quote_ident(current_user) AS role").await?;
    let role: String = column(&row, step, "role")?;
    let statement = format!(
        "GRANT SELECT (rolname, rolcanlogin, rolpassword, rolvaliduntil) ON pg_catalog.pg_authid TO {role};"
    );
    Err(ObserveError::NotAllowed { role, what: "read the verifiers of roles in pg_authid", statement })
}

fn verifier(row: &Row, step: &'static str) -> Result<RoleVerifier, ObserveError> {
    let verifier = Verifier(column(row, step, "verifier")?);
    Ok(RoleVerifier { name: column(row, step, "name")?, verifier })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_apart_and_never_shown() {
        for (text, kind) in [
            ("SCRAM-SHA-256$4096:c2FsdA==$key:other", VerifierKind::ScramSha256),
            ("md50123456789abcdef0123456789abcdef", VerifierKind::Md5),
            ("md5short", VerifierKind::Other),
            ("", VerifierKind::Other),
        ] {
            let role = RoleVerifier { name: "app".into(), verifier: Verifier(text.into()) };
            assert_eq!(role.verifier.kind(), kind, "{text}");
            let shown = format!("{role:?}");
            assert!(shown.contains("redacted") && (text.is_empty() || !shown.contains(text)), "{shown}");
        }
    }
}
