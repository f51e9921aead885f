//! Hands any bytes to every decoder: `cargo +nightly fuzz run decode`.
#![no_main]

#[path = "../exercise.rs"]
mod exercise;

libfuzzer_sys::fuzz_target!(|data: &[u8]| exercise::decode(data));
