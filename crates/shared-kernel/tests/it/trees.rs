//! Rows that refer to rows of their own table: none belongs to itself.

use sea_orm::ActiveValue::Set;
use sea_orm::{Condition, ConnectionTrait as _};
use shared_kernel::clock::SystemClock;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::principal::Principal;
use shared_kernel::repository::{Precondition, Repository, Scoped, resource};
use shared_kernel::resource::{OnDelete, Reference, Within};
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

/// Widgets whose labels are the ids of those that they answer, which have the same name.
struct Answers;

impl Repository for Answers {
    type Entity = widget::Entity;
    type Row = widget::ActiveModel;
    const REFERENCES: &'static [Reference] =
        &[Reference { column: "label", to: "widgets", on_delete: OnDelete::Cascade }];
    const WITHIN: &'static [Within] = &[Within { reference: "label", column: "name" }];
}

impl Scoped for Answers {
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
    let row = changed.map_err(|error| told(&error))?;
    assert_eq!(row.map(|row| row.name), Some(to.to_string()));
    Ok(())
}

fn told(error: &KernelError) -> String {
    match error {
        KernelError::Invalid(refused) => format!("{} {}", refused.0[0].pointer, refused.0[0].code),
        other => other.to_string(),
    }
}

fn answering(id: WidgetId) -> widget::ActiveModel {
    widget::ActiveModel { label: Set(id.to_string()), ..widget::ActiveModel::default() }
}

fn named(name: &str) -> widget::ActiveModel {
    widget::ActiveModel { name: Set(name.to_owned()), ..widget::ActiveModel::default() }
}

async fn change(db: &WriteSession, id: WidgetId, row: widget::ActiveModel) -> Result<(), String> {
    let changed = Answers::change(db, &Principal::system("test"), id, &Precondition::None, row).await;
    changed.map(drop).map_err(|error| told(&error))
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

#[tokio::test]
async fn a_row_agrees_with_the_one_that_it_refers_to() {
    let (database, ids) = widgets(3).await;
    let db = database.write();
    for (id, name) in [(ids[0], "a"), (ids[1], "a"), (ids[2], "b")] {
        change(&db, id, named(name)).await.unwrap();
    }
    change(&db, ids[1], answering(ids[0])).await.unwrap();
    commit(db).await;
    let db = database.write();
    let refused = |pointer: &str| Err(format!("{pointer} inconsistent_reference"));
    assert_eq!(change(&db, ids[2], answering(ids[1])).await, refused("/label"));
    assert_eq!(change(&db, ids[1], named("b")).await, refused("/name"), "it answers another");
    assert_eq!(change(&db, ids[0], named("b")).await, refused("/name"), "it is answered");
    assert_eq!(change(&db, ids[0], named("a")).await, Ok(()), "its own name");
    let elsewhere = widget::ActiveModel { rank: Set(7), ..widget::ActiveModel::default() };
    assert_eq!(change(&db, ids[1], elsewhere).await, Ok(()));
    // Both at once.
    let both = widget::ActiveModel { name: Set("b".to_owned()), ..answering(ids[2]) };
    assert_eq!(change(&db, ids[1], both).await, Ok(()));
    assert_eq!(change(&db, ids[0], named("c")).await, Ok(()), "nothing refers to it any more");
    assert_eq!(change(&db, ids[2], named("c")).await, refused("/name"));

    let created = async |name: &str, to: WidgetId| {
        let row = widget::ActiveModel { name: Set(name.to_owned()), ..widget(&db, &to.to_string()) };
        Answers::create(&db, &Principal::system("test"), row).await.map(drop).map_err(|error| told(&error))
    };
    assert_eq!(created("b", ids[0]).await, refused("/label"));
    assert_eq!(created("c", ids[0]).await, Ok(()));
}

/// A row gets another name while another one is made to refer to it: only one of the two happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_row_moves_away_from_one_that_refers_to_it() {
    let (database, ids) = widgets(2).await;
    let databases = Databases::clone(&database);
    for round in 0..10 {
        // Rows of one name that do not refer to each other.
        let reset = format!("UPDATE widgets SET name = 'a', label = 'x{round}' || id");
        database.primary().execute_unprepared(&reset).await.unwrap();
        let outcomes = concurrently(2, |number| {
            let (databases, ids) = (databases.clone(), ids.clone());
            async move {
                let db = databases.write();
                if number == 0 {
                    change(&db, ids[1], answering(ids[0])).await?;
                } else {
                    change(&db, ids[0], named("moved")).await?;
                }
                db.commit(()).await.map(Committed::into_value).map_err(|error| error.to_string())
            }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    }
}
