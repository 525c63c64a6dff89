//! Values that no two living rows have.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{ErrorCodes, Field, Resource, World};
use crate::repository::Precondition;
use crate::testing::concurrently;

/// Of two rows with the same unique value, and of ten concurrent creations with the same body, only one is accepted.
pub async fn checks_uniqueness<R: Resource>() {
    let fields: Vec<&Field> = R::fields().iter().filter(|field| field.unique.is_some()).collect();
    assert!(!fields.is_empty(), "no field is unique");
    for field in &fields {
        rejects_a_duplicate::<R>(field).await;
    }
    let world = Arc::new(World::<R>::new().await);
    let mut body = world.body(1).await;
    for field in &fields {
        fill(&world, field, &mut body).await;
    }
    let outcomes = concurrently(10, |_| {
        let (world, body) = (world.clone(), body.clone());
        async move { world.try_create(&world.ada, &body).await.map(drop).map_err(|refusal| refusal.0) }
    })
    .await;
    let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let is_known = |code: &&str| fields.iter().any(|field| field.unique == Some(*code));
    let is_right = outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(is_known));
    assert!(won == 1 && is_right, "{outcomes:?}");
}

/// Sets an optional unique reference, which the body has as `null`.
async fn fill<R: Resource>(world: &World<R>, field: &Field, body: &mut Value) {
    if let (Some(target), true) = (field.target, field.is_optional()) {
        world.refer(body, field, &world.target(target.table).await.into()).await;
    }
}

async fn rejects_a_duplicate<R: Resource>(field: &Field) {
    let world = World::<R>::new().await;
    let name = field.name;
    let mut first = world.body(1).await;
    fill(&world, field, &mut first).await;
    let (made, _) = world.create_from(&first).await;
    let mut own = json!({});
    world.refer(&mut own, field, &first[name]).await;
    if R::ROWS > 1 {
        let mut second = world.body(2).await;
        world.refer(&mut second, field, &first[name]).await;
        let taken: ErrorCodes =
            (field.unique.unwrap_or_default(), vec![(format!("/{name}"), "taken".to_owned())]);
        assert_eq!(world.try_create(&world.ada, &second).await, Err(taken.clone()), "{name}");
        let (other, _) = world.create(2).await;
        let change = world.try_update(&world.ada, &other["id"], &Precondition::None, &own).await;
        assert_eq!(change, Err(taken), "{name}");
    }
    // Its own value is not a conflict.
    world.update(&made["id"], &own).await;
}
