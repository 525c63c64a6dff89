//! Rows that refer to others.

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::{ErrorCodes, Field, Resource, World, has_values_of, not_found, on_delete, text};
use crate::event::Deleted;
use crate::id::Id;
use crate::repository::Precondition;
use crate::resource::OnDelete;
use crate::testing::events;
use crate::testing::field::Target;

/// A reference must exist, and deleting its target has the declared effect on the row; this includes the owner. A tree has no
/// circle.
pub async fn checks_references<R: Resource>() {
    for field in R::fields() {
        if let Some(target) = field.target {
            rejects_missing_targets::<R>(field, target).await;
            is_deleted_with_target::<R>(field, target).await;
            if target.table == R::TABLES[0].table {
                rejects_circles::<R>(field).await;
            }
            if let Some(column) = field.within {
                rejects_a_row_elsewhere::<R>(field, column).await;
            }
        }
    }
    let of_owner = |reference: &&crate::resource::Reference| Some(reference.column) == R::ACCESS.owner;
    if let Some(owner) = R::TABLES[0].references.iter().find(of_owner) {
        let world = World::<R>::new().await;
        let (made, _) = world.create(1).await;
        follows_on_delete(
            &world,
            "users",
            (owner.column, owner.on_delete),
            &made,
            &text(&made[owner.column]),
        )
        .await;
    }
}

fn refused(field: &Field, code: &str) -> ErrorCodes {
    ("validation_failed", vec![(format!("/{}", field.name), code.to_owned())])
}

async fn rejects_missing_targets<R: Resource>(field: &Field, target: Target) {
    let world = World::<R>::new().await;
    let (made, _) = world.create(1).await;
    let gone = world.target(target.table).await;
    let delete = format!("UPDATE {} SET deleted_at = updated_at WHERE id = '{gone}'", target.table);
    let deleted = world.database.primary().execute_unprepared(&delete).await;
    assert_eq!(deleted.map(|result| result.rows_affected()).ok(), Some(1), "{delete}");
    for id in [target.nothing(), gone.into()] {
        let mut body = world.body(2).await;
        body[field.name] = id.clone();
        assert_eq!(world.try_create(&world.ada, &body).await, Err(refused(field, "reference")), "{id}");
        let change = json!({ field.name: id });
        let changed = world.try_update(&world.ada, &made["id"], &Precondition::None, &change).await;
        assert_eq!(changed, Err(refused(field, "reference")), "{id}");
    }
}

async fn is_deleted_with_target<R: Resource>(field: &Field, target: Target) {
    let world = World::<R>::new().await;
    let mut body = world.body(1).await;
    let id = world.target(target.table).await;
    world.refer(&mut body, field, &id.as_str().into()).await;
    let (made, _) = world.create_from(&body).await;
    has_values_of::<R>(&made, &body);
    let (read, _) = world.get(&world.ada, &made["id"]).await.unwrap_or_else(|refusal| panic!("{refusal:?}"));
    has_values_of::<R>(&read, &body);
    follows_on_delete(&world, target.table, (field.name, target.on_delete), &made, &id).await;
}

/// Deletes the target of `made` in that column.
async fn follows_on_delete<R: Resource>(
    world: &World<R>,
    table: &'static str,
    (column, rule): (&str, OnDelete),
    made: &Value,
    id: &str,
) {
    let own = &made["id"];
    match rule {
        OnDelete::Restrict => {
            assert_eq!(on_delete(world, table, id).await, Err("still_referenced"), "{column}");
            assert_eq!(world.get(&world.ada, own).await, Ok((made.clone(), 1)), "{column}");
            // Without references to it, it can be deleted.
            assert_eq!(world.delete(&world.ada, own).await, Ok(()), "{column}");
            assert_eq!(on_delete(world, table, id).await, Ok(()), "{column}");
        }
        OnDelete::Cascade => {
            assert_eq!(on_delete(world, table, id).await, Ok(()), "{column}");
            let left = world.get(&world.ada, own).await.map_err(|refusal| refusal.0.to_owned());
            assert_eq!(left, Err(not_found::<R>()), "{column}");
            let own: Id<R::Kind> = super::id_of(own);
            let error_codes = events::<Deleted<R::Kind>>(&world.database).await;
            let expected = if R::EVENTS { vec![Deleted::new(own, 2, world.owner())] } else { vec![] };
            assert_eq!(error_codes, expected, "{column}");
        }
        OnDelete::SetNull => {
            assert_eq!(on_delete(world, table, id).await, Ok(()), "{column}");
            let left = world.get(&world.ada, own).await;
            let is_null =
                left.as_ref().is_ok_and(|(shown, version)| shown[column].is_null() && *version == 2);
            assert!(is_null, "{column}: {left:?}");
        }
    }
}

/// A row cannot refer to itself, neither directly nor through another row.
async fn rejects_circles<R: Resource>(field: &Field) {
    let world = World::<R>::new().await;
    let change = async |to: &Value| {
        let mut change = json!({});
        world.refer(&mut change, field, to).await;
        change
    };
    let (one, _) = world.create(1).await;
    let circular = Err(refused(field, "circular_reference"));
    let itself = change(&one["id"]).await;
    let refused = world.try_update(&world.ada, &one["id"], &Precondition::None, &itself).await;
    assert_eq!(refused, circular, "the row itself");
    if R::ROWS > 1 {
        let (two, _) = world.create(2).await;
        world.update(&two["id"], &change(&one["id"]).await).await;
        let back = change(&two["id"]).await;
        let refused = world.try_update(&world.ada, &one["id"], &Precondition::None, &back).await;
        assert_eq!(refused, circular, "a circle of two");
    }
}

/// A row cannot refer to one with another value in `column`, and neither of them can get another value afterwards.
async fn rejects_a_row_elsewhere<R: Resource>(field: &Field, column: &'static str) {
    let world = World::<R>::new().await;
    let of_column = R::fields().iter().find(|field| field.name == column);
    let Some((shared, target)) = of_column.and_then(|field| Some((field, field.target?))) else {
        panic!("{column} is no reference");
    };
    let place = async || json!(world.target(target.table).await);
    let mut body = world.body(1).await;
    body[column] = place().await;
    let (above, _) = world.create_from(&body).await;
    let mut body = world.body(R::ROWS.min(2)).await;
    body[field.name] = above["id"].clone();
    body[column] = place().await;
    let elsewhere = |field: &Field| Err(refused(field, "inconsistent_reference"));
    assert_eq!(world.try_create(&world.ada, &body).await, elsewhere(field));
    body[column] = above[column].clone();
    let (below, _) = world.create_from(&body).await;
    let moved = json!({ column: place().await });
    for row in [&below, &above] {
        let change = world.try_update(&world.ada, &row["id"], &Precondition::None, &moved).await;
        assert_eq!(change, elsewhere(shared), "{row}");
    }
    let mut alone = moved;
    alone[field.name] = Value::Null;
    let (below, _) = world.update(&below["id"], &alone).await;
    assert_eq!(below[column], alone[column]);
    let back = json!({ field.name: above["id"] });
    let change = world.try_update(&world.ada, &below["id"], &Precondition::None, &back).await;
    assert_eq!(change, elsewhere(field));
}
