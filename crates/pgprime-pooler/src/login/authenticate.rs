//! How a client proves who it is.

use pgprime_wire::backend::encode;
use pgprime_wire::frontend::{self, SaslInitial};
use pgprime_wire::md5;
use pgprime_wire::scram::{self, ScramServer, ScramVerifier};
use pgprime_wire::tag::frontend as tag;

use super::error::{LoginError, refuse};
use crate::context::Context;
use crate::settings::{AuthType, Config, Secret};
use crate::stream::Session;

/// PostgreSQL's own number, so that unknown users look like known ones.
const DECOY_ITERATIONS: u32 = 4096;

/// Lets the client prove that it is this user, in the way the settings ask for.
pub(super) async fn prove(
    context: &Context,
    config: &Config,
    session: &mut Session,
    user: &str,
) -> Result<(), LoginError> {
    let secret = context.directory.secrets().get(user).cloned();
    match (config.settings.auth_type, &secret) {
        (AuthType::Any, _) => Ok(()),
        (AuthType::Trust, Some(_)) => Ok(()),
        (AuthType::Trust, None) => Err(refuse(
            "28000",
            format!("no such user: {user} (auth_type=trust takes the users in auth_file)"),
        )),
        (AuthType::Plain, _) => cleartext(session, user, secret.as_ref()).await,
        (AuthType::Md5, Some(Secret::Scram(_))) | (AuthType::ScramSha256, _) => {
            scram(context, session, user, secret.as_ref()).await
        }
        (AuthType::Md5, _) => md5(session, user, secret.as_ref()).await,
    }
}

fn failed(user: &str) -> LoginError {
    refuse("28P01", format!("password authentication failed for user \"{user}\""))
}

/// The next message, which has to be the client's answer.
async fn answer(session: &mut Session) -> Result<Vec<u8>, LoginError> {
    let (kind, body) = session.message().await?;
    if kind != tag::PASSWORD {
        let found = char::from(kind).escape_default().to_string();
        return Err(refuse("08P01", format!("expected password response, got message type '{found}'")));
    }
    Ok(body)
}

async fn cleartext(session: &mut Session, user: &str, secret: Option<&Secret>) -> Result<(), LoginError> {
    let mut out = Vec::new();
    encode::authentication_cleartext(&mut out);
    session.send(&out).await?;
    let body = answer(session).await?;
    let password = frontend::password_text(&body).map_err(|error| refuse("08P01", error.to_string()))?;
    if matches_secret(password.to_vec(), user.to_string(), secret.cloned()).await {
        Ok(())
    } else {
        Err(failed(user))
    }
}

/// Compares a password with what is stored, off this thread: for a SCRAM verifier that costs milliseconds.
async fn matches_secret(password: Vec<u8>, user: String, secret: Option<Secret>) -> bool {
    let compare = move || match secret {
        Some(Secret::Plain(stored)) => {
            // By hash, so that the time it takes tells nothing of the password.
            let hash = |text: &[u8]| md5::md5_secret(text, user.as_bytes());
            !stored.is_empty() && hash(stored.as_bytes()) == hash(&password)
        }
        Some(Secret::Md5(stored)) => md5::md5_secret(&password, user.as_bytes()) == stored,
        Some(Secret::Scram(stored)) => {
            ScramVerifier::parse(&stored).is_ok_and(|verifier| verifier.verify_password(&password))
        }
        None => false,
    };
    tokio::task::spawn_blocking(compare).await.unwrap_or(false)
}

async fn md5(session: &mut Session, user: &str, secret: Option<&Secret>) -> Result<(), LoginError> {
    let salt = crate::random::bytes();
    let mut out = Vec::new();
    encode::authentication_md5(&mut out, salt);
    session.send(&out).await?;
    let body = answer(session).await?;
    let given = frontend::password_text(&body).map_err(|error| refuse("08P01", error.to_string()))?;
    let stored = match secret {
        Some(Secret::Plain(password)) if !password.is_empty() => {
            md5::md5_secret(password.as_bytes(), user.as_bytes())
        }
        Some(Secret::Md5(stored)) => stored.clone(),
        _ => return Err(failed(user)),
    };
    if md5::md5_verify(&stored, salt, given) { Ok(()) } else { Err(failed(user)) }
}

async fn scram(
    context: &Context,
    session: &mut Session,
    user: &str,
    secret: Option<&Secret>,
) -> Result<(), LoginError> {
    let verifier = verifier(context, user, secret).await;
    let is_known = verifier.is_some();
    let verifier = verifier.unwrap_or_else(|| decoy(context, user));
    let mut server = ScramServer::new(verifier, &crate::random::nonce());
    let protocol = |error: String| refuse("08P01", error);

    let mut out = Vec::new();
    encode::authentication_sasl(&mut out, &[scram::MECHANISM]);
    session.send(&out).await?;
    let body = answer(session).await?;
    let initial = SaslInitial::decode(&body).map_err(|error| protocol(error.to_string()))?;
    if initial.mechanism != scram::MECHANISM {
        return Err(protocol(format!("client selected an invalid SASL mechanism: {}", initial.mechanism)));
    }
    let first =
        server.client_first(initial.data.unwrap_or_default()).map_err(|error| protocol(error.to_string()))?;
    let mut out = Vec::new();
    encode::authentication_sasl_continue(&mut out, first.as_bytes());
    session.send(&out).await?;

    let body = answer(session).await?;
    match server.client_final(&body) {
        Ok(success) if is_known => {
            if let Some(Secret::Scram(_)) = secret {
                context.directory.keep_client_key(user, success.client_key);
            }
            let mut out = Vec::new();
            encode::authentication_sasl_final(&mut out, success.server_final.as_bytes());
            session.send(&out).await?;
            Ok(())
        }
        _ => Err(failed(user)),
    }
}

/// The verifier of a user, derived from a plain password where that is what is stored.
async fn verifier(context: &Context, user: &str, secret: Option<&Secret>) -> Option<ScramVerifier> {
    match secret? {
        Secret::Scram(stored) => ScramVerifier::parse(stored).ok(),
        Secret::Plain(password) if !password.is_empty() => {
            if let Some(verifier) = context.verifier(user, password) {
                return Some(verifier);
            }
            let copy = password.clone();
            let salt: [u8; 16] = crate::random::bytes();
            let derive = move || ScramVerifier::derive(copy.as_bytes(), &salt, DECOY_ITERATIONS);
            let verifier = tokio::task::spawn_blocking(derive).await.ok()?;
            context.keep_verifier(user, password, verifier.clone());
            Some(verifier)
        }
        Secret::Plain(_) | Secret::Md5(_) => None,
    }
}

/// What an unknown user is tried against: it looks like a known one, and nobody has its password.
fn decoy(context: &Context, user: &str) -> ScramVerifier {
    let digest = md5::md5_secret(&context.decoy, user.as_bytes());
    let salt = digest.bytes().skip(3).take(16).collect();
    ScramVerifier {
        iterations: DECOY_ITERATIONS,
        salt,
        stored_key: crate::random::bytes(),
        server_key: crate::random::bytes(),
    }
}
