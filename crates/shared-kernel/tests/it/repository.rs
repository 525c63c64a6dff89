//! Soft delete, versions and preconditions.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::EntityTrait as _;
use shared_kernel::clock::Clock as _;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::page::{Order, PageRequest};
use shared_kernel::repository::{Precondition, Repository as _, Revision};
use shared_kernel::session::{Databases, Reader as _};
use shared_kernel::testing::{FixedClock, concurrently};

use crate::common::{
    WidgetId, Widgets, commit, count, database, database_with_clock, insert, labels, stored, widget,
};

fn named(name: &str) -> widget::ActiveModel {
    widget::ActiveModel { name: Set(name.to_owned()), ..Default::default() }
}

/// The row of that id is at one of these versions.
fn at(id: WidgetId, versions: &[i64]) -> Precondition {
    Precondition::OneOf(versions.iter().map(|version| Revision::new(id, *version)).collect())
}

async fn deleted(databases: &Databases, id: WidgetId) -> widget::Model {
    let session = databases.write();
    let widget = Widgets::soft_delete(&session, id, &Precondition::None).await.unwrap().unwrap();
    session.commit(widget).await.unwrap().into_value()
}

async fn found(databases: &Databases, id: WidgetId) -> Option<widget::Model> {
    Widgets::find_unscoped(&databases.read_primary(), id).await.unwrap()
}

#[tokio::test]
async fn a_change_counts_the_version_up_and_touches_nothing_else() {
    let clock = Arc::new(FixedClock::at_system_time());
    let database = database_with_clock(clock.clone()).await;
    let before = stored(&database, "a").await;
    let other = stored(&database, "b").await;
    clock.advance(Duration::from_mins(1));
    let session = database.write();
    let update = async |changes| {
        Widgets::update(&session, before.id, &Precondition::None, changes).await.unwrap().unwrap()
    };
    let first = update(named("new")).await;
    let changed = widget::Model { name: "new".into(), version: 2, updated_at: clock.now(), ..before.clone() };
    assert_eq!(first, changed);
    // Nothing is set, or nothing that was not so already.
    clock.advance(Duration::from_mins(1));
    for nothing in [widget::ActiveModel::default(), named("new")] {
        assert_eq!(update(nothing).await, changed);
    }
    let both = widget::ActiveModel { label: Set("c".into()), ..named("new") };
    let second = update(both).await;
    assert_eq!((second.version, &*second.label, &*second.name), (3, "c", "new"));
    commit(session).await;
    assert_eq!(found(&database, second.id).await, Some(second));
    assert_eq!(found(&database, other.id).await, Some(other));
}

#[tokio::test]
async fn a_deleted_row_is_not_there() {
    let clock = Arc::new(FixedClock::at_system_time());
    let database = database_with_clock(clock.clone()).await;
    let before = stored(&database, "a").await;
    clock.advance(Duration::from_mins(1));
    let gone = deleted(&database, before.id).await;
    let now = Some(clock.now());
    assert_eq!(gone, widget::Model { version: 2, updated_at: clock.now(), deleted_at: now, ..before });
    assert_eq!(found(&database, gone.id).await, None);
    for precondition in [Precondition::None, at(gone.id, &[2])] {
        let session = database.write();
        assert_eq!(Widgets::update(&session, gone.id, &precondition, named("x")).await.unwrap(), None);
        assert_eq!(Widgets::soft_delete(&session, gone.id, &precondition).await.unwrap(), None);
        commit(session).await;
    }
    let request = PageRequest::first(10).with_total();
    let reader = database.read(None);
    let page = Widgets::page(&reader, Widgets::unscoped(), &request, Order::newest_first()).await.unwrap();
    assert_eq!((page.items, page.next_cursor, page.total), (Vec::new(), None, Some(0)));
    assert_eq!(labels(&reader).await, [""; 0]);
    assert_eq!(reader.all(widget::Entity::find()).await.unwrap(), [gone], "the row itself is kept");
}

#[tokio::test]
async fn a_precondition_that_does_not_hold_is_told_from_a_missing_row() {
    let database = database().await;
    let before = stored(&database, "a").await;
    let other = stored(&database, "b").await;
    let session = database.write();
    // The version that another row has says nothing of this one.
    for stale in [at(before.id, &[2]), at(before.id, &[]), at(before.id, &[0, 7]), at(other.id, &[1])] {
        let update = Widgets::update(&session, before.id, &stale, named("x")).await;
        assert!(matches!(update, Err(KernelError::Stale)), "{stale:?}: {update:?}");
        let delete = Widgets::soft_delete(&session, before.id, &stale).await;
        assert!(matches!(delete, Err(KernelError::Stale)), "{stale:?}: {delete:?}");
        let nothing = Widgets::update(&session, before.id, &stale, widget::ActiveModel::default()).await;
        assert!(matches!(nothing, Err(KernelError::Stale)), "{stale:?}: {nothing:?}");
        assert_eq!(Widgets::update(&session, session.new_id(), &stale, named("x")).await.unwrap(), None);
        assert_eq!(Widgets::soft_delete(&session, session.new_id(), &stale).await.unwrap(), None);
    }
    let current = at(before.id, &[7, 1]);
    let changed = Widgets::update(&session, before.id, &current, named("x")).await.unwrap().unwrap();
    assert_eq!((changed.version, &*changed.name), (2, "x"));
    // What is to be set is so already, and was not when the client looked.
    for stale in [at(before.id, &[1]), at(other.id, &[2])] {
        let same = Widgets::update(&session, before.id, &stale, named("x")).await;
        assert!(matches!(same, Err(KernelError::Stale)), "{stale:?}: {same:?}");
    }
    let same = Widgets::update(&session, before.id, &at(before.id, &[2]), named("x")).await.unwrap();
    assert_eq!(same, Some(changed));
    let gone = Widgets::soft_delete(&session, before.id, &at(before.id, &[2])).await.unwrap().unwrap();
    assert_eq!(gone.version, 3);
    // A refused precondition is no failed statement.
    commit(session).await;
    assert_eq!(found(&database, before.id).await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_changes_of_one_version_one_wins() {
    let database = database().await;
    let before = stored(&database, "a").await;
    let handle = Databases::clone(&database);
    let outcomes = concurrently(8, move |number| {
        let databases = handle.clone();
        async move {
            let session = databases.write();
            let precondition = at(before.id, &[1]);
            // Both ways to change a row are under the same guard.
            let changed = if number % 2 == 0 {
                let update = Widgets::update(&session, before.id, &precondition, named(&number.to_string()));
                update.await
            } else {
                Widgets::soft_delete(&session, before.id, &precondition).await
            };
            let changed = changed?;
            Ok::<_, KernelError>(session.commit(changed).await?.into_value())
        }
    })
    .await;
    let mut won = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(Some(widget)) => won.push(widget),
            // The winner may have deleted it.
            Ok(None) | Err(KernelError::Stale) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    let [winner] = won.try_into().unwrap();
    assert_eq!(winner.version, 2);
    let rows = database.read_primary().all(widget::Entity::find()).await.unwrap();
    assert_eq!(rows, [winner]);
}

#[tokio::test]
async fn what_is_unique_is_unique_among_the_living() {
    let database = database().await;
    let first = stored(&database, "a").await;
    let refused = insert(&database.write(), "a").await.unwrap_err();
    assert_eq!(refused.violated_unique().as_deref(), Some("widgets_label_key"));
    deleted(&database, first.id).await;
    let second = stored(&database, "a").await;
    deleted(&database, second.id).await;
    stored(&database, "a").await;
    assert_eq!((count(&database).await, labels(&database.read(None)).await), (3, vec!["a".to_owned()]));
}
