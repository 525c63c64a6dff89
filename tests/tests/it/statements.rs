//! What requests cost the database: the number of their statements, and how often they wait for it. Whoever adds to a request changes a
//! number here, knowingly.

use reqwest::Method;
use serde_json::{Value, json};
use tests::PASSWORD;
use tests::process::{Installation, Process};
use tests::proxy::Proxy;

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

/// The requests whose round trips are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Live,
    /// With a session that was not used before.
    Me,
    List,
    Patch,
    Upload, // domain: upload
    Refresh,
}

#[tokio::test]
async fn requests_wait_for_the_database_no_oftener_than_they_need() {
    let mut installation = Installation::new().await;
    if !installation.is_on_postgres() {
        return;
    }
    let (proxy, url) = Proxy::to_database(&installation.database_url()).await;
    installation.set("ASHLAR_DATABASE__LISTEN_URL", &installation.database_url());
    installation.set("ASHLAR_DATABASE__URL", &url);
    // They poll.
    installation.set("ASHLAR_JOBS__IN_SERVER", "false");
    let process = installation.start().await;
    let login = json!({"identifier": "ada@example.com", "password": PASSWORD});
    let signup = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    process.post("/api/v1/auth/signup").json(&signup).await.expect(201);
    installation.sql("UPDATE users SET is_admin = true").await;
    let mut session = json!(null);
    for (kind, expected, what) in [
        (Kind::Live, 0, "nothing"),
        (Kind::Me, 1, "the session with its account"),
        (Kind::List, 1, "the rows"),
        (Kind::Patch, 4, "BEGIN, the account, its event, COMMIT"),
        (Kind::Upload, 5, "BEGIN, the lock, the used space, the upload, COMMIT"), // domain: upload
        (Kind::Refresh, 5, "the session, BEGIN, the session, the account, COMMIT"),
    ] {
        let mut fewest = usize::MAX;
        // A statement is prepared once for each connection, and something may happen in the background: the fewest count.
        for number in 0..200 {
            if kind == Kind::Me || session.is_null() {
                session = process.post("/api/v1/auth/login").json(&login).await.expect(200).json();
            }
            until_quiet(&process, &proxy).await;
            let before = proxy.round_trips();
            send(&process, kind, &mut session, number).await;
            fewest = fewest.min(proxy.round_trips() - before);
            if number >= 5 && fewest <= expected {
                break;
            }
        }
        assert_eq!(fewest, expected, "{kind:?}: {what}");
    }
}

/// Waits until the relay of events has nothing to do: until the server asks the database nothing during some requests that do not
/// need it. Where that never happens, the fewest of many tries counts.
async fn until_quiet(process: &Process, proxy: &Proxy) {
    for _ in 0..50 {
        let before = proxy.round_trips();
        for _ in 0..20 {
            process.get("/health/live").await.expect(200);
        }
        if proxy.round_trips() == before {
            return;
        }
    }
}

async fn send(process: &Process, kind: Kind, session: &mut Value, number: usize) {
    let token = session["access_token"].as_str().unwrap().to_owned();
    let me = "/api/v1/users/me";
    match kind {
        Kind::Live => process.get("/health/live").await.expect(200),
        Kind::Me => process.get(me).bearer(&token).await.expect(200),
        Kind::List => process.get("/api/v1/admin/users").bearer(&token).await.expect(200),
        Kind::Patch => {
            let name = json!({"name": format!("Ada {number}")});
            process.request(Method::PATCH, me).bearer(&token).json(&name).await.expect(200)
        }
        // domain: upload
        Kind::Upload => {
            let body = json!({"filename": "a.png", "content_type": "image/png", "size": 1});
            process.post("/api/v1/uploads").bearer(&token).json(&body).await.expect(201)
        }
        // end: upload
        Kind::Refresh => {
            let body = json!({"refresh_token": session["refresh_token"]});
            let answer = process.post("/api/v1/auth/refresh").json(&body).await.expect(200);
            *session = answer.json();
            answer
        }
    };
}
