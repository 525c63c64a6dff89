use futures_util::future::join_all;
use serde_json::{Value, json};
use tests::client::members;
use tests::{PASSWORD, TestServer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const SIGNUP: &str = "/api/v1/auth/signup";

fn body(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "Ada Lovelace"})
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut body = body("ada@example.com");
    body[field] = value.into();
    body
}

fn is_utc(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.ends_with('Z') && OffsetDateTime::parse(text, &Rfc3339).is_ok()
}

fn is_id(value: &Value, prefix: &str) -> bool {
    let id = value.as_str().and_then(|id| id.strip_prefix(prefix)).unwrap_or_default();
    id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[tokio::test]
async fn a_signup_answers_with_a_session() {
    let server = TestServer::start().await;
    let mut sent = body("Ada@Example.com");
    sent["username"] = "Ada_L".into();
    sent["phone"] = "+4915112345678".into();
    let answer = server.post(SIGNUP).json(&sent).await.expect(201);
    assert_eq!(answer.header("location"), Some("/api/v1/users/me"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("set-cookie"), None);
    let session = answer.json();
    let expected = ["access_token", "expires_in", "refresh_token", "session_id", "token_type", "user"];
    assert_eq!(members(&session), expected);
    assert_eq!(session["token_type"], "Bearer");
    assert_eq!(session["expires_in"], 900);
    assert!(is_id(&session["session_id"], "ses_"), "{session}");
    let user = &session["user"];
    let expected = [
        "created_at",
        "email",
        "email_verified",
        "id",
        "is_admin",
        "name",
        "phone",
        "status",
        "updated_at",
        "username",
    ];
    assert_eq!(members(user), expected);
    assert!(is_id(&user["id"], "usr_"), "{user}");
    assert!(is_utc(&user["created_at"]) && is_utc(&user["updated_at"]), "{user}");
    for (name, value) in [
        ("email", json!("Ada@Example.com")),
        ("email_verified", json!(false)),
        ("username", json!("ada_l")),
        ("phone", json!("+4915112345678")),
        ("name", json!("Ada Lovelace")),
        ("status", json!("active")),
        ("is_admin", json!(false)),
    ] {
        assert_eq!(user[name], value, "{name}");
    }
    let me =
        server.get("/api/v1/users/me").bearer(session["access_token"].as_str().unwrap()).await.expect(200);
    assert_eq!(me.json(), *user);
}

#[tokio::test]
async fn what_is_optional_is_null_when_it_is_left_out() {
    let server = TestServer::start().await;
    let user = server.post(SIGNUP).json(&body("ada@example.com")).await.expect(201).json()["user"].clone();
    assert_eq!((&user["username"], &user["phone"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn of_fifty_simultaneous_signups_of_one_address_one_gets_in() {
    let server = TestServer::start().await;
    let spelled = |index: usize| if index.is_multiple_of(2) { "ada@example.com" } else { "ADA@example.COM" };
    let signups = (0..50).map(|index| server.post(SIGNUP).json(&body(spelled(index))).into_future());
    let mut created = 0;
    for answer in join_all(signups).await {
        if answer.status == 201 {
            created += 1;
            continue;
        }
        let problem = answer.problem(409, "email_taken");
        assert_eq!(problem["errors"][0]["pointer"], "/email");
    }
    assert_eq!(created, 1);
    assert_eq!(server.count("SELECT count(*) FROM users").await, 1);
    assert_eq!(server.count("SELECT count(*) FROM sessions").await, 1, "a refused signup leaves nothing");
    assert_eq!(server.count("SELECT count(*) FROM passwords").await, 1);
}

#[tokio::test]
async fn spellings_of_one_address_are_one_address() {
    let server = TestServer::start().await;
    server.post(SIGNUP).json(&body("fiona@example.com")).await.expect(201);
    // Capital letters, spaces around it, full width, a ligature.
    for spelling in
        ["FIONA@EXAMPLE.COM", "  fiona@example.com  ", "ｆｉｏｎａ@example.com", "\u{fb01}ona@example.com"]
    {
        server.post(SIGNUP).json(&body(spelling)).await.problem(409, "email_taken");
    }
    for identifier in ["fiona@example.com", "Fiona@Example.Com", "\u{fb01}ona@example.com"] {
        let login = json!({"identifier": identifier, "password": PASSWORD});
        server.post("/api/v1/auth/login").json(&login).await.expect(200);
    }
}

#[tokio::test]
async fn a_username_and_a_phone_number_are_one_persons() {
    let server = TestServer::start().await;
    server.signup_as(json!({"username": "ada", "phone": "+4915112345678"})).await;
    let mut taken = body("eve@example.com");
    taken["username"] = "ADA".into();
    server.post(SIGNUP).json(&taken).await.problem(409, "username_taken");
    let mut taken = body("eve@example.com");
    taken["phone"] = "+4915112345678".into();
    server.post(SIGNUP).json(&taken).await.problem(409, "phone_taken");
    server.post(SIGNUP).json(&body("eve@example.com")).await.expect(201);
}

#[tokio::test]
async fn every_broken_rule_is_named_with_its_field() {
    let server = TestServer::start().await;
    for (field, value, code) in [
        ("email", json!("ada"), "email"),
        ("email", json!("ada@example.com\nBcc: eve@example.com"), "control_characters"),
        ("email", json!(format!("{}@example.com", "a".repeat(250))), "too_long"),
        ("password", json!("short"), "too_short"),
        ("password", json!("x7".repeat(65)), "too_long"),
        ("password", json!("password123"), "common_password"),
        ("password", json!("ada@example.com"), "password_is_identifier"),
        ("password", json!("ADA@EXAMPLE.COM"), "password_is_identifier"),
        ("name", json!("   "), "too_short"),
        ("name", json!("a".repeat(101)), "too_long"),
        ("name", json!("Ada\u{7}"), "control_characters"),
        ("username", json!("ab"), "too_short"),
        ("username", json!("a".repeat(51)), "too_long"),
        ("username", json!("ada lovelace"), "username"),
        ("username", json!("аdа"), "username"),
        ("phone", json!("0151 12345678"), "phone"),
        ("phone", json!("+0151123456"), "phone"),
        ("transport", json!("pigeon"), "choice"),
        ("name", json!(7), "type"),
        ("name", json!(null), "type"),
        ("is_admin", json!(true), "unknown_field"),
        ("status", json!("active"), "unknown_field"),
        ("email_verified", json!(true), "unknown_field"),
        ("Name", json!("Ada"), "unknown_field"),
    ] {
        let pointer = format!("/{field}");
        server.post(SIGNUP).json(&with(field, value)).await.invalid(&[(&pointer, code)]);
    }
    assert_eq!(server.count("SELECT count(*) FROM users").await, 0);
}

#[tokio::test]
async fn all_broken_rules_are_named_at_once() {
    let server = TestServer::start().await;
    let body = json!({"email": "ada", "password": "short", "name": ""});
    let expected = [("/email", "email"), ("/password", "too_short"), ("/name", "too_short")];
    server.post(SIGNUP).json(&body).await.invalid(&expected);
    server
        .post(SIGNUP)
        .json(&json!({"email": "ada@example.com"}))
        .await
        .invalid(&[("/password", "required"), ("/name", "required")]);
}

/// Missing, of the wrong type, unknown, invalid: all errors are reported, no value is repeated, and each error has the data that an
/// app needs to translate it.
#[tokio::test]
async fn all_that_is_wrong_with_a_body_is_told_at_once() {
    let server = TestServer::start().await;
    let required = [("/email", "required"), ("/password", "required"), ("/name", "required")];
    server.post(SIGNUP).json(&json!({})).await.invalid(&required);
    let body = json!({"email": 81_374, "password": true, "name": null});
    let expected = [("/email", "type"), ("/password", "type"), ("/name", "type")];
    let problem = server.post(SIGNUP).json(&body).await.invalid(&expected);
    assert!(!problem.to_string().contains("81374"), "{problem}");
    let messages: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["message"].clone()).collect();
    assert!(messages.contains(&json!("must be a string, not a number")), "{messages:?}");
    assert!(messages.contains(&json!("must be a string, not null")), "{messages:?}");
    let body =
        json!({"email": "ada", "password": "short", "is_admin": true, "transport": "pigeon", "phone": 1});
    let problem = server.post(SIGNUP).json(&body).await.invalid(&[
        ("/email", "email"),
        ("/password", "too_short"),
        ("/is_admin", "unknown_field"),
        ("/transport", "choice"),
        ("/phone", "type"),
        ("/name", "required"),
    ]);
    let of = |pointer: &str| {
        let errors = problem["errors"].as_array().unwrap();
        errors.iter().find(|error| error["pointer"] == pointer).unwrap().clone()
    };
    assert_eq!(
        of("/password"),
        json!({
            "pointer": "/password", "code": "too_short", "message": "must have at least 8 characters", "params": {"min": 8}
        })
    );
    assert_eq!(of("/transport")["params"], json!({"choices": "body, cookie"}));
    assert_eq!(of("/name").get("params"), None);
}

#[tokio::test]
async fn something_of_a_name_is_seen() {
    let server = TestServer::start().await;
    for name in ["\u{200b}", "\u{2060}\u{ad}", "\u{3164}"] {
        server.post(SIGNUP).json(&with("name", json!(name))).await.invalid(&[("/name", "blank")]);
    }
    let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
    let made = server.post(SIGNUP).json(&with("name", json!(family))).await.expect(201);
    assert_eq!(made.json()["user"]["name"], family);
}

#[tokio::test]
async fn a_name_is_trimmed_and_a_password_is_not() {
    let server = TestServer::start().await;
    let password = "  spaces are part of it  ";
    let mut sent = body("ada@example.com");
    sent["name"] = "  Ada  ".into();
    sent["password"] = password.into();
    let session = server.post(SIGNUP).json(&sent).await.expect(201).json();
    assert_eq!(session["user"]["name"], "Ada");
    let login = |password: &str| json!({"identifier": "ada@example.com", "password": password});
    server.post("/api/v1/auth/login").json(&login(password)).await.expect(200);
    let trimmed = server.post("/api/v1/auth/login").json(&login(password.trim())).await;
    trimmed.problem(401, "invalid_credentials");
}

#[tokio::test]
async fn passwords_of_eight_and_of_128_characters_are_taken() {
    let server = TestServer::start().await;
    for (index, password) in ["kV7#mmq2".to_owned(), "ß7k".repeat(42) + "xq"].into_iter().enumerate() {
        let mut sent = body(&format!("user{index}@example.com"));
        sent["password"] = password.into();
        server.post(SIGNUP).json(&sent).await.expect(201);
    }
}

#[tokio::test]
async fn both_spellings_of_a_domain_are_one_account() {
    let server = TestServer::start().await;
    for (first, second) in
        [("x@m\u{fc}nchen.de", "X@xn--mnchen-3ya.de"), ("y@xn--mnchen-3ya.de", "y@M\u{dc}NCHEN.de")]
    {
        let user = server.post(SIGNUP).json(&body(first)).await.expect(201).json();
        assert_eq!(user["user"]["email"], first, "as it was typed");
        server.post(SIGNUP).json(&body(second)).await.problem(409, "email_taken");
        for identifier in [first, second] {
            let login = json!({"identifier": identifier, "password": PASSWORD});
            let session = server.post("/api/v1/auth/login").json(&login).await.expect(200).json();
            assert_eq!(session["user"]["id"], user["user"]["id"], "{identifier}");
        }
    }
}

#[tokio::test]
async fn an_address_that_no_mail_reaches_is_refused() {
    let server = TestServer::start().await;
    for address in ["a@127.0.0.1", "a@127.1", "a@[::1]", "a@0x7f000001", "a@xn--a", "a@m\u{fc}nchen..de"] {
        let problem =
            server.post(SIGNUP).json(&with("email", address)).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], "/email", "{problem}");
    }
}

#[tokio::test]
async fn passwords_that_would_be_guessed_are_refused() {
    let server = TestServer::start().await;
    for password in ["12345678901", "Password1!", "qwertyuiop1", "p a s s w o r d 1"] {
        let problem =
            server.post(SIGNUP).json(&with("password", password)).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["code"], "common_password", "{password}: {problem}");
    }
    for password in ["ada @example.com", "ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ", "ADA@EXAMPLE.COM ", "adalovelace"]
    {
        let problem =
            server.post(SIGNUP).json(&with("password", password)).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["code"], "password_is_identifier", "{password}: {problem}");
    }
}
