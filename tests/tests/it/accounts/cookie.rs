use serde_json::{Value, json};
use tests::client::members;
use tests::{Answer, PASSWORD, TestServer};

const REFRESH: &str = "/api/v1/auth/refresh";
const LOGOUT: &str = "/api/v1/auth/logout";
const NAME: &str = "__Host-ashlar_refresh";

/// The value of the cookie and its attributes, sorted.
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
    let server = TestServer::with_variables(&[("ASHLAR_CORS__ORIGINS", "https://app.example.com")]).await;
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let (value, _) = cookie(&answer);
    let own = server.origin();
    for (name, page) in [
        ("origin", "https://evil.example.com"),
        ("origin", "null"),
        ("origin", "http://app.example.com"),
        ("origin", "https://app.example.com:8443"),
        ("origin", "https://app.example.com.evil.example"),
        ("origin", "http://localhost:1"),
        ("origin", ""),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "Same-Site"),
        ("sec-fetch-site", ""),
    ] {
        for path in [REFRESH, LOGOUT] {
            let request = server.post(path).bearer(&token).header("cookie", &format!("{NAME}={value}"));
            request.header(name, page).await.problem(403, "origin_not_allowed");
        }
        // No other route uses the cookie.
        let elsewhere = server.get("/api/v1/users/me").bearer(&token).header(name, page);
        elsewhere.header("cookie", &format!("{NAME}={value}")).await.expect(200);
        let elsewhere = server.patch("/api/v1/users/me").bearer(&token).header(name, page);
        elsewhere.header("cookie", &format!("{NAME}={value}")).json(&json!({})).await.expect(200);
    }
    let two = server.post(REFRESH).header("origin", &own).header("origin", "https://evil.example.com");
    two.header("cookie", &format!("{NAME}={value}")).await.problem(403, "origin_not_allowed");
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

/// A server that renders pages forwards the cookie without `Origin`, unlike a page in a browser.
#[tokio::test]
async fn without_an_origin_only_a_foreign_page_is_refused() {
    let server = TestServer::start().await;
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let (mut value, _) = cookie(&answer);
    for site in [None, Some("same-origin"), Some("same-site"), Some("none")] {
        let request = server.post(REFRESH).header("cookie", &format!("{NAME}={value}"));
        let request = site.into_iter().fold(request, |request, site| request.header("sec-fetch-site", site));
        value = cookie(&request.await.expect(200)).0;
    }
}

/// The cookie is cleared with the attributes with which it was set.
fn assert_taken_back(answer: &Answer) {
    let (emptied, attributes) = cookie(answer);
    assert_eq!(emptied, "");
    for attribute in ["httponly", "max-age=0", "path=/", "samesite=strict", "secure"] {
        assert!(attributes.iter().any(|other| other == attribute), "{attribute}: {attributes:?}");
    }
}

#[tokio::test]
async fn a_logout_takes_the_cookie_back() {
    let server = TestServer::start().await;
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let (value, _) = cookie(&answer);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let request = server.post(LOGOUT).bearer(&token).header("origin", &server.origin());
    let answer = request.header("cookie", &format!("{NAME}={value}")).await.expect(204);
    assert_taken_back(&answer);
    let request = server.post(REFRESH).header("origin", &server.origin());
    request.header("cookie", &format!("{NAME}={value}")).await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn the_cookie_alone_logs_out() {
    let server = TestServer::start().await;
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let (value, _) = cookie(&answer);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let logout = |value: &str| {
        let request = server.post(LOGOUT).header("origin", &server.origin());
        request.header("cookie", &format!("theme=dark; {NAME}={value}")).into_future()
    };
    let spent = value.clone();
    let refresh = server.post(REFRESH).header("origin", &server.origin());
    let (value, _) = cookie(&refresh.header("cookie", &format!("{NAME}={value}")).await.expect(200));
    assert_taken_back(&logout(&value).await.expect(204));
    assert!(!server.accepts(&token).await);
    // An ended session, a used token, a foreign token: there is no session to end, and the cookie is cleared.
    for value in [value.as_str(), &spent, "ashr_nonsense", ""] {
        assert_taken_back(&logout(value).await.expect(204));
    }
    // An expired access token, as in a suspended page, does not prevent the sign-out.
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let (value, _) = cookie(&answer);
    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
    let request = server.post(LOGOUT).header("origin", &server.origin()).bearer("nonsense");
    assert_taken_back(&request.header("cookie", &format!("{NAME}={value}")).await.expect(204));
    assert!(!server.accepts(&token).await);
}

/// Otherwise the browser would send it for the rest of its month.
#[tokio::test]
async fn a_dead_cookie_is_taken_back_by_the_refusal() {
    let server = TestServer::start().await;
    let own = server.origin();
    let answer = server.post("/api/v1/auth/signup").json(&signup()).await.expect(201);
    let (value, _) = cookie(&answer);
    let refresh = |cookies: String| {
        server.post(REFRESH).header("origin", &own).header("cookie", &cookies).into_future()
    };
    let (next, _) = cookie(&refresh(format!("{NAME}={value}")).await.expect(200));
    let (last, _) = cookie(&refresh(format!("{NAME}={next}")).await.expect(200));
    for (cookies, code) in [
        (format!("{NAME}={value}"), "refresh_token_reused"),
        (format!("{NAME}={last}"), "invalid_refresh_token"),
        (format!("{NAME}=nonsense"), "invalid_refresh_token"),
        (format!("{NAME}={last}; {NAME}={last}"), "invalid_refresh_token"),
    ] {
        let answer = refresh(cookies).await;
        assert_taken_back(&answer);
        answer.problem(401, code);
    }
    // Errors of tokens outside of the cookie do not clear it, and neither do errors of the server.
    let in_body = server.post(REFRESH).header("origin", &own).header("cookie", &format!("{NAME}={last}"));
    let answer = in_body.json(&json!({"refresh_token": "ashr_x"})).await;
    assert_eq!(answer.header("set-cookie"), None);
    answer.problem(401, "invalid_refresh_token");
    let answer = server.post(REFRESH).await;
    assert_eq!(answer.header("set-cookie"), None);
    answer.problem(401, "invalid_refresh_token");
    let foreign = server.post(REFRESH).header("origin", "https://evil.example.com");
    let answer = foreign.header("cookie", &format!("{NAME}={last}")).await;
    assert_eq!(answer.header("set-cookie"), None, "a foreign page signs nobody out");
    answer.problem(403, "origin_not_allowed");
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

/// Another host of the domain may set a cookie of another name, also one that only decodes to ours, and no browser sends ours
/// twice: neither is accepted.
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
