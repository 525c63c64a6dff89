//! Signing in with a password.

use std::sync::Arc;

use auth::Auth;
use auth::dto::{Device, Login};
use auth::error::AuthError;
use auth::settings::AuthSettings;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::json;
use shared_kernel::error::{DomainError as _, Kind};
use shared_kernel::frozen::REFRESH_TOKEN_PREFIX;
use shared_kernel::testing::secret_key;
use tokio::task::JoinSet;

use crate::common::{
    Instance, PASSWORD, WRONG, World, cheap, connect, error_codes, read, refresh_token, settings,
};

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

    let expected = error_codes(&AuthError::InvalidCredentials);
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
        assert_eq!(error_codes(&error), expected, "{identifier}");
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
    let answer = world.auth.login(&reader, &mut db, device, login).await.unwrap();
    let answer = db.commit(answer).await.unwrap().into_value();
    let user_agent: String = world.column("sessions", "user_agent", ("id", answer.session_id)).await;
    assert_eq!(user_agent, "ü".repeat(300));
    let address: String = world.column("sessions", "address", ("id", answer.session_id)).await;
    assert_eq!(address, "f".repeat(45));
    assert_eq!(world.generation(answer.session_id).await, 0);
    assert!(refresh_token(&answer).starts_with(REFRESH_TOKEN_PREFIX));
}

/// Sign-ins that do not see each other's sessions are too many together.
#[tokio::test]
async fn simultaneous_sign_ins_keep_the_limit_of_sessions() {
    const AT_ONCE: i64 = 3;
    let world = World::new().await;
    let ada = world.sign_up("ada").await.user.id;
    let databases = connect(&world.database, world.clock.clone()).await;
    let settings = AuthSettings { sessions_per_user: 1, ..settings(cheap()) };
    let auth = Auth::open(settings, databases.clone(), &secret_key()).await.unwrap();
    let instance = Instance { databases, auth: Arc::new(auth) };
    // On PostgreSQL all of them get as far as they get without the password; SQLite lets one in at a time anyway.
    let postgres = world.databases.backend() == DbBackend::Postgres;
    let holder = world.databases.write();
    if postgres {
        let hold = "SELECT 1 FROM passwords FOR UPDATE";
        holder.query_one_raw(Statement::from_string(DbBackend::Postgres, hold)).await.unwrap();
    }
    let mut logins = JoinSet::new();
    for _ in 0..AT_ONCE {
        let instance = instance.clone();
        logins.spawn(async move { instance.login("ada@example.com", PASSWORD).await.unwrap() });
    }
    let waiting = Query::select()
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .from("pg_stat_activity")
        .and_where(Expr::cust("datname = current_database() AND wait_event_type = 'Lock'"))
        .to_owned();
    let waiting = async || world.rows(&waiting).await[0].try_get::<i64>("", "count").unwrap();
    while postgres && waiting().await < AT_ONCE {
        tokio::task::yield_now().await;
    }
    holder.commit(()).await.unwrap().into_value();
    logins.join_all().await;
    let living = Query::select()
        .expr_as(Expr::cust("COUNT(*)"), "count")
        .from("sessions")
        .and_where(Expr::col("user_id").eq(ada))
        .and_where(Expr::col("ended_at").is_null())
        .to_owned();
    assert_eq!(world.rows(&living).await[0].try_get::<i64>("", "count").unwrap(), 1);
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
