//! The server's version, before anything is asked that an older one would not know.

use crate::{ReadError, Session};

/// The oldest supported version, as `server_version_num`.
const VERSION_NUMBER_MIN: u32 = 130_000;

/// The server's version as it numbers it: 150018 for 15.18.
///
/// # Errors
/// [`ReadError::TooOld`] before version 13, [`ReadError::Answer`] where no PostgreSQL answers, [`ReadError::Query`].
pub async fn server_version(session: &Session<'_>) -> Result<u32, ReadError> {
    let step = "ask for the version";
    let row = session.row(step, "SHOW /* pgprime */ \"SERVER_VERSION_NUM\"").await?;
    let text: &str = row.try_get(0).map_err(ReadError::answer(step))?;
    let number: u32 =
        text.parse().map_err(|_| ReadError::Answer { step, reason: format!("version {text:?}") })?;
    match number >= VERSION_NUMBER_MIN {
        true => Ok(number),
        false => Err(ReadError::TooOld { version: major(number) }),
    }
}

/// As people say it: two numbers made up the major version before 10.
fn major(number: u32) -> String {
    match number < 100_000 {
        true => format!("{}.{}", number / 10_000, number / 100 % 100),
        false => (number / 10_000).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_named_as_people_do() {
        assert_eq!((major(90_624), major(120_022)), ("9.6".to_owned(), "12".to_owned()));
    }
}
