//! Reports and pictures as a person sees them.

use pgprime_capacity::postgres::{
    LiveSetting, Machine, SettingsRequest, Storage, Workload, compare, recommend,
};
use pgprime_capacity::{Inputs, Plan, ServiceTime, curve, plan};
use pgprime_planner::plot::{WaitPlot, svg, terminal};
use pgprime_planner::report::{Colour, Document, Report, text};

use crate::expected::check;

fn plan_of(requests_per_s: f64, service_ms: f64, change: impl FnOnce(&mut Inputs)) -> Plan {
    let service = ServiceTime::exponential(service_ms).unwrap();
    let mut inputs = Inputs::new(requests_per_s, service, 5, 100);
    inputs.users = Some(10_000);
    change(&mut inputs);
    plan(&inputs).unwrap()
}

fn report_of(plan: &Plan, colour: Colour) -> String {
    let report = Report {
        plan,
        curve: &curve(plan),
        settings: &[],
        observed: None,
        assumptions: &["The data is on SSDs (--storage).".to_owned()],
        written: &[],
        next_steps: &[("Write the files:".to_owned(), "pgprime plan --write".to_owned())],
    };
    text(&report, colour)
}

#[test]
fn the_documented_plan() {
    check("report.txt", &report_of(&plan_of(1_000.0, 20.0, |_| {}), Colour::Never));
}

#[test]
fn more_than_the_database_can_carry() {
    let plan = plan_of(1_000.0, 20.0, |inputs| inputs.requests_per_s_peak = Some(5_000.0));
    check("report_overload.txt", &report_of(&plan, Colour::Never));
}

#[test]
fn the_documented_picture() {
    let plan = plan_of(1_000.0, 20.0, |_| {});
    check("wait.svg", &svg(&WaitPlot::new(&plan, &curve(&plan))));
}

/// Colours add nothing but codes.
#[test]
fn colours_say_nothing_of_their_own() {
    let plan = plan_of(10_000.0, 20.0, |_| {});
    let coloured = report_of(&plan, Colour::Always);
    let mut plain = String::new();
    let mut parts = coloured.split('\x1b');
    plain.push_str(parts.next().unwrap());
    parts.for_each(|part| plain.push_str(part.split_once('m').unwrap().1));
    assert_ne!(coloured, plain);
    assert_eq!(plain, report_of(&plan, Colour::Never));
}

/// Every plan can be drawn, in lines that fit, with finite places.
#[test]
fn every_plan_can_be_drawn() {
    for requests_per_s in [0.001, 1.0, 50.0, 1_000.0, 3_999.0, 4_000.0, 100_000.0] {
        for service_ms in [0.01, 1.0, 20.0, 500.0] {
            for size in [None, Some(1), Some(80)] {
                let plan = plan_of(requests_per_s, service_ms, |inputs| inputs.pool_size = size);
                let plot = WaitPlot::new(&plan, &curve(&plan));
                let lines = terminal(&plot);
                assert!(lines.len() <= 20, "{}", lines.len());
                assert!(lines.iter().all(|line| line.chars().count() <= 100), "{lines:#?}");
                let picture = svg(&plot);
                assert!(!picture.contains("NaN") && !picture.contains("inf"), "{picture}");
                for line in report_of(&plan, Colour::Never).lines() {
                    assert!(line.chars().count() <= 100, "{line}");
                }
            }
        }
    }
}

#[test]
fn the_pictures_load_is_escaped_and_described() {
    let plan = plan_of(1_000.0, 0.001, |_| {});
    let picture = svg(&WaitPlot::new(&plan, &curve(&plan)));
    assert!(picture.contains("1,000 requests/s × &lt; 0.01 ms"), "{picture}");
    assert!(picture.contains("<desc id=\"desc\">") && picture.contains("prefers-color-scheme: dark"));
}

#[test]
fn settings_stand_beside_live_ones() {
    let request = SettingsRequest {
        machine: Machine { cores: 8, memory_bytes: 32 << 30, storage: Storage::Ssd },
        workload: Workload::default(),
        max_connections: 100,
        version_major: 15,
        preload_libraries: String::new(),
    };
    let live = |name: &str, setting: &str, unit: Option<&str>| LiveSetting {
        name: name.to_owned(),
        setting: setting.to_owned(),
        unit: unit.map(str::to_owned),
        source: "default".to_owned(),
        context: if name == "shared_buffers" { "postmaster" } else { "user" }.to_owned(),
        pending_restart: false,
    };
    let live = [live("shared_buffers", "16384", Some("8kB")), live("random_page_cost", "1.1", None)];
    let settings = compare(&recommend(&request).unwrap(), &live);
    let plan = plan_of(1_000.0, 20.0, |_| {});
    let observed = ["PostgreSQL 15.8 at db:5432, database shop.".to_owned()];
    let report = Report {
        plan: &plan,
        curve: &curve(&plan),
        settings: &settings,
        observed: Some(&observed),
        assumptions: &[],
        written: &["config/pgbouncer.ini".into()],
        next_steps: &[],
    };
    let said = text(&report, Colour::Never);
    let line = |name: &str| said.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
    assert!(line("shared_buffers = 8GB").ends_with("now 128MB, restart"), "{}", line("shared_buffers"));
    assert!(line("random_page_cost = 1.1").ends_with("ok as it is"), "{}", line("random_page_cost"));
    assert!(
        line("max_connections = 100").ends_with("not shown by the server, restart"),
        "{}",
        line("max_conn")
    );

    let document: Document<'_, &str> = Document {
        plan: &plan,
        curve: &curve(&plan),
        settings: &settings,
        machine: Some(request.machine),
        assumptions: &[],
        observed: Some("anything"),
        files: Vec::new(),
    };
    let document = serde_json::to_value(&document).unwrap();
    assert_eq!(document["total_min_connections"], 20);
    assert_eq!(document["settings"][3]["live"], "128MB");
    assert_eq!(document["machine"]["storage"], "ssd");
}
