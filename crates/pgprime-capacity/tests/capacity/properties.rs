//! What holds for every input, over many random ones with fixed seeds.

use std::iter::repeat_with;

use fastrand::Rng;
use pgprime_capacity::{
    CurvePoint, Inputs, Plan, ServerKind, ServiceTime, Severity, Shares, Waiting, curve, plan,
};
use serde_json::Value;

/// A number between `least` and `most` whose magnitude, not value, is evenly distributed.
fn magnitude(rng: &mut Rng, least: f64, most: f64) -> f64 {
    (least.ln() + rng.f64() * (most / least).ln()).exp()
}

fn sometimes<T>(rng: &mut Rng, value: impl FnOnce(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| value(rng))
}

fn sensible(rng: &mut Rng) -> Inputs {
    let scv = if rng.u8(..4) == 0 { 0.0 } else { magnitude(rng, 0.01, 20.0) };
    let service =
        ServiceTime::from_mean_and_scv(magnitude(rng, 0.05, 5000.0), scv).expect("within the limits");
    let requests_per_s = magnitude(rng, 0.01, 20_000.0);
    let max_connections = rng.u32(10..2000);
    let (read, admin) = (rng.f64() * 0.4, rng.f64() * 0.4);
    Inputs {
        requests_per_s_peak: sometimes(rng, |rng| requests_per_s * magnitude(rng, 1.0, 5.0)),
        users: sometimes(rng, |rng| rng.u32(1..100_000)),
        reserved_connections: rng.u32(0..10),
        safety_margin: 0.1 + rng.f64() * 0.9,
        cores: sometimes(rng, |rng| rng.u32(1..128)),
        wait_ms_p99_target: sometimes(rng, |rng| magnitude(rng, 0.01, 10_000.0)),
        pool_size: sometimes(rng, |rng| rng.u32(1..500)),
        has_replica: rng.bool(),
        shares: Shares { main: 1.0 - read - admin, read, admin },
        ..Inputs::new(requests_per_s, service, rng.u32(1..300), max_connections)
    }
}

fn assert_sizes_are_ordered(plan: &Plan) {
    assert!(1 <= plan.total_min_connections && plan.total_min_connections <= plan.total_max_connections);
    assert!(plan.min_connections <= plan.max_connections);
    assert!(plan.max_connections * plan.inputs.instances <= plan.total_max_connections);
    assert_eq!(plan.total_max_connections + plan.reserve_connections, plan.inputs.max_connections);
    assert!(plan.reserve_connections >= plan.inputs.reserved_connections);
    assert!(1 <= plan.pool_size && plan.pool_size_min <= plan.pool_size);
    assert!(plan.pool_size + plan.pool_size_reserve <= plan.total_max_connections);
    for server in [ServerKind::Primary, ServerKind::Replica] {
        let on_server = || plan.pools.iter().filter(|pool| pool.server == server);
        assert!(on_server().map(|pool| pool.max_connections).sum::<u32>() <= plan.max_connections);
        assert!(on_server().map(|pool| pool.min_connections).sum::<u32>() <= plan.min_connections);
        assert!(on_server().all(|pool| pool.min_connections <= pool.max_connections));
        let has_enough = plan.max_connections >= 3;
        assert!(on_server().all(|pool| pool.max_connections > 0 || pool.share == 0.0 || !has_enough));
    }
}

fn assert_point_is_sound(point: &CurvePoint) {
    let waits = [point.wait_probability, point.wait_ms_mean, point.wait_ms_p95, point.wait_ms_p99];
    let is_overloaded = point.utilisation >= 1.0 - 1e-9;
    for wait in waits {
        assert_eq!(wait.is_none(), is_overloaded, "{point:?}");
        assert!(wait.is_none_or(|wait| wait.is_finite() && wait >= 0.0), "{point:?}");
    }
    assert!(point.throughput_per_s.is_finite() && point.throughput_per_s > 0.0);
    assert!(point.utilisation.is_finite() && point.utilisation >= 0.0);
    assert!(point.wait_ms_p95 <= point.wait_ms_p99);
}

/// serde_json writes NaN and infinity as null, so a null is only allowed where something may be missing.
fn assert_nulls_are_expected(name: &str, value: &Value) {
    const OPTIONAL: &[&str] = &[
        "requests_per_s_peak",
        "users",
        "cores",
        "wait_ms_p99_target",
        "pool_size",
        "value",
        "users_per_instance",
    ];
    match value {
        Value::Null => {
            let is_expected =
                OPTIONAL.contains(&name) || name.starts_with("wait_") || name.starts_with("users_per_");
            assert!(is_expected, "{name} is null");
        }
        Value::Array(values) => values.iter().for_each(|value| assert_nulls_are_expected(name, value)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| assert_nulls_are_expected(name, value))
        }
        _ => (),
    }
}

#[test]
fn every_plan_is_sound() {
    let mut rng = Rng::with_seed(7);
    let mut planned = 0;
    for _ in 0..1_500 {
        let inputs = sensible(&mut rng);
        // Some draw more load than any plan is for, or a margin of nearly nothing.
        let Ok(plan) = plan(&inputs) else { continue };
        planned += 1;
        assert_sizes_are_ordered(&plan);
        for point in [&plan.at_peak, &plan.at_expected, &plan.at_min, &plan.at_max] {
            assert_point_is_sound(point);
        }
        assert_nulls_are_expected("", &serde_json::to_value(&plan).expect("a plan serialises"));
        for finding in &plan.findings {
            let texts = finding.ways_out.iter().chain([&finding.text]);
            assert!(
                texts.into_iter().all(|text| !text.contains("NaN") && !text.contains("inf")),
                "{finding:?}"
            );
        }
        assert!(plan.findings.is_sorted_by(|a, b| a.severity >= b.severity));
    }
    assert!(planned > 1_300, "{planned} of 1,500 made sense");
}

#[test]
fn a_calculated_size_is_the_smallest_that_meets_its_promise() {
    let mut rng = Rng::with_seed(8);
    let keeps = |plan: &Plan, size: u32| {
        let waiting = Waiting::at(plan.requests_per_s_peak, &plan.inputs.service, size);
        waiting.is_some_and(|waiting| {
            waiting.utilisation <= 0.8 + 1e-6 && waiting.wait_ms_p99 <= plan.wait_ms_p99_target
        })
    };
    for inputs in repeat_with(|| Inputs { pool_size: None, ..sensible(&mut rng) }).take(400) {
        let Ok(plan) = plan(&inputs) else { continue };
        let needed = plan.needed_connections;
        assert!(keeps(&plan, needed), "{inputs:?}");
        assert!(needed == 1 || !keeps(&plan, needed - 1), "{inputs:?}");
        assert_eq!(plan.pool_size, needed.min(plan.total_max_connections));
        let complains = ["demand_exceeds_budget", "target_not_met"];
        let does_complain = plan.findings.iter().any(|finding| complains.contains(&finding.code));
        assert_eq!(does_complain, needed > plan.total_max_connections, "{inputs:?}");
        let has_severe = plan.findings.iter().any(|finding| finding.severity == Severity::Critical);
        assert_eq!(plan.is_feasible(), !has_severe);
    }
}

#[test]
fn more_connections_never_wait_longer() {
    let mut rng = Rng::with_seed(9);
    for _ in 0..150 {
        let scv = if rng.bool() { rng.f64() } else { magnitude(&mut rng, 1.0, 100.0) };
        let service = ServiceTime::from_mean_and_scv(magnitude(&mut rng, 0.1, 1000.0), scv).expect("valid");
        let demand = magnitude(&mut rng, 0.01, 300.0);
        let requests_per_s = demand * 1000.0 / service.mean_ms();
        let least = demand.ceil() as u32;
        let waits: Vec<Waiting> = (least..least + 60)
            .filter_map(|servers| Waiting::at(requests_per_s, &service, servers))
            .collect();
        assert!(waits.len() >= 59);
        for pair in waits.windows(2) {
            let (fewer, more) = (&pair[0], &pair[1]);
            let case = format!("demand {demand}, scv {scv}: {fewer:?} then {more:?}");
            assert!(more.utilisation < fewer.utilisation, "{case}");
            assert!(more.wait_probability <= fewer.wait_probability, "{case}");
            assert!(more.wait_ms_mean <= fewer.wait_ms_mean, "{case}");
            assert!(more.wait_ms_p99 <= fewer.wait_ms_p99, "{case}");
        }
    }
}

#[test]
fn every_curve_is_bounded_sound_and_falls() {
    let mut rng = Rng::with_seed(10);
    for inputs in repeat_with(|| sensible(&mut rng)).take(200) {
        let Ok(plan) = plan(&inputs) else { continue };
        let points = curve(&plan);
        assert!((1..=210).contains(&points.len()), "{} points", points.len());
        points.iter().for_each(assert_point_is_sound);
        assert!(points.windows(2).all(|pair| pair[0].connections < pair[1].connections));
        let waits: Vec<f64> = points.iter().filter_map(|point| point.wait_ms_mean).collect();
        assert!(waits.is_sorted_by(|a, b| a >= b), "{inputs:?}");
        assert!(points.iter().any(|point| point.connections == plan.pool_size));
    }
}

#[test]
fn no_input_makes_it_panic() {
    const ODD: [f64; 12] = [
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        -0.0,
        -1.0,
        1e-9,
        1.0,
        0.5,
        1e6,
    ];
    const COUNTS: [u32; 7] = [0, 1, 2, 100, 262_143, 100_000, u32::MAX];
    let mut rng = Rng::with_seed(11);
    let (mut refused, mut planned) = (0, 0);
    for _ in 0..2_000 {
        let odd = |rng: &mut Rng| ODD[rng.usize(..ODD.len())];
        let count = |rng: &mut Rng| COUNTS[rng.usize(..COUNTS.len())];
        let mut inputs = sensible(&mut rng);
        for _ in 0..rng.u8(1..3) {
            match rng.u8(..11) {
                0 => inputs.requests_per_s = odd(&mut rng),
                1 => inputs.requests_per_s_peak = Some(odd(&mut rng)),
                2 => inputs.safety_margin = odd(&mut rng),
                3 => inputs.wait_ms_p99_target = Some(odd(&mut rng)),
                4 => inputs.shares.read = odd(&mut rng),
                5 => inputs.instances = count(&mut rng),
                6 => inputs.max_connections = count(&mut rng),
                7 => inputs.reserved_connections = count(&mut rng),
                8 => (inputs.cores, inputs.spindles) = (Some(count(&mut rng)), count(&mut rng)),
                9 => inputs.pool_size = Some(count(&mut rng)),
                _ => inputs.users = Some(count(&mut rng)),
            }
        }
        match plan(&inputs) {
            Ok(plan) => {
                planned += 1;
                assert_sizes_are_ordered(&plan);
                curve(&plan).iter().for_each(assert_point_is_sound);
            }
            Err(error) => {
                refused += 1;
                assert!(!error.input.is_empty() && error.to_string().len() > 30, "{error}");
            }
        }
    }
    assert!(refused > 400 && planned > 400, "{refused} refused, {planned} planned");
}
