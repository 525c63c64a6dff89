use serde_json::{Value, json};
use tests::client::members;
use tests::{Answer, PASSWORD, TestServer};

const REFRESH: &str = "/api/v1/auth/refresh";
const NAME: &str = "__Host-ashlar_refresh";

/// The cookie's value and its attributes, sorted.
fn cookie(answer: &Answer) -> (String, Vec<String>) {
    let header = answer.header("set-cookie").unwrap_or_else(|| panic!("no cookie: {answer:?}"));
    let mut parts = header.split("; ");
    let (name, value) = parts.next().unwrap().split_once('=').unwrap();
    assert_eq!(name, NAME);
    let mut attributes: Vec<String> = parts.map(str::to_lowercase).collect();
    attributes.sort_unstable();
    (value.to_owned(), attributes)
}

fn signup() -> Value {
    json!({"email": tests::unique("cookie") + "@example.com", "password": PASSWORD, "name": "Ada", "transport": "cookie"})
}

#[tokio::test]
async fn the_refresh_token_goes_into_a_cookie_and_not_into_the_body() {
    let server = TestServer::start().await;
    let sent = signup();
    let login = json!({"identifier": sent["email"], "password": PASSWORD, "transport": "cookie"});
    for (path, body, status) in [("/api/v1/auth/signup", sent, 201), ("/api/v1/auth/login", login, 200)] {
        let answer = server.post(path).json(&body).await.expect(status);
        let (value, attributes) = cookie(&answer);
        assert_eq!(attributes, ["httponly", "max-age=2592000", "path=/", "samesite=strict", "secure"]);
        assert!(!value.is_empty());
        let session = answer.json();
        assert_eq!(members(&session), ["access_token", "expires_in", "session_id", "token_type", "user"]);
        assert!(!answer.text().contains(&value));
    }
}

#[tokio::test]
async fn the_cookie_refreshes_from_our_own_pages_only() {
    let server = TestServer::with(&[("ASHLAR_CORS__ORIGINS", "https://app.example.com")]).await;
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let (value, _) = cookie(&answer);
    let own = server.origin();
    for origin in [
        Some("https://evil.example.com"),
        Some("null"),
        Some("http://app.example.com"),
        Some("https://app.example.com:8443"),
        Some("https://app.example.com.evil.example"),
        Some("http://localhost:1"),
        Some(""),
        None,
    ] {
        for path in
            [REFRESH, "/api/v1/auth/logout", "/api/v1/auth/login", "/api/v1/auth/token", "/api/v1/uploads"]
        {
            let mut request = server.post(path).bearer(&token).header("cookie", &format!("{NAME}={value}"));
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            request.await.problem(403, "origin_not_allowed");
        }
    }
    let mut value = value;
    for origin in [own.as_str(), "https://app.example.com"] {
        let request = server.post(REFRESH).header("cookie", &format!("theme=dark; {NAME}={value}"));
        let answer = request.header("origin", origin).await.expect(200);
        let (next, attributes) = cookie(&answer);
        assert_eq!(attributes, ["httponly", "max-age=2592000", "path=/", "samesite=strict", "secure"]);
        assert_ne!(next, value, "rotated");
        assert_eq!(
            members(&answer.json()),
            ["access_token", "expires_in", "session_id", "token_type", "user"]
        );
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        value = next;
    }
}

#[tokio::test]
async fn a_logout_takes_the_cookie_back() {
    let server = TestServer::start().await;
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let (value, _) = cookie(&answer);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let request = server.post("/api/v1/auth/logout").bearer(&token).header("origin", &server.origin());
    let answer = request.header("cookie", &format!("{NAME}={value}")).await.expect(204);
    let (emptied, attributes) = cookie(&answer);
    assert_eq!(emptied, "");
    for attribute in ["httponly", "max-age=0", "path=/", "samesite=strict", "secure"] {
        assert!(attributes.iter().any(|other| other == attribute), "{attribute}: {attributes:?}");
    }
    let request = server.post(REFRESH).header("origin", &server.origin());
    request.header("cookie", &format!("{NAME}={value}")).await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_cookie_is_no_access_token_and_reading_needs_no_origin() {
    let server = TestServer::start().await;
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let (value, _) = cookie(&answer);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let cookie = format!("{NAME}={value}");
    server.get("/api/v1/users/me").header("cookie", &cookie).await.problem(401, "invalid_token");
    server.get("/api/v1/users/me").header("cookie", &cookie).bearer(&token).await.expect(200);
}

/// Another host of the domain may set a cookie of another name, also of one that merely decodes to ours, and may set ours
/// twice in no browser: neither is taken for it.
#[tokio::test]
async fn only_the_one_cookie_of_exactly_this_name_counts() {
    let server = TestServer::start().await;
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let (value, _) = cookie(&answer);
    let own = server.origin();
    for cookies in [
        format!("__%48ost-ashlar_refresh={value}"),
        format!("ashlar_refresh={value}"),
        format!("__host-ashlar_refresh={value}"),
        format!("{NAME}={value}; {NAME}={value}"),
    ] {
        let refused = server.post(REFRESH).header("cookie", &cookies).header("origin", &own).await;
        refused.problem(401, "invalid_refresh_token");
    }
    let request =
        server.post(REFRESH).header("cookie", &format!("a=b; {NAME}={value}")).header("origin", &own);
    request.await.expect(200);
}
