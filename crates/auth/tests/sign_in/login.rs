//! Signing in with a password.

use auth::dto::{Device, Login};
use auth::error::AuthError;
use auth::service;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use serde_json::json;
use shared_kernel::error::{DomainError as _, Kind};

use crate::common::{PASSWORD, WRONG, World, read, refresh_token, told};

#[tokio::test]
async fn any_spelling_of_any_identifier_signs_in() {
    let world = World::new().await;
    let body = json!({
        "email": "Ada.Lovelace@Example.com", "password": PASSWORD, "name": "Ada", "username": "Ada_L", "phone": "+4915112345678",
    });
    let ada = world.signup(&body).await.unwrap();
    world.sign_up("somebody.else").await;
    for identifier in [
        "Ada.Lovelace@Example.com",
        "ada.lovelace@example.com",
        "ADA.LOVELACE@EXAMPLE.COM",
        "  ada.lovelace@example.com ",
        "ａda.lovelace@example.com",
        "ada_l",
        "ADA_L",
        " Ada_L ",
        "Ａda_L",
        "+4915112345678",
        " +4915112345678 ",
        "＋4915112345678",
    ] {
        let answer = world.login(identifier, PASSWORD).await.unwrap();
        assert_eq!(answer.user.id, ada.user.id, "{identifier}");
        assert_ne!(answer.session_id, ada.session_id, "each sign-in is a session of its own");
        let principal = world.authenticate(&answer.access_token).await.unwrap();
        assert_eq!(principal.session_id(), Some(answer.session_id));
    }
    assert_eq!(world.count("sessions").await, 2 + 12);
}

#[tokio::test]
async fn a_password_is_what_was_typed_in_any_unicode_form() {
    let world = World::new().await;
    let mut body = crate::common::person("ada");
    body["password"] = " Caf\u{e9} au lait, s'il vous plait ".into();
    world.signup(&body).await.unwrap();
    world.login("ada@example.com", " Cafe\u{301} au lait, s'il vous plait ").await.unwrap();
    for other in ["Caf\u{e9} au lait, s'il vous plait", " caf\u{e9} au lait, s'il vous plait "] {
        let refused = world.login("ada@example.com", other).await;
        assert!(matches!(refused, Err(AuthError::InvalidCredentials)), "{other}");
    }
}

#[tokio::test]
async fn nothing_tells_why_a_sign_in_is_refused() {
    let world = World::new().await;
    world.sign_up("ada").await;
    let suspended = world.sign_up("suspended").await.user.id;
    world.set_user(suspended, "status", "suspended").await;
    let deleted = world.sign_up("deleted").await.user;
    world.set_user(deleted.id, "deleted_at", deleted.created_at).await;
    let passwordless = world.sign_up("passwordless").await.user.id;
    let delete =
        Query::delete().from_table("passwords").and_where(Expr::col("user_id").eq(passwordless)).to_owned();
    world.execute(&delete).await;
    let sessions = world.count("sessions").await;

    let expected = told(&AuthError::InvalidCredentials);
    assert_eq!((expected.1.kind, expected.1.code), (Kind::Unauthenticated, "invalid_credentials"));
    let longest = "x".repeat(254);
    for (identifier, password) in [
        ("ada@example.com", WRONG),
        ("ada@example.com", "x"),
        ("nobody@example.com", PASSWORD),
        ("nobody", PASSWORD),
        ("+4915199999999", PASSWORD),
        ("neither a name nor an address", PASSWORD),
        ("' OR 1=1 --", PASSWORD),
        (longest.as_str(), PASSWORD),
        ("suspended@example.com", PASSWORD),
        ("suspended@example.com", WRONG),
        ("deleted@example.com", PASSWORD),
        ("passwordless@example.com", PASSWORD),
        ("passwordless@example.com", WRONG),
    ] {
        let error = world.login(identifier, password).await.unwrap_err();
        assert_eq!(told(&error), expected, "{identifier}");
    }
    assert_eq!(world.count("sessions").await, sessions);
    assert_eq!(world.count("passwords").await, 3);
}

#[tokio::test]
async fn a_session_remembers_its_device_in_the_room_there_is() {
    let world = World::new().await;
    world.sign_up("ada").await;
    let login = read::<Login>(&json!({"identifier": "ada@example.com", "password": PASSWORD})).unwrap();
    let device = Device { user_agent: Some("ü".repeat(1_000)), address: Some("f".repeat(100)) };
    let (reader, mut db) = (world.databases.read_primary(), world.databases.write());
    let answer = service::login(&world.auth, &reader, &mut db, device, login).await.unwrap();
    let answer = db.commit(answer).await.unwrap().into_value();
    let user_agent: String = world.column("sessions", "user_agent", ("id", answer.session_id)).await;
    assert_eq!(user_agent, "ü".repeat(300));
    let address: String = world.column("sessions", "address", ("id", answer.session_id)).await;
    assert_eq!(address, "f".repeat(45));
    assert_eq!(world.generation(answer.session_id).await, 0);
    assert!(refresh_token(&answer).starts_with("ashr_"));
}

#[test]
fn no_problem_of_signing_in_is_without_help() {
    for problem in auth::error::PROBLEMS {
        assert!(!problem.title.is_empty() && !problem.help.is_empty(), "{}", problem.code);
    }
    let listed = |error: AuthError| auth::error::PROBLEMS.contains(&error.problem());
    assert!(listed(AuthError::InvalidCredentials));
    assert!(listed(AuthError::InvalidToken));
    assert!(listed(AuthError::InvalidRefreshToken));
    assert!(listed(AuthError::RefreshTokenReused));
}
