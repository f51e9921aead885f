//! Addresses of databases without what is secret in them.

/// An address as it may be written into a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    /// The address.
    pub(super) text: String,
    /// Whether a password stood in it as it was given.
    pub(super) had_password: bool,
}

impl Address {
    /// Takes passwords out of a URL, or of parameters such as `host=h password=p`; everything else stays as it is.
    pub(super) fn without_password(given: &str) -> Self {
        let kept = match given.split_once("://") {
            Some((scheme, rest)) => url(rest).map(|kept| format!("{scheme}://{kept}")),
            None => keywords(given),
        };
        Self { had_password: kept.is_some(), text: kept.unwrap_or_else(|| given.to_owned()) }
    }
}

/// What is left where something was taken out.
fn url(rest: &str) -> Option<String> {
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = before_query.split_once('/').unwrap_or((before_query, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (secret, kept): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| is_secret(pair));
    if password.is_empty() && secret.is_empty() {
        return None;
    }
    let at = if user.is_empty() { "" } else { "@" };
    let slash = if before_query.contains('/') { "/" } else { "" };
    let question = if kept.iter().any(|pair| !pair.is_empty()) { "?" } else { "" };
    Some(format!("{user}{at}{hosts}{slash}{database}{question}{}", kept.join("&")))
}

/// The values of parameters may be quoted, and hold blanks then.
fn keywords(text: &str) -> Option<String> {
    let mut kept = Vec::new();
    let mut has_secret = false;
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let value = after.trim_start();
        let (value, further) = value.split_at(value_end(value));
        if is_secret(name.trim()) {
            has_secret = true;
        } else {
            kept.push(format!("{}={value}", name.trim()));
        }
        rest = further;
    }
    has_secret.then(|| kept.join(" "))
}

fn value_end(value: &str) -> usize {
    let is_quoted = value.starts_with('\'');
    let mut is_escaped = false;
    for (at, letter) in value.char_indices().skip(usize::from(is_quoted)) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\'' if is_quoted => return at + 1,
            letter if !is_quoted && letter.is_whitespace() => return at,
            _ => {}
        }
    }
    value.len()
}

/// `password`, and `sslpassword` of a private key. Names may be percent-encoded in a URL.
fn is_secret(pair: &str) -> bool {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name).to_ascii_lowercase();
    name.contains("password") || name.contains('%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_taken_out() {
        for (given, expected) in [
            ("postgresql://app:s%40x@h:5432/d", "postgresql://app@h:5432/d"),
            ("postgres://app:s@h1:1,h2:2/d?sslmode=require", "postgres://app@h1:1,h2:2/d?sslmode=require"),
            ("postgres://h/d?user=u&password=s&sslmode=require", "postgres://h/d?user=u&sslmode=require"),
            ("postgres://app@h/d?password=s", "postgres://app@h/d"),
            ("postgres://h/d?p%61ssword=s&sslpassword=s", "postgres://h/d"),
            ("postgres://:s@h", "postgres://h"),
            ("host=h password='s s\\' s' user=u", "host=h user=u"),
            ("password = s host = h dbname='my db'", "host=h dbname='my db'"),
        ] {
            let address = Address::without_password(given);
            assert_eq!((address.text.as_str(), address.had_password), (expected, true), "{given}");
        }
    }

    #[test]
    fn what_has_none_stays_as_it_is() {
        for given in [
            "postgresql://app@h:5432/d?sslmode=require",
            "postgres://h",
            "host=h  user = u",
            "postgres://h/",
            "",
        ] {
            let address = Address::without_password(given);
            assert_eq!((address.text.as_str(), address.had_password), (given, false));
        }
    }
}
