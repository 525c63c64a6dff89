//! Refresh tokens: rotation, the grace period, and what happens when a used one comes back.

use auth::dto::SessionResponse;
use auth::error::AuthError;
use auth::token::refresh::{RefreshClaim, RefreshTokens};
use serde_json::json;
use shared_kernel::clock::{Clock as _, Timestamp};
use shared_kernel::error::{DomainError as _, Kind};
use shared_kernel::frozen::REFRESH_TOKEN_PREFIX;
use shared_kernel::id::SessionId;
use shared_kernel::testing::secret_key;
use tokio::task::JoinSet;

use crate::common::{
    GRACE, Instance, LONGEST_SESSION, PASSWORD, SECOND, SESSION_LIFETIME, SESSIONS_PER_USER, World,
    another_secret_key, refresh_token, short_of,
};

const REUSED: &str = "session.refresh_token_reused";

async fn assert_worthless(instance: &Instance, token: &str) {
    let outcome = instance.refresh(token).await;
    assert!(matches!(outcome, Err(AuthError::InvalidRefreshToken)), "{token}: {outcome:?}");
}

async fn assert_reused(instance: &Instance, token: &str) {
    let outcome = instance.refresh(token).await;
    assert!(matches!(outcome, Err(AuthError::RefreshTokenReused)), "{outcome:?}");
}

/// The session is over: nothing that was ever given out for it is worth anything.
async fn assert_over(world: &World, given_out: &[&SessionResponse]) {
    for answer in given_out {
        assert_worthless(world, refresh_token(answer)).await;
        let outcome = world.authenticate(&answer.access_token).await;
        assert!(matches!(outcome, Err(AuthError::InvalidToken)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_session_ends_one_day_however_often_it_is_refreshed() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    let opened = world.clock.now();
    let mut last = first.clone();
    // Every 29 days, while it has 30 each time and 100 in all.
    for _ in 0..3 {
        world.clock.advance(short_of(SESSION_LIFETIME, 24 * 3_600));
        last = world.refresh(refresh_token(&last)).await.unwrap();
    }
    // 13 days are left.
    world.clock.advance(short_of(LONGEST_SESSION.saturating_sub(world.clock.now().since(opened)), 1));
    world.clock.advance(SECOND);
    assert!(world.clock.now().since(opened) >= LONGEST_SESSION);
    assert_over(&world, &[&first, &last]).await;
    // Another sign-in lasts again.
    let again = world.login("ada@example.com", PASSWORD).await.unwrap();
    world.refresh(refresh_token(&again)).await.unwrap();
}

#[tokio::test]
async fn a_session_too_many_ends_the_one_that_was_not_used_for_longest() {
    let world = World::new().await;
    let mut sessions = vec![world.sign_up("ada").await];
    let eve = world.sign_up("eve").await;
    for _ in 1..SESSIONS_PER_USER {
        world.clock.advance(SECOND);
        sessions.push(world.login("ada@example.com", PASSWORD).await.unwrap());
    }
    // The oldest is in use, the second oldest is not.
    world.clock.advance(SECOND);
    sessions[0] = world.refresh(refresh_token(&sessions[0])).await.unwrap();
    world.clock.advance(SECOND);
    let another = world.login("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(world.end_reason(sessions[1].session_id).await.as_deref(), Some("displaced"));
    assert_worthless(&world, refresh_token(&sessions[1])).await;
    for kept in [&sessions[0], &sessions[2], &another, &eve] {
        assert_eq!(world.end_reason(kept.session_id).await, None);
    }
    world.clock.advance(SECOND);
    let outcome = world.authenticate(&sessions[1].access_token).await;
    assert!(matches!(outcome, Err(AuthError::InvalidToken)), "{outcome:?}");
}

#[tokio::test]
async fn refreshing_rotates() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    world.clock.advance(SECOND);
    let second = world.refresh(refresh_token(&first)).await.unwrap();
    assert_eq!(second.session_id, first.session_id);
    assert_eq!(second.user, first.user);
    assert_ne!(second.refresh_token, first.refresh_token);
    assert_ne!(second.access_token, first.access_token);
    assert_eq!(world.generation(first.session_id).await, 1);
    world.clock.advance(SECOND);
    let third = world.refresh(refresh_token(&second)).await.unwrap();
    assert_ne!(third.refresh_token, second.refresh_token);
    assert_eq!(world.generation(first.session_id).await, 2);
    for answer in [&first, &second, &third] {
        let principal = world.authenticate(&answer.access_token).await.unwrap();
        assert_eq!(principal.session_id(), Some(first.session_id));
    }
    assert_eq!(world.count("sessions").await, 1);
    assert_eq!(world.events(REUSED).await.len(), 0);
}

#[tokio::test]
async fn an_answer_that_got_lost_costs_nobody_the_session() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    let second = world.refresh(refresh_token(&first)).await.unwrap();
    let expires: Timestamp = world.column("sessions", "expires_at", ("id", first.session_id)).await;
    world.clock.advance(GRACE);
    let again = world.refresh(refresh_token(&first)).await.unwrap();
    assert_eq!(again.refresh_token, second.refresh_token);
    assert_eq!(world.generation(first.session_id).await, 1);
    let unchanged: Timestamp = world.column("sessions", "expires_at", ("id", first.session_id)).await;
    assert_eq!(unchanged, expires, "the old token moves nothing");
    // On another instance too: it is derived, not remembered.
    let elsewhere = world.another_instance().await.refresh(refresh_token(&first)).await.unwrap();
    assert_eq!(elsewhere.refresh_token, second.refresh_token);
    world.refresh(refresh_token(&again)).await.unwrap();
}

#[tokio::test]
async fn a_token_that_comes_back_after_its_successor_was_used_ends_the_session() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    let second = world.refresh(refresh_token(&first)).await.unwrap();
    let third = world.refresh(refresh_token(&second)).await.unwrap();
    let untouched = world.login("ada@example.com", PASSWORD).await.unwrap();
    world.authenticate(&third.access_token).await.unwrap();

    // No time has passed: within the grace period, and still.
    let error = world.refresh(refresh_token(&first)).await.unwrap_err();
    assert!(matches!(error, AuthError::RefreshTokenReused), "{error:?}");
    assert_eq!((error.problem().kind, error.problem().code), (Kind::Unauthenticated, "refresh_token_reused"));
    // Committed, although the answer is an error: another instance sees it.
    assert_eq!(world.end_reason(first.session_id).await.as_deref(), Some("reuse"));
    assert_worthless(&world.another_instance().await, refresh_token(&third)).await;
    assert_over(&world, &[&first, &second, &third]).await;

    let events = world.events(REUSED).await;
    assert_eq!(events, [json!({"user_id": first.user.id, "session_id": first.session_id})]);
    assert_eq!(world.generation(first.session_id).await, 2, "a session that is over rotates no more");
    // The user's other devices stay signed in.
    world.authenticate(&untouched.access_token).await.unwrap();
    world.refresh(refresh_token(&untouched)).await.unwrap();
}

#[tokio::test]
async fn a_token_that_comes_back_after_the_grace_period_ends_the_session() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    let second = world.refresh(refresh_token(&first)).await.unwrap();
    world.clock.advance(GRACE + SECOND);
    assert_reused(&world, refresh_token(&first)).await;
    assert_over(&world, &[&first, &second]).await;
    assert_eq!(world.events(REUSED).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_reuses_at_once_one_is_told_to_others() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    let second = world.refresh(refresh_token(&first)).await.unwrap();
    world.refresh(refresh_token(&second)).await.unwrap();
    let mut reuses = JoinSet::new();
    for _ in 0..20 {
        let (instance, token) = (world.clone(), refresh_token(&first).to_owned());
        reuses.spawn(async move { instance.refresh(&token).await });
    }
    for outcome in reuses.join_all().await {
        let refused = matches!(outcome, Err(AuthError::RefreshTokenReused | AuthError::InvalidRefreshToken));
        assert!(refused, "{outcome:?}");
    }
    assert_eq!(world.events(REUSED).await.len(), 1);
    assert_over(&world, &[&first, &second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_refreshes_at_once_all_get_the_same_successor() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    let elsewhere = world.another_instance().await;
    let mut refreshes = JoinSet::new();
    for number in 0..20 {
        let instance = if number % 2 == 0 { Instance::clone(&world) } else { elsewhere.clone() };
        let token = refresh_token(&first).to_owned();
        refreshes.spawn(async move { instance.refresh(&token).await });
    }
    let answers: Vec<_> = refreshes.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.len(), 20);
    let successor = &answers.first().unwrap().refresh_token;
    assert!(
        answers
            .iter()
            .all(|answer| answer.refresh_token == *successor && answer.session_id == first.session_id)
    );
    assert_eq!(world.generation(first.session_id).await, 1);
    assert_eq!(world.events(REUSED).await.len(), 0);
    world.refresh(successor.as_deref().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_session_that_nobody_refreshes_expires() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    world.clock.advance(short_of(SESSION_LIFETIME, 1));
    let second = world.refresh(refresh_token(&first)).await.unwrap();
    // Refreshing has prolonged it.
    world.clock.advance(short_of(SESSION_LIFETIME, 1));
    let third = world.refresh(refresh_token(&second)).await.unwrap();
    let expires: Timestamp = world.column("sessions", "expires_at", ("id", first.session_id)).await;
    assert_eq!(expires, world.clock.now() + SESSION_LIFETIME);
    world.clock.advance(SESSION_LIFETIME);
    for answer in [&third, &second, &first] {
        assert_worthless(&world, refresh_token(answer)).await;
    }
    assert_eq!(world.events(REUSED).await.len(), 0, "what has expired cannot be reused");
}

#[tokio::test]
async fn a_session_that_was_ended_stays_so() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    let second = world.refresh(refresh_token(&first)).await.unwrap();
    let principal = world.authenticate(&second.access_token).await.unwrap();
    world.logout(&principal).await.unwrap();
    assert_over(&world, &[&second, &first]).await;
    assert_eq!(world.end_reason(first.session_id).await.as_deref(), Some("logout"));
    assert_eq!(world.events(REUSED).await.len(), 0);
}

#[tokio::test]
async fn a_token_that_was_not_given_out_is_worthless_and_harms_nobody() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await;
    let token = refresh_token(&ada).to_owned();
    let claim = |generation| RefreshClaim { session_id: ada.session_id, generation };
    let ours = RefreshTokens::new(&secret_key());
    assert_eq!(ours.issue(claim(0)), token, "the tokens that are made below differ in what is said of them");

    let mut forged = vec![
        // Signed with another secret key.
        RefreshTokens::new(&another_secret_key()).issue(claim(0)),
        // Genuine, but never given out: of no session, and of rotations to come.
        ours.issue(RefreshClaim { session_id: SessionId::new(world.clock.now()), generation: 0 }),
        ours.issue(claim(1)),
        ours.issue(claim(u32::MAX)),
        ada.access_token.clone(),
        String::new(),
        REFRESH_TOKEN_PREFIX.to_owned(),
        token.replace(REFRESH_TOKEN_PREFIX, ""),
        token.to_uppercase(),
        format!("{token}="),
        format!("{token}A"),
        format!(" {token}"),
        format!("{REFRESH_TOKEN_PREFIX}{token}"),
        REFRESH_TOKEN_PREFIX.to_owned() + &"A".repeat(100_000),
        format!("{REFRESH_TOKEN_PREFIX}ü"),
    ];
    forged.extend((0..token.len()).map(|length| token.chars().take(length).collect()));
    for (position, old) in token.char_indices() {
        let mut changed = token.clone();
        changed.replace_range(position..=position, if old == 'A' { "B" } else { "A" });
        forged.push(changed);
    }
    for token in &forged {
        assert_worthless(&world, token).await;
    }
    assert_eq!(world.generation(ada.session_id).await, 0);
    assert_eq!(world.end_reason(ada.session_id).await, None);
    world.refresh(&token).await.unwrap();
}

#[tokio::test]
async fn a_suspended_user_cannot_refresh_and_loses_nothing_by_trying() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    world.set_user(first.user.id, "status", "suspended").await;
    assert_worthless(&world, refresh_token(&first)).await;
    assert_eq!(world.generation(first.session_id).await, 0);
    world.set_user(first.user.id, "status", "active").await;
    let second = world.refresh(refresh_token(&first)).await.unwrap();
    // Within the grace period as well.
    world.set_user(first.user.id, "status", "suspended").await;
    assert_worthless(&world, refresh_token(&first)).await;
    world.set_user(first.user.id, "deleted_at", first.user.created_at).await;
    world.set_user(first.user.id, "status", "active").await;
    assert_worthless(&world, refresh_token(&second)).await;
}

#[tokio::test]
async fn an_answer_tells_of_the_user_as_the_database_has_it_now() {
    let world = World::new().await;
    let first = world.sign_up("ada").await;
    world.set_user(first.user.id, "name", "Countess of Lovelace").await;
    let second = world.refresh(refresh_token(&first)).await.unwrap();
    assert_eq!(second.user.name, "Countess of Lovelace");
}
