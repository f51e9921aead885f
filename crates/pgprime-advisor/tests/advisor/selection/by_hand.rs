//! Matrices made by hand, each for one thing that can go wrong.

use pgprime_advisor::selection::{CandidateIndex, CostMatrix, Limits, MatrixError, Selection, select};
use pgprime_advisor::selection::{CostEntry, WorkloadQuery};

const EXAMPLE: &str = include_str!("example_matrix.json");

/// Candidates of a name, size and maintenance; entries of a query, its candidates (with `+` between them) and what they save.
/// Each query costs 100, and has the number of its name's place.
fn matrix(candidates: &[(&str, u64, f64)], savings: &[(&str, &str, f64)]) -> CostMatrix {
    let mut queries: Vec<&str> = savings.iter().map(|(query, _, _)| *query).collect();
    queries.sort_unstable();
    queries.dedup();
    CostMatrix {
        description: None,
        queries: queries
            .into_iter()
            .map(|id| WorkloadQuery { id: id.to_owned(), weight: 1.0, cost: 100.0 })
            .collect(),
        candidates: candidates
            .iter()
            .map(|&(id, size_bytes, maintenance_cost)| CandidateIndex {
                id: id.to_owned(),
                size_bytes,
                maintenance_cost,
                ..CandidateIndex::default()
            })
            .collect(),
        costs: savings
            .iter()
            .map(|&(query, candidates, saving)| CostEntry {
                query: query.to_owned(),
                candidates: candidates.split('+').map(str::to_owned).collect(),
                cost: 100.0 - saving,
            })
            .collect(),
    }
}

fn within(matrix: &CostMatrix, budget_bytes: u64) -> Selection {
    let selection = select(matrix, &Limits::with_budget(budget_bytes)).unwrap();
    assert!(selection.is_proven_optimal);
    assert_eq!(selection.gap_max, Some(0.0));
    selection
}

fn extend(matrix: &CostMatrix, budget_bytes: u64) -> Selection {
    let limits = Limits { heuristic_steps_max: 0, exact_steps_max: 0, ..Limits::with_budget(budget_bytes) };
    select(matrix, &limits).unwrap()
}

fn improved(matrix: &CostMatrix, budget_bytes: u64) -> Selection {
    select(matrix, &Limits { exact_steps_max: 0, ..Limits::with_budget(budget_bytes) }).unwrap()
}

fn ids(selection: &Selection) -> Vec<&str> {
    selection.chosen.iter().map(|index| index.id.as_str()).collect()
}

#[test]
fn the_example_is_solved_as_documented() {
    let matrix = CostMatrix::from_json(EXAMPLE).unwrap();
    let selection = within(&matrix, 40_000_000);
    assert_eq!(ids(&selection), ["customers(region)", "orders(customer_id)"]);
    assert_eq!(selection.size_bytes, 26_000_000);
    assert_eq!(selection.cost_before, 20000.0 * 1800.0 + 5000.0 * 1850.0 + 40.0 * 52000.0 + 300.0 * 95.0);
    assert_eq!(selection.cost_after, 20000.0 * 12.0 + 5000.0 * 12.5 + 40.0 * 2100.0 + 300.0 * 95.0);
    assert_eq!(selection.maintenance_cost, 252_000.0);
    let joined = &selection.queries[2];
    assert_eq!(joined.id, "customers of a region with their orders");
    assert_eq!((joined.cost_before, joined.cost_after), (52_000.0, 2_100.0));
    assert_eq!(joined.candidates, ["customers(region)", "orders(customer_id)"]);
    assert!(selection.queries[3].candidates.is_empty());
    // Were periods asked for more often, the wider index would be the one.
    let mut periods = matrix.clone();
    periods.queries[1].weight = 50_000.0;
    assert_eq!(ids(&within(&periods, 40_000_000)), ["customers(region)", "orders(customer_id, ordered_at)"]);
}

#[test]
fn the_format_survives_a_round_trip() {
    let matrix = CostMatrix::from_json(EXAMPLE).unwrap();
    let text = serde_json::to_string(&matrix).unwrap();
    assert_eq!(CostMatrix::from_json(&text).unwrap(), matrix);
    let limits: Limits = serde_json::from_str(r#"{"budget_bytes": 7}"#).unwrap();
    assert_eq!(limits, Limits::with_budget(7));
}

#[test]
fn extend_alone_can_be_a_third_off_and_is_put_right() {
    // Per byte, the small one is best, and then the large one does not fit any more.
    let matrix =
        matrix(&[("large", 10, 0.0), ("small", 1, 0.0)], &[("a", "large", 60.0), ("b", "small", 9.0)]);
    let alone = extend(&matrix, 10);
    assert_eq!(ids(&alone), ["small"]);
    assert!(alone.total_cost / within(&matrix, 10).total_cost > 1.33);
    assert_eq!(ids(&improved(&matrix, 10)), ["large"]);
    assert_eq!(ids(&within(&matrix, 10)), ["large"]);
    assert_eq!(ids(&within(&matrix, 11)), ["large", "small"]);
}

#[test]
fn two_small_ones_take_the_place_of_a_large_one() {
    let matrix = matrix(
        &[("large", 8, 0.0), ("left", 5, 0.0), ("right", 5, 0.0)],
        &[("a", "large", 60.0), ("b", "left", 35.0), ("c", "right", 35.0)],
    );
    assert_eq!(ids(&extend(&matrix, 10)), ["large"]);
    assert_eq!(ids(&improved(&matrix, 10)), ["left", "right"]);
    assert_eq!(ids(&within(&matrix, 10)), ["left", "right"]);
}

#[test]
fn sets_that_help_only_together_are_found() {
    let pair = matrix(&[("a", 3, 0.0), ("b", 3, 0.0), ("c", 2, 0.0)], &[("q", "a+b", 90.0), ("r", "c", 5.0)]);
    for selection in [extend(&pair, 6), improved(&pair, 6), within(&pair, 6)] {
        assert_eq!(ids(&selection), ["a", "b"]);
    }
    assert_eq!(ids(&within(&pair, 5)), ["c"]);
    let three = matrix(
        &[("a", 1, 1.0), ("b", 1, 1.0), ("c", 1, 1.0), ("d", 1, 0.0)],
        &[("q", "a+b+c", 90.0), ("r", "d", 3.0)],
    );
    assert_eq!(ids(&extend(&three, 4)), ["a", "b", "c", "d"]);
    assert_eq!(ids(&within(&three, 3)), ["a", "b", "c"]);
    assert_eq!(ids(&within(&three, 2)), ["d"]);
    let at_most_two = Limits { indexes_max: Some(2), ..Limits::default() };
    assert_eq!(ids(&select(&three, &at_most_two).unwrap()), ["d"]);
}

#[test]
fn without_budget_there_is_nothing_to_choose() {
    let mut matrix = matrix(&[("a", 1, 0.0), ("free", 0, 1.0)], &[("q", "a", 50.0), ("r", "free", 50.0)]);
    assert_eq!(ids(&within(&matrix, 0)), ["free"]);
    matrix.candidates[1].size_bytes = 1;
    let selection = within(&matrix, 0);
    assert!(selection.chosen.is_empty());
    assert_eq!((selection.cost_after, selection.size_bytes), (200.0, 0));
    let none = Limits { indexes_max: Some(0), ..Limits::default() };
    assert!(select(&matrix, &none).unwrap().chosen.is_empty());
    assert_eq!(ids(&select(&matrix, &Limits::default()).unwrap()), ["a", "free"]);
}

#[test]
fn one_wide_index_is_better_than_two() {
    let mut matrix = matrix(
        &[("t(a)", 10, 0.0), ("t(a, b)", 13, 0.0), ("t(b)", 10, 0.0)],
        &[("x", "t(a)", 80.0), ("x", "t(a, b)", 79.0), ("y", "t(a, b)", 60.0), ("y", "t(b)", 61.0)],
    );
    for (index, columns) in matrix.candidates.iter_mut().zip([&["a"][..], &["a", "b"], &["b"]]) {
        index.table = Some("t".to_owned());
        index.columns = columns.iter().map(|&column| column.to_owned()).collect();
    }
    // The widest does most per byte; were it to come second, it would be by widening the narrow one.
    assert_eq!(ids(&extend(&matrix, 15)), ["t(a, b)"]);
    matrix.costs[1].cost = 60.0;
    matrix.costs[2].cost = 50.0;
    matrix.costs[3].cost = 95.0;
    assert_eq!(ids(&extend(&matrix, 12)), ["t(a)"]);
    matrix.costs[1].cost = 25.0;
    assert_eq!(ids(&extend(&matrix, 15)), ["t(a, b)"]);
    assert_eq!(ids(&within(&matrix, 15)), ["t(a, b)"]);
}

#[test]
fn what_costs_more_than_it_saves_is_not_chosen() {
    let mut matrix = matrix(&[("a", 1, 50.0), ("b", 1, 49.0)], &[("q", "a", 50.0), ("r", "b", 50.0)]);
    for selection in [extend(&matrix, 9), improved(&matrix, 9), within(&matrix, 9)] {
        assert_eq!(ids(&selection), ["b"]);
        assert_eq!((selection.maintenance_cost, selection.total_cost), (49.0, 199.0));
    }
    matrix.candidates[1].penalty_cost = 1.0;
    assert!(within(&matrix, 9).chosen.is_empty());
}

#[test]
fn of_equal_candidates_one_is_chosen() {
    let saving = [("q", "a", 50.0), ("q", "b", 50.0), ("q", "c", 50.0)];
    assert_eq!(ids(&within(&matrix(&[("c", 5, 0.0), ("b", 5, 0.0), ("a", 5, 0.0)], &saving), 99)), ["a"]);
    assert_eq!(ids(&within(&matrix(&[("a", 5, 0.0), ("b", 4, 0.0), ("c", 5, 0.0)], &saving), 99)), ["b"]);
    // A pair and a single one that save as much and are as large: the single one.
    let pair = matrix(
        &[("a", 2, 0.0), ("b", 2, 0.0), ("z", 4, 0.0)],
        &[("q", "a", 20.0), ("r", "b", 20.0), ("q", "z", 20.0), ("r", "z", 20.0)],
    );
    assert_eq!(ids(&within(&pair, 4)), ["z"]);
}

#[test]
fn an_entry_that_is_dearer_than_its_part_changes_nothing() {
    let matrix = matrix(
        &[("a", 1, 0.0), ("b", 1, 0.0)],
        &[("q", "a", 50.0), ("q", "a+b", 40.0), ("q", "b", -30.0), ("r", "b", 10.0)],
    );
    let selection = within(&matrix, 2);
    assert_eq!(ids(&selection), ["a", "b"]);
    assert_eq!(selection.queries[0].cost_after, 50.0);
    assert_eq!(selection.queries[0].candidates, ["a"]);
    assert_eq!(selection.chosen[1].saved_cost, 10.0);
}

#[test]
fn empty_matrices_have_empty_selections() {
    let nothing = CostMatrix::default();
    let selection = within(&nothing, 100);
    assert!(selection.chosen.is_empty() && selection.queries.is_empty());
    assert_eq!(selection.total_cost, 0.0);
    let unweighted = CostMatrix {
        queries: vec![WorkloadQuery { id: "q".to_owned(), weight: 0.0, cost: 5.0 }],
        ..matrix(&[("a", 1, 0.0)], &[("q", "a", 99.0)])
    };
    assert!(within(&unweighted, 100).chosen.is_empty());
}

#[test]
fn invalid_matrices_are_refused_with_the_reason() {
    let valid = || matrix(&[("a", 1, 0.0), ("b", 1, 0.0)], &[("q", "a", 1.0), ("q", "a+b", 2.0)]);
    let refused = |change: fn(&mut CostMatrix)| {
        let mut matrix = valid();
        change(&mut matrix);
        let error = select(&matrix, &Limits::default()).unwrap_err();
        assert_eq!(matrix.validate().unwrap_err().to_string(), error.to_string());
        error.to_string()
    };
    assert_eq!(
        refused(|m| m.queries[0].weight = -1.0),
        "the weight of \"q\" is -1; a finite number of at least 0 is needed"
    );
    assert!(refused(|m| m.queries[0].cost = f64::NAN).contains("the cost of \"q\" is NaN"));
    assert!(refused(|m| m.costs[0].cost = f64::INFINITY).contains("the cost of an entry of \"q\" is inf"));
    assert!(
        refused(|m| m.candidates[1].maintenance_cost = -0.5).contains("maintenance cost of \"b\" is -0.5")
    );
    assert!(refused(|m| m.candidates[1].penalty_cost = f64::NAN).contains("penalty cost of \"b\""));
    assert!(
        refused(|m| m.candidates[1].id = "a".to_owned()).contains("two candidate entries have the id \"a\"")
    );
    assert!(
        refused(|m| m.queries.push(m.queries[0].clone())).contains("two query entries have the id \"q\"")
    );
    assert_eq!(refused(|m| m.queries[0].id.clear()), "query number 1 has an empty id");
    assert!(refused(|m| m.costs[1].query = "x".to_owned()).contains("entry number 2 is for the query \"x\""));
    assert!(
        refused(|m| m.costs[1].candidates[1] = "x".to_owned()).contains("names the candidate \"x\", which")
    );
    assert!(
        refused(|m| m.costs[1].candidates[1] = "a".to_owned()).contains("names the candidate \"a\" twice")
    );
    assert!(
        refused(|m| m.costs[1].candidates.clear()).contains("entry number 2 (query \"q\") has no candidates")
    );
    assert!(
        refused(|m| m
            .costs
            .push(CostEntry { candidates: vec!["b".into(), "a".into()], ..m.costs[1].clone() }))
        .contains("entries number 2 and 3 are for the same query \"q\"")
    );
    assert!(refused(|m| m.candidates.iter_mut().for_each(|c| c.size_bytes = u64::MAX)).contains("sizes"));
    assert!(refused(|m| m.queries[0].cost = f64::MAX).contains("costs"));
}

#[test]
fn text_that_is_not_a_matrix_is_refused() {
    for text in ["", "[]", "{}", r#"{"queries": [], "candidates": [], "costs": [], "budget": 1}"#] {
        assert!(matches!(CostMatrix::from_json(text), Err(MatrixError::Json(_))), "{text}");
    }
    let misspelt = r#"{"queries": [], "candidates": [{"id": "a", "size_bytes": 1, "maintainance_cost": 2}], "costs": []}"#;
    assert!(CostMatrix::from_json(misspelt).unwrap_err().to_string().contains("maintainance_cost"));
}
