//! Every message: as bytes, whole, cut at every byte, and with any byte changed.

use pgprime_wire::frame::{HEADER_BYTES, Header};

use crate::exercise;
use crate::samples::{Accepts, Sample, startup_packets, tagged};

#[test]
fn every_message_is_written_as_the_protocol_says() {
    for Sample { name, encoded, expected, .. } in startup_packets().into_iter().chain(tagged()) {
        assert_eq!(encoded.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{name}");
    }
}

#[test]
fn encoders_append() {
    let mut out = b"before".to_vec();
    pgprime_wire::frontend::encode::query(&mut out, b"x");
    pgprime_wire::backend::encode::parse_complete(&mut out);
    assert_eq!(out, b"beforeQ\0\0\0\x06x\x001\0\0\0\x04");
}

#[test]
fn every_message_is_framed_by_its_header() {
    for Sample { name, encoded, .. } in tagged() {
        for cut in 0..HEADER_BYTES {
            assert_eq!(Header::peek(&encoded[..cut]), Ok(None), "{name} cut at {cut}");
        }
        let header = Header::peek(&encoded).unwrap().unwrap();
        assert_eq!((header.tag, header.len), (encoded[0], encoded.len()), "{name}");
        assert_eq!(header.body(&encoded), &encoded[HEADER_BYTES..], "{name}");
    }
}

#[test]
fn a_message_cut_at_any_byte_is_refused() {
    let bodies = tagged().into_iter().map(|sample| {
        let body = sample.encoded[HEADER_BYTES..].to_vec();
        (sample, body)
    });
    let packets = startup_packets().into_iter().map(|sample| {
        let packet = sample.encoded.clone();
        (sample, packet)
    });
    for (Sample { name, accepts, .. }, bytes) in bodies.chain(packets) {
        let (least, accepts) = match accepts {
            Accepts::Whole(accepts) => (bytes.len(), accepts),
            Accepts::From(least, accepts) => (least, accepts),
            Accepts::NotDecoded => continue,
        };
        for cut in 0..=bytes.len() {
            assert_eq!(accepts(&bytes[..cut]), cut >= least, "{name} cut at {cut}");
        }
    }
}

#[test]
fn a_message_with_any_byte_changed_panics_nowhere() {
    for Sample { encoded, .. } in startup_packets().into_iter().chain(tagged()) {
        exercise::decode(&encoded);
        for at in 0..encoded.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff, encoded[at] ^ 0x20] {
                let mut changed = encoded.clone();
                changed[at] = byte;
                exercise::decode(&changed);
                exercise::decode(changed.get(HEADER_BYTES..).unwrap_or_default());
                exercise::decode(&changed[..at]);
            }
        }
    }
}
