//! The cost of scanning an index, after PostgreSQL's formulas (`costsize.c`, `selfuncs.c`).
//!
//! Simplified: the table is taken to fit the cache that the planner assumes.

use super::super::candidate::{Candidate, Method};
use super::super::existing::canonical;
use super::super::inventory::{Inventory, Relation};
use super::super::selectivity::share;
use super::super::size::size_bytes;
use super::super::table_use::{Condition, ConditionKind, Item, TableUse};

/// A larger share of a table is not read row by row.
const RANDOM_SHARE_MAX: f64 = 0.2;
/// Rows that lie in the order of the index to this degree are not read at random.
const ORDERED_CORRELATION_MIN: f64 = 0.9;
/// What visiting a page of an index costs the processor, in operators.
const PAGE_OPERATORS: f64 = 50.0;
/// Pages of a table that one range of a BRIN index stands for.
const BRIN_RANGE_PAGES: f64 = 128.0;
/// Entries of one page above the leaves of a B-tree.
const FANOUT: f64 = 250.0;

/// A scan of an index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    pub(super) startup: f64,
    /// Of one scan.
    pub(super) total: f64,
    /// Rows that the index leads to, in one scan.
    pub(super) rows: f64,
    /// Of the use's conditions, keys in front that are equal to one value: what comes behind them is in order.
    pub(super) equal_keys: usize,
    /// Whether it comes in the index's order.
    pub(super) is_ordered: bool,
    /// Whether reading all of it is worth it, rather than its beginning only.
    pub(super) is_worth_all: bool,
}

/// What is scanned, and how often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) relation: &'a Relation,
    pub(super) table_use: &'a TableUse,
    /// The share of the table that there is to scan: a partition's.
    pub(super) part: f64,
    /// The share that all scans of the use read.
    pub(super) seen: f64,
    /// Rows of the plan after all conditions, in one scan.
    pub(super) rows_out: f64,
    /// Conditions that the plan has there; where all of them are known, its rows are those of the index.
    pub(super) clauses: usize,
    /// How often it is scanned, with other values each time: once, or as the inner side of a loop.
    pub(super) loops: f64,
    /// Whether conditions on rows of other tables count.
    pub(super) is_probe: bool,
}

/// What an index does for a use's conditions.
struct Served<'c> {
    conditions: Vec<&'c Condition>,
    /// Of rows, by all conditions on keys.
    share: f64,
    /// Of entries, by those that say where to begin and to end.
    bound_share: f64,
    equal_keys: usize,
    /// Descents: one, or one for each item of a list.
    descents: f64,
}

impl<'c> Served<'c> {
    fn take(&mut self, condition: &'c Condition, share: f64, is_bound: bool) {
        self.conditions.push(condition);
        self.share *= share;
        if is_bound {
            self.bound_share *= share;
        }
    }
}

impl Wanted<'_> {
    /// The cheapest way to scan the candidate; None where it serves nothing. `needs_order`: only in the index's order.
    pub(super) fn access(&self, candidate: &Candidate, needs_order: bool) -> Option<Access> {
        if !self.is_implied(candidate) {
            return None;
        }
        match candidate.method {
            Method::Btree => self.btree(candidate, needs_order),
            Method::Gin if !needs_order => self.gin(candidate),
            Method::Brin if !needs_order => self.brin(candidate),
            Method::Gin | Method::Brin => None,
        }
    }

    fn rows(&self) -> f64 {
        (self.relation.figures.rows * self.part).max(1.0)
    }

    fn pages(&self) -> f64 {
        (self.relation.figures.pages * self.part).max(1.0)
    }

    fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let counts = |one: &&Condition| self.is_probe || !matches!(one.kind, ConditionKind::Join(_));
        self.table_use.conditions.iter().filter(counts)
    }

    /// Whether the statement asks only for rows that a partial index has.
    fn is_implied(&self, candidate: &Candidate) -> bool {
        let Some(predicate) = &candidate.predicate else { return true };
        self.conditions().any(|condition| {
            let sql = &condition.item.sql;
            match &condition.kind {
                ConditionKind::IsNull => predicate.sql == format!("{sql} IS NULL"),
                ConditionKind::Equal(Some(constant)) => {
                    predicate.sql == format!("{sql} = {}", constant.sql)
                        || constant.value == "t" && predicate.sql == *sql
                        || constant.value == "f" && predicate.sql == format!("NOT {sql}")
                        || predicate.sql == format!("{sql} IS NOT NULL")
                }
                _ => predicate.sql == format!("{sql} IS NOT NULL"),
            }
        })
    }

    /// The conditions that the first keys of a B-tree serve.
    fn served<'s>(&'s self, candidate: &Candidate) -> Served<'s> {
        let mut served =
            Served { conditions: Vec::new(), share: 1.0, bound_share: 1.0, equal_keys: 0, descents: 1.0 };
        let mut is_bound = true;
        for key in &candidate.keys {
            let has_pattern =
                key.operator_class.as_deref().is_some_and(|class| class.ends_with("pattern_ops"));
            let is_c = key.item.columns.first().and_then(|name| self.relation.column(name));
            let is_c = is_c.is_some_and(|column| column.collation_is_c);
            let of_key = || self.conditions().filter(|condition| condition.item == key.item);
            let is_equal = |kind: &ConditionKind| {
                matches!(
                    kind,
                    ConditionKind::Equal(_)
                        | ConditionKind::In(_)
                        | ConditionKind::IsNull
                        | ConditionKind::Join(_)
                )
            };
            let is_range = |kind: &ConditionKind| match kind {
                ConditionKind::Range { .. } | ConditionKind::IsNotNull => !has_pattern,
                ConditionKind::LikePrefix(_) => has_pattern || is_c,
                _ => false,
            };
            let equal = of_key().filter(|one| is_equal(&one.kind)).min_by(|a, b| self.compared(a, b));
            if let Some(equal) = equal {
                served.take(equal, self.share_of(equal), is_bound);
                match equal.kind {
                    _ if !is_bound => {}
                    ConditionKind::In(count) => served.descents *= count.max(1) as f64,
                    // Behind a list the order is lost.
                    _ if served.descents == 1.0 => served.equal_keys += 1,
                    _ => {}
                }
                continue;
            }
            if let Some(range) = of_key().filter(|one| is_range(&one.kind)).min_by(|a, b| self.compared(a, b))
            {
                served.take(range, self.share_of(range), is_bound);
            }
            // Further keys sort out entries, all of which are read.
            is_bound = false;
        }
        served
    }

    /// Of the rows that are read: what has left partitions out leaves more of the others.
    fn share_of(&self, condition: &Condition) -> f64 {
        let whole = share(self.relation, condition);
        match condition.kind {
            ConditionKind::Range { .. } => (whole / self.seen.max(f64::MIN_POSITIVE)).min(1.0),
            _ => whole,
        }
    }

    fn compared(&self, a: &Condition, b: &Condition) -> std::cmp::Ordering {
        self.share_of(a).total_cmp(&self.share_of(b))
    }

    /// The planner's own number of rows, where its conditions are those of the index; never fewer than it has.
    fn share(&self, served: &[&Condition], predicate_share: f64, share: f64) -> f64 {
        let clause_count = |kind: &ConditionKind| match kind {
            ConditionKind::Range { has_both: true, .. } => 2,
            _ => 1,
        };
        let known: usize = served.iter().map(|one| clause_count(&one.kind)).sum();
        let known = known + usize::from(predicate_share < 1.0);
        let planned = (self.rows_out / self.rows()).min(1.0);
        let ours = (share * predicate_share).clamp(1.0 / self.rows(), 1.0);
        let is_known = !self.is_probe && known >= self.clauses && self.clauses > 0;
        let found = if is_known { planned } else { ours.max(planned) };
        found.max(1.0 / self.rows())
    }

    fn btree(&self, candidate: &Candidate, needs_order: bool) -> Option<Access> {
        let server = &self.inventory.server;
        let served = self.served(candidate);
        let covers = self.covers(candidate);
        let predicate_share = candidate.predicate.as_ref().map_or(1.0, |predicate| predicate.share);
        let share = self.share(&served.conditions, predicate_share, served.share);
        let is_small = candidate.predicate.is_some() && predicate_share <= RANDOM_SHARE_MAX;
        if served.conditions.is_empty() && !covers && !needs_order && !is_small {
            return None;
        }
        let index = self.index_cost(candidate, share, predicate_share, &served);
        let fetched = (self.rows() * share).max(1.0);
        let filters = self.clauses.saturating_sub(served.conditions.len()) as f64;
        let each = server.cpu_tuple_cost + filters * server.cpu_operator_cost;
        let correlation = self.correlation(candidate);
        let unseen = if covers { self.unseen_share() } else { 1.0 };
        let heap = self.heap_cost(fetched, share, correlation) * unseen;
        let plain = Access {
            startup: index.0,
            total: index.1 + heap + fetched * each,
            rows: fetched,
            equal_keys: served.equal_keys,
            is_ordered: served.descents == 1.0,
            is_worth_all: unseen <= RANDOM_SHARE_MAX
                || share <= RANDOM_SHARE_MAX
                || correlation.abs() >= ORDERED_CORRELATION_MIN,
        };
        let bitmap = self.bitmap(index.1, fetched, self.pages_of(fetched), plain);
        let is_bitmap = !needs_order && share <= RANDOM_SHARE_MAX && bitmap.total < plain.total;
        Some(if is_bitmap { bitmap } else { plain })
    }

    /// Startup and total of the index alone.
    fn index_cost(
        &self,
        candidate: &Candidate,
        share: f64,
        predicate_share: f64,
        served: &Served<'_>,
    ) -> (f64, f64) {
        let server = &self.inventory.server;
        let entries = (self.rows() * predicate_share).max(1.0);
        let pages = self.index_pages(candidate);
        // With no key that only sorts out, the entries are those of the rows.
        let only_bound = served.bound_share <= served.share;
        let of_index = if only_bound { (share / predicate_share).min(1.0) } else { served.bound_share };
        // A page for each item of a list at least.
        let leaves = (pages * of_index).ceil().max(served.descents.min(pages)).max(1.0);
        let io = match self.loops {
            loops if loops > 1.0 => self.fetched_pages(leaves * loops, pages) / loops,
            _ => leaves,
        };
        let height = if pages > 1.0 { pages.log(FANOUT).floor() } else { 0.0 };
        let descent = entries.log2().ceil().max(0.0) * server.cpu_operator_cost
            + (height + 1.0) * PAGE_OPERATORS * server.cpu_operator_cost;
        let quals = served.conditions.len() as f64;
        let visited = (entries * of_index).max(1.0);
        let cpu = visited * (server.cpu_index_tuple_cost + quals * server.cpu_operator_cost);
        (descent, descent * served.descents + io * server.random_page_cost + cpu)
    }

    fn index_pages(&self, candidate: &Candidate) -> f64 {
        let bytes = size_bytes(candidate, self.inventory) as f64 * self.part;
        (bytes / self.inventory.server.block_bytes.max(1_024.0)).ceil().max(1.0)
    }

    /// Reading the table's rows in the order of the index: between all pages once, one behind the other, and a page for
    /// each row, as far as they are not in the cache already (Mackert and Lohman).
    fn heap_cost(&self, fetched: f64, share: f64, correlation: f64) -> f64 {
        let server = &self.inventory.server;
        let pages = self.pages();
        let (max, min) = if self.loops > 1.0 {
            let each = |count: f64| self.fetched_pages(count * self.loops, pages) / self.loops;
            let random = server.random_page_cost;
            (each(fetched) * random, each((share * pages).ceil()) * random)
        } else {
            let next = ((share * pages).ceil() - 1.0).max(0.0);
            let max = self.fetched_pages(fetched, pages) * server.random_page_cost;
            (max, server.random_page_cost + next * server.seq_page_cost)
        };
        max + correlation * correlation * (min.min(max) - max)
    }

    fn pages_of(&self, fetched: f64) -> f64 {
        self.fetched_pages(fetched, self.pages())
    }

    fn fetched_pages(&self, fetched: f64, pages: f64) -> f64 {
        (2.0 * pages * fetched / (2.0 * pages + fetched)).min(pages).ceil().max(1.0)
    }

    /// The rows of an index sorted by their place: fewer pages, and no order.
    fn bitmap(&self, index_cost: f64, fetched: f64, pages_once: f64, of: Access) -> Access {
        let server = &self.inventory.server;
        let pages_all = self.pages();
        let pages = match self.loops {
            loops if loops > 1.0 => (self.fetched_pages(fetched * loops, pages_all) / loops).max(1.0),
            _ => pages_once,
        };
        let step = (server.random_page_cost - server.seq_page_cost) * (pages / pages_all).min(1.0).sqrt();
        let page_cost = if pages >= 2.0 { server.random_page_cost - step } else { server.random_page_cost };
        let startup = index_cost + 0.1 * server.cpu_operator_cost * fetched;
        let each = server.cpu_tuple_cost + self.clauses.max(1) as f64 * server.cpu_operator_cost;
        Access { startup, total: startup + pages * page_cost + fetched * each, is_ordered: false, ..of }
    }

    fn gin(&self, candidate: &Candidate) -> Option<Access> {
        let server = &self.inventory.server;
        let key = candidate.keys.first()?;
        let is_served = |one: &&Condition| {
            one.item == key.item
                && matches!(
                    one.kind,
                    ConditionKind::Json { .. }
                        | ConditionKind::Array
                        | ConditionKind::TextSearch
                        | ConditionKind::LikeAnywhere
                )
        };
        let served: Vec<&Condition> = self.conditions().filter(is_served).collect();
        let best = served.iter().map(|one| self.share_of(one)).reduce(f64::min)?;
        let share = self.share(&served, 1.0, best);
        if share > RANDOM_SHARE_MAX {
            return None;
        }
        let fetched = (self.rows() * share).max(1.0);
        // A descent for a few entries, and the part of the lists of places that belongs to them.
        let pages = 3.0 + (self.index_pages(candidate) * share).ceil();
        let index = pages * server.random_page_cost
            + fetched * (server.cpu_index_tuple_cost + server.cpu_operator_cost);
        Some(self.bitmap(index, fetched, self.pages_of(fetched), self.unordered(fetched)))
    }

    fn brin(&self, candidate: &Candidate) -> Option<Access> {
        let server = &self.inventory.server;
        let key = candidate.keys.first()?;
        let is_served = |one: &&Condition| {
            one.item == key.item && matches!(one.kind, ConditionKind::Range { .. } | ConditionKind::Equal(_))
        };
        let served: Vec<&Condition> = self.conditions().filter(is_served).collect();
        let best = served.iter().map(|one| self.share_of(one)).reduce(f64::min)?;
        let share = self.share(&served, 1.0, best);
        let ranges = (self.pages() / BRIN_RANGE_PAGES).ceil().max(1.0);
        let correlation = self.correlation(candidate).abs().max(1e-10);
        let wanted = ((ranges * share).ceil() / correlation).min(ranges);
        let read = wanted / ranges;
        if read > RANDOM_SHARE_MAX {
            return None;
        }
        let fetched = (self.rows() * read).max(1.0);
        let index = self.index_pages(candidate) * server.random_page_cost
            + 0.1 * server.cpu_operator_cost * wanted * BRIN_RANGE_PAGES;
        Some(self.bitmap(index, fetched, self.pages_of(fetched), self.unordered(fetched)))
    }

    fn unordered(&self, rows: f64) -> Access {
        Access { startup: 0.0, total: 0.0, rows, equal_keys: 0, is_ordered: false, is_worth_all: true }
    }

    /// Whether the index has all columns that are read.
    fn covers(&self, candidate: &Candidate) -> bool {
        let keys = candidate.keys.iter().map(|key| &key.item);
        let plain: Vec<&Item> = keys.chain(&candidate.include).filter(|item| !item.is_expression).collect();
        let has = |name: &String| plain.iter().any(|item| item.columns.contains(name));
        !self.table_use.is_whole_row && self.table_use.columns.iter().all(has)
    }

    /// The share of the table's pages in which rows have to be looked up although the index has all that is read.
    fn unseen_share(&self) -> f64 {
        let figures = &self.relation.figures;
        (1.0 - figures.visible_pages / figures.pages.max(1.0)).clamp(0.0, 1.0)
    }

    /// How far rows lie in the order of the first key; that of several keys is less.
    fn correlation(&self, candidate: &Candidate) -> f64 {
        let first = candidate.keys.first().filter(|key| !key.item.is_expression);
        let column = first.and_then(|key| self.relation.column(key.item.columns.first()?));
        let known = column.and_then(|column| column.statistics.as_ref()?.correlation).unwrap_or(0.0);
        if candidate.keys.len() > 1 { known * 0.75 } else { known }
    }
}

/// Whether the candidate's keys behind those that are equal to one value are what the rows would be sorted by, all in that
/// direction or all in the other.
pub(super) fn gives_order(
    candidate: &Candidate,
    equal_keys: usize,
    table_use: &TableUse,
    sort_keys: &[String],
) -> bool {
    let is_constant = |sql: &str| {
        let is_equal = |one: &&Condition| matches!(one.kind, ConditionKind::Equal(_) | ConditionKind::IsNull);
        table_use.conditions.iter().filter(is_equal).any(|one| canonical(&one.item.sql) == sql)
    };
    let wanted: Vec<(String, bool, bool)> =
        sort_keys.iter().map(|key| sort_key(key)).filter(|(sql, ..)| !is_constant(sql)).collect();
    let keys: Vec<_> = candidate.keys.iter().skip(equal_keys).collect();
    if keys.len() < wanted.len() || candidate.keys.iter().any(|key| key.operator_class.is_some()) {
        return false;
    }
    let pairs: Vec<_> = wanted.iter().zip(&keys).collect();
    pairs.iter().all(|((sql, ..), key)| canonical(&key.item.sql) == *sql)
        && [false, true].iter().any(|backwards| {
            pairs.iter().all(|((_, down, nulls_first), key)| {
                (key.is_descending ^ backwards, key.nulls_first ^ backwards) == (*down, *nulls_first)
            })
        })
}

/// `t.a DESC NULLS LAST`: what is sorted by, whether it runs down, and whether nulls come first.
fn sort_key(text: &str) -> (String, bool, bool) {
    let (text, nulls) = match (text.strip_suffix(" NULLS FIRST"), text.strip_suffix(" NULLS LAST")) {
        (Some(text), _) => (text, Some(true)),
        (_, Some(text)) => (text, Some(false)),
        _ => (text, None),
    };
    let (text, down) = text.strip_suffix(" DESC").map_or((text, false), |text| (text, true));
    let mut plain = canonical(text);
    // The table's alias in front of a column, also within a call.
    while let Some(dot) = plain.find('.') {
        let start = plain[..dot].rfind(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let start = start.map_or(0, |at| at + plain[at..].chars().next().map_or(1, char::len_utf8));
        plain.replace_range(start..=dot, "");
    }
    (plain, down, nulls.unwrap_or(down))
}
