//! What requests cost the database: the number of their statements. Whoever adds one to a request changes a number here, knowingly.

use reqwest::Method;
use serde_json::json;
use tests::PASSWORD;
use tests::process::Installation;

#[tokio::test]
async fn requests_run_no_more_statements_than_they_need() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_LOG_LEVEL", "info,sql=debug");
    let process = installation.start().await;
    // Statements are logged with the id of their request.
    let request =
        |id: &str, method: Method, path: &str| process.request(method, path).header("x-request-id", id);
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let session = request("signup", Method::POST, "/api/v1/auth/signup").json(&body).await.expect(201).json();
    let token = session["access_token"].as_str().unwrap();
    let me = "/api/v1/users/me";
    request("me", Method::GET, me).bearer(token).await.expect(200);
    for number in 0..20 {
        request(&format!("again{number}."), Method::GET, me).bearer(token).await.expect(200);
    }
    request("patch", Method::PATCH, me).bearer(token).json(&json!({"name": "Ada King"})).await.expect(200);
    let refresh = json!({"refresh_token": session["refresh_token"]});
    request("refresh", Method::POST, "/api/v1/auth/refresh").json(&refresh).await.expect(200);
    let login = json!({"identifier": "ada@example.com", "password": PASSWORD});
    request("login", Method::POST, "/api/v1/auth/login").json(&login).await.expect(200);
    request("live", Method::GET, "/health/live").await.expect(200);
    let log = process.stop().await;
    let is_logged = |id: &str| {
        log.lines().any(|line| {
            line.contains("request handled") && line.contains(&format!("\"request_id\":\"{id}\""))
        })
    };
    assert!(is_logged("me") && !is_logged("live"), "probes are routine");
    let of = |id: &str| -> Vec<&str> {
        let own = format!("\"request_id\":\"{id}\"");
        let statements =
            log.lines().filter(|line| line.contains(&own) && line.contains("\"target\":\"sqlx::query\""));
        // Of transactions, which only PostgreSQL's driver logs, and of a connection that SQLite's opens.
        let others = ["BEGIN", "COMMIT", "ROLLBACK", "PRAGMA"].map(|start| format!("\"summary\":\"{start}"));
        statements.filter(|line| !others.iter().any(|start| line.contains(start))).collect()
    };
    // On PostgreSQL, a new row and its event are one.
    let signup = if installation.is_on_postgres() { 4 } else { 5 };
    for (id, statements, what) in [
        (
            "signup",
            signup,
            "the account, its event, the password, the sessions beyond the limit, the session",
        ),
        ("me", 1, "the session with its account"),
        ("patch", 2, "the account and its event"),
        ("refresh", 3, "the session twice, the account"),
        (
            "login",
            6,
            "account and password, both again in the transaction, the sessions beyond the limit, the session",
        ),
        ("live", 0, "nothing"),
    ] {
        assert_eq!(of(id).len(), statements, "{id}: {what}: {:#?}", of(id));
    }
    // Within a second, what was read before is in memory; a machine that hangs that long may ask again, for some of it.
    let again: Vec<usize> = (0..20).map(|number| of(&format!("again{number}.")).len()).collect();
    assert!(again.contains(&0) && again.iter().all(|count| *count <= 3), "{again:?}");
}
