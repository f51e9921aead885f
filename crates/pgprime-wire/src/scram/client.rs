//! The client's side: logs in to a server.

use std::fmt;

use subtle::ConstantTimeEq;

use super::error::ScramError;
use super::keys::{ScramKeys, hmac, sha256, xor};
use super::message::{Attributes, digest_from_base64, from_base64, is_nonce, iterations, text, to_base64};

/// No channel binding, no authorization identity.
const GS2_HEADER: &str = "n,,";
const SERVER_FIRST: &str = "server-first-message";
const SERVER_FINAL: &str = "server-final-message";

/// A client's exchange: first message out, [`ServerFirst`] in, final message out, server's signature in.
pub struct ScramClient {
    /// The first message without the GS2 header: part of what is signed.
    first_bare: String,
    nonce: String,
    state: State,
}

enum State {
    /// The first message is out. Exits: a server-first-message that is well formed, or the end.
    Begun,
    /// The server has answered. Exits: the final message goes out.
    Challenged { server_first: String, nonce: String },
    /// The proof is out. Exits: the end, with or without the server's signature.
    Proven { server_signature: [u8; 32] },
    /// The exchange is over.
    Ended,
}

/// What the server says about the password that it expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFirst {
    /// Random bytes for [`super::salted_password`]; not empty.
    pub salt: Vec<u8>,
    /// Rounds for [`super::salted_password`], 1 to [`super::ITERATIONS_MAX`].
    pub iterations: u32,
}

impl ScramClient {
    /// A new exchange. `nonce` is random, in visible ASCII without a comma.
    #[must_use]
    pub fn new(nonce: &str) -> Self {
        // The user's name stays empty: servers take the one of the startup message.
        Self { first_bare: format!("n=,r={nonce}"), nonce: nonce.to_owned(), state: State::Begun }
    }

    /// The client-first-message.
    #[must_use]
    pub fn first_message(&self) -> String {
        format!("{GS2_HEADER}{}", self.first_bare)
    }

    /// Takes the server-first-message. The salt and the iterations tell which keys [`Self::final_message`] needs.
    ///
    /// # Errors
    /// A message that is malformed, too long, or of another exchange; iterations out of bounds. The exchange is over.
    pub fn server_first(&mut self, message: &[u8]) -> Result<ServerFirst, ScramError> {
        let State::Begun = std::mem::replace(&mut self.state, State::Ended) else {
            return Err(ScramError::OutOfOrder { message: SERVER_FIRST });
        };
        let server_first = text(SERVER_FIRST, message)?;
        let mut attributes = Attributes::new(SERVER_FIRST, server_first);
        attributes.refuse_mandatory_extension()?;
        let nonce = attributes.take("r=", "a nonce")?;
        let server_part = nonce.strip_prefix(self.nonce.as_str()).ok_or(ScramError::Nonce)?;
        if !is_nonce(server_part) {
            return Err(ScramError::Nonce);
        }
        let malformed = ScramError::Malformed { message: SERVER_FIRST, expected: "a salt in base64" };
        let salt = from_base64(attributes.take("s=", "a salt")?).filter(|salt| !salt.is_empty());
        let salt = salt.ok_or(malformed)?;
        let iterations = iterations(attributes.take("i=", "a number of iterations")?);
        let iterations = iterations.ok_or(ScramError::Iterations)?;
        attributes.finish()?;
        self.state = State::Challenged { server_first: server_first.to_owned(), nonce: nonce.to_owned() };
        Ok(ServerFirst { salt, iterations })
    }

    /// The client-final-message, which proves that the keys are known.
    ///
    /// Empty unless [`Self::server_first`] has just succeeded; no server accepts an empty message.
    pub fn final_message(&mut self, keys: &ScramKeys) -> String {
        let State::Challenged { server_first, nonce } = std::mem::replace(&mut self.state, State::Ended)
        else {
            return String::new();
        };
        let without_proof = format!("c={},r={nonce}", to_base64(GS2_HEADER.as_bytes()));
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let client_signature = hmac(&sha256(&keys.client_key), signed.as_bytes());
        let proof = xor(&keys.client_key, &client_signature);
        self.state = State::Proven { server_signature: hmac(&keys.server_key, signed.as_bytes()) };
        format!("{without_proof},p={}", to_base64(&proof))
    }

    /// Takes the server-final-message. Only its success says that the server is the right one.
    ///
    /// # Errors
    /// [`ScramError::SignatureMismatch`] for a server that does not know the verifier, [`ScramError::Refused`] for
    /// one that gives a reason; a message that is malformed or too long.
    pub fn server_final(&mut self, message: &[u8]) -> Result<(), ScramError> {
        let State::Proven { server_signature } = std::mem::replace(&mut self.state, State::Ended) else {
            return Err(ScramError::OutOfOrder { message: SERVER_FINAL });
        };
        let server_final = text(SERVER_FINAL, message)?;
        if let Some(reason) = server_final.strip_prefix("e=") {
            return Err(ScramError::Refused(reason.to_owned()));
        }
        let mut attributes = Attributes::new(SERVER_FINAL, server_final);
        let expected = "a signature of 32 bytes in base64";
        let signature = digest_from_base64(attributes.take("v=", expected)?);
        let signature = signature.ok_or(ScramError::Malformed { message: SERVER_FINAL, expected })?;
        attributes.finish()?;
        match bool::from(signature.ct_eq(&server_signature)) {
            true => Ok(()),
            false => Err(ScramError::SignatureMismatch),
        }
    }
}

impl fmt::Debug for ScramClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ScramClient").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::salted_password;
    use super::*;

    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const SIGNATURE: &[u8] = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    /// The client of RFC 7677's example, which names its user.
    fn example() -> ScramClient {
        ScramClient { first_bare: format!("n=user,r={NONCE}"), ..ScramClient::new(NONCE) }
    }

    fn pencil(first: &ServerFirst) -> ScramKeys {
        ScramKeys::from_salted_password(&salted_password(b"pencil", &first.salt, first.iterations))
    }

    /// The example up to the proof.
    fn proven() -> ScramClient {
        let mut client = example();
        let first = client.server_first(CHALLENGE.as_bytes()).unwrap();
        client.final_message(&pencil(&first));
        client
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let mut client = example();
        assert_eq!(client.first_message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let first = client.server_first(CHALLENGE.as_bytes()).unwrap();
        assert_eq!((first.salt.len(), first.iterations), (16, 4096));
        assert_eq!(
            client.final_message(&pencil(&first)),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(client.server_final(SIGNATURE), Ok(()));
    }

    #[test]
    fn the_user_is_not_named() {
        assert_eq!(ScramClient::new("abc").first_message(), "n,,n=,r=abc");
    }

    #[test]
    fn malformed_challenges_end_the_exchange() {
        let malformed = |expected| ScramError::Malformed { message: SERVER_FIRST, expected };
        let cases: [(&[u8], ScramError); 18] = [
            (b"", malformed("a nonce")),
            (b"r=", ScramError::Nonce),
            (b"r=other,s=c2FsdA==,i=1", ScramError::Nonce),
            (b"r=rOprNGfwEbeRWgbNEkqO,s=c2FsdA==,i=1", ScramError::Nonce),
            (b"r=rOprNGfwEbeRWgbNEkqO x,s=c2FsdA==,i=1", ScramError::Nonce),
            (b"r=rOprNGfwEbeRWgbNEkqOx", malformed("a salt")),
            (b"r=rOprNGfwEbeRWgbNEkqOx,i=1,s=c2FsdA==", malformed("a salt")),
            (b"r=rOprNGfwEbeRWgbNEkqOx,s=,i=1", malformed("a salt in base64")),
            (b"r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA,i=1", malformed("a salt in base64")),
            (b"r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==", malformed("a number of iterations")),
            (b"r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i=", ScramError::Iterations),
            (b"r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i=0", ScramError::Iterations),
            (b"r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i=4294967295", ScramError::Iterations),
            (b"r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i=1,", malformed("optional extensions or the end")),
            (b"m=x,r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i=1", ScramError::Extension),
            (b"r=rOprNGfwEbeRWgbNEkqOx\0,s=c2FsdA==,i=1", malformed("UTF-8 without a NUL")),
            (b"r=rOprNGfwEbeRWgbNEkqO\xff,s=c2FsdA==,i=1", malformed("UTF-8 without a NUL")),
            (&[b'r'; 2049], ScramError::TooLong { bytes: 2049 }),
        ];
        for (message, expected) in cases {
            let mut client = ScramClient::new(NONCE);
            assert_eq!(client.server_first(message), Err(expected), "{}", message.escape_ascii());
            let out_of_order = ScramError::OutOfOrder { message: SERVER_FIRST };
            assert_eq!(client.server_first(CHALLENGE.as_bytes()), Err(out_of_order));
        }
    }

    #[test]
    fn a_server_that_does_not_know_the_verifier_is_found_out() {
        let malformed =
            ScramError::Malformed { message: SERVER_FINAL, expected: "a signature of 32 bytes in base64" };
        let trailing =
            ScramError::Malformed { message: SERVER_FINAL, expected: "optional extensions or the end" };
        let cases: [(&[u8], ScramError); 7] = [
            (b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", ScramError::SignatureMismatch),
            (b"v=", malformed.clone()),
            (b"v=AAAA", malformed.clone()),
            (b"", malformed.clone()),
            (b"x=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", malformed),
            (b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,", trailing),
            (b"e=invalid-proof", ScramError::Refused("invalid-proof".to_owned())),
        ];
        for (message, expected) in cases {
            assert_eq!(proven().server_final(message), Err(expected), "{}", message.escape_ascii());
        }
    }

    #[test]
    fn calls_out_of_order_prove_nothing() {
        let keys = ScramKeys { client_key: [1; 32], server_key: [2; 32] };
        let mut early = ScramClient::new(NONCE);
        assert_eq!(early.final_message(&keys), "");
        assert_eq!(early.server_final(SIGNATURE), Err(ScramError::OutOfOrder { message: SERVER_FINAL }));
        let mut twice = proven();
        assert_eq!(twice.final_message(&keys), "");
        assert!(twice.server_final(SIGNATURE).is_err());
        let mut done = proven();
        assert_eq!(done.server_final(SIGNATURE), Ok(()));
        assert!(done.server_final(SIGNATURE).is_err());
    }
}
