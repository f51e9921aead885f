//! Plans as people paste them, and texts that are none.

use pgprime_advisor::plan::{Kind, Plan, PlanError, limits};

use super::cases;

const PLAIN: &str = "Sort  (cost=1.26..1.31 rows=20 width=12) (actual time=0.031..0.032 rows=20 loops=1)
  Sort Key: name, (lower(name)), id DESC
  Sort Method: quicksort  Memory: 25kB
  ->  Seq Scan on regions r  (cost=0.00..1.20 rows=20 width=12) (actual time=0.005..0.007 rows=20 loops=1)
        Filter: (name <> 'a + b'::text)
        Rows Removed by Filter: 1
Planning Time: 0.100 ms
Execution Time: 0.050 ms";

fn changed(change: impl Fn(&str) -> String) -> String {
    PLAIN.lines().map(|line| change(line) + "\n").collect()
}

#[test]
fn what_surrounds_a_plan_is_taken_off() {
    let expected = Plan::parse(PLAIN).unwrap();
    let ruler = "-".repeat(60);
    let forms = [
        (
            "heading",
            format!(
                "  QUERY PLAN\n{ruler}\n{}(8 rows)\n\nTime: 1.234 ms\n",
                changed(|line| format!(" {line}"))
            ),
        ),
        (
            "borders",
            format!(
                "+{ruler}+\n|  QUERY PLAN |\n+{ruler}+\n{}+{ruler}+\n(8 rows)\n",
                changed(|line| format!("| {line:120} |"))
            ),
        ),
        (
            "unicode borders",
            format!(
                "┌{}┐\n{}└{}┘\n",
                "─".repeat(9),
                changed(|line| format!("│ {line:120} │")),
                "─".repeat(9)
            ),
        ),
        ("continuations", changed(|line| format!(" {line:120}+"))),
        ("quoted lines", format!("\"QUERY PLAN\"\n{}", changed(|line| format!("\"{line}\"")))),
        ("quoted", format!("\"{PLAIN}\"")),
        ("single quotes", format!("'{}'", PLAIN.replace('\'', "''"))),
        ("windows", PLAIN.replace('\n', "\r\n")),
        ("indented", changed(|line| format!("        {line}"))),
        ("no-break spaces", PLAIN.replace("  ", "\u{a0}\u{a0}")),
        (
            "tabs",
            changed(|line| {
                line.replace("        ", "\t\t").replace("  ->", "\t->").replace("  Sort", "\tSort")
            }),
        ),
        ("fence", format!("```\n{PLAIN}\n```")),
        ("prompt", format!("db=> EXPLAIN ANALYZE SELECT * FROM regions r\ndb-> ORDER BY name;\n{PLAIN}")),
        ("wrapped", PLAIN.replace("(name <> ", "(name <>\n")),
    ];
    for (name, text) in forms {
        let plan = Plan::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        if name == "wrapped" {
            assert_eq!(plan.root.children[0].conditions[0].text, "(name <>\n'a + b'::text)");
        } else {
            assert_eq!(plan, expected, "{name}\n{text}");
        }
    }
    assert_eq!(expected.root.sort_keys, ["name", "(lower(name))", "id DESC"]);
}

#[test]
fn logs_of_other_shapes_are_read() {
    let expected = Plan::parse(PLAIN).unwrap();
    let body = |prefix: &str| {
        let lines = PLAIN.lines().take_while(|line| !line.starts_with("Planning"));
        lines.map(|line| format!("{prefix}{line}\n")).collect::<String>()
    };
    let stderr = format!(
        "2024-01-01 00:00:00 UTC [12] LOG:  duration: 0.050 ms  plan:\n\tQuery Text: SELECT 1\n{}2024-01-01 00:00:01 UTC [12] LOG:  checkpoint\n",
        body("\t")
    );
    let syslog = format!(
        "Jan  1 00:00:00 host postgres[12]: [5-1] LOG:  duration: 0.050 ms  plan:\nJan  1 00:00:00 host postgres[12]: [5-2] #011Query Text: SELECT 1\n{}",
        body("Jan  1 00:00:00 host postgres[12]: [5-3] #011")
    );
    for text in [stderr.clone(), syslog] {
        let plan = Plan::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!((plan.execution_ms, plan.query_text.as_deref()), (Some(0.05), Some("SELECT 1")));
        assert_eq!(plan.root, expected.root);
    }
    assert_eq!(Plan::parse(&format!("{stderr}{stderr}")), Err(PlanError::Several { count: 2 }));
}

#[test]
fn json_comes_in_many_shapes() {
    let case = cases::cases().into_iter().find(|case| case.name == "or_across_join").unwrap();
    let json = case.plan_text(18, "json");
    let expected = Plan::parse(&json).unwrap();
    let object = json.trim().trim_start_matches('[').trim_end_matches(']').to_owned();
    let forms = [
        object.clone(),
        json.replace('\n', ""),
        format!("{{\"QUERY PLAN\": {json}}}"),
        format!("[{{\"QUERY PLAN\": {json}}}]"),
        format!(
            " QUERY PLAN\n-----\n{}(1 row)\n",
            json.lines().map(|line| format!(" {line:80}+\n")).collect::<String>()
        ),
        format!("\"{}\"", json.replace('"', "\"\"")),
    ];
    for text in forms {
        assert_eq!(Plan::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}")), expected);
    }
    assert_eq!(Plan::parse(&format!("[{object},{object}]")), Err(PlanError::Several { count: 2 }));
}

#[test]
fn names_in_quotes_are_read() {
    for version in cases::VERSIONS {
        let case = cases::cases().into_iter().find(|case| case.name == "quoted_names").unwrap();
        let root = Plan::parse(&case.plan_text(version, "txt")).unwrap().root;
        assert_eq!(root.kind, Kind::IndexScan);
        let names = [root.relation, root.alias, root.index].map(Option::unwrap);
        assert_eq!(names, ["Odd \"Table\"", "An Alias", "Odd Index"]);
    }
}

#[test]
fn fields_of_other_versions_are_kept() {
    let text = "[{\"Plan\": {\"Node Type\": \"Time Travel Scan\", \"Actual Rows\": 1.50, \"Actual Loops\": 2, \"Flux\": {\"a\": 1}}}]";
    let plan = Plan::parse(text).unwrap();
    assert_eq!(plan.root.kind, Kind::Other("Time Travel Scan".to_owned()));
    assert_eq!(plan.root.actual.unwrap().rows_total(), 3.0);
    assert_eq!(plan.root.other["Flux"], "{\"a\":1}");
}

#[test]
fn errors_say_where_and_what() {
    let cases = [
        ("", "the plan is empty: expected the output of EXPLAIN in text or JSON format"),
        ("hello\nworld", "no plan found in 2 lines: expected JSON, or a line such as"),
        ("[{\"Plan\": {\"Node Type\": \"Limit\",}}]", "line 1, column 33: not JSON: trailing comma"),
        ("[]", "[0]: expected an object with \"Plan\", found nothing"),
        ("{\"a\": 1, \"b\": 2}", "the beginning: expected an object with \"Plan\", found one with a, b"),
        ("[{\"Plan\": {}}]", "Plan.\"Node Type\": expected the name of a node, found nothing"),
        (
            "[{\"Plan\": {\"Node Type\": \"Limit\", \"Plans\": [{\"Node Type\": \"Seq Scan\", \"Actual Loops\": \"x\"}]}}]",
            "Plan.Plans[0].\"Actual Loops\": expected a number, found \"x\"",
        ),
        (
            "Seq Scan on t  (cost=0.00..1.0",
            "line 1: expected \"(cost=START..TOTAL rows=ROWS width=BYTES)\", found",
        ),
        (
            "Limit  (cost=0.00..1.00 rows=1 width=4)\n  ->  Whatever",
            "line 2: expected a node such as \"Seq Scan on orders  (cost=0.00..18.10 rows=810 width=36)\", found \"Whatever\"",
        ),
        (
            "Limit  (cost=0.00..1.00 rows=1 width=4)\n  Buffers: shared hit=many",
            "line 2: expected \"Buffers: shared hit=N read=N, temp read=N written=N\", found \"Buffers: shared hit=many\"",
        ),
        (
            "Limit  (cost=0.00..1.00 rows=1 width=4)\nand so on",
            "line 2: expected a node after \"->\", a line such as \"Filter: (x = 1)\", or \"Planning Time: 0.1 ms\", found \"and so on\"",
        ),
    ];
    for (text, expected) in cases {
        let error = Plan::parse(text).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text}\n{error}\n{expected}");
    }
}

#[test]
fn sizes_are_bounded() {
    let node = "(cost=0.00..1.00 rows=1 width=4)";
    let text = |depth: usize| {
        (0..depth).map(|at| format!("{}->  Limit  {node}\n", " ".repeat(at))).collect::<String>()
    };
    let json = |depth: usize| {
        format!("{}{}", "{\"Node Type\": \"Limit\", \"Plans\": [".repeat(depth), "]}".repeat(depth))
    };
    let forms: [&dyn Fn(usize) -> String; 2] = [&text, &json];
    for deep in forms {
        let plan = Plan::parse(&deep(limits::NODE_DEPTH_MAX - 1)).unwrap();
        let drawn = pgprime_advisor::plan::render(&plan, &[]);
        assert!(drawn.lines().all(|line| line.chars().count() <= pgprime_advisor::plan::COLUMNS_MAX));
        assert!(matches!(Plan::parse(&deep(limits::NODE_DEPTH_MAX + 10)), Err(PlanError::TooDeep { .. })));
        assert!(matches!(Plan::parse(&deep(2000)), Err(PlanError::TooDeep { .. })));
    }
    assert!(matches!(Plan::parse(&"[".repeat(1_000_000)), Err(PlanError::TooDeep { line: 1 })));
    let wide = format!("Append  {node}\n{}", format!("  ->  Result  {node}\n").repeat(limits::NODES_MAX));
    assert_eq!(Plan::parse(&wide), Err(PlanError::TooManyNodes));
    let large = " ".repeat(limits::TEXT_BYTES_MAX + 1);
    assert_eq!(Plan::parse(&large), Err(PlanError::TooLarge { bytes: large.len() }));
}
