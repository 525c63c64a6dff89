//! Rows that are kept in memory.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::{Condition, ConnectionTrait as _};
use shared_kernel::clock::Clock as _;
use shared_kernel::principal::Principal;
use shared_kernel::repository::{Precondition, Repository, Scoped, resource};
use shared_kernel::session::{ConsistencyToken, Databases, ReadSession};
use shared_kernel::testing::{FixedClock, TestDatabase, concurrently};

use crate::common::{WidgetId, commit, create_widgets, insert, widget};

/// Widgets that are kept in memory.
struct Kept;

impl Repository for Kept {
    type Entity = widget::Entity;
    type Row = widget::ActiveModel;
    const KEEPS_RECENT: bool = true;
}

impl Scoped for Kept {
    fn visible_to(_: Option<&Principal>) -> Condition {
        Condition::all()
    }
}

/// A database with one widget.
async fn widgets() -> (TestDatabase, Arc<FixedClock>, WidgetId) {
    let clock = Arc::new(FixedClock::at_system_time());
    let resources = [resource::<Kept>()].iter().collect();
    let database = TestDatabase::with_resources::<migration::Migrator>(clock.clone(), resources).await;
    create_widgets(&database).await;
    let db = database.write();
    let id = insert(&db, "a").await.unwrap().id;
    commit(db).await;
    (database, clock, id)
}

async fn name(session: &ReadSession, id: WidgetId) -> Option<String> {
    Kept::find_recent(session, id).await.unwrap().map(|row| row.name.clone())
}

/// A table without soft delete, whose rows refer to nothing.
mod label {
    use sea_orm::entity::prelude::*;
    use shared_kernel::from_columns::FromColumns;
    use shared_kernel::repository::Keyed;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, FromColumns)]
    #[sea_orm(table_name = "labels")]
    pub(super) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        pub name: String,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl Keyed for Entity {
        const ID: Column = Column::Id;
    }
}

/// A label and the names of it and of a widget, as the primary has them.
async fn names(databases: &Databases, label: i32, widget: WidgetId) -> Option<(String, Option<String>)> {
    let session = databases.read_primary();
    let found = Kept::find_current_with::<label::Entity>(&session, label.into(), widget).await.unwrap();
    found.map(|(label, widget)| (label.name, widget.map(|widget| widget.name.clone())))
}

async fn rename(databases: &Databases, id: WidgetId, name: &str) -> Option<ConsistencyToken> {
    let db = databases.write();
    let changes = widget::ActiveModel { name: Set(name.to_owned()), ..widget::ActiveModel::default() };
    Kept::update(&db, id, &Precondition::None, changes).await.unwrap().unwrap();
    db.commit(()).await.unwrap().into_parts().1
}

/// As another process would change it.
async fn rename_elsewhere(databases: &Databases, id: WidgetId, name: &str) {
    let sql = format!("UPDATE widgets SET name = '{name}' WHERE id = '{id}'");
    databases.primary().execute_unprepared(&sql).await.unwrap();
}

#[tokio::test]
async fn a_row_is_read_once_in_a_second() {
    let (database, clock, id) = widgets().await;
    rename(&database, id, "before").await;
    assert_eq!(name(&database.read(None), id).await.as_deref(), Some("before"));
    rename_elsewhere(&database, id, "after").await;
    clock.advance(Duration::from_millis(999));
    assert_eq!(name(&database.read(None), id).await.as_deref(), Some("before"), "from memory");
    clock.advance(Duration::from_millis(1));
    assert_eq!(name(&database.read(None), id).await.as_deref(), Some("after"), "too old");
    rename_elsewhere(&database, id, "later").await;
    assert_eq!(name(&database.read(None), id).await.as_deref(), Some("after"));
    let unknown = database.write().new_id();
    assert_eq!(name(&database.read(None), unknown).await, None);
}

#[tokio::test]
async fn a_row_that_was_read_beside_another_one_is_kept() {
    let (database, _, id) = widgets().await;
    let primary = database.primary();
    primary
        .execute_unprepared("CREATE TABLE labels (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .await
        .unwrap();
    primary.execute_unprepared("INSERT INTO labels VALUES (1, 'red'), (2, 'blue')").await.unwrap();
    rename(&database, id, "a").await;
    assert_eq!(name(&database.read(None), id).await.as_deref(), Some("a"));
    rename_elsewhere(&database, id, "b").await;
    let both = |label: &str, widget: &str| Some((label.to_owned(), Some(widget.to_owned())));
    assert_eq!(names(&database, 2, id).await, both("blue", "b"), "not from memory");
    assert_eq!(name(&database.read(None), id).await.as_deref(), Some("b"), "the last read counts");
    let unknown = database.write().new_id();
    assert_eq!(names(&database, 1, unknown).await, Some(("red".to_owned(), None)));
    assert_eq!(names(&database, 3, id).await, None);
    let db = database.write();
    Kept::soft_delete(&db, id, &Precondition::None).await.unwrap().unwrap();
    commit(db).await;
    assert_eq!(names(&database, 1, id).await, Some(("red".to_owned(), None)), "deleted");
}

#[tokio::test]
async fn a_commit_removes_what_it_changed() {
    let (database, _, id) = widgets().await;
    assert!(name(&database.read(None), id).await.is_some());
    rename(&database, id, "changed").await;
    assert_eq!(name(&database.read(None), id).await.as_deref(), Some("changed"));
    let undone = database.write();
    let changes = widget::ActiveModel { name: Set("undone".to_owned()), ..widget::ActiveModel::default() };
    Kept::update(&undone, id, &Precondition::None, changes).await.unwrap();
    drop(undone);
    assert_eq!(name(&database.read(None), id).await.as_deref(), Some("changed"));
    let db = database.write();
    Kept::soft_delete(&db, id, &Precondition::None).await.unwrap().unwrap();
    commit(db).await;
    assert_eq!(name(&database.read(None), id).await, None);
}

/// Two instances share a database; the clock of the one that reads is up to a second ahead.
#[tokio::test]
async fn whoever_has_the_token_of_a_write_sees_it_on_every_instance() {
    let (database, clock, id) = widgets().await;
    assert!(name(&database.read(None), id).await.is_some());
    rename_elsewhere(&database, id, "written").await;
    let written = clock.now();
    for ahead in [0, 1, 999] {
        let token: ConsistencyToken = format!("{:X}", written.unix_millis() + 1_000 - ahead).parse().unwrap();
        let seen = name(&database.read(Some(token)), id).await;
        assert_eq!(seen.as_deref(), Some("written"), "{ahead}");
        // A session of which the token is not known has the row of that read.
        assert_eq!(name(&database.read(None), id).await.as_deref(), Some("written"));
    }
    let long_ago: ConsistencyToken = format!("{:X}", written.unix_millis() - 1_000).parse().unwrap();
    rename_elsewhere(&database, id, "later").await;
    assert_eq!(name(&database.read(Some(long_ago)), id).await.as_deref(), Some("written"), "read after it");
}

/// Changes, each read by who has waited for its commit, while others read all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_has_waited_for_a_commit_sees_it_among_many_readers() {
    let (database, _, id) = widgets().await;
    let databases = Databases::clone(&database);
    let stale = concurrently(4, |number| {
        let databases = databases.clone();
        async move {
            let mut stale = 0;
            for round in 0..250 {
                if number > 0 {
                    name(&databases.read(None), id).await;
                    continue;
                }
                let new = format!("round {round}");
                rename(&databases, id, &new).await;
                stale += usize::from(name(&databases.read(None), id).await.as_deref() != Some(&*new));
            }
            stale
        }
    })
    .await;
    assert_eq!(stale, [0; 4]);
}
