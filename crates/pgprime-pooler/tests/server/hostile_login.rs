//! Passwords and SCRAM messages that are wrong, too early, too late or mangled.

use pgprime_wire::frontend::encode;
use pgprime_wire::scram::{MECHANISM, ScramClient, ScramKeys, salted_password};
use pgprime_wire::{backend, tag};

use crate::support::{Raw, Setup, TestPooler, start_packet};

const PASSWORD: &str = "correct horse";
const DB: [(&str, &str); 2] = [("user", "app"), ("database", "db")];

fn pooler(auth_type: &str) -> TestPooler {
    Setup::new().set("auth_type", auth_type).secret("app", PASSWORD).start()
}

/// Sends the startup packet and reads the request for a password.
fn asked(pooler: &TestPooler) -> (Raw, Vec<u8>) {
    let mut client = pooler.connect();
    client.send(&start_packet(&DB));
    let request = client.message().expect("a request for a password");
    assert_eq!(request.tag, tag::backend::AUTHENTICATION);
    (client, request.body)
}

/// Refused with one of the SQLSTATEs of a failed login, and closed.
#[track_caller]
fn check_refused(client: &mut Raw, what: &str) {
    let messages = client.until_closed();
    for message in &messages {
        // A challenge may come before the refusal, but never AuthenticationOk or anything that follows it.
        let is_challenge = message.tag == tag::backend::AUTHENTICATION && message.body[..4] != [0, 0, 0, 0];
        match message.error() {
            Some((sqlstate, _)) => {
                assert!(["28P01", "08P01"].contains(&sqlstate.as_str()), "{what}: {sqlstate}")
            }
            None => assert!(is_challenge, "{what}: {message:?}"),
        }
    }
}

fn log_in_with_password(pooler: &TestPooler) -> Raw {
    let (mut client, request) = asked(pooler);
    match backend::authentication(&request).unwrap() {
        backend::Authentication::CleartextPassword => {
            client.tell(|out| encode::password(out, PASSWORD.as_bytes()));
        }
        backend::Authentication::Md5Password { salt } => {
            let secret = pgprime_wire::md5::md5_secret(PASSWORD.as_bytes(), b"app");
            let answer = pgprime_wire::md5::md5_response(&secret, salt).unwrap();
            client.tell(|out| encode::password(out, answer.as_bytes()));
        }
        _ => scram(&mut client, |_, message| message),
    }
    client.finish_login();
    client
}

/// The client's part of SCRAM up to its final message; `mangle` may change each message by its number.
fn scram(client: &mut Raw, mut mangle: impl FnMut(usize, Vec<u8>) -> Vec<u8>) {
    let mut exchange = ScramClient::new("a-nonce-of-the-test");
    let first = mangle(0, exchange.first_message().into_bytes());
    client.tell(|out| encode::sasl_initial(out, MECHANISM, &first));
    let Some(challenge) = client.message().filter(|message| message.tag == tag::backend::AUTHENTICATION)
    else {
        return;
    };
    let Ok(backend::Authentication::SaslContinue(data)) = backend::authentication(&challenge.body) else {
        return;
    };
    let Ok(server_first) = exchange.server_first(data) else {
        // The nonce is another by now: no proof can be right.
        return client.tell(|out| encode::sasl_response(out, b"c=biws,r=x,p=AAAA"));
    };
    let salted = salted_password(PASSWORD.as_bytes(), &server_first.salt, server_first.iterations);
    let last = exchange.final_message(&ScramKeys::from_salted_password(&salted));
    let last = mangle(1, last.into_bytes());
    client.tell(|out| encode::sasl_response(out, &last));
}

#[test]
fn the_right_password_is_let_in_by_every_method() {
    for auth_type in ["plain", "md5", "scram-sha-256"] {
        let pooler = pooler(auth_type);
        assert_eq!(log_in_with_password(&pooler).value("SELECT 'in'"), "in", "{auth_type}");
    }
}

#[test]
fn wrong_passwords_of_every_shape_are_refused() {
    for auth_type in ["plain", "md5", "scram-sha-256"] {
        let pooler = pooler(auth_type);
        let huge = vec![b'p'; 100_000];
        for password in
            [b"".as_slice(), b"wrong", b"correct horse ", b"md5", &[0xff; 64], &huge[..60_000], &huge]
        {
            let (mut client, _) = asked(&pooler);
            client.tell(|out| encode::password(out, password));
            check_refused(&mut client, auth_type);
        }
        // Without a terminator, with two, and a body of nothing.
        for body in [b"correct horse".as_slice(), b"correct horse\0\0", b""] {
            let (mut client, _) = asked(&pooler);
            let length = u32::try_from(4 + body.len()).unwrap().to_be_bytes();
            client.send(&[b"p", &length[..], body].concat());
            check_refused(&mut client, auth_type);
        }
        assert_eq!(log_in_with_password(&pooler).value("SELECT 1"), "1");
    }
}

#[test]
fn every_type_of_message_but_a_password_is_refused_during_login() {
    let pooler = pooler("md5");
    for message_tag in (0..=255_u8).filter(|message_tag| *message_tag != b'p') {
        let (mut client, _) = asked(&pooler);
        client.send(&[message_tag, 0, 0, 0, 4]);
        check_refused(&mut client, &format!("tag {message_tag}"));
    }
    for length in [0_u32, 3, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let (mut client, _) = asked(&pooler);
        client.send(&[b"p", &length.to_be_bytes()[..], b"x"].concat());
        check_refused(&mut client, &format!("length {length}"));
    }
    assert_eq!(log_in_with_password(&pooler).value("SELECT 1"), "1");
}

#[test]
fn a_password_before_it_is_asked_for_is_only_as_good_as_its_text() {
    let pooler = pooler("plain");
    let mut early = pooler.connect();
    let mut packet = start_packet(&DB);
    encode::password(&mut packet, b"wrong");
    encode::query(&mut packet, b"SELECT 'let in'");
    early.send(&packet);
    check_refused(&mut early, "too early and wrong");

    // Right, and the query behind it is answered: nothing of the pipeline is lost.
    let mut pipelined = pooler.connect();
    let mut packet = start_packet(&DB);
    encode::password(&mut packet, PASSWORD.as_bytes());
    encode::query(&mut packet, b"SELECT 'pipelined'");
    pipelined.send(&packet);
    pipelined.finish_login();
    assert_eq!(pipelined.reply().value(), "pipelined");
}

#[test]
fn a_password_after_login_is_a_violation() {
    let pooler = pooler("plain");
    let mut late = log_in_with_password(&pooler);
    late.tell(|out| encode::password(out, PASSWORD.as_bytes()));
    assert_eq!(late.last_error().expect("an error").0, "08P01");
    let mut amid = log_in_with_password(&pooler);
    assert_eq!(amid.query("BEGIN").status, Some('T'));
    amid.tell(|out| encode::password(out, PASSWORD.as_bytes()));
    assert_eq!(amid.last_error().expect("an error").0, "08P01");
    assert_eq!(log_in_with_password(&pooler).value("SELECT 1"), "1");
}

#[test]
fn scram_messages_mangled_at_each_byte_let_nobody_in() {
    let pooler = pooler("scram-sha-256");
    drop(log_in_with_password(&pooler));
    for which in 0..2 {
        let mut place = 0;
        loop {
            let mut is_past_the_end = false;
            let (mut client, _) = asked(&pooler);
            scram(&mut client, |number, mut message| {
                if number == which {
                    is_past_the_end = place >= message.len();
                    if let Some(byte) = message.get_mut(place) {
                        *byte ^= 1;
                    }
                }
                message
            });
            if is_past_the_end {
                break;
            }
            // A nonce of the client's own choice may be another: the exchange goes on with it and fails on the proof.
            check_refused(&mut client, &format!("message {which}, byte {place}"));
            place += 1;
        }
    }
    assert_eq!(log_in_with_password(&pooler).value("SELECT 1"), "1");
}

#[test]
fn scram_messages_cut_short_or_absurd_let_nobody_in() {
    let pooler = pooler("scram-sha-256");
    for which in 0..2 {
        for cut in 0..24 {
            let (mut client, _) = asked(&pooler);
            scram(&mut client, |number, message| {
                if number == which { message[..cut.min(message.len() - 1)].to_vec() } else { message }
            });
            check_refused(&mut client, &format!("message {which} cut at {cut}"));
        }
    }
    let long = vec![b'r'; 50_000];
    for first in
        [b"".as_slice(), b"n,,", b"n,,n=,r=", b"p=tls-unique,,n=,r=x", b"y,,n=,r=", b"n,a=x,n=,r=x", &long]
    {
        let (mut client, _) = asked(&pooler);
        client.tell(|out| encode::sasl_initial(out, MECHANISM, first));
        client.tell(|out| encode::sasl_response(out, b"c=biws,r=x,p="));
        check_refused(&mut client, &String::from_utf8_lossy(&first[..first.len().min(30)]));
    }
    for mechanism in ["", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "PLAIN", "%n"] {
        let (mut client, _) = asked(&pooler);
        client.tell(|out| encode::sasl_initial(out, mechanism, b"n,,n=,r=x"));
        check_refused(&mut client, mechanism);
    }
    // Lengths inside the message that lie.
    for length in [-2_i32, i32::MIN, i32::MAX, 1000] {
        let (mut client, _) = asked(&pooler);
        let body = [b"SCRAM-SHA-256\0".as_slice(), &length.to_be_bytes(), b"n,,n=,r=x"].concat();
        let header = u32::try_from(4 + body.len()).unwrap().to_be_bytes();
        client.send(&[b"p", &header[..], &body].concat());
        check_refused(&mut client, &format!("inner length {length}"));
    }
    assert_eq!(log_in_with_password(&pooler).value("SELECT 1"), "1");
}

#[test]
fn an_unknown_user_looks_like_a_known_one() {
    let pooler = Setup::new().set("auth_type", "scram-sha-256").secret("app", PASSWORD).start();
    let mut salts = Vec::new();
    for user in ["app", "nobody", "nobody"] {
        let mut client = pooler.connect();
        client.send(&start_packet(&[("user", user), ("database", "db")]));
        let _request = client.message().expect("a request for a password");
        client.tell(|out| encode::sasl_initial(out, MECHANISM, b"n,,n=,r=nonce"));
        let challenge = client.message().expect("a challenge");
        let text = String::from_utf8(challenge.body[4..].to_vec()).unwrap();
        let (_, salt) = text.split_once(",s=").expect("a salt");
        salts.push(salt.to_string());
        client.tell(|out| encode::sasl_response(out, b"c=biws,r=nonce,p=AAAA"));
        check_refused(&mut client, user);
    }
    assert_eq!(salts[1], salts[2], "the salt of an unknown user stays the same");
    assert_eq!(salts[0].len(), salts[1].len());
}
