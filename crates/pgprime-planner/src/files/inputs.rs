//! What files are made from.

use std::fmt;

use pgprime_capacity::Plan;
use pgprime_capacity::postgres::Recommendation;

/// Users where nobody says how many: what the product is made for.
const USERS_DEFAULT: u32 = 10_000;

/// What the files are made from.
#[derive(Clone, Copy, Debug)]
pub struct FileInputs<'a> {
    /// The sizes.
    pub plan: &'a Plan,
    /// The command that calculates the plan again; without secrets, as it stands in every file.
    pub command: &'a str,
    /// The database behind the pooler.
    pub database: &'a Database,
    /// PostgreSQL's settings; without any there is no file for them.
    pub settings: &'a [Recommendation],
    /// What the settings are for, in a sentence: cores, memory, storage.
    pub hardware: &'a str,
    /// The users of the live database with their verifiers, where they could be read.
    pub users: Option<&'a [User]>,
}

/// Where the database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Host name, address, or the folder of a Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database's name, for clients and on the server.
    pub name: String,
    /// The user of the application.
    pub user: String,
}

impl Default for Database {
    /// A stand-in for a database that is not known.
    fn default() -> Self {
        let (host, name, user) = ("127.0.0.1", "pd_prime_demo", "app_user");
        Self { host: host.to_owned(), port: 5432, name: name.to_owned(), user: user.to_owned() }
    }
}

impl FileInputs<'_> {
    /// Client connections of the pooler: one for each user.
    pub(super) fn clients(&self) -> u32 {
        self.plan.inputs.users.unwrap_or(USERS_DEFAULT).max(1)
    }
}

/// A user of the database with the verifier that the database keeps. Its debug form does not show the verifier.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The role's name.
    pub name: String,
    /// `SCRAM-SHA-256$…`.
    pub verifier: String,
}

impl fmt::Debug for User {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}
