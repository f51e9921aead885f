//! The server's side: checks a client's login.

use std::fmt;

use subtle::ConstantTimeEq;

use super::error::ScramError;
use super::keys::{ScramVerifier, hmac, sha256, xor};
use super::message::{Attributes, digest_from_base64, is_nonce, text, to_base64};

const CLIENT_FIRST: &str = "client-first-message";
const CLIENT_FINAL: &str = "client-final-message";

/// A server's exchange: client's first message in, challenge out, proof in, signature out.
///
/// An unknown user is to be answered like a known one, with a made-up verifier whose salt is always the same for
/// the name: else the answers tell which users there are.
pub struct ScramServer {
    verifier: ScramVerifier,
    server_nonce: String,
    state: State,
}

enum State {
    /// Nothing has come yet. Exits: a client-first-message that is well formed, or the end.
    New,
    /// The challenge is out. Exits: the end, with or without the right proof.
    Challenged(Challenge),
    /// The exchange is over.
    Ended,
}

/// What the client's proof must refer to.
struct Challenge {
    gs2_header: String,
    /// Both first messages, as they are signed.
    signed: String,
    /// The client's and the server's nonce.
    nonce: String,
}

/// The client knows the password.
pub struct ScramSuccess {
    /// The server-final-message.
    pub server_final: String,
    /// The client's key: with the verifier's server key, it logs in to every server that has the same verifier. As
    /// secret as the password; `Debug` does not show it.
    pub client_key: [u8; 32],
}

impl ScramServer {
    /// A new exchange. `server_nonce` is random, in visible ASCII without a comma.
    #[must_use]
    pub fn new(verifier: ScramVerifier, server_nonce: &str) -> Self {
        Self { verifier, server_nonce: server_nonce.to_owned(), state: State::New }
    }

    /// Takes the client-first-message and returns the server-first-message. The user's name in it is ignored: that
    /// of the startup message counts.
    ///
    /// # Errors
    /// A message that is malformed or too long, or that asks for channel binding, an authorization identity or an
    /// extension. The exchange is over.
    pub fn client_first(&mut self, message: &[u8]) -> Result<String, ScramError> {
        let State::New = std::mem::replace(&mut self.state, State::Ended) else {
            return Err(ScramError::OutOfOrder { message: CLIENT_FIRST });
        };
        let (gs2_header, bare) = split_gs2_header(text(CLIENT_FIRST, message)?)?;
        let mut attributes = Attributes::new(CLIENT_FIRST, bare);
        attributes.refuse_mandatory_extension()?;
        attributes.take("n=", "a user's name")?;
        let expected = "a nonce in visible ASCII";
        let client_nonce = attributes.take("r=", expected)?;
        if !is_nonce(client_nonce) {
            return Err(ScramError::Malformed { message: CLIENT_FIRST, expected });
        }
        attributes.finish()?;

        let nonce = format!("{client_nonce}{}", self.server_nonce);
        let (salt, iterations) = (to_base64(&self.verifier.salt), self.verifier.iterations);
        let server_first = format!("r={nonce},s={salt},i={iterations}");
        let signed = format!("{bare},{server_first}");
        self.state = State::Challenged(Challenge { gs2_header: gs2_header.to_owned(), signed, nonce });
        Ok(server_first)
    }

    /// Takes the client-final-message and checks its proof, in a time that does not depend on how wrong it is.
    ///
    /// # Errors
    /// [`ScramError::ProofMismatch`] for a wrong password; a message that is malformed, too long, of another
    /// exchange, or about another channel binding than the first. The exchange is over in any case.
    pub fn client_final(&mut self, message: &[u8]) -> Result<ScramSuccess, ScramError> {
        let State::Challenged(challenge) = std::mem::replace(&mut self.state, State::Ended) else {
            return Err(ScramError::OutOfOrder { message: CLIENT_FINAL });
        };
        let expected = "a proof of 32 bytes in base64 at the end";
        let malformed = ScramError::Malformed { message: CLIENT_FINAL, expected };
        // Base64 has no comma, so the last `,p=` is where the proof begins.
        let parts = text(CLIENT_FINAL, message)?.rsplit_once(",p=");
        let (without_proof, proof) = parts.ok_or(malformed.clone())?;
        check_without_proof(without_proof, &challenge)?;
        let proof = digest_from_base64(proof).ok_or(malformed)?;

        let signed = format!("{},{without_proof}", challenge.signed);
        let client_signature = hmac(&self.verifier.stored_key, signed.as_bytes());
        let client_key = xor(&proof, &client_signature);
        if !bool::from(sha256(&client_key).ct_eq(&self.verifier.stored_key)) {
            return Err(ScramError::ProofMismatch);
        }
        let server_signature = hmac(&self.verifier.server_key, signed.as_bytes());
        Ok(ScramSuccess { server_final: format!("v={}", to_base64(&server_signature)), client_key })
    }
}

/// Splits the GS2 header from a client-first-message: channel binding and authorization identity.
fn split_gs2_header(message: &str) -> Result<(&str, &str), ScramError> {
    let malformed = |expected| ScramError::Malformed { message: CLIENT_FIRST, expected };
    if message.starts_with("p=") {
        return Err(ScramError::ChannelBinding);
    }
    // `n`: the client knows no channel binding. `y`: it does, but was not offered it.
    let after_flag = message.strip_prefix("n,").or_else(|| message.strip_prefix("y,"));
    let after_flag = after_flag.ok_or(malformed("a channel binding flag n or y"))?;
    if after_flag.starts_with("a=") {
        return Err(ScramError::AuthorizationIdentity);
    }
    let bare = after_flag.strip_prefix(',').ok_or(malformed("an empty authorization identity"))?;
    message.split_at_checked(message.len().saturating_sub(bare.len())).ok_or(malformed("a GS2 header"))
}

/// Checks that the final message is about the first one: the same channel binding and the nonce of both sides.
fn check_without_proof(without_proof: &str, challenge: &Challenge) -> Result<(), ScramError> {
    let mut attributes = Attributes::new(CLIENT_FINAL, without_proof);
    let binding = attributes.take("c=", "a channel binding")?;
    if binding != to_base64(challenge.gs2_header.as_bytes()) {
        return Err(ScramError::ChannelBinding);
    }
    if attributes.take("r=", "a nonce")? != challenge.nonce {
        return Err(ScramError::Nonce);
    }
    attributes.finish()
}

impl fmt::Debug for ScramServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ScramServer").finish_non_exhaustive()
    }
}

impl fmt::Debug for ScramSuccess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ScramSuccess").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The password `pencil` with the salt of RFC 7677.
    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    fn server() -> ScramServer {
        ScramServer::new(ScramVerifier::parse(PENCIL).unwrap(), SERVER_NONCE)
    }

    fn challenged() -> ScramServer {
        let mut server = server();
        server.client_first(FIRST).unwrap();
        server
    }

    #[test]
    fn the_example_of_rfc_7677() {
        let mut server = server();
        assert_eq!(
            server.client_first(FIRST).unwrap(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let success = server.client_final(FINAL.as_bytes()).unwrap();
        assert_eq!(success.server_final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let client_key = "a60fc923d67e8644a92d16b96eda5ef4656b0c725c484374be25535576996e8b";
        assert_eq!(success.client_key.map(|byte| format!("{byte:02x}")).concat(), client_key);
        assert_eq!(format!("{success:?}{server:?}"), "ScramSuccess { .. }ScramServer { .. }");
    }

    #[test]
    fn first_messages_are_accepted_without_channel_binding_only() {
        let malformed = |expected| Some(ScramError::Malformed { message: CLIENT_FIRST, expected });
        let (flag, nonce) = ("a channel binding flag n or y", "a nonce in visible ASCII");
        let extensions = "optional extensions or the end";
        let cases: [(&[u8], Option<ScramError>); 24] = [
            (b"n,,n=,r=x", None),
            (b"y,,n=,r=x", None),
            (b"n,,n=a=2Cb,r=x,t=ignored", None),
            (b"p=tls-server-end-point,,n=,r=x", Some(ScramError::ChannelBinding)),
            (b"n,a=admin,n=,r=x", Some(ScramError::AuthorizationIdentity)),
            (b"n,x,n=,r=x", malformed("an empty authorization identity")),
            (b"n,", malformed("an empty authorization identity")),
            (b"n,,m=x,n=,r=x", Some(ScramError::Extension)),
            (b"", malformed(flag)),
            (b"n", malformed(flag)),
            (b"x,,n=,r=x", malformed(flag)),
            (b"N,,n=,r=x", malformed(flag)),
            (b",,,,,,,,", malformed(flag)),
            (b"n,,", malformed("a user's name")),
            (b"n,,r=x,n=", malformed("a user's name")),
            (b"n,,n=", malformed(nonce)),
            (b"n,,n=,r=", malformed(nonce)),
            (b"n,,n=,r=a b", malformed(nonce)),
            (b"n,,n=,r=\xc3\xa9", malformed(nonce)),
            (b"n,,n=,r=x,", malformed(extensions)),
            (b"n,,n=,r=x,p=y", malformed(extensions)),
            (b"n,,n=,r=x\0", malformed("UTF-8 without a NUL")),
            (b"n,,n=\xff,r=x", malformed("UTF-8 without a NUL")),
            (&[b'n'; 2049], Some(ScramError::TooLong { bytes: 2049 })),
        ];
        for (message, expected) in cases {
            let mut server = server();
            assert_eq!(server.client_first(message).err(), expected, "{}", message.escape_ascii());
            let again = server.client_first(FIRST).err();
            assert_eq!(again, Some(ScramError::OutOfOrder { message: CLIENT_FIRST }));
        }
    }

    #[test]
    fn final_messages_must_belong_to_the_first_and_hold_the_proof() {
        let malformed = |expected| ScramError::Malformed { message: CLIENT_FINAL, expected };
        let proof = "a proof of 32 bytes in base64 at the end";
        let extensions = "optional extensions or the end";
        let cases: [(&str, &str, ScramError); 12] = [
            ("biws", "eSws", ScramError::ChannelBinding),
            ("biws", "biw=", ScramError::ChannelBinding),
            ("biws", "", ScramError::ChannelBinding),
            ("c=biws,", "", malformed("a channel binding")),
            ("r=rOpr", "r=xOpr", ScramError::Nonce),
            ("$k0", "$k", ScramError::Nonce),
            (",r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "", malformed("a nonce")),
            ("p=dHzb", "p=eHzb", ScramError::ProofMismatch),
            (",p=", ",q=", malformed(proof)),
            ("ndVQ=", "ndVQ", malformed(proof)),
            ("ndVQ=", "ndVQ=,t=1", malformed(proof)),
            (",p=", ",p=AAAA,p=", malformed(extensions)),
        ];
        for (from, to, expected) in cases {
            let message = FINAL.replacen(from, to, 1);
            assert_eq!(challenged().client_final(message.as_bytes()).err(), Some(expected), "{message}");
        }
        let unsigned_extension = FINAL.replacen(",p=", ",t=1,p=", 1);
        let mismatch = challenged().client_final(unsigned_extension.as_bytes()).err();
        assert_eq!(mismatch, Some(ScramError::ProofMismatch), "an extension is part of what is signed");
        let long = challenged().client_final(&[b'c'; 2049]).err();
        assert_eq!(long, Some(ScramError::TooLong { bytes: 2049 }));
    }

    #[test]
    fn there_is_one_try_only() {
        let out_of_order = Some(ScramError::OutOfOrder { message: CLIENT_FINAL });
        assert_eq!(server().client_final(FINAL.as_bytes()).err(), out_of_order);
        let mut server = challenged();
        assert!(server.client_final(FINAL.replacen("p=dHzb", "p=eHzb", 1).as_bytes()).is_err());
        assert_eq!(server.client_final(FINAL.as_bytes()).err(), out_of_order);
    }

    #[test]
    fn a_first_message_cut_anywhere_is_refused_or_another_valid_one() {
        for cut in 0..FINAL.len() {
            assert!(challenged().client_final(&FINAL.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
        let shortest = b"n,,n=user,r=r".len();
        for cut in 0..FIRST.len() {
            assert_eq!(server().client_first(&FIRST[..cut]).is_ok(), cut >= shortest, "cut at {cut}");
        }
    }
}
