//! From a URL or a string of keywords to a list of parameters: libpq's two notations.

/// A URL or keyword string that cannot be used. The text never repeats a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct EndpointError(pub(super) String);

impl From<&str> for EndpointError {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The parameters in the order of their appearance; a later one wins.
pub(super) type Parameters = Vec<(String, String)>;

/// Reads either notation.
pub(super) fn parameters(text: &str) -> Result<Parameters, EndpointError> {
    let text = text.trim();
    match text.split_once("://") {
        Some(("postgres" | "postgresql", rest)) => url(rest),
        Some((scheme, _)) if is_scheme(scheme) => Err(EndpointError(format!(
            "`{scheme}://` is not a scheme of PostgreSQL; write postgresql://user@host:5432/database"
        ))),
        _ => keywords(text),
    }
}

/// Only what looks like a scheme is repeated in a message: anything else may be part of a password.
fn is_scheme(text: &str) -> bool {
    text.len() < 32 && text.chars().all(|c| c.is_ascii_lowercase() || "+-.".contains(c))
}

fn url(rest: &str) -> Result<Parameters, EndpointError> {
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = before_query.split_once('/').unwrap_or((before_query, ""));
    if !authority.contains('@') && (database.contains('@') || query.contains('@') && !query.contains('=')) {
        return Err(ENCODING.into());
    }
    let mut parameters = Parameters::new();
    let mut put = |name: &str, value: String| parameters.push((name.to_owned(), value));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, _)) if login.contains('@') => return Err(ENCODING.into()),
        Some((login, hosts)) => (login, hosts),
        None => ("", authority),
    };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    for (name, value) in [("user", user), ("password", password), ("dbname", database)] {
        if !value.is_empty() {
            put(name, decoded(value)?);
        }
    }
    if !hosts.is_empty() {
        let pairs: Vec<(&str, &str)> = hosts.split(',').map(host_and_port).collect::<Result<_, _>>()?;
        let joined = |part: fn(&(&str, &str)) -> String| pairs.iter().map(part).collect::<Vec<_>>().join(",");
        put("host", decoded(&joined(|(host, _)| (*host).to_owned()))?);
        put("port", decoded(&joined(|(_, port)| (*port).to_owned()))?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err("a parameter after `?` has no `=`; write name=value, joined by `&`".into());
        };
        put(&decoded(name)?, decoded(value)?);
    }
    Ok(parameters)
}

const ENCODING: &str = "the user name or the password holds a character with a meaning of its own in a URL; write \
                        %40 for @, %3A for :, %2F for /, %3F for ?, %23 for # and %25 for %";

/// `host`, `host:port`, `[::1]:port`.
fn host_and_port(text: &str) -> Result<(&str, &str), EndpointError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) =
            rest.split_once(']').ok_or("an IPv6 address in brackets has no closing bracket")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if rest.is_empty() => Ok((host, "")),
            None => Err("only `:port` may follow an address in brackets".into()),
        };
    }
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    if port.contains(':') {
        return Err("an IPv6 address stands in brackets: [::1]:5432".into());
    }
    Ok((host, port))
}

/// Percent-decoding.
fn decoded(text: &str) -> Result<String, EndpointError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.extend(u8::try_from(high * 16 + low));
                &tail[2..]
            }
            (b'%', ..) => {
                return Err("a `%` is not followed by two hexadecimal digits; write %25 for a `%`".into());
            }
            _ => {
                bytes.push(*first);
                tail
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| "what is percent-encoded is not UTF-8".into())
}

/// `name=value name='value with spaces'`; a backslash takes the next character as it is.
fn keywords(text: &str) -> Result<Parameters, EndpointError> {
    let mut parameters = Parameters::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((name, tail)) = rest.split_once('=') else {
            return Err(
                "it is neither a URL (postgresql://user@host:5432/database) nor a list of name=value".into(),
            );
        };
        let start = tail.trim_start();
        let (value, rest_of_it) = value(start)?;
        // `host= password=…` would make the next parameter, with its password, a host to be shown.
        if start.len() < tail.len() && !start.starts_with('\'') && value.contains('=') {
            return Err("a parameter has no value after its `=`; an empty one is written as ''".into());
        }
        parameters.push((name.trim_end().to_owned(), value));
        rest = rest_of_it.trim_start();
    }
    Ok(parameters)
}

/// A value, and what follows it.
fn value(text: &str) -> Result<(String, &str), EndpointError> {
    let quoted = text.strip_prefix('\'');
    let text = quoted.unwrap_or(text);
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            '\'' if quoted.is_some() => return Ok((value, &text[at + 1..])),
            c if quoted.is_none() && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    match quoted {
        Some(_) => Err("a quoted value has no closing quote".into()),
        None => Ok((value, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match parameters(text) {
            Ok(found) => {
                found.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
            }
            Err(error) => format!("! {error}"),
        };
        assert!(
            found == expected || expected.ends_with('…') && found.starts_with(expected.trim_end_matches('…')),
            "{text}: {found}"
        );
    }

    #[test]
    fn urls() {
        check("postgres://h", "host=h port=");
        check(
            "postgresql://u:p%40%2f@h:6432/my%20db?a=b%26c",
            "user=u password=p@/ dbname=my db host=h port=6432 a=b&c",
        );
        check("postgres://u@a:1,b,[::1]:3/d", "user=u dbname=d host=a,b,::1 port=1,,3");
        check("postgres:///d?host=%2Frun%2Fpg&user=u", "dbname=d host=/run/pg user=u");
        check("postgres://u@%2Frun%2Fpg/d", "user=u dbname=d host=/run/pg port=");
        check("postgres://h/d?options=-c%20a%3Db", "dbname=d host=h port= options=-c a=b");
        check("postgresql+asyncpg://u:secret@h/d", "! `postgresql+asyncpg://` is not a scheme…");
        for password in ["se/cret", "se?cret", "s@cret"] {
            check(&format!("postgres://u:{password}@h/d"), "! the user name or the password holds…");
        }
        check("postgres://h/d?x", "! a parameter after `?` has no `=`…");
        check("postgres://h/%zz", "! a `%` is not followed…");
        check("postgres://h/%ff", "! what is percent-encoded…");
        check("postgres://[::1/d", "! an IPv6 address in brackets…");
        check("postgres://::1/d", "! an IPv6 address stands in brackets…");
    }

    #[test]
    fn keyword_strings() {
        check("host=h  port = 5 password='it\\'s me' user=a\\ b", "host=h port=5 password=it's me user=a b");
        check("password='a b", "! a quoted value has no closing quote");
        check("my secret", "! it is neither a URL…");
        check("host= user=u", "! a parameter has no value after its `=`…");
        check("host='' user=u", "host= user=u");
        check("", "");
    }
}
