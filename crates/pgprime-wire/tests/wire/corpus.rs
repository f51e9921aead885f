//! The fuzzers' corpus, replayed: what they once found stays found without them.

use std::fs;
use std::path::PathBuf;

use crate::exercise;
use crate::samples::{Sample, startup_packets, tagged};

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

fn replay(target: &str, exercise: fn(&[u8])) {
    let entries = fs::read_dir(folder(target)).expect("the corpus is in the source tree");
    let files: Vec<_> = entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    for file in files {
        println!("{}", file.display());
        exercise(&fs::read(file).expect("a seed can be read"));
    }
}

#[test]
fn the_corpus_of_decode_panics_nowhere() {
    replay("decode", exercise::decode);
}

#[test]
fn the_corpus_of_scram_panics_nowhere() {
    replay("scram", exercise::scram);
}

/// With PGPRIME_WRITE_SEEDS set, the seeds are written first: to be done after a message was added.
#[test]
fn every_message_has_a_seed() {
    let writes = std::env::var_os("PGPRIME_WRITE_SEEDS").is_some();
    for (target, name, expected) in seeds() {
        let file = folder(target).join(&name);
        if writes {
            fs::create_dir_all(folder(target)).unwrap();
            fs::write(&file, &expected).unwrap();
        }
        let found = fs::read(&file).unwrap_or_default();
        assert_eq!(found, expected, "{target}/{name}: run this test with PGPRIME_WRITE_SEEDS=1");
    }
}

/// Target, file name and bytes of every seed.
fn seeds() -> Vec<(&'static str, String, Vec<u8>)> {
    let named = |sample: Sample| ("decode", sample.name.to_owned(), sample.encoded);
    let messages = startup_packets().into_iter().chain(tagged()).map(named);
    let all = tagged().into_iter().flat_map(|sample| sample.encoded).collect();
    let streams = [("decode", "every_message".to_owned(), all)];
    let lines =
        SCRAM_SEEDS.iter().map(|(name, lines)| ("scram", (*name).to_owned(), lines.as_bytes().to_vec()));
    messages.chain(streams).chain(lines).collect()
}

/// Two messages of a peer, or a stored secret, for `exercise::scram`, which plays RFC 7677's example.
const SCRAM_SEEDS: &[(&str, &str)] = &[
    (
        "client",
        "n,,n=user,r=rOprNGfwEbeRWgbNEkqO\nc=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    ),
    ("client_that_knows_channel_binding", "y,,n=,r=x\nc=eSws,r=x%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,t=1,p=AAAA"),
    ("client_with_channel_binding", "p=tls-server-end-point,,n=,r=x\n"),
    ("client_as_another_user", "n,a=admin,n=,r=x\n"),
    (
        "server",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096\nv=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
    ("server_that_refuses", "r=rOprNGfwEbeRWgbNEkqOx,s=c2FsdA==,i=1,t=1\ne=invalid-proof"),
    (
        "stored_verifier",
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    ),
    ("stored_md5", "md53175bce1d3201d16594cebf9d7eb3f9d\nsalt"),
];
