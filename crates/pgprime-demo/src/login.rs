//! The client's side of a login, without I/O: bytes in, bytes out.

use anyhow::{Context, bail};
use pgprime_wire::backend::{Authentication, ErrorFields, authentication};
use pgprime_wire::frontend::encode;
use pgprime_wire::scram::{MECHANISM, ScramClient, ScramKeys, ServerFirst, salted_password};
use pgprime_wire::startup::encode_startup;
use pgprime_wire::tag::backend as tag;

use crate::server::Server;

/// What the logins of many clients have in common. The keys of a password are derived once for each salt, so that
/// ten thousand logins cost the generator no more than the signatures.
pub(crate) struct LoginMaterial {
    startup: Vec<u8>,
    password: String,
    derived: Option<(ServerFirst, ScramKeys)>,
}

/// One login. It ends with [`LoginStep::Done`] or an error.
#[derive(Debug, Default)]
pub(crate) struct Login {
    scram: Option<Box<ScramClient>>,
}

/// What follows from a message of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginStep {
    /// More messages are to come; what was appended to the output is to be sent.
    Continue,
    /// The server is ready for requests.
    Done,
}

impl LoginMaterial {
    pub(crate) fn new(server: &Server) -> Self {
        let mut startup = Vec::new();
        let parameters = [
            ("user", server.user.as_str()),
            ("database", server.database.as_str()),
            ("client_encoding", "UTF8"),
        ];
        encode_startup(&mut startup, 0, &parameters);
        Self { startup, password: server.password.clone().unwrap_or_default(), derived: None }
    }

    /// The packet that opens a connection.
    pub(crate) fn startup(&self) -> &[u8] {
        &self.startup
    }

    fn keys(&mut self, first: ServerFirst) -> &ScramKeys {
        if self.derived.as_ref().is_none_or(|(known, _)| *known != first) {
            let salted = salted_password(self.password.as_bytes(), &first.salt, first.iterations);
            self.derived = None;
            return &self.derived.insert((first, ScramKeys::from_salted_password(&salted))).1;
        }
        &self.derived.as_ref().expect("checked just above").1
    }
}

impl Login {
    /// Takes one message of the server and appends the answer to `out`, if it needs one.
    ///
    /// # Errors
    /// The server refuses the login, asks for a method other than SCRAM-SHA-256, or breaks the protocol.
    pub(crate) fn message(
        &mut self,
        material: &mut LoginMaterial,
        message_tag: u8,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> anyhow::Result<LoginStep> {
        match message_tag {
            tag::AUTHENTICATION => self.authentication(material, body, out)?,
            tag::READY_FOR_QUERY => return Ok(LoginStep::Done),
            tag::ERROR_RESPONSE => bail!("login refused: {}", error_text(body)),
            tag::PARAMETER_STATUS | tag::BACKEND_KEY_DATA | tag::NOTICE_RESPONSE => {}
            other => bail!("unexpected message {:?} during the login", other as char),
        }
        Ok(LoginStep::Continue)
    }

    fn authentication(
        &mut self,
        material: &mut LoginMaterial,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        match authentication(body)? {
            Authentication::Ok => self.scram = None,
            Authentication::Sasl { mechanisms } if mechanisms.contains(&MECHANISM) => {
                let scram = Box::new(ScramClient::new(&nonce()));
                encode::sasl_initial(out, MECHANISM, scram.first_message().as_bytes());
                self.scram = Some(scram);
            }
            Authentication::SaslContinue(data) => {
                let scram = self.scram.as_mut().context("a SASL message without an exchange")?;
                let first = scram.server_first(data)?;
                let answer = scram.final_message(material.keys(first));
                encode::sasl_response(out, answer.as_bytes());
            }
            Authentication::SaslFinal(data) => {
                self.scram.as_mut().context("a SASL message without an exchange")?.server_final(data)?;
            }
            other => bail!("the login method {other:?} is not supported here"),
        }
        Ok(())
    }
}

/// A nonce of 24 visible characters. It proves nothing here but that the exchange is a new one, so it need not come
/// from the system's source of randomness.
fn nonce() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(24).collect()
}

/// An error of the server in one line.
pub(crate) fn error_text(body: &[u8]) -> String {
    let fields = ErrorFields::parse(body);
    let message = fields.message().unwrap_or("an error without a message");
    match fields.sqlstate() {
        Some(state) => format!("{message} ({state})"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Address;
    use pgprime_wire::backend::encode as server;

    fn material() -> LoginMaterial {
        LoginMaterial::new(&Server {
            address: Address::loopback(1),
            user: "app".into(),
            password: Some("secret".into()),
            database: "db".into(),
        })
    }

    #[test]
    fn a_trusted_login_sends_nothing() {
        let (mut material, mut login, mut out) = (material(), Login::default(), Vec::new());
        for (tag, body) in [(b'R', &[0, 0, 0, 0][..]), (b'S', b"a\0b\0"), (b'K', &[0; 8])] {
            assert_eq!(login.message(&mut material, tag, body, &mut out).unwrap(), LoginStep::Continue);
        }
        assert_eq!(login.message(&mut material, b'Z', b"I", &mut out).unwrap(), LoginStep::Done);
        assert!(out.is_empty());
    }

    #[test]
    fn refusals_and_nonsense_are_errors() {
        let mut body = Vec::new();
        let (message, detail, hint) = ("password authentication failed", None, None);
        let error = server::ErrorNotice {
            severity: "FATAL",
            sqlstate: "28P01",
            message,
            detail,
            hint,
            routine: None,
        };
        server::error_response(&mut body, &error);
        let mut out = Vec::new();
        for (tag, body) in [(b'E', &body[5..]), (b'D', b""), (b'R', &[0, 0, 0, 3]), (b'R', &[0, 0, 0, 11])] {
            assert!(Login::default().message(&mut material(), tag, body, &mut out).is_err());
        }
    }

    #[test]
    fn keys_are_derived_once_per_salt() {
        let mut material = material();
        let first = |salt: u8| ServerFirst { salt: vec![salt; 16], iterations: 1 };
        let keys = material.keys(first(1)).clone();
        assert_eq!(*material.keys(first(1)), keys);
        assert_ne!(*material.keys(first(2)), keys);
    }
}
