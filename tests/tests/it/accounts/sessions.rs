use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::client::members;
use tests::{Account, PASSWORD, TestServer};

const LOGIN: &str = "/api/v1/auth/login";
const LOGOUT: &str = "/api/v1/auth/logout";
const REFRESH: &str = "/api/v1/auth/refresh";

async fn refresh(server: &TestServer, token: &str) -> tests::Answer {
    server.post(REFRESH).json(&json!({"refresh_token": token})).await
}

#[tokio::test]
async fn one_logs_in_with_address_username_or_phone_number() {
    let server = TestServer::start().await;
    let ada = server.signup_as(json!({"username": "ada", "phone": "+4915112345678"})).await;
    for identifier in [ada.email.as_str(), "ada", "ADA", "+4915112345678", &ada.email.to_uppercase()] {
        let body = json!({"identifier": identifier, "password": PASSWORD});
        let session = server.post(LOGIN).json(&body).await.expect(200).json();
        let expected = ["access_token", "expires_in", "refresh_token", "session_id", "token_type", "user"];
        assert_eq!(members(&session), expected);
        assert_eq!(session["user"]["id"], ada.id.as_str(), "{identifier}");
        assert_ne!(session["session_id"], ada.session_id.as_str());
    }
}

#[tokio::test]
async fn unknown_wrong_and_suspended_look_the_same() {
    let server = TestServer::start().await;
    let (ada, eve) = (server.signup().await, server.signup().await);
    server.execute(&format!("UPDATE users SET status = 'suspended' WHERE id = '{}'", eve.id)).await;
    let mut answers = Vec::new();
    for (identifier, password) in [
        (ada.email.as_str(), "wrong horse battery staple"),
        (&eve.email, PASSWORD),
        (&eve.email, "wrong horse battery staple"),
        ("nobody@example.com", PASSWORD),
        ("nobody", PASSWORD),
        ("+4999999999", PASSWORD),
        ("not even an identifier", PASSWORD),
        ("'; DROP TABLE users; --", PASSWORD),
    ] {
        let body = json!({"identifier": identifier, "password": password});
        let answer = server.post(LOGIN).json(&body).await;
        let challenge = answer.header("www-authenticate").map(str::to_owned);
        let mut problem = answer.problem(401, "invalid_credentials");
        problem.as_object_mut().unwrap().remove("request_id");
        answers.push((challenge, problem));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[tokio::test]
async fn a_login_that_breaks_a_rule_says_which() {
    let server = TestServer::start().await;
    let body = json!({"identifier": "", "password": ""});
    server.post(LOGIN).json(&body).await.invalid(&[("/identifier", "too_short"), ("/password", "too_short")]);
    let body = json!({"identifier": "ada", "password": PASSWORD, "remember": true});
    server.post(LOGIN).json(&body).await.invalid(&[("/remember", "unknown_field")]);
    let body = json!({"identifier": "ada", "password": "x".repeat(129)});
    server.post(LOGIN).json(&body).await.invalid(&[("/password", "too_long")]);
}

#[tokio::test]
async fn a_refresh_rotates_the_token_within_its_session() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let answer = refresh(&server, &ada.refresh_token).await.expect(200).json();
    let expected = ["access_token", "expires_in", "refresh_token", "session_id", "token_type", "user"];
    assert_eq!(members(&answer), expected);
    let next = Account::from(&answer);
    assert_eq!((&next.session_id, &next.id), (&ada.session_id, &ada.id));
    assert_ne!(next.refresh_token, ada.refresh_token);
    assert_ne!(next.token, ada.token);
    assert!(server.accepts(&next.token).await);
    assert!(server.accepts(&ada.token).await, "an access token lives on");
}

#[tokio::test]
async fn a_lost_answer_costs_nobody_the_session_and_a_stolen_token_ends_it() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let first = Account::from(&refresh(&server, &ada.refresh_token).await.expect(200).json());
    let again = Account::from(&refresh(&server, &ada.refresh_token).await.expect(200).json());
    assert_eq!(first.refresh_token, again.refresh_token, "the same successor");
    let second = Account::from(&refresh(&server, &first.refresh_token).await.expect(200).json());
    refresh(&server, &ada.refresh_token).await.problem(401, "refresh_token_reused");
    assert!(!server.accepts(&second.token).await, "the session is over for both");
    assert!(!server.accepts(&ada.token).await);
    refresh(&server, &second.refresh_token).await.problem(401, "invalid_refresh_token");
}

#[tokio::test]
async fn of_many_refreshes_at_once_all_get_the_same_successor() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let refreshes = (0..10).map(|_| refresh(&server, &ada.refresh_token));
    let answers: Vec<Value> =
        join_all(refreshes).await.into_iter().map(|answer| answer.expect(200).json()).collect();
    assert!(
        answers.iter().all(|answer| answer["refresh_token"] == answers[0]["refresh_token"]),
        "{answers:#?}"
    );
    refresh(&server, answers[0]["refresh_token"].as_str().unwrap()).await.expect(200);
}

#[tokio::test]
async fn a_refresh_token_that_is_none_is_refused() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let (head, tail) = ada.refresh_token.split_at(ada.refresh_token.len() - 1);
    let changed = format!("{head}{}", if tail == "A" { "B" } else { "A" });
    for token in ["", "x", "ashr_", changed.as_str(), &ada.token, &ada.session_id, &"x".repeat(10_000)] {
        refresh(&server, token).await.problem(401, "invalid_refresh_token");
    }
    server.post(REFRESH).await.problem(401, "invalid_refresh_token");
    server.post(REFRESH).json(&json!({})).await.problem(401, "invalid_refresh_token");
    server.post(REFRESH).json(&json!({"refresh_token": null})).await.problem(401, "invalid_refresh_token");
    server.post(REFRESH).json(&json!({"token": "x"})).await.invalid(&[("/token", "unknown_field")]);
    refresh(&server, &ada.refresh_token).await.expect(200);
}

#[tokio::test]
async fn a_logout_ends_this_session_and_no_other() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let phone = server.login(&ada).await;
    let answer = server.post(LOGOUT).bearer(&ada.token).await.expect(204);
    assert_eq!(answer.header("content-type"), None);
    assert!(!server.accepts(&ada.token).await);
    refresh(&server, &ada.refresh_token).await.problem(401, "invalid_refresh_token");
    server.post(LOGOUT).bearer(&ada.token).await.expect(204);
    assert!(server.accepts(&phone.token).await);
    let phone = Account::from(&refresh(&server, &phone.refresh_token).await.expect(200).json());

    // The refresh token alone is enough, even a used one, or one that is not ours.
    server.post(LOGOUT).json(&json!({"refresh_token": phone.refresh_token})).await.expect(204);
    assert!(!server.accepts(&phone.token).await);
    let tablet = server.login(&ada).await;
    refresh(&server, &tablet.refresh_token).await.expect(200);
    server.post(LOGOUT).json(&json!({"refresh_token": tablet.refresh_token})).await.expect(204);
    assert!(!server.accepts(&tablet.token).await);
    for over in [phone.refresh_token.as_str(), "ashr_nonsense", ""] {
        server.post(LOGOUT).json(&json!({"refresh_token": over})).await.expect(204);
    }
    // Two sessions in one request: both are ended.
    let (here, there) = (server.login(&ada).await, server.login(&ada).await);
    let both = server.post(LOGOUT).bearer(&here.token).json(&json!({"refresh_token": there.refresh_token}));
    both.await.expect(204);
    assert!(!server.accepts(&here.token).await && !server.accepts(&there.token).await);

    // Without a session, none is ended.
    server.post(LOGOUT).await.problem(401, "invalid_token");
    server.post(LOGOUT).json(&json!({})).await.problem(401, "invalid_token");
    server.post(LOGOUT).bearer("nonsense").await.problem(401, "invalid_token");
}

#[tokio::test]
async fn all_that_was_acknowledged_is_there_after_a_restart() {
    let mut server = TestServer::with_variables(&[("ASHLAR_SERVER__PUBLIC_URL", "http://ashlar.test")]).await;
    let ada = server.signup().await;
    server.restart().await;
    assert!(server.accepts(&ada.token).await, "the access token");
    server.login(&ada).await;
    refresh(&server, &ada.refresh_token).await.expect(200);
}
