//! Making an account.

use auth::dto::{Refresh, Signup, TokenType};
use auth::error::AuthError;
use serde_json::json;
use shared_kernel::error::{DomainError as _, Kind};
use tokio::task::JoinSet;
use user::dto::UserStatus;
use user::error::UserError;

use crate::common::{PASSWORD, World, person, pointers, refresh_token, refused};

const TABLES: [&str; 4] = ["users", "passwords", "sessions", "outbox_events"];

async fn counts(world: &World) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in TABLES {
        counts.push(world.count(table).await);
    }
    counts
}

#[tokio::test]
async fn whoever_signs_up_is_signed_in() {
    let world = World::new().await;
    let body = json!({
        "email": " Ada@Example.com ", "password": PASSWORD, "name": " Ada Lovelace ",
        "username": "Ada_L", "phone": "+4915112345678",
    });
    let answer = world.signup(&body).await.unwrap();
    assert_eq!(answer.user.email, "Ada@Example.com");
    assert_eq!(answer.user.name, "Ada Lovelace");
    assert_eq!(answer.user.username.as_deref(), Some("ada_l"));
    assert_eq!(answer.user.phone.as_deref(), Some("+4915112345678"));
    assert_eq!(answer.user.status, UserStatus::Active);
    assert!(!answer.user.is_admin);
    assert!(!answer.user.email_verified);
    assert_eq!((answer.token_type, answer.expires_in), (TokenType::Bearer, 900));
    let principal = world.authenticate(&answer.access_token).await.unwrap();
    assert_eq!(
        (principal.user(), principal.session_id(), principal.is_admin()),
        (Some(answer.user.id), Some(answer.session_id), false)
    );
    world.refresh(refresh_token(&answer)).await.unwrap();
    assert_eq!(counts(&world).await, [1, 1, 1, 1]);
    assert_eq!(world.events("user.created").await.len(), 1);
}

#[tokio::test]
async fn what_is_taken_leaves_nothing_half_made() {
    let world = World::new().await;
    let ada = json!({
        "email": "ada@example.com", "password": PASSWORD, "name": "Ada", "username": "ada", "phone": "+4915112345678",
    });
    world.signup(&ada).await.unwrap();
    let before = counts(&world).await;
    for email in ["ada@example.com", "ADA@EXAMPLE.COM", "Ａda@example.com"] {
        let error =
            world.signup(&json!({"email": email, "password": PASSWORD, "name": "Eve"})).await.unwrap_err();
        assert!(matches!(error, AuthError::User(UserError::EmailTaken)), "{email}: {error:?}");
        assert_eq!((error.problem().kind, error.problem().code), (Kind::Conflict, "email_taken"));
        assert_eq!(pointers(&error.fields()), [("/email".to_owned(), "taken".to_owned())]);
    }
    let mut eve = person("eve");
    eve["username"] = "ADA".into();
    let error = world.signup(&eve).await.unwrap_err();
    assert!(matches!(error, AuthError::User(UserError::UsernameTaken)), "{error:?}");
    let mut eve = person("eve");
    eve["phone"] = "+4915112345678".into();
    let error = world.signup(&eve).await.unwrap_err();
    assert!(matches!(error, AuthError::User(UserError::PhoneTaken)), "{error:?}");
    assert_eq!(counts(&world).await, before);
    world.sign_up("eve").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_signups_of_one_address_one_succeeds() {
    let world = World::new().await;
    let mut signups = JoinSet::new();
    for number in 0..50 {
        let instance = world.clone();
        let mut body = person("ada");
        body["name"] = format!("Number {number}").into();
        signups.spawn(async move { instance.signup(&body).await });
    }
    let outcomes = signups.join_all().await;
    let taken =
        |outcome: &&Result<_, AuthError>| matches!(outcome, Err(AuthError::User(UserError::EmailTaken)));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(outcomes.iter().filter(taken).count(), 49, "{outcomes:?}");
    assert_eq!(counts(&world).await, [1, 1, 1, 1]);
    world.login("ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_password_that_would_be_guessed_at_once_is_refused() {
    let world = World::new().await;
    for (password, code) in [
        ("qwertyuiop", "common_password"),
        ("Password1", "common_password"),
        ("12345678", "common_password"),
        ("ada@example.com", "password_is_identifier"),
        ("ADA@Example.Com", "password_is_identifier"),
        ("Somebody", "password_is_identifier"),
    ] {
        let mut body = person("ada");
        body["password"] = password.into();
        let error = world.signup(&body).await.unwrap_err();
        assert_eq!(error.problem().code, "validation_failed", "{password}");
        assert_eq!(pointers(&error.fields()), [("/password".to_owned(), code.to_owned())], "{password}");
        assert!(!format!("{error:?} {error}").contains(password), "{password}");
    }
    assert_eq!(counts(&world).await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_password_has_eight_to_128_characters() {
    let world = World::new().await;
    // Characters, not bytes: each of these is two.
    let of = |length: usize| "ßüöäñçåø".chars().cycle().take(length).collect::<String>();
    let with = |password: String| {
        let mut body = person(&format!("p{}", password.chars().count()));
        body["password"] = password.into();
        body
    };
    let one = |code: &str| vec![("/password".to_owned(), code.to_owned())];
    assert_eq!(refused::<Signup>(&with(of(7))), one("too_short"));
    assert_eq!(refused::<Signup>(&with(of(129))), one("too_long"));
    assert_eq!(refused::<Signup>(&with(String::new())), one("too_short"));
    for length in [8, 128] {
        world.signup(&with(of(length))).await.unwrap();
        world.login(&format!("p{length}@example.com"), &of(length)).await.unwrap();
    }
    // Nothing is cut off what Argon2 is given.
    let almost = of(127) + "x";
    assert!(matches!(world.login("p128@example.com", &almost).await, Err(AuthError::InvalidCredentials)));
}

#[test]
fn unknown_fields_are_refused() {
    for field in ["is_admin", "id", "email_verified", "status", "role"] {
        let mut body = person("ada");
        body[field] = true.into();
        assert_eq!(refused::<Signup>(&body), [(format!("/{field}"), "unknown_field".to_owned())]);
    }
    let login = json!({"identifier": "ada", "password": PASSWORD, "is_admin": true});
    assert_eq!(refused::<auth::dto::Login>(&login), [("/is_admin".to_owned(), "unknown_field".to_owned())]);
    let refresh = json!({"refresh_token": "x", "session_id": "y"});
    assert_eq!(refused::<Refresh>(&refresh), [("/session_id".to_owned(), "unknown_field".to_owned())]);
}

#[test]
fn every_broken_rule_of_a_signup_is_told_at_once() {
    let body = json!({"email": "ada", "password": "short", "name": "", "username": "a", "phone": "0151"});
    let mut fields = refused::<Signup>(&body);
    fields.sort();
    let expected = [
        ("/email", "email"),
        ("/name", "too_short"),
        ("/password", "too_short"),
        ("/phone", "phone"),
        ("/username", "too_short"),
    ];
    assert_eq!(fields, expected.map(|(pointer, code)| (pointer.to_owned(), code.to_owned())));
}
