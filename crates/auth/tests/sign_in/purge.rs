//! Deleting sessions that are over.

use std::time::Duration;

use auth::service;
use sea_orm::sea_query::{Expr, Query};
use shared_kernel::clock::Clock as _;
use shared_kernel::id::SessionId;

use crate::common::{Instance, PASSWORD, SECOND, SESSION_LIFETIME, World, short_of};

const RETENTION: Duration = Duration::from_hours(30 * 24);

async fn purged(instance: &Instance) -> u64 {
    instance.auth.purge_sessions().await.unwrap()
}

#[tokio::test]
async fn a_session_that_is_over_is_deleted_after_its_retention() {
    let world = World::new().await;
    let ended = world.sign_up("ada").await;
    let principal = world.authenticate(&ended.access_token).await.unwrap();
    world.logout(&principal).await.unwrap();
    let expiring = world.login("ada@example.com", PASSWORD).await.unwrap();
    assert_eq!(purged(&world).await, 0);
    world.clock.advance(RETENTION);
    assert_eq!(purged(&world).await, 0, "to the second");
    let living = world.login("ada@example.com", PASSWORD).await.unwrap();
    world.clock.advance(SECOND);
    assert_eq!(purged(&world).await, 1);
    assert_eq!(world.count("sessions").await, 2);
    assert_eq!(world.end_reason(expiring.session_id).await, None, "is there: it expired a second ago");

    world.clock.advance(short_of(SESSION_LIFETIME, 1));
    assert_eq!(purged(&world).await, 0);
    world.clock.advance(SECOND);
    assert_eq!(purged(&world).await, 1, "now it expired 30 days ago");
    assert_eq!(world.end_reason(living.session_id).await, None);
    assert_eq!(world.count("users").await, 1);
}

#[tokio::test]
async fn more_than_fit_into_one_transaction_are_deleted_together() {
    let world = World::new().await;
    let ada = world.sign_up("ada").await.user.id;
    let now = world.clock.now();
    let mut insert = Query::insert()
        .into_table("sessions")
        .columns(["id", "user_id", "generation", "rotated_at", "created_at", "expires_at"])
        .to_owned();
    for _ in 0..1_200 {
        let id = SessionId::new(now);
        insert.values_panic([id.into(), ada.into(), 0.into(), now.into(), now.into(), now.into()]);
    }
    world.execute(&insert).await;
    world.clock.advance(RETENTION + SECOND);
    let there = world.another_instance().await;
    let (here, there) = tokio::join!(purged(&world), purged(&there));
    assert_eq!(here + there + purged(&world).await, 1_200);
    assert_eq!(world.count("sessions").await, 1);
    let expired = Query::update().table("sessions").value("expires_at", Expr::val(now)).to_owned();
    world.execute(&expired).await;
    assert_eq!(service::purge(&world.databases, RETENTION * 2).await.unwrap(), 0);
    assert_eq!(service::purge(&world.databases, Duration::ZERO).await.unwrap(), 1);
}
