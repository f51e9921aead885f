//! Sample data of an insurer: deterministic from a seed, skewed as real data is, written in COPY's text format.

pub(crate) mod dataset;
pub(crate) mod insurance;
mod names;
pub(crate) mod people;
pub(crate) mod random;
pub(crate) mod text;

use dataset::Dataset;

/// A table of the sample data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Customers,
    Quotes,
    Policies,
    Claims,
    Payments,
    AdminUsers,
    AdminActivity,
    AnalyticsEvents,
}

impl Table {
    /// All tables, each after those it refers to.
    pub(crate) const ALL: [Self; 8] = [
        Self::Customers,
        Self::Quotes,
        Self::Policies,
        Self::Claims,
        Self::Payments,
        Self::AdminUsers,
        Self::AdminActivity,
        Self::AnalyticsEvents,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Customers => "customers",
            Self::Quotes => "quotes",
            Self::Policies => "policies",
            Self::Claims => "claims",
            Self::Payments => "payments",
            Self::AdminUsers => "admin_users",
            Self::AdminActivity => "admin_activity",
            Self::AnalyticsEvents => "analytics_events",
        }
    }

    pub(crate) fn rows(self, data: &Dataset) -> u64 {
        match self {
            Self::Customers => data.counts.customers,
            Self::Quotes => data.counts.quotes,
            Self::Policies => data.counts.policies,
            Self::Claims => data.counts.claims,
            Self::Payments => data.counts.payments,
            Self::AdminUsers => data.counts.admin_users,
            Self::AdminActivity => data.counts.admin_activity,
            Self::AnalyticsEvents => data.counts.analytics_events,
        }
    }

    /// Appends row `id` (from 1) as one line of COPY text, all columns in the order of the table.
    pub(crate) fn write_row(self, data: &Dataset, id: u64, out: &mut Vec<u8>) {
        match self {
            Self::Customers => people::write_customer(data, id, out),
            Self::Quotes => insurance::write_quote(data, id, out),
            Self::Policies => insurance::write_policy(data, id, out),
            Self::Claims => insurance::write_claim(data, id, out),
            Self::Payments => insurance::write_payment(data, id, out),
            Self::AdminUsers => people::write_admin_user(data, id, out),
            Self::AdminActivity => people::write_admin_activity(data, id, out),
            Self::AnalyticsEvents => people::write_analytics_event(data, id, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(data: &Dataset, table: Table) -> Vec<Vec<String>> {
        let mut out = Vec::new();
        for id in 1..=table.rows(data) {
            table.write_row(data, id, &mut out);
        }
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    fn data() -> Dataset {
        Dataset::new(0.004, 42, 1_790_000_000)
    }

    #[test]
    fn the_same_seed_gives_the_same_rows() {
        for table in Table::ALL {
            assert_eq!(rows(&data(), table), rows(&data(), table));
        }
        let other = Dataset::new(0.004, 43, 1_790_000_000);
        assert_ne!(rows(&data(), Table::Quotes), rows(&other, Table::Quotes));
    }

    #[test]
    fn every_row_has_the_columns_of_its_table() {
        let columns = [12, 10, 10, 9, 9, 6, 7, 7];
        for (table, columns) in Table::ALL.into_iter().zip(columns) {
            for (index, row) in rows(&data(), table).iter().enumerate() {
                assert_eq!(row.len(), columns, "{table:?} {row:?}");
                assert_eq!(row[0], (index + 1).to_string());
            }
        }
    }

    #[test]
    fn foreign_keys_hold() {
        let data = data();
        let all = |table| rows(&data, table);
        let check = |table: Table, column: usize, target: u64| {
            for row in all(table).iter().filter(|row| row[column] != "\\N") {
                let key: u64 = row[column].parse().unwrap();
                assert!((1..=target).contains(&key), "{table:?} {row:?}");
            }
        };
        check(Table::Quotes, 1, data.counts.customers);
        check(Table::Policies, 1, data.counts.quotes);
        check(Table::Policies, 2, data.counts.customers);
        check(Table::Claims, 1, data.counts.policies);
        check(Table::Payments, 1, data.counts.policies);
        check(Table::Payments, 2, data.counts.claims);
        check(Table::AdminActivity, 1, data.counts.admin_users);
        check(Table::AnalyticsEvents, 1, data.counts.customers);
    }

    #[test]
    fn related_rows_agree() {
        let data = data();
        let (quotes, policies) = (rows(&data, Table::Quotes), rows(&data, Table::Policies));
        for policy in &policies {
            let quote = &quotes[policy[1].parse::<usize>().unwrap() - 1];
            assert_eq!((&quote[1], &quote[2], quote[3].as_str()), (&policy[2], &policy[3], "bound"));
            assert!(quote[8] <= policy[9], "a policy older than its quote: {policy:?}");
        }
        let bound = quotes.iter().filter(|quote| quote[3] == "bound").count();
        assert_eq!(bound, policies.len());
    }

    #[test]
    fn statuses_are_distributed() {
        let data = data();
        for (table, column, expected) in [
            (Table::Quotes, 3, vec!["open", "bound", "declined", "expired"]),
            (Table::Policies, 4, vec!["active", "expired", "cancelled", "lapsed"]),
            (Table::Claims, 2, vec!["filed", "in_review", "approved", "paid", "rejected"]),
        ] {
            let all = rows(&data, table);
            for status in expected {
                assert!(all.iter().any(|row| row[column] == status), "{table:?} has no {status}");
            }
        }
    }
}
