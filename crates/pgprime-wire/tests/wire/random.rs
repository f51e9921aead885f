//! Random inputs: no panic anywhere, and what goes in comes out.

use pgprime_wire::backend::encode::ErrorNotice;
use pgprime_wire::backend::{self, ErrorFields};
use pgprime_wire::frame::{HEADER_BYTES, Header};
use pgprime_wire::frontend::{self, Bind, Parse};
use pgprime_wire::md5::{md5_response, md5_secret, md5_verify};
use pgprime_wire::scram::{ScramClient, ScramError, ScramKeys, ScramServer, ScramVerifier, salted_password};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::exercise;
use crate::samples::{startup_packets, tagged};

/// A text as the protocol can carry it.
fn text() -> impl Strategy<Value = Vec<u8>> {
    vec(1..=u8::MAX, 0..40)
}

/// Messages and parts of messages in a row, with noise: what a hostile peer would send.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let whole: Vec<Vec<u8>> =
        startup_packets().into_iter().chain(tagged()).map(|sample| sample.encoded).collect();
    let part = (select(whole), any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(
        |(mut message, at, byte, cut)| {
            let at = at.index(message.len());
            message[at] = byte;
            if cut { message[..at].to_vec() } else { message }
        },
    );
    vec(part, 0..6).prop_map(|parts| parts.concat())
}

/// A line as a SCRAM peer might send it: attributes, some of them right.
fn scram_line() -> impl Strategy<Value = String> {
    let right = select(vec![
        "n",
        "y",
        "",
        "n=",
        "n=user",
        "r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "s=W22ZaJ0SNY7soEsUEjb6gQ==",
        "i=4096",
        "c=biws",
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        "m=x",
        "a=",
        "t=1",
    ]);
    let attribute =
        prop_oneof![4 => right.prop_map(str::to_owned), 1 => "[a-z]=[ -~é]{0,20}", 1 => "[ -~]{0,8}"];
    vec(attribute, 0..7).prop_map(|attributes| attributes.join(","))
}

proptest! {
    #[test]
    fn random_bytes_panic_no_decoder(data in vec(any::<u8>(), 0..300)) {
        exercise::decode(&data);
        exercise::scram(&data);
    }

    #[test]
    fn damaged_messages_panic_no_decoder(data in stream()) {
        exercise::decode(&data);
    }

    #[test]
    fn scram_lines_panic_no_side(first in scram_line(), second in scram_line()) {
        exercise::scram(format!("{first}\n{second}").as_bytes());
    }

    #[test]
    fn a_parse_goes_round(name in text(), query in text(), types in vec(any::<u32>(), 0..8)) {
        let count = u16::try_from(types.len()).unwrap().to_be_bytes();
        let types = types.iter().flat_map(|oid| oid.to_be_bytes());
        let types: Vec<u8> = count.into_iter().chain(types).collect();
        let mut message = Vec::new();
        frontend::encode::parse(&mut message, &name, &query, &types);
        let expected = Parse { name: &name, query: &query, parameter_types: &types };
        prop_assert_eq!(Parse::decode(&message[HEADER_BYTES..]), Ok(expected));
    }

    #[test]
    fn a_bind_gets_another_statement_without_being_held(
        portal in text(),
        statement in text(),
        renamed in text(),
        values in vec(prop::option::of(vec(any::<u8>(), 0..20)), 0..8),
    ) {
        let values: Vec<Option<&[u8]>> = values.iter().map(Option::as_deref).collect();
        let (mut sent, mut expected, mut forwarded) = (Vec::new(), Vec::new(), Vec::new());
        frontend::encode::bind_text(&mut sent, &portal, &statement, &values);
        frontend::encode::bind_text(&mut expected, &portal, &renamed, &values);
        let bind = Bind::decode(&sent[HEADER_BYTES..]).unwrap();
        frontend::encode::bind_prefix(&mut forwarded, bind.portal, &renamed, bind.rest.len());
        forwarded.extend_from_slice(bind.rest);
        prop_assert_eq!(forwarded, expected);
    }

    #[test]
    fn an_error_goes_round(
        severity in "[A-Z]{1,8}",
        message in "[^\0]{0,40}",
        detail in prop::option::of("[^\0]{0,40}"),
        hint in prop::option::of("[^\0]{0,40}"),
    ) {
        let (detail, hint) = (detail.as_deref(), hint.as_deref());
        let error = ErrorNotice { severity: &severity, sqlstate: "08P01", message: &message, detail, hint, routine: None };
        let mut out = Vec::new();
        backend::encode::error_response(&mut out, &error);
        let fields = ErrorFields::parse(Header::peek(&out).unwrap().unwrap().body(&out));
        prop_assert_eq!(fields.severity(), Some(severity.as_str()));
        prop_assert_eq!(fields.sqlstate(), Some("08P01"));
        prop_assert_eq!(fields.message(), Some(message.as_str()));
        prop_assert_eq!((fields.detail(), fields.hint()), (detail, hint));
    }

    #[test]
    fn md5_accepts_the_right_password_only(
        password in text(),
        other in text(),
        user in text(),
        salt: [u8; 4],
    ) {
        let stored = md5_secret(&password, &user);
        let answer = md5_response(&md5_secret(&other, &user), salt).unwrap();
        prop_assert_eq!(md5_verify(&stored, salt, answer.as_bytes()), password == other);
    }

    #[test]
    fn scram_logs_in_with_the_right_password_and_with_what_a_login_left(
        password in "\\PC{1,20}",
        salt in vec(any::<u8>(), 1..32),
        client_nonce in "[!-+\\--~]{18,40}",
        server_nonce in "[!-+\\--~]{18,40}",
    ) {
        let verifier = ScramVerifier::derive(password.as_bytes(), &salt, 2);
        let exchange = |keys: &dyn Fn(&[u8], u32) -> ScramKeys| {
            let mut client = ScramClient::new(&client_nonce);
            let mut server = ScramServer::new(verifier.clone(), &server_nonce);
            let challenge = server.client_first(client.first_message().as_bytes())?;
            let first = client.server_first(challenge.as_bytes())?;
            let proof = client.final_message(&keys(&first.salt, first.iterations));
            let success = server.client_final(proof.as_bytes())?;
            client.server_final(success.server_final.as_bytes()).map(|()| success.client_key)
        };
        let of = |password: &[u8], salt: &[u8], iterations| {
            ScramKeys::from_salted_password(&salted_password(password, salt, iterations))
        };
        let client_key = exchange(&|salt, iterations| of(password.as_bytes(), salt, iterations)).unwrap();
        let passed_on = ScramKeys { client_key, server_key: verifier.server_key };
        prop_assert_eq!(exchange(&|_, _| passed_on.clone()), Ok(client_key));
        let wrong = exchange(&|salt, iterations| of(b"another password", salt, iterations));
        prop_assert_eq!(wrong, Err(ScramError::ProofMismatch));
    }
}
