//! The indexes that the sample data lacks on purpose, each with a statement of the back office that suffers.
//!
//! They are of different kinds, so that advice on indexes has something to find. None of them would serve the load of
//! the ten thousand clients, and only the back office of the demo asks these statements, one a second.

use crate::data::dataset::Dataset;
use crate::data::people::customer_email;
use crate::data::text::{DAY_SECONDS, date_text};

/// An index that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlantedIndex {
    /// What the statement is for.
    pub name: &'static str,
    /// What the index would do for it.
    pub kind: &'static str,
    /// The statement; words in braces stand for values, which [`PlantedIndex::statement`] puts in.
    pub template: &'static str,
    /// The table.
    pub table: &'static str,
    /// Its access method.
    pub access_method: &'static str,
    /// The keys in front, as SQL writes them; where there are several lists, an index with either serves.
    pub keys: &'static [&'static [&'static str]],
    /// The index that serves best, as it would be created.
    pub definition: &'static str,
    /// Why the statement is slow without it.
    pub reason: &'static str,
}

const PLANTED: &[PlantedIndex] = &[
    PlantedIndex {
        name: "payments for a quote",
        kind: "foreign key join",
        template: "SELECT m.due_on, m.kind, m.amount, m.status FROM policies p \
                   JOIN payments m ON m.policy_id = p.id WHERE p.quote_id = {quote}",
        table: "payments",
        access_method: "btree",
        keys: &[&["policy_id"]],
        definition: "CREATE INDEX ON payments (policy_id)",
        reason: "a foreign key has no index by itself: all payments are read for the few of one policy",
    },
    PlantedIndex {
        name: "young drivers of high risk",
        kind: "equality and range",
        template: "SELECT id, first_name, last_name, born_on FROM customers \
                   WHERE risk_class = 'high' AND born_on >= '{born}'",
        table: "customers",
        access_method: "btree",
        keys: &[&["risk_class", "born_on"], &["born_on"]],
        definition: "CREATE INDEX ON customers (risk_class, born_on)",
        reason: "neither condition alone leaves few customers; together they leave one in a thousand",
    },
    PlantedIndex {
        name: "slowest pages",
        kind: "order and limit",
        template: "SELECT occurred_at, kind, page, duration_ms FROM analytics_events \
                   ORDER BY duration_ms DESC LIMIT 20",
        table: "analytics_events",
        access_method: "btree",
        keys: &[&["duration_ms"]],
        definition: "CREATE INDEX ON analytics_events (duration_ms)",
        reason: "all events are sorted for the first twenty",
    },
    PlantedIndex {
        name: "oldest failed payments",
        kind: "partial index",
        template: "SELECT id, policy_id, amount, due_on FROM payments \
                   WHERE status = 'failed' ORDER BY due_on LIMIT 50",
        table: "payments",
        access_method: "btree",
        keys: &[&["due_on"], &["status", "due_on"]],
        definition: "CREATE INDEX ON payments (due_on) WHERE status = 'failed'",
        reason: "two payments of a hundred have failed, and all are read for them",
    },
    PlantedIndex {
        name: "customer by e-mail",
        kind: "expression",
        template: "SELECT id, first_name, last_name, email FROM customers WHERE lower(email) = '{email}'",
        table: "customers",
        access_method: "btree",
        keys: &[&["lower(email)"]],
        definition: "CREATE INDEX ON customers (lower(email))",
        reason: "the index on email does not hold what lower() makes of it",
    },
    PlantedIndex {
        name: "customers of a postal area",
        kind: "prefix of a text",
        template: "SELECT id, first_name, last_name, street, city FROM customers WHERE postal_code LIKE '{area}%'",
        table: "customers",
        access_method: "btree",
        keys: &[&["postal_code"]],
        definition: "CREATE INDEX ON customers (postal_code text_pattern_ops)",
        reason: "LIKE needs an index in the order of characters, not of the language",
    },
    PlantedIndex {
        name: "activities of a length",
        kind: "containment in jsonb",
        template: "SELECT admin_user_id, action, entity, entity_id FROM admin_activity \
                   WHERE details @> '{\"seconds\": {seconds}}'",
        table: "admin_activity",
        access_method: "gin",
        keys: &[&["details"]],
        definition: "CREATE INDEX ON admin_activity USING gin (details jsonb_path_ops)",
        reason: "every document is taken apart to see whether it holds the pair",
    },
    PlantedIndex {
        name: "pages of the last day",
        kind: "covering index for GROUP BY",
        template: "SELECT page, count(*), avg(duration_ms) FROM analytics_events \
                   WHERE occurred_at >= '{yesterday}' GROUP BY page",
        table: "analytics_events",
        access_method: "btree",
        keys: &[&["occurred_at"]],
        definition: "CREATE INDEX ON analytics_events (occurred_at) INCLUDE (page, duration_ms)",
        reason: "three years of events are read for the last day",
    },
];

/// The indexes that the sample data lacks on purpose.
pub fn planted_indexes() -> &'static [PlantedIndex] {
    PLANTED
}

impl PlantedIndex {
    /// The statement, with values that the data may hold; `seed` chooses them.
    pub fn statement(&self, data: &Dataset, seed: u64) -> String {
        let mut random = fastrand::Rng::with_seed(seed);
        let customer = data.customer_at(random.f64());
        let day = |days_back: i64| date_text(data.now_seconds() / DAY_SECONDS - days_back);
        // The youngest are 18 years old.
        let born = day(19 * 365 + random.i64(0..30));
        self.template
            .replace("{quote}", &data.policy_quote(random.u64(1..=data.counts.policies)).to_string())
            .replace("{email}", &customer_email(data, customer))
            .replace("{area}", &random.u32(100..989).to_string())
            .replace("{seconds}", &random.u32(1..900).to_string())
            .replace("{born}", &born)
            .replace("{yesterday}", &day(1))
    }

    /// Whether an index of a table with these keys, as SQL writes them, serves the statement.
    pub fn is_served_by(&self, table: &str, access_method: &str, keys: &[String]) -> bool {
        let keys: Vec<String> = keys.iter().map(|key| column(key)).collect();
        let begins = |wanted: &&[&str]| {
            keys.len() >= wanted.len() && wanted.iter().zip(&keys).all(|(wanted, key)| wanted == key)
        };
        let table = table.rsplit('.').next().unwrap_or(table);
        // Rows in the order of a column need no more than ranges of pages.
        let is_method = access_method == self.access_method || access_method == "brin";
        table == self.table && is_method && self.keys.iter().any(begins)
    }
}

/// A key without the parentheses of an expression, operator class and direction.
fn column(key: &str) -> String {
    let mut key = key.trim();
    while let Some(inner) = key.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        key = inner.trim();
    }
    key.split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_put_in() {
        let data = Dataset::new(0.01, 5, 1_800_000_000);
        for planted in PLANTED {
            let one = planted.statement(&data, 1);
            assert_eq!(one, planted.statement(&data, 1));
            // The document that is looked for keeps its own braces.
            assert_eq!(one.matches('{').count(), one.matches("'{\"").count(), "{one}");
            let varies = planted.template.contains('{') && !planted.template.contains("{yesterday}");
            assert_eq!(one != planted.statement(&data, 2), varies, "{one}");
        }
    }

    #[test]
    fn names_and_kinds_are_different() {
        for (number, planted) in PLANTED.iter().enumerate() {
            let others = &PLANTED[number + 1..];
            assert!(others.iter().all(|other| other.name != planted.name && other.kind != planted.kind));
            assert!(planted.definition.contains(planted.table), "{planted:?}");
        }
    }

    #[test]
    fn an_index_serves_by_its_leading_keys() {
        let find = |name: &str| PLANTED.iter().find(|planted| planted.name == name).unwrap();
        let keys = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let failed = find("oldest failed payments");
        for (list, expected) in [
            (&["due_on"][..], true),
            (&["due_on DESC", "id"], true),
            (&["status", "due_on"], true),
            (&["status"], false),
            (&[], false),
        ] {
            assert_eq!(failed.is_served_by("public.payments", "btree", &keys(list)), expected, "{list:?}");
        }
        assert!(!failed.is_served_by("policies", "btree", &keys(&["due_on"])));
        let email = find("customer by e-mail");
        assert!(email.is_served_by("customers", "btree", &keys(&["(lower(email))"])));
        let area = find("customers of a postal area");
        assert!(area.is_served_by("customers", "btree", &keys(&["postal_code text_pattern_ops"])));
        assert!(!area.is_served_by("customers", "gin", &keys(&["postal_code gin_trgm_ops"])));
    }
}
