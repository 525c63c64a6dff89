//! Hashes and the threads that make them.

use std::time::Duration;

use auth::error::AuthError;
use auth::password::PasswordHasher;
use auth::settings::PasswordSettings;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use shared_kernel::error::{DomainError as _, Kind};
use tokio::task::JoinSet;

use crate::common::hold::held_login;
use crate::common::{Instance, PASSWORD, PATIENCE, SECOND, WRONG, World, cheap, person};

const ONE_AT_A_TIME: PasswordSettings = PasswordSettings {
    memory_kib: 64,
    iterations: 1,
    parallelism: 1,
    threads: 1,
    queue: 1,
    patience: PATIENCE,
};

#[tokio::test]
async fn a_password_is_stored_as_argon2id_with_the_configured_parameters() {
    let world =
        World::with(PasswordSettings { memory_kib: 72, iterations: 3, parallelism: 2, ..cheap() }).await;
    let ada = world.sign_up("ada").await.user.id;
    let eve = world.sign_up("eve").await.user.id;
    let hash = world.password_hash(ada).await;
    let parts: Vec<&str> = hash.split('$').collect();
    let ["", "argon2id", "v=19", "m=72,t=3,p=2", salt, output] = parts.as_slice() else { panic!("{hash}") };
    // 16 and 32 bytes in base64 without padding.
    assert_eq!((salt.len(), output.len()), (22, 43));
    assert!(!hash.contains(PASSWORD));
    assert_ne!(hash, world.password_hash(eve).await, "each has a salt of its own");
    world.login("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(world.password_hash(ada).await, hash, "a hash of today is left alone");
}

#[tokio::test]
async fn an_outdated_hash_is_made_anew_at_sign_in() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await.user.id;
    let weak = world.password_hash(ada).await;
    let stronger = PasswordSettings { memory_kib: 128, iterations: 2, ..cheap() };
    let today = world.another_instance_with(stronger).await;
    assert!(matches!(today.login("ada@example.com", WRONG).await, Err(AuthError::InvalidCredentials)));
    assert_eq!(world.password_hash(ada).await, weak, "a wrong password changes nothing");
    today.login("ada@example.com", PASSWORD).await.unwrap();
    let strong = world.password_hash(ada).await;
    assert!(strong.starts_with("$argon2id$v=19$m=128,t=2,p=1$"), "{strong}");
    today.login("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(world.password_hash(ada).await, strong);
    // Downwards too: memory that a thread has kept for larger hashes does not change smaller ones.
    world.login("ada@example.com", PASSWORD).await.unwrap();
    assert!(world.password_hash(ada).await.starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
    today.login("ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_password_that_is_changed_during_a_sign_in_stays_changed() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await.user.id;
    let today = world.another_instance_with(PasswordSettings { memory_kib: 128, ..ONE_AT_A_TIME }).await;
    // A sign-in has verified the old password and is about to hash it with today's parameters…
    let (hold, login) = loop {
        let (hold, login) = held_login(&today, "ada@example.com", PASSWORD).await;
        if world.password_hash(ada).await.contains("m=64,") {
            break (hold, login);
        }
        // It was through before it could be held, so it has replaced the outdated hash: put one back.
        drop(hold);
        login.await.unwrap().unwrap();
        world.create_admin("ada@example.com", Some(PASSWORD)).await.unwrap();
    };
    // …when the password is changed.
    world.create_admin("ada@example.com", Some("another good password")).await.unwrap();
    let sessions = world.count("sessions").await;
    hold.release();
    let outcome = login.await.unwrap();
    assert!(matches!(outcome, Err(AuthError::InvalidCredentials)), "{outcome:?}");
    assert_eq!(world.count("sessions").await, sessions);
    world.login("ada@example.com", "another good password").await.unwrap();
    assert!(matches!(world.login("ada@example.com", PASSWORD).await, Err(AuthError::InvalidCredentials)));
}

#[tokio::test]
async fn a_sign_in_that_was_overtaken_while_it_hashed_opens_no_session() {
    // The password is another one meanwhile.
    let world = World::with(ONE_AT_A_TIME).await;
    let ada = world.sign_up("ada").await.user.id;
    let (hold, login) = held_login(&world, "ada@example.com", PASSWORD).await;
    world.create_admin("ada@example.com", Some("another good password")).await.unwrap();
    let sessions = world.count("sessions").await;
    hold.release();
    let outcome = login.await.unwrap();
    assert!(matches!(outcome, Err(AuthError::InvalidCredentials)), "{outcome:?}");
    assert_eq!(world.count("sessions").await, sessions);
    // The account is suspended meanwhile.
    world.create_admin("ada@example.com", Some(PASSWORD)).await.unwrap();
    let (hold, login) = held_login(&world, "ada@example.com", PASSWORD).await;
    world.set_user(ada, "status", "suspended").await;
    let sessions = world.count("sessions").await;
    hold.release();
    let outcome = login.await.unwrap();
    assert!(matches!(outcome, Err(AuthError::InvalidCredentials)), "{outcome:?}");
    assert_eq!(world.count("sessions").await, sessions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_sign_ins_with_an_outdated_hash_none_is_refused() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await.user.id;
    let today = world.another_instance_with(PasswordSettings { memory_kib: 128, ..cheap() }).await;
    let mut logins = JoinSet::new();
    for _ in 0..20 {
        let instance = today.clone();
        logins.spawn(async move { instance.login("ada@example.com", PASSWORD).await });
    }
    for outcome in logins.join_all().await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    assert!(world.password_hash(ada).await.contains("m=128,"));
}

/// Takes the only place in the queue: of two sign-ins that come at once, one waits and the other is told to come again.
async fn fill(instance: &Instance) -> JoinSet<Result<auth::dto::SessionResponse, AuthError>> {
    let mut logins = JoinSet::new();
    for _ in 0..2 {
        let instance = instance.clone();
        logins.spawn(async move { instance.login("nobody@example.com", PASSWORD).await });
    }
    let first = logins.join_next().await.unwrap().unwrap();
    assert!(matches!(first, Err(AuthError::Busy)), "{first:?}");
    logins
}

#[tokio::test]
async fn a_full_queue_is_told_and_every_sign_in_needs_a_place_in_it() {
    let world = World::with(ONE_AT_A_TIME).await;
    world.sign_up("ada").await;
    let suspended = world.sign_up("suspended").await.user.id;
    world.set_user(suspended, "status", "suspended").await;
    let passwordless = world.sign_up("passwordless").await.user.id;
    let delete =
        Query::delete().from_table("passwords").and_where(Expr::col("user_id").eq(passwordless)).to_owned();
    world.execute(&delete).await;

    let (hold, login) = held_login(&world, "ada@example.com", PASSWORD).await;
    let mut waiting = fill(&world).await;
    let users = world.count("users").await;
    // An unknown account is not told apart by costing nothing: it asks for a hash as all others do.
    for (identifier, password) in [
        ("ada@example.com", PASSWORD),
        ("ada@example.com", WRONG),
        ("nobody@example.com", PASSWORD),
        ("neither a name nor an address", PASSWORD),
        ("suspended@example.com", PASSWORD),
        ("passwordless@example.com", PASSWORD),
    ] {
        let error = world.login(identifier, password).await.unwrap_err();
        assert!(matches!(error, AuthError::Busy), "{identifier}: {error:?}");
        assert_eq!((error.problem().kind, error.problem().code), (Kind::Unavailable, "service_unavailable"));
        assert_eq!(error.retry_after(), Some(SECOND));
    }
    assert!(matches!(world.signup(&person("eve")).await, Err(AuthError::Busy)));
    assert_eq!(world.count("users").await, users);

    hold.release();
    assert!(login.await.unwrap().is_ok());
    // The one that waited in the queue is served: it is an unknown account's, so there is a hash for those as well.
    let waited = waiting.join_next().await.unwrap().unwrap();
    assert!(matches!(waited, Err(AuthError::InvalidCredentials)), "{waited:?}");
    world.login("ada@example.com", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn whoever_goes_away_while_waiting_stops_nobody_else() {
    let world = World::with(ONE_AT_A_TIME).await;
    world.sign_up("ada").await;
    let (hold, login) = held_login(&world, "ada@example.com", PASSWORD).await;
    let mut waiting = fill(&world).await;
    waiting.shutdown().await;
    hold.release();
    assert!(login.await.unwrap().is_ok());
    // The abandoned one leaves the queue now or has left it, and the thread goes on.
    while let Err(error) = world.login("ada@example.com", PASSWORD).await {
        assert!(matches!(error, AuthError::Busy), "{error:?}");
    }
    assert_eq!(world.count("users").await, 1);
}

#[tokio::test]
async fn whoever_has_waited_too_long_is_told_to_come_again() {
    let impatient = PasswordSettings { queue: 100, patience: Duration::from_millis(50), ..ONE_AT_A_TIME };
    let world = World::new().await;
    world.sign_up("ada").await;
    let instance = world.another_instance_with(impatient).await;
    let (hold, first) = loop {
        let (hold, login) = held_login(&instance, "ada@example.com", PASSWORD).await;
        if !login.is_finished() {
            break (hold, login);
        }
    };
    let users = world.count("users").await;
    for _ in 0..3 {
        let error = instance.login("ada@example.com", PASSWORD).await.unwrap_err();
        assert!(matches!(error, AuthError::Busy), "{error:?}");
        assert_eq!(error.problem().kind, Kind::Unavailable);
        assert!(error.retry_after().is_some());
        assert!(matches!(instance.signup(&person("eve")).await, Err(AuthError::Busy)));
    }
    hold.release();
    assert!(first.await.unwrap().is_ok());
    assert_eq!(world.count("users").await, users, "what nobody waits for any more is not done");
    while let Err(error) = instance.login("ada@example.com", PASSWORD).await {
        assert!(matches!(error, AuthError::Busy), "{error:?}");
    }
}

#[test]
fn parameters_that_cannot_work_are_refused() {
    for settings in [
        PasswordSettings { memory_kib: 7, ..cheap() },
        PasswordSettings { iterations: 0, ..cheap() },
        PasswordSettings { parallelism: 0, ..cheap() },
    ] {
        let error = PasswordHasher::start(settings).unwrap_err();
        assert!(error.to_string().contains("Argon2 parameters"), "{error}");
    }
}

#[tokio::test]
async fn a_stored_hash_that_is_none_fails_and_tells_nothing_of_it() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await.user.id;
    let update = Query::update()
        .table("passwords")
        .value("hash", "canary-not-a-hash")
        .and_where(Expr::col("user_id").eq(ada))
        .to_owned();
    world.execute(&update).await;
    let error = world.login("ada@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(error.problem().kind, Kind::Internal);
    assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
}
