//! Requests that are wrong, and what they are told.

use serde_json::{Value, json};

use crate::service::{CLUSTER, Service, config, id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_told_what_is_wrong() {
    let cluster = CLUSTER.cluster();
    let (database, config) = config(cluster, &[("DATABASE_POOL_MAX", "2")]);
    let service = Service::start(cluster, config).await;
    let mut user = service.user("somebody");
    user.register().await;
    let good = user.quote();
    let with = |name: &str, value: Value| {
        let mut quote = good.clone();
        quote[name] = value;
        quote
    };
    let client = &mut user.client;
    for (path, body, status, problem) in [
        ("/quotes", with("customer_id", json!(-1)), 422, "unknown-reference"),
        ("/quotes", with("customer_id", json!("x")), 422, "unreadable"),
        ("/quotes", with("product", json!("boat")), 422, "unreadable"),
        ("/quotes", with("coverage_cents", json!(0)), 422, "invalid"),
        ("/quotes", with("coverage_cents", json!(i64::MAX)), 422, "invalid"),
        ("/quotes", with("deductible_cents", json!(-5)), 422, "invalid"),
        ("/quotes", with("more", json!(1)), 422, "unreadable"),
        ("/quotes/import", json!([good.clone(), with("customer_id", json!(-1))]), 422, "unknown-reference"),
        ("/quotes/import", Value::Array(vec![good.clone(); 1_001]), 422, "invalid"),
        ("/quotes/999999/policy", Value::Null, 404, "not-found"),
        ("/quotes/import", Value::Null, 422, "unreadable"),
        ("/nothing", Value::Null, 404, "not-found"),
        ("/healthz", Value::Null, 405, "unreadable"),
    ] {
        let answer = client.post(path, &body).await;
        let told = answer.json(status);
        assert_eq!(told["type"], format!("/problems/{problem}"), "{path} {body}: {told}");
    }
    for (path, status) in [
        ("/quotes/999999", 404),
        ("/quotes/abc", 400),
        ("/customers/999999/policies", 404),
        ("/policies?status=active&limit=0", 422),
        ("/policies?status=best", 400),
        ("/policies?status=active&cursor=nonsense", 422),
        // A cursor in the right form with a wrong value: ["x"].
        ("/policies?status=active&cursor=WyJ4Il0", 422),
    ] {
        let answer = client.get(path).await;
        answer.json(status);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        assert!(
            !answer.text().contains("SELECT") && !answer.text().contains("postgres"),
            "{}",
            answer.text()
        );
    }
    let nonsense = client.send("GET", "/quotes/1", &[("x-read-after", "yesterday")], None).await;
    nonsense.json(422);
    service.stop(cluster, &database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_and_imports() {
    let cluster = CLUSTER.cluster();
    let (database, config) = config(cluster, &[("DATABASE_POOL_MAX", "2")]);
    let service = Service::start(cluster, config).await;
    let mut user = service.user("somebody");
    user.register().await;
    let sql = |sql: &str| cluster.primary().psql(&database, sql).expect("the primary runs");

    let good = user.quote();
    let imported = user.client.post("/quotes/import", &Value::Array(vec![good.clone(); 1_000])).await;
    assert_eq!(imported.json(201), json!({ "imported": 1_000 }));
    assert_eq!(user.client.post("/quotes/import", &json!([])).await.json(201), json!({ "imported": 0 }));
    assert_eq!(sql("SELECT count(*), sum(premium) FROM quotes"), "1000|735000.00");

    user.ask_quote("mine").await.json(201);
    let mut other = good.clone();
    other["product"] = json!("home");
    let twice = user.client.send("POST", "/quotes", &[("idempotency-key", "mine")], Some(&other)).await;
    assert_eq!(twice.json(409)["detail"], "this idempotency-key was used for another quote");
    let mut double = service.user("somebody");
    let customer = json!({
        "first_name": "A", "last_name": "B", "email": "somebody@example.com", "phone": "1", "street": "S", "city": "C",
        "postal_code": "1", "born_on": "2000-01-01",
    });
    double.client.post("/customers", &customer).await.json(409);
    let mut undated = customer.clone();
    (undated["email"], undated["born_on"]) = (json!("other@example.com"), json!("2000-02-31"));
    double.client.post("/customers", &undated).await.json(422);

    let expired = id(&user.ask_quote("old").await.json(201));
    sql(&format!(
        "UPDATE quotes SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day' WHERE id = {expired}"
    ));
    assert_eq!(user.bind(expired).await.json(409)["detail"], "this quote has expired");
    service.stop(cluster, &database).await;
}

/// Each of two requests alone stays below the limit on a customer's coverage; together they do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_over_several_rows_holds_under_concurrency() {
    let cluster = CLUSTER.cluster();
    let (database, config) = config(cluster, &[("DATABASE_POOL_MAX", "8")]);
    let service = Service::start(cluster, config).await;
    let mut user = service.user("somebody");
    user.register().await;
    let mut quote = user.quote();
    // The limit is five times this.
    quote["coverage_cents"] = json!(1_000_000_000);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let quote_id = id(&user.client.post("/quotes", &quote).await.json(201));
        let mut other = service.user("somebody");
        tasks.spawn(async move {
            loop {
                let answer = other.bind(quote_id).await;
                if answer.status != 503 {
                    return answer.status;
                }
            }
        });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [[201; 5].as_slice(), &[409; 7]].concat());
    service.stop(cluster, &database).await;
}
