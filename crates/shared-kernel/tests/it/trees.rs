//! Rows that refer to rows of their own table: none belongs to itself.

use sea_orm::ActiveValue::Set;
use sea_orm::Condition;
use shared_kernel::clock::SystemClock;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::principal::Principal;
use shared_kernel::repository::{Precondition, Repository, Scoped, resource};
use shared_kernel::resource::{OnDelete, Reference};
use shared_kernel::session::{Committed, Databases, WriteSession};
use shared_kernel::testing::{TestDatabase, concurrently};

use crate::common::{WidgetId, commit, create_widgets, insert, widget};

/// Widgets, whose names are the ids of those that they belong to.
struct Branches;

impl Repository for Branches {
    type Entity = widget::Entity;
    type Row = widget::ActiveModel;
    const REFERENCES: &'static [Reference] =
        &[Reference { column: "name", to: "widgets", on_delete: OnDelete::Cascade }];
}

impl Scoped for Branches {
    fn visible_to(_: Option<&Principal>) -> Condition {
        Condition::all()
    }
}

/// The same where circles are wanted.
struct Friends;

impl Repository for Friends {
    type Entity = widget::Entity;
    type Row = widget::ActiveModel;
    const REFERENCES: &'static [Reference] = Branches::REFERENCES;
    const ALLOWS_CIRCLES: bool = true;
}

impl Scoped for Friends {
    fn visible_to(_: Option<&Principal>) -> Condition {
        Condition::all()
    }
}

/// A database with so many widgets that belong to none.
async fn widgets(count: usize) -> (TestDatabase, Vec<WidgetId>) {
    let resources = [resource::<Branches>()].iter().collect();
    let database =
        TestDatabase::with_resources::<migration::Migrator>(SystemClock::shared(), resources).await;
    create_widgets(&database).await;
    let db = database.write();
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(insert(&db, &format!("{number}")).await.unwrap().id);
    }
    commit(db).await;
    (database, ids)
}

fn below(id: WidgetId) -> widget::ActiveModel {
    widget::ActiveModel { name: Set(id.to_string()), ..widget::ActiveModel::default() }
}

async fn put<R>(db: &WriteSession, id: WidgetId, to: WidgetId) -> Result<(), String>
where
    R: Scoped<Entity = widget::Entity, Row = widget::ActiveModel>,
{
    let changed = R::change(db, &Principal::system("test"), id, &Precondition::None, below(to)).await;
    match changed {
        Ok(row) => {
            assert_eq!(row.map(|row| row.name), Some(to.to_string()));
            Ok(())
        }
        Err(KernelError::Invalid(refused)) => Err(format!("{} {}", refused.0[0].pointer, refused.0[0].code)),
        Err(other) => Err(other.to_string()),
    }
}

#[tokio::test]
async fn no_row_belongs_to_itself() {
    let (database, ids) = widgets(3).await;
    let db = database.write();
    let circle = Err("/name circular_reference".to_owned());
    assert_eq!(put::<Branches>(&db, ids[0], ids[0]).await, circle);
    commit(db).await;
    let db = database.write();
    put::<Branches>(&db, ids[0], ids[1]).await.unwrap();
    put::<Branches>(&db, ids[1], ids[2]).await.unwrap();
    commit(db).await;
    let db = database.write();
    assert_eq!(put::<Branches>(&db, ids[2], ids[0]).await, circle, "over one between them");
    assert_eq!(put::<Branches>(&db, ids[0], ids[2]).await, Ok(()), "nearer to the root");
    assert_eq!(put::<Friends>(&db, ids[2], ids[0]).await, Ok(()), "where circles are wanted");
    // What is a circle already has an end for whoever asks.
    assert_eq!(put::<Branches>(&db, ids[1], ids[0]).await, Ok(()));
}

/// Each of them alone would close no circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_circle_is_closed_together() {
    let (database, ids) = widgets(3).await;
    let databases = Databases::clone(&database);
    let outcomes = concurrently(3, |number| {
        let (databases, from, to) = (databases.clone(), ids[number], ids[(number + 1) % 3]);
        async move {
            let db = databases.write();
            put::<Branches>(&db, from, to).await?;
            db.commit(()).await.map(Committed::into_value).map_err(|error| error.to_string())
        }
    })
    .await;
    assert!(outcomes.iter().any(Result::is_err), "{outcomes:?}");
}
