//! "Did you mean": the known name nearest to a mistyped one.

/// Names longer than this are no slip of the finger; comparing them would only cost time.
const NAME_LEN_MAX: usize = 64;

/// The candidate with the fewest edits away from `name`, where that is at most one edit in three characters.
pub(super) fn nearest(
    name: &str,
    candidates: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    if name.len() > NAME_LEN_MAX {
        return None;
    }
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let limit = (name.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&name, &candidate.chars().collect::<Vec<_>>()), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b` (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_previous: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut current = vec![i];
        for j in 1..=b.len() {
            let substituted = previous[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(previous[j] + 1).min(current[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_previous[j - 2] + 1);
            }
            current.push(best);
        }
        before_previous = std::mem::replace(&mut previous, current);
    }
    previous.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(nearest(name, ["host", "port", "pool_mode", "pool_size"]), expected, "{name}");
        };
        check("prot", Some("port"));
        check("POOL_MODE", Some("pool_mode"));
        check("poolsize", Some("pool_size"));
        check("hosts", Some("host"));
        check("hotline", None);
        check("", None);
        check(&"host".repeat(1000), None);
    }

    #[test]
    fn distance_counts_edits() {
        let check = |a: &str, b: &str, expected: usize| {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            assert_eq!(distance(&a, &b), expected);
            assert_eq!(distance(&b, &a), expected);
        };
        check("", "", 0);
        check("", "abc", 3);
        check("abc", "acb", 1);
        check("kitten", "sitting", 3);
    }
}
