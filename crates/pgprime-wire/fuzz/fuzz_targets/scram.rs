//! Hands any bytes to both sides of SCRAM, as two messages: `cargo +nightly fuzz run scram`.
#![no_main]

#[path = "../exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exercise::scram(data));
