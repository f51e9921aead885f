//! What a role may not do is said with what it needs.

use pgprime_views::{
    Action, ApplyOptions, Policy, Reason, RefreshOutcome, SETUP_SQL, ViewsError, apply, plan, refresh,
};

use crate::harness::{DAILY, Database, declared, name};

#[tokio::test]
async fn a_role_without_privileges_is_told_what_it_needs() {
    let database = Database::new("privileges").await;
    let role = format!("{}_app", database.name);
    database.psql(&format!("CREATE ROLE {role} LOGIN; GRANT SELECT ON orders TO {role}")).await;
    let session = database.session_as(&role).await;
    let toml = DAILY.replace("'daily'", "'app.daily'");
    let error = apply(&session, &declared(&toml), &ApplyOptions::default()).await.unwrap_err();
    assert!(matches!(error, ViewsError::Privilege { .. }), "{error:?}");
    assert!(error.to_string().contains("GRANT CREATE ON DATABASE"), "{error}");

    // An administrator sets up what the role may not.
    database
        .psql(&format!(
            "{SETUP_SQL}; GRANT USAGE ON SCHEMA pgprime TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgprime TO {role};
             GRANT USAGE, CREATE ON SCHEMA pgprime_build TO {role}"
        ))
        .await;
    let item = plan(&session, &declared(&toml)).await.unwrap().items.remove(0);
    assert!(
        item.action == Action::Refused && item.reason.contains("permission denied for database"),
        "{item:?}"
    );
    database
        .psql(&format!(
            "CREATE SCHEMA app; GRANT USAGE, CREATE ON SCHEMA app TO {role};
             REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC",
            database.name
        ))
        .await;
    for factor in ["", "2 * "] {
        let toml = toml.replace("sum(amount)", &format!("{factor}sum(amount)"));
        let applied = apply(&session, &declared(&toml), &ApplyOptions::default()).await.unwrap();
        assert_eq!(applied[0].error, None);
    }
    // REFRESH CONCURRENTLY makes a temporary table.
    let denied =
        refresh(&session, &name("app.daily"), None, Reason::Asked, &Policy::default()).await.unwrap();
    let RefreshOutcome::Failed { error, .. } = denied else { panic!("{denied:?} is not a failure") };
    assert!(error.contains("GRANT TEMPORARY ON DATABASE"), "{error}");
    database.psql(&format!("GRANT TEMPORARY ON DATABASE {} TO {role}", database.name)).await;
    let refreshed =
        refresh(&session, &name("app.daily"), None, Reason::Asked, &Policy::default()).await.unwrap();
    assert!(matches!(refreshed, RefreshOutcome::Refreshed(_)), "{refreshed:?}");

    // Another's view, and a table that may no longer be read.
    database.psql("CREATE MATERIALIZED VIEW others AS SELECT 1 AS a").await;
    let outcome = refresh(&session, &name("others"), None, Reason::Asked, &Policy::default()).await.unwrap();
    let RefreshOutcome::Failed { error, .. } = outcome else { panic!("{outcome:?} is not a failure") };
    assert!(
        (error.contains("must be owner") || error.contains("permission denied"))
            && error.contains("connect as that role"),
        "{error}"
    );
    let others = "[[views]]\nname = 'others'\nsql = 'SELECT 2 AS a'";
    let item = plan(&session, &declared(others)).await.unwrap().items.remove(0);
    assert!(item.action == Action::Refused && item.reason.contains("belongs to postgres"), "{item:?}");
    database.psql(&format!("REVOKE SELECT ON orders FROM {role}")).await;
    let outcome =
        refresh(&session, &name("app.daily"), None, Reason::Asked, &Policy::default()).await.unwrap();
    let RefreshOutcome::Failed { error, .. } = outcome else { panic!("{outcome:?} is not a failure") };
    assert!(error.contains("GRANT SELECT on what the view reads"), "{error}");
}
