use serde_json::Value;
use tests::client::members;
use tests::{Answer, PASSWORD, TestServer};

const TOKEN: &str = "/api/v1/auth/token";

/// The error of RFC 6749, section 5.2. Its form was checked when it was received.
#[track_caller]
fn refused(answer: Answer, status: u16, error: &str) {
    let answer = answer.expect(status);
    assert_eq!(answer.json()["error"], error, "{answer:?}");
    assert_eq!(members(&answer.json()), ["error", "error_description"], "{answer:?}");
}

#[track_caller]
fn granted(answer: Answer) -> Value {
    let answer = answer.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let tokens = answer.json();
    assert_eq!(members(&tokens), ["access_token", "expires_in", "refresh_token", "token_type"]);
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 900);
    tokens
}

#[tokio::test]
async fn both_grants_give_tokens() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let form = [("grant_type", "password"), ("username", ada.email.as_str()), ("password", PASSWORD)];
    let tokens = granted(server.post(TOKEN).form(&form).await);
    assert!(server.accepts(tokens["access_token"].as_str().unwrap()).await);
    let form =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let next = granted(server.post(TOKEN).form(&form).await);
    assert!(server.accepts(next["access_token"].as_str().unwrap()).await);
    assert_ne!(next["refresh_token"], tokens["refresh_token"]);
}

#[tokio::test]
async fn parameters_that_it_does_not_know_are_ignored_and_an_empty_client_is_nobody() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let form = [
        ("grant_type", "password"),
        ("username", ada.email.as_str()),
        ("password", PASSWORD),
        ("scope", "admin"),
        ("client_id", ""),
        ("client_secret", ""),
        ("audience", "x"),
    ];
    granted(server.post(TOKEN).form(&form).await);
    // base64 of ":"
    granted(server.post(TOKEN).header("authorization", "Basic Og==").form(&form).await);
    granted(server.post(TOKEN).header("authorization", "basic Og==").form(&form).await);
}

#[tokio::test]
async fn wrong_credentials_are_an_invalid_grant() {
    let server = TestServer::start().await;
    let (ada, eve) = (server.signup().await, server.signup().await);
    server.execute(&format!("UPDATE users SET status = 'suspended' WHERE id = '{}'", eve.id)).await;
    let (long, password) = ("x".repeat(300), "x".repeat(129));
    let mut answers = Vec::new();
    for (username, password) in [
        (ada.email.as_str(), "wrong horse battery staple"),
        (&eve.email, PASSWORD),
        ("nobody@example.com", PASSWORD),
        ("", PASSWORD),
        ("ada\n", PASSWORD),
        (&long, PASSWORD),
        (&ada.email, &password),
        (&ada.email, ""),
    ] {
        let form = [("grant_type", "password"), ("username", username), ("password", password)];
        let answer = server.post(TOKEN).form(&form).await;
        answers.push(answer.text().to_owned());
        refused(answer, 400, "invalid_grant");
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    for token in ["", "x", &ada.token] {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        refused(server.post(TOKEN).form(&form).await, 400, "invalid_grant");
    }
}

#[tokio::test]
async fn a_request_that_is_none_is_named_as_the_rfc_names_it() {
    let server = TestServer::start().await;
    let form = |text: &'static str| server.post(TOKEN).body("application/x-www-form-urlencoded", text);
    for body in [
        "",
        "username=ada&password=x",
        "grant_type=password",
        "grant_type=password&username=ada",
        "grant_type=password&password=x",
        "grant_type=refresh_token",
        "grant_type=password&grant_type=password&username=ada&password=x",
    ] {
        refused(form(body).await, 400, "invalid_request");
    }
    for body in ["grant_type=client_credentials", "grant_type=authorization_code&code=x", "grant_type="] {
        refused(form(body).await, 400, "unsupported_grant_type");
    }
}

#[tokio::test]
async fn a_public_client_names_itself_as_it_likes() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let named =
        |grant: &[(&'static str, &str)]| server.post(TOKEN).form(&[grant, &[("client_id", "web")]].concat());
    let password = [("grant_type", "password"), ("username", ada.email.as_str()), ("password", PASSWORD)];
    let tokens = granted(named(&password).await);
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    granted(named(&refresh).await);
    // Parameters that an app sends with every request are ignored by this endpoint.
    for authorization in ["Bearer x", "Bearer", "Digest username=\"app\"", "x"] {
        granted(named(&password).header("authorization", authorization).await);
    }
}

#[tokio::test]
async fn only_a_client_that_sends_basic_is_challenged_by_basic() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let form = [("grant_type", "password"), ("username", ada.email.as_str()), ("password", PASSWORD)];
    // base64 of "app:secret", "app:", no base64
    for authorization in
        ["Basic YXBwOnNlY3JldA==", "basic YXBwOnNlY3JldA==", "Basic YXBwOg==", "Basic ???", "Basic"]
    {
        let answer = server.post(TOKEN).header("authorization", authorization).form(&form).await;
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic "), "{answer:?}");
        refused(answer, 401, "invalid_client");
    }
    let wrong = [("grant_type", "password"), ("username", ada.email.as_str()), ("password", "wrong horse")];
    for (form, error) in [(wrong.as_slice(), "invalid_grant"), (&wrong[1..], "invalid_request")] {
        let form = [form, &[("client_id", "web")]].concat();
        let answer = server.post(TOKEN).header("authorization", "Bearer x").form(&form).await;
        assert_eq!(answer.header("www-authenticate"), None, "a browser opens a box at it: {answer:?}");
        refused(answer, 400, error);
    }
}

#[tokio::test]
async fn what_is_no_form_is_a_problem_like_anywhere_else() {
    let server = TestServer::start().await;
    server.post(TOKEN).body("application/json", "{}").await.problem(415, "unsupported_media_type");
    server.post(TOKEN).await.problem(415, "unsupported_media_type");
    let body = "x".repeat(1_048_577);
    let answer = server.post(TOKEN).body("application/x-www-form-urlencoded", body).await;
    answer.problem(413, "body_too_large");
    server.get(TOKEN).await.problem(405, "method_not_allowed");
}
