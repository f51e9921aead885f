//! Creating and changing views, and what is said before.

use pgprime_views::{Action, Declarations, Policy, Reason, RefreshOutcome, adopt, adoptable, plan, refresh};

use crate::harness::{DAILY, Database, declared, name};

async fn actions(database: &Database<'_>, toml: &str) -> Vec<(String, Action, String)> {
    let plan = plan(&database.client, &declared(toml)).await.unwrap();
    plan.items.into_iter().map(|item| (item.view.to_string(), item.action, item.reason)).collect()
}

async fn only(database: &Database<'_>, toml: &str) -> (Action, String) {
    let (_, action, reason) = actions(database, toml).await.remove(0);
    (action, reason)
}

#[tokio::test]
async fn a_view_is_made_and_then_left_alone() {
    let database = Database::new("apply").await;
    let toml = format!("{DAILY}indexes = ['amount DESC', 'date_trunc(''month'', day::timestamp)']")
        .replace("''month''", "\\\"month\\\"")
        .replace("'date_trunc(\\\"month\\\", day::timestamp)'", "\"date_trunc('month', day::timestamp)\"");
    let before = plan(&database.client, &declared(&toml)).await.unwrap();
    assert!(before.setup.is_some() && !before.is_done());
    assert_eq!(before.items[0].action, Action::Create);
    assert!(before.items[0].sql[0].starts_with("CREATE MATERIALIZED VIEW public.daily AS\n"), "{before:?}");
    // A plan leaves nothing behind.
    assert!(
        database
            .ask::<bool>("SELECT to_regclass('daily') IS NULL AND to_regnamespace('pgprime') IS NULL")
            .await
    );

    database.made(&toml).await;
    assert_eq!(database.ask::<i64>("SELECT count(*) FROM daily").await, 10);
    assert_eq!(database.ask::<i64>("SELECT count(*) FROM pg_indexes WHERE tablename = 'daily'").await, 3);
    let after = plan(&database.client, &declared(&toml)).await.unwrap();
    assert!(after.is_done(), "{after:?}");
    let oid: u32 = database.ask("SELECT 'daily'::regclass::oid").await;
    assert_eq!(database.apply(&toml).await[0].action, Action::Nothing);
    // The same in other words is the same.
    let reworded = toml.replace("SELECT day, sum", "SELECT orders.day,   sum");
    assert_eq!(only(&database, &reworded).await.0, Action::Nothing);
    let with_index = toml.replace("'amount DESC'", "'amount DESC', 'day, amount'");
    assert_eq!(only(&database, &with_index).await.0, Action::Index);
    database.made(&with_index).await;
    assert_eq!(only(&database, &with_index).await.0, Action::Nothing);
    assert_eq!(database.ask::<u32>("SELECT 'daily'::regclass::oid").await, oid);

    // What is no longer declared is said, and left.
    let nothing = plan(&database.client, &Declarations::default()).await.unwrap();
    assert_eq!(nothing.undeclared.len(), 1);
    assert!(nothing.undeclared[0].was_declared);
    assert!(database.apply("").await.is_empty());
    assert!(database.ask::<bool>("SELECT to_regclass('daily') IS NOT NULL").await);
}

#[tokio::test]
async fn views_on_views_are_made_in_their_order() {
    let database = Database::new("ordered").await;
    let toml = format!(
        "[[views]]\nname = 'admin.top'\nsql = 'SELECT max(m) AS m FROM admin.monthly'\n
         [[views]]\nname = 'admin.monthly'\nsql = \"SELECT date_trunc('month', day) AS m, sum(amount) FROM daily GROUP BY 1\"\n
         {DAILY}"
    );
    let order: Vec<String> = actions(&database, &toml).await.into_iter().map(|item| item.0).collect();
    assert_eq!(order, ["public.daily", "admin.monthly", "admin.top"]);
    database.made(&toml).await;
    assert!(plan(&database.client, &declared(&toml)).await.unwrap().is_done());
}

#[tokio::test]
async fn what_cannot_be_made_is_said_and_the_rest_is_made() {
    let database = Database::new("refused").await;
    database.psql("CREATE TABLE taken (id int); CREATE TABLE victim (id int)").await;
    for (sql, words) in [
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT day FROM orders GROUP BY", "syntax error"),
        ("SELECT 1 AS a; DROP TABLE victim", "multiple commands"),
        ("SELECT 1 AS a) WITH DATA; DROP TABLE victim; SELECT (1", "syntax error"),
        ("DELETE FROM victim RETURNING id", "syntax error"),
        ("SELECT 1 AS a, 2 AS a", "specified more than once"),
    ] {
        let toml = format!("[[views]]\nname = 'v'\nsql = '{sql}'\n{DAILY}");
        let (action, reason) = actions(&database, &toml)
            .await
            .into_iter()
            .find(|item| item.0 == "public.v")
            .map(|item| (item.1, item.2))
            .unwrap();
        assert_eq!(action, Action::Refused, "{sql}");
        assert!(reason.contains(words), "{sql}: {reason}");
        let applied = database.apply(&toml).await;
        let refused = applied.iter().find(|applied| applied.view == name("v")).unwrap();
        assert!(refused.error.as_ref().is_some_and(|error| error.contains(words)), "{refused:?}");
        assert!(database.ask::<bool>("SELECT to_regclass('victim') IS NOT NULL").await, "{sql}");
    }
    assert_eq!(database.ask::<i64>("SELECT count(*) FROM daily").await, 10);
    let key = DAILY.replace("['day']", "['week']");
    let (action, reason) = only(&database, &key).await;
    assert!(action == Action::Refused && reason.contains("no column week"), "{reason}");
    let (action, reason) = only(&database, "[[views]]\nname = 'taken'\nsql = 'SELECT 1 AS a'").await;
    assert!(action == Action::Refused && reason.contains("no materialized view"), "{reason}");
    // Two rows with one key: nothing is left of the attempt.
    let twice = "[[views]]\nname = 'twice'\nsql = 'SELECT 1 AS a FROM orders'\nunique_key = ['a']";
    let applied = database.apply(twice).await;
    assert!(applied[0].error.as_ref().is_some_and(|error| error.contains("unique")), "{applied:?}");
    assert!(database.ask::<bool>("SELECT to_regclass('twice') IS NULL").await);
}

#[tokio::test]
async fn hostile_names_are_names() {
    let database = Database::new("hostile").await;
    database.psql("CREATE TABLE victim (id int)").await;
    let long = "ü".repeat(31);
    for view in
        ["x\"\"; DROP TABLE victim; --", "it''s \\\\ a `view`", "select", long.as_str(), "👍 %s $1 {}"]
    {
        let toml = format!(
            "[[views]]\nname = '''\"My \"\"Schema\"\"'; --\".\"{view}\"'''\nsql = 'SELECT 1 AS \"a \"\"; --\"'\n\
             unique_key = ['a \"; --']"
        );
        let declarations = database.made(&toml).await;
        let view_name = &declarations.views()[0].name;
        let outcome =
            refresh(&database.client, view_name, None, Reason::Asked, &Policy::default()).await.unwrap();
        assert!(matches!(outcome, RefreshOutcome::Refreshed(_)), "{view}: {outcome:?}");
        let changed = toml.replace("SELECT 1", "SELECT 2");
        database.made(&changed).await;
        assert!(plan(&database.client, &declared(&changed)).await.unwrap().is_done(), "{view}");
    }
    assert_eq!(database.ask::<i64>("SELECT count(*) FROM victim").await, 0);
    assert_eq!(database.ask::<i64>("SELECT count(*) FROM pg_matviews").await, 5);
}

#[tokio::test]
async fn what_is_there_can_be_adopted() {
    let database = Database::new("adopted").await;
    database
        .psql(
            "CREATE SCHEMA \"My Shop\";
             CREATE MATERIALIZED VIEW \"My Shop\".\"Sales\" AS
                 SELECT day, sum(amount) AS amount, 'a''b\\' || max(id) AS \"Note\" FROM orders GROUP BY day;
             CREATE UNIQUE INDEX ON \"My Shop\".\"Sales\" (day);
             CREATE INDEX ON \"My Shop\".\"Sales\" (amount DESC, lower(\"Note\"));
             CREATE INDEX special ON \"My Shop\".\"Sales\" (amount) WHERE amount > 5",
        )
        .await;
    assert_eq!(adoptable(&database.client).await.unwrap(), [name("\"My Shop\".\"Sales\"")]);
    let toml = adopt(&database.client, &name("\"My Shop\".\"Sales\"")).await.unwrap();
    assert!(toml.contains("# kept as it is: CREATE INDEX special"), "{toml}");
    assert_eq!(only(&database, &toml).await, (Action::Nothing, "it is as declared".to_owned()), "{toml}");
    let changed = toml.replace("max(", "min(");
    let (action, reason) = only(&database, &changed).await;
    assert!(action == Action::Change && reason.contains("did not make it"), "{reason}");
    database.made(&changed).await;
    assert_eq!(only(&database, &changed).await.0, Action::Nothing);
    assert!(database.ask::<bool>("SELECT to_regclass('\"My Shop\".special') IS NOT NULL").await);
}
