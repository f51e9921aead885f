//! Waiting times verified with a real pooler, where one is installed. No figure is judged here that a busy machine
//! changes: only that the machinery counts and cleans up.

use pgprime_demo::{PoolerCommand, VerifyOptions, verify};

use crate::poolers::pooler_command;

#[test]
fn every_arrival_is_answered_once_and_the_pool_keeps_its_size() {
    let Some(command) = pooler_command() else { return };
    let mut options = VerifyOptions::new(PoolerCommand::Template(command));
    (options.rate, options.service_mean_ms, options.seconds) = (300.0, 10.0, 4);
    options.sizes = vec![5];
    let report = verify(&options).unwrap();
    let [size] = &report.sizes[..] else { panic!("{report}") };
    assert_eq!((size.size, size.errors.count, size.arrivals_without_client_max), (5, 0, 0), "{report}");
    assert_eq!(size.requests_answered, size.requests_sent, "{report}");
    // 1,200 are expected; the seed makes the count the same every time.
    assert!((1_000..1_400).contains(&size.requests_measured), "{report}");
    assert!(size.requests_measured < size.requests_answered, "{report}");
    assert!((1..=5).contains(&size.servers_max) && (1..=5).contains(&size.sessions_max), "{report}");
    assert_eq!(size.sessions_left, 0, "{report}");
    assert!(size.pooler.wait_ms_mean.is_some() && size.pooler.busy_servers_mean.is_some(), "{report}");
    assert!(size.load.busy_servers() < 5.0, "{report}");
}

#[test]
fn nonsense_is_refused_before_anything_starts() {
    let mut options = VerifyOptions::new(PoolerCommand::Own("/nowhere/pgprime".into()));
    options.sizes = vec![20];
    let error = verify(&options).unwrap_err().to_string();
    assert!(error.contains("grows without end"), "{error}");
}

#[test]
fn a_pooler_that_does_not_start_is_an_error() {
    let options = VerifyOptions::new(PoolerCommand::Template("false {config}".into()));
    let error = format!("{:#}", verify(&options).unwrap_err());
    assert!(error.contains("the pooler ended at its start"), "{error}");
}
