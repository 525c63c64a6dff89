//! What ends a session, and what takes a right away.

use std::sync::Arc;

use auth::error::AuthError;
use shared_kernel::clock::Timestamp;
use shared_kernel::principal::Principal;

use crate::common::{Instance, PASSWORD, SECOND, SESSION_LIFETIME, World, refresh_token, short_of};

async fn assert_signed_out(instance: &Instance, access_token: &str) {
    let outcome = instance.authenticate(access_token).await;
    assert!(matches!(outcome, Err(AuthError::InvalidToken)), "{outcome:?}");
}

#[tokio::test]
async fn logging_out_is_in_force_at_once() {
    let world = World::new().await;
    let here = world.sign_up("ada").await;
    let there = world.login("ada@example.com", PASSWORD).await.unwrap();
    let principal = world.authenticate(&here.access_token).await.unwrap();
    world.logout(&principal).await.unwrap();
    assert_signed_out(&world, &here.access_token).await;
    let refreshed = world.refresh(refresh_token(&here)).await;
    assert!(matches!(refreshed, Err(AuthError::InvalidRefreshToken)), "{refreshed:?}");
    // The other device stays signed in.
    let other = world.authenticate(&there.access_token).await.unwrap();
    assert_eq!(other.session_id(), Some(there.session_id));
    // Twice is once.
    let ended: Timestamp = world.column("sessions", "ended_at", ("id", here.session_id)).await;
    world.clock.advance(SECOND);
    world.logout(&principal).await.unwrap();
    let still: Timestamp = world.column("sessions", "ended_at", ("id", here.session_id)).await;
    assert_eq!(still, ended);
    world.login("ada@example.com", PASSWORD).await.unwrap();
}

/// An instance believes for a second of real time what it read of a session, so that one which had asked before the logout
/// lets the token pass for up to a second more. That is not waited for here; this one asks for the first time.
#[tokio::test]
async fn logging_out_is_in_force_on_another_instance() {
    let world = World::new().await;
    let elsewhere = world.another_instance().await;
    let here = world.sign_up("ada").await;
    let there = elsewhere.login("ada@example.com", PASSWORD).await.unwrap();
    let principal = world.authenticate(&here.access_token).await.unwrap();
    world.logout(&principal).await.unwrap();
    assert_signed_out(&elsewhere, &here.access_token).await;
    let principal = elsewhere.authenticate(&there.access_token).await.unwrap();
    elsewhere.logout(&principal).await.unwrap();
    assert_signed_out(&world, &there.access_token).await;
}

#[tokio::test]
async fn a_suspended_or_deleted_user_is_signed_out_once_sessions_are_forgotten() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let eve = world.sign_up("eve").await;
    for (column, answer) in [("status", &ada), ("deleted_at", &eve)] {
        world.authenticate(&answer.access_token).await.unwrap();
        match column {
            "status" => world.set_user(answer.user.id, column, "suspended").await,
            _ => world.set_user(answer.user.id, column, answer.user.created_at).await,
        }
        world.auth.forget_sessions();
        assert_signed_out(&world, &answer.access_token).await;
    }
    // Suspending ends no session: whoever is let in again is where they were.
    world.set_user(ada.user.id, "status", "active").await;
    world.auth.forget_sessions();
    world.authenticate(&ada.access_token).await.unwrap();
}

#[tokio::test]
async fn the_admin_flag_follows_the_database_and_not_the_token() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let is_admin = async || world.authenticate(&ada.access_token).await.unwrap().is_admin();
    assert!(!is_admin().await);
    for flag in [true, false, true] {
        world.set_user(ada.user.id, "is_admin", flag).await;
        world.auth.forget_sessions();
        assert_eq!(is_admin().await, flag);
    }
}

#[tokio::test]
async fn a_session_that_expired_authenticates_nobody() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    // The access tokens are good; their sessions are made to be over.
    world.clock.advance(short_of(SESSION_LIFETIME, 1));
    let second = world.login("ada@example.com", PASSWORD).await.unwrap();
    let late = world.refresh(refresh_token(&ada)).await.unwrap();
    let expired = sea_orm::sea_query::Query::update()
        .table("sessions")
        .value("expires_at", ada.user.created_at)
        .to_owned();
    world.execute(&expired).await;
    for answer in [&late, &second] {
        assert_signed_out(&world, &answer.access_token).await;
    }
}

#[tokio::test]
async fn who_asks_is_read_once_for_many_requests() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let first = world.authenticate(&ada.access_token).await.unwrap();
    let expected = (Some(ada.user.id), Some(ada.session_id), false);
    let caller = |principal: &Principal| (principal.user(), principal.session_id(), principal.is_admin());
    assert_eq!(caller(&first), expected);
    // Another token of the same session is another token and the same session.
    let refreshed = world.refresh(refresh_token(&ada)).await.unwrap();
    assert_eq!(caller(&world.authenticate(&refreshed.access_token).await.unwrap()), expected);
    world.auth.forget_sessions();
    let again = world.authenticate(&ada.access_token).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &again), "forgetting asks the database again");
}
