//! Plans: tables of inputs and what is to come of them.

use pgprime_capacity::{Inputs, Plan, ServiceTime, Severity, Shares, curve, plan};

/// 1,000 requests/s of 20 ms, 5 instances, `max_connections` 100, margin 0.8.
pub(crate) fn canonical() -> Inputs {
    Inputs::new(1000.0, ServiceTime::exponential(20.0).expect("valid"), 5, 100)
}

fn planned(inputs: &Inputs) -> Plan {
    plan(inputs).expect("these inputs make sense")
}

fn codes(plan: &Plan) -> Vec<(&'static str, Severity)> {
    plan.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

#[test]
fn the_canonical_case_has_its_sizes() {
    let plan = planned(&Inputs { users: Some(10_000), ..canonical() });
    assert_eq!((plan.total_min_connections, plan.total_max_connections), (20, 80));
    assert_eq!((plan.min_connections, plan.max_connections, plan.reserve_connections), (4, 16, 20));
    assert_eq!((plan.pool_size, plan.pool_size_min, plan.pool_size_reserve), (25, 20, 5));
    assert_eq!((plan.needed_connections, plan.without_pooler.total_connections), (25, 35));
    assert_eq!(plan.users_per_instance, Some(2000.0));
    assert_eq!(plan.users_per_connection, Some(80.0));
    assert_eq!(plan.users_per_connection_overall, Some(400.0));
    assert!((plan.utilisation - 0.8).abs() < 1e-9);
    assert!((plan.wait_ms_mean.expect("not overloaded") - 0.84).abs() < 0.01);
    assert!((plan.wait_ms_p99.expect("not overloaded") - 12.16).abs() < 0.01);
    assert_eq!(
        (plan.at_min.connections, plan.at_min.wait_ms_mean),
        (20, None),
        "20 of 20 busy: no end of waiting"
    );
    assert_eq!(plan.at_max.wait_ms_p99, Some(0.0));
    assert!(plan.is_feasible() && plan.findings.is_empty(), "{:?}", plan.findings);
    assert!(plan.notes[0].contains("--peak-rps"), "{:?}", plan.notes);
}

#[test]
fn json_has_the_fixed_names() {
    let plan = planned(&canonical());
    let json = serde_json::to_value(&plan).expect("a plan serialises");
    for (name, expected) in [
        ("total_min_connections", 20),
        ("total_max_connections", 80),
        ("min_connections", 4),
        ("max_connections", 16),
        ("pool_size", 25),
    ] {
        assert_eq!(json[name], expected, "{name}");
    }
    for name in ["utilisation", "wait_ms_mean", "wait_ms_p99"] {
        assert!(json[name].is_f64(), "{name}: {}", json[name]);
    }
    assert_eq!(json["inputs"]["service"]["mean_ms"], 20.0);
    assert_eq!(json["pools"][0]["pool"], "main");
    assert_eq!(json["users_per_instance"], serde_json::Value::Null);
    let reason = &json["reasons"][1];
    assert_eq!((&reason["name"], &reason["value"]), (&"total_min_connections".into(), &20.into()));
}

#[test]
fn every_size_has_its_reason() {
    let plan = planned(&Inputs { users: Some(10_000), ..canonical() });
    let json = serde_json::to_value(&plan).expect("a plan serialises");
    for reason in &plan.reasons {
        assert!(!reason.text.is_empty());
        let at_top = reason.name.split_once('.').map_or(reason.name, |(top, _)| top);
        assert!(json.get(at_top).is_some(), "{} is no field of a plan", reason.name);
    }
    let text = |name: &str| &plan.reasons.iter().find(|reason| reason.name == name).expect(name).text;
    assert_eq!(
        text("pool_size"),
        "the smallest size that at 1,000 requests/s keeps at most 80 % busy and lets 99 of 100 requests wait 20 ms at \
         most (one mean service time)"
    );
    assert_eq!(text("total_max_connections"), "max_connections 100 × safety margin 0.8");
    assert_eq!(text("max_connections"), "80 over 5 instances, rounded down");
}

#[test]
fn sizes_follow_the_inputs() {
    type Change = fn(&mut Inputs);
    // (change, total min, total max, min, max, pool size)
    let cases: [(&str, Change, [u32; 5]); 12] = [
        ("nothing", |_| (), [20, 80, 4, 16, 25]),
        ("peak", |inputs| inputs.requests_per_s_peak = Some(2000.0), [20, 80, 4, 16, 50]),
        ("strict target", |inputs| inputs.wait_ms_p99_target = Some(1.0), [20, 80, 4, 16, 31]),
        ("no wait", |inputs| inputs.wait_ms_p99_target = Some(0.0), [20, 80, 4, 16, 32]),
        ("lenient target", |inputs| inputs.wait_ms_p99_target = Some(5000.0), [20, 80, 4, 16, 25]),
        ("margin 1 leaves the reserved", |inputs| inputs.safety_margin = 1.0, [20, 97, 4, 19, 25]),
        ("one instance", |inputs| inputs.instances = 1, [20, 80, 20, 80, 25]),
        ("three instances", |inputs| inputs.instances = 3, [20, 80, 7, 26, 25]),
        ("more instances than connections", |inputs| inputs.instances = 200, [20, 80, 0, 0, 25]),
        ("hardly any load", |inputs| inputs.requests_per_s = 0.001, [1, 80, 1, 16, 1]),
        ("overload", |inputs| inputs.requests_per_s = 5000.0, [80, 80, 16, 16, 80]),
        ("given size", |inputs| inputs.pool_size = Some(40), [20, 80, 4, 16, 40]),
    ];
    for (name, change, expected) in cases {
        let mut inputs = canonical();
        change(&mut inputs);
        let plan = planned(&inputs);
        let sizes = [
            plan.total_min_connections,
            plan.total_max_connections,
            plan.min_connections,
            plan.max_connections,
            plan.pool_size,
        ];
        assert_eq!(sizes, expected, "{name}");
    }
}

#[test]
fn rounding_errors_make_no_connection() {
    for (requests_per_s, service_ms, expected) in
        [(1000.0, 20.0, 20), (300.0, 10.0, 3), (700.0, 10.0, 7), (1100.0, 10.0, 11), (3.0, 1100.0, 4)]
    {
        let service = ServiceTime::exponential(service_ms).expect("valid");
        let plan = planned(&Inputs::new(requests_per_s, service, 5, 100));
        assert_eq!(plan.total_min_connections, expected, "{requests_per_s}/s × {service_ms} ms");
    }
}

#[test]
fn an_overload_is_explained_with_ways_out() {
    let plan = planned(&Inputs { requests_per_s: 5000.0, ..canonical() });
    assert!(!plan.is_feasible());
    assert_eq!((plan.wait_ms_mean, plan.wait_ms_p99, plan.needed_connections), (None, None, 125));
    assert_eq!(codes(&plan), [("demand_exceeds_budget", Severity::Critical)]);
    let finding = &plan.findings[0];
    assert_eq!(
        finding.text,
        "5,000 requests/s of 20 ms keep 100 connections busy, but the database has 80 for the service, so all the \
         time the queue grows by 1,000 requests every second and the wait after a minute of it is 15 s. 125 \
         connections are needed to stay within 80 % utilisation and a p99 wait of 20 ms."
    );
    let expected =
        ["max_connections from 100 to 157", "down to 12.8 ms", "36 % of the requests", "1 replica"];
    for (way, expected) in finding.ways_out.iter().zip(expected) {
        assert!(way.contains(expected), "{way:?} does not say {expected:?}");
    }
    assert_eq!(finding.ways_out.len(), expected.len());
    let raised = planned(&Inputs { requests_per_s: 5000.0, max_connections: 157, ..canonical() });
    assert!(raised.is_feasible() && raised.findings.is_empty());
}

#[test]
fn findings_name_what_is_wrong() {
    use Severity::{Critical, Info, Warning};
    type Change = fn(&mut Inputs);
    type Codes = [(&'static str, Severity)];
    let cases: [(&str, Change, &Codes); 12] = [
        (
            "asked target missed",
            |i| (i.requests_per_s, i.wait_ms_p99_target) = (3900.0, Some(1.0)),
            &[("target_not_met", Critical)],
        ),
        ("utilisation missed", |i| i.requests_per_s = 3300.0, &[("target_not_met", Warning)]),
        ("peak overload", |i| i.requests_per_s_peak = Some(9000.0), &[("demand_exceeds_budget", Critical)]),
        (
            "many instances",
            |i| i.instances = 100,
            &[("instances_exceed_connections", Warning), ("needs_pooler", Info)],
        ),
        (
            "few per instance",
            |i| i.instances = 40,
            &[("needs_pooler", Info), ("pools_share_connections", Info)],
        ),
        ("demand beyond cores", |i| i.cores = Some(4), &[("demand_exceeds_cores", Warning)]),
        ("pool beyond cores", |i| i.cores = Some(10), &[("pool_size_above_cores", Info)]),
        ("enough cores", |i| i.cores = Some(16), &[]),
        ("given size overloaded", |i| i.pool_size = Some(15), &[("pool_size_overloaded", Critical)]),
        ("given size tight", |i| i.pool_size = Some(22), &[("pool_size_too_small", Warning)]),
        ("given size beyond", |i| i.pool_size = Some(90), &[("pool_size_beyond_budget", Critical)]),
        (
            "varied",
            |i| i.service = ServiceTime::from_mean_and_scv(20.0, 9.0).expect("valid"),
            &[("service_time_varies", Info)],
        ),
    ];
    for (name, change, expected) in cases {
        let mut inputs = canonical();
        change(&mut inputs);
        assert_eq!(codes(&planned(&inputs)), expected, "{name}");
    }
}

#[test]
fn nonsense_is_refused_with_a_sentence() {
    type Change = fn(&mut Inputs);
    let cases: [(Change, &str, &str); 26] = [
        (|i| i.requests_per_s = 0.0, "rps", "0 is not above 0"),
        (|i| i.requests_per_s = -5.0, "rps", "-5 is not above 0"),
        (|i| i.requests_per_s = f64::NAN, "rps", "NaN is not a finite number"),
        (|i| i.requests_per_s = f64::INFINITY, "rps", "inf is not a finite number"),
        (|i| i.requests_per_s = 1e300, "rps", "check the unit"),
        (|i| i.requests_per_s = 1e8, "rps", "keep 2000000 connections busy"),
        (|i| i.requests_per_s_peak = Some(1e8), "peak-rps", "keep 2000000 connections busy"),
        (|i| i.requests_per_s_peak = Some(500.0), "peak-rps", "below the expected 1000"),
        (|i| i.requests_per_s_peak = Some(f64::NAN), "peak-rps", "not a finite number"),
        (|i| i.instances = 0, "instances", "at least 1"),
        (|i| i.instances = u32::MAX, "instances", "check the unit"),
        (|i| i.users = Some(0), "users", "not above 0"),
        (|i| i.cores = Some(0), "cores", "not above 0"),
        (|i| i.spindles = u32::MAX, "spindles", "check the unit"),
        (|i| i.pool_size = Some(0), "pool-size", "not above 0"),
        (|i| i.max_connections = 0, "db-max-connections", "not above 0"),
        (|i| i.max_connections = 300_000, "db-max-connections", "more than the 262143"),
        (|i| i.reserved_connections = 100, "reserved-connections", "100 of 100 connections are reserved"),
        (|i| i.safety_margin = 0.0, "safety-margin", "0 is not above 0 and at most 1"),
        (|i| i.safety_margin = 1.2, "safety-margin", "1.2 is not above 0 and at most 1"),
        (|i| i.safety_margin = f64::NAN, "safety-margin", "NaN is not above 0 and at most 1"),
        (|i| i.safety_margin = 0.001, "safety-margin", "less than one"),
        (|i| i.wait_ms_p99_target = Some(-1.0), "p99-wait-ms", "-1 is negative"),
        (|i| i.wait_ms_p99_target = Some(f64::INFINITY), "p99-wait-ms", "not a finite number"),
        (|i| i.shares = Shares { main: 0.7, read: 0.2, admin: 0.2 }, "shares", "must add up to 1"),
        (|i| i.shares = Shares { main: 0.0, read: 0.5, admin: 0.5 }, "shares", "the main pool needs a share"),
    ];
    for (change, input, expected) in cases {
        let mut inputs = canonical();
        change(&mut inputs);
        let error = plan(&inputs).expect_err(expected);
        assert_eq!(error.input, input, "{error}");
        assert!(error.to_string().contains(expected), "{error} does not say {expected:?}");
    }
}

#[test]
fn the_curve_reaches_from_the_demand_to_where_nothing_changes() {
    let sizes = |inputs: &Inputs| -> Vec<u32> {
        curve(&planned(inputs)).iter().map(|point| point.connections).collect()
    };
    assert_eq!(sizes(&canonical()), (19..=36).collect::<Vec<u32>>());
    let overload = Inputs { requests_per_s: 5000.0, ..canonical() };
    assert_eq!(sizes(&overload), (80..=125).collect::<Vec<u32>>(), "from the budget to what is needed");
    let large = sizes(&Inputs { requests_per_s: 400_000.0, max_connections: 20_000, ..canonical() });
    assert!(large.len() <= 104 && large.contains(&10_000), "{large:?}");
    assert_eq!(sizes(&Inputs { requests_per_s: 0.001, ..canonical() }), [1]);
}
