use reqwest::Method;
use serde_json::json;
use tests::{Answer, Request, TestServer};

const PATH: &str = "/api/v1/users/me";

fn preflight(server: &TestServer, origin: &str, method: &str, headers: &str) -> Request {
    let request = server.request(Method::OPTIONS, PATH).header("origin", origin);
    let request = request.header("access-control-request-method", method);
    if headers.is_empty() { request } else { request.header("access-control-request-headers", headers) }
}

fn list(answer: &Answer, name: &str) -> Vec<String> {
    let text = answer.header(name).unwrap_or_else(|| panic!("no {name}: {answer:?}"));
    let mut names: Vec<String> = text.split(',').map(|name| name.trim().to_lowercase()).collect();
    names.sort_unstable();
    names
}

fn varies_by_origin(answer: &Answer) -> bool {
    let values = answer.headers.get_all("vary").iter();
    values.filter_map(|value| value.to_str().ok()).any(|value| value.to_lowercase().contains("origin"))
}

#[tokio::test]
async fn a_preflight_from_a_configured_origin_is_answered() {
    let server =
        TestServer::with_variables(&[("ASHLAR_CORS__ORIGINS", "https://app.example.com,http://localhost:*")])
            .await;
    let own = server.origin();
    for origin in ["https://app.example.com", "http://localhost:5173", own.as_str()] {
        for method in ["GET", "POST", "PATCH"] {
            let names = "authorization, content-type, idempotency-key, if-match, if-none-match, consistency-token, \
                         x-request-id, traceparent";
            let answer = preflight(&server, origin, method, names).await;
            assert!(matches!(answer.status, 200 | 204), "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
            let allowed = list(&answer, "access-control-allow-headers");
            for name in names.split(", ") {
                assert!(allowed.iter().any(|other| other == name), "{name}: {allowed:?}");
            }
            assert!(list(&answer, "access-control-allow-methods").contains(&method.to_lowercase()));
            assert!(answer.header("access-control-max-age").unwrap().parse::<u32>().unwrap() >= 60);
            assert!(varies_by_origin(&answer), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_preflight_from_elsewhere_is_refused() {
    let server = TestServer::with_variables(&[("ASHLAR_CORS__ORIGINS", "https://app.example.com")]).await;
    for origin in [
        "https://evil.example.com",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        "https://app.example.com:444",
        "https://APP.example.com.",
        "null",
        "*",
        "",
    ] {
        let answer = preflight(&server, origin, "PATCH", "authorization").await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:?}");
        // The page of this code names the setting, because frontend developers usually get this error first.
        answer.problem(403, "origin_not_allowed");
    }
    // Headers and methods that are not in the OpenAPI document.
    for (method, headers) in [("PATCH", "x-evil"), ("PUT", ""), ("TRACE", "")] {
        let answer = preflight(&server, "https://app.example.com", method, headers).await;
        answer.problem(403, "origin_not_allowed");
    }
}

/// Browsers do not show the response to a preflight to the page, so developers find the reason in the response itself, or in the log.
#[tokio::test]
async fn a_refused_preflight_says_what_is_refused_and_where_to_allow_it() {
    let server = TestServer::with_variables(&[("ASHLAR_CORS__ORIGINS", "https://app.example.com")]).await;
    let (app, evil) = ("https://app.example.com", "https://evil.example.com");
    for (origin, method, headers, told, untold) in [
        (evil, "PATCH", "authorization", &[evil, "cors.origins"][..], &["PATCH", "cors.headers"][..]),
        (app, "PUT", "authorization", &["\"PUT\""], &[app, "cors."]),
        (
            app,
            "PATCH",
            "Sentry-Trace, content-type,baggage",
            &["\"Sentry-Trace, baggage\"", "cors.headers"],
            &["content-type", "cors.origins"],
        ),
        (evil, "PUT", "x-evil", &[evil, "\"PUT\"", "\"x-evil\""], &[]),
    ] {
        let problem = preflight(&server, origin, method, headers).await.problem(403, "origin_not_allowed");
        let detail = problem["detail"].as_str().unwrap();
        assert!(told.iter().all(|part| detail.contains(part)), "{told:?}: {detail}");
        assert!(!untold.iter().any(|part| detail.contains(part)), "{untold:?}: {detail}");
    }
}

#[tokio::test]
async fn what_pages_add_can_be_allowed_and_so_can_apps() {
    let server = TestServer::with_variables(&[
        ("ASHLAR_CORS__ORIGINS", "https://app.example.com,capacitor://localhost"),
        ("ASHLAR_CORS__HEADERS", "Sentry-Trace, baggage"),
    ])
    .await;
    for origin in ["https://app.example.com", "capacitor://localhost"] {
        let answer =
            preflight(&server, origin, "PATCH", "sentry-trace, BAGGAGE, authorization").await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        let allowed = list(&answer, "access-control-allow-headers");
        for name in ["sentry-trace", "baggage", "authorization", "consistency-token"] {
            assert!(allowed.iter().any(|other| other == name), "{name}: {allowed:?}");
        }
    }
    for origin in [
        "tauri://localhost",
        "capacitor://localhost:1",
        "capacitor://localhost.evil.example",
        "http://localhost",
    ] {
        preflight(&server, origin, "PATCH", "").await.problem(403, "origin_not_allowed");
    }
    preflight(&server, "https://app.example.com", "PATCH", "x-requested-with")
        .await
        .problem(403, "origin_not_allowed");
}

/// The origins of development tools: with and without a certificate, by name and by both addresses.
#[tokio::test]
async fn in_development_every_page_of_the_machine_may_call() {
    let server = TestServer::start().await;
    for origin in
        ["http://localhost:5173", "https://localhost:5173", "http://127.0.0.1:3000", "http://[::1]:8080"]
    {
        preflight(&server, origin, "PATCH", "authorization").await.expect(200);
    }
}

#[tokio::test]
async fn answers_and_errors_are_readable_to_configured_origins_only() {
    let server = TestServer::with_variables(&[("ASHLAR_CORS__ORIGINS", "https://app.example.com")]).await;
    let ada = server.signup().await;
    let requests = || {
        [
            (server.get(PATH).bearer(&ada.token), 200),
            (server.get(PATH), 401),
            (server.get("/api/v1/nothing"), 404),
            (server.post(PATH), 405),
            (server.post("/api/v1/auth/login").body("text/plain", "{}"), 415),
            (server.post("/api/v1/auth/login").json(&json!({})), 422),
            (server.get("/health"), 200),
        ]
    };
    for (request, status) in requests() {
        let answer = request.header("origin", "https://app.example.com").await.expect(status);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("https://app.example.com"),
            "{answer:?}"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"), "{answer:?}");
        let expected = [
            "consistency-token",
            "etag",
            "link",
            "location",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "x-request-id",
        ];
        assert_eq!(list(&answer, "access-control-expose-headers"), expected);
        assert!(varies_by_origin(&answer), "{answer:?}");
    }
    for (request, _) in requests() {
        let answer = request.header("origin", "https://evil.example.com").await;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:?}");
    }
}

#[tokio::test]
async fn options_without_a_preflight_is_a_method_like_another() {
    let server = TestServer::start().await;
    let answer = server.request(Method::OPTIONS, PATH).await;
    assert_eq!(answer.header("allow"), Some("GET, HEAD, PATCH"));
    answer.problem(405, "method_not_allowed");
    let answer = server.request(Method::OPTIONS, PATH).header("origin", "http://localhost:3000").await;
    answer.problem(405, "method_not_allowed");
}
