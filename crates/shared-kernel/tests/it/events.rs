//! Events in the outbox.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sea_orm::{
    ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _, Iterable as _, QueryOrder as _,
};
use serde::{Deserialize, Serialize};
use shared_kernel::clock::Clock as _;
use shared_kernel::event::{self, Announcement, DomainEvent};
use shared_kernel::session::{Databases, Reader as _, SessionError};
use shared_kernel::testing::FixedClock;

use crate::common::{WidgetId, commit, count, database, database_with_clock, insert};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WidgetPolished {
    widget_id: WidgetId,
    note: Option<String>,
    strokes: Vec<i64>,
}

impl DomainEvent for WidgetPolished {
    const NAME: &'static str = "widget.polished";

    fn aggregate_id(&self) -> String {
        self.widget_id.to_string()
    }
}

/// Has the same fields and another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WidgetBroken {
    widget_id: WidgetId,
}

impl DomainEvent for WidgetBroken {
    const NAME: &'static str = "widget.broken";

    fn aggregate_id(&self) -> String {
        self.widget_id.to_string()
    }
}

/// Cannot be written as JSON.
#[derive(Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

impl DomainEvent for Unwritable {
    const NAME: &'static str = "test.unwritable";

    fn aggregate_id(&self) -> String {
        String::new()
    }
}

async fn outbox(databases: &Databases) -> Vec<event::Model> {
    databases.read_primary().all(event::Entity::find().order_by_asc(event::Column::Id)).await.unwrap()
}

/// Whether there is news of events for who asks now.
fn is_notified(databases: &Databases) -> bool {
    databases.events().notified().now_or_never().is_some()
}

#[tokio::test]
async fn a_commit_of_events_is_told_also_to_who_comes_later() {
    let database = database().await;
    let silent = database.write();
    insert(&silent, "a").await.unwrap();
    commit(silent).await;
    assert!(!is_notified(&database), "there is no event");
    let session = database.write();
    session.emit(&WidgetBroken { widget_id: session.new_id() }).await.unwrap();
    assert!(!is_notified(&database), "nothing is committed");
    commit(session).await;
    assert!(is_notified(&database));
    assert!(!is_notified(&database), "once is enough");
    // Who asked for the commit is gone before its answer: it may be done all the same.
    let session = database.write();
    session.emit(&WidgetBroken { widget_id: session.new_id() }).await.unwrap();
    let cut = session.commit(());
    assert!(cut.now_or_never().is_none());
    assert!(is_notified(&database));
}

#[tokio::test]
async fn an_event_is_there_with_its_change() {
    let clock = Arc::new(FixedClock::at_system_time());
    let database = database_with_clock(clock.clone()).await;
    let session = database.write();
    let widget = insert(&session, "a").await.unwrap();
    let polished = WidgetPolished {
        widget_id: widget.id,
        note: Some("\u{1f4a1} \"so\" \\ 'so'".into()),
        strokes: vec![i64::MIN, 0, i64::MAX],
    };
    let id = session.emit(&polished).await.unwrap();
    assert!(outbox(&database).await.is_empty(), "nobody sees it before the commit");
    commit(session).await;
    let [row] = outbox(&database).await.try_into().unwrap();
    assert_eq!((row.id, &*row.name, &row.aggregate_id), (id, "widget.polished", &widget.id.to_string()));
    assert_eq!((row.occurred_at, row.available_at, row.attempts), (clock.now(), clock.now(), 0));
    assert_eq!((row.delivered_at, &row.last_error), (None, &None));
    assert_eq!(row.read::<WidgetPolished>().unwrap(), Some(polished));
    assert_eq!(row.read::<WidgetBroken>().unwrap(), None, "it is another event");
    let renamed =
        event::Model { name: WidgetBroken::NAME.into(), payload: serde_json::json!({"widget": 1}), ..row };
    renamed.read::<WidgetBroken>().unwrap_err();
}

#[tokio::test]
async fn an_event_whose_type_is_not_known_is_told_alike() {
    let database = database().await;
    let session = database.write();
    let polished = WidgetPolished { widget_id: session.new_id(), note: None, strokes: vec![1] };
    let first = session.emit(&polished).await.unwrap();
    let second = session.announce(Announcement::of(&polished).unwrap()).await.unwrap();
    commit(session).await;
    let [emitted, announced] = outbox(&database).await.try_into().unwrap();
    assert!((emitted.id, announced.id) == (first, second) && first < second);
    assert_eq!(announced, event::Model { id: second, ..emitted });
    assert!(Announcement::of(&Unwritable).is_err());
}

#[tokio::test]
async fn an_event_goes_with_its_change() {
    let database = database().await;
    let dropped = database.write();
    let widget = insert(&dropped, "a").await.unwrap();
    dropped.emit(&WidgetBroken { widget_id: widget.id }).await.unwrap();
    drop(dropped);
    let failed = database.write();
    insert(&failed, "a").await.unwrap();
    failed.emit(&WidgetBroken { widget_id: widget.id }).await.unwrap();
    insert(&failed, "a").await.unwrap_err();
    failed.commit(()).await.unwrap_err();
    let undone = database.write();
    let outcome = undone
        .savepoint(async {
            undone.emit(&WidgetBroken { widget_id: widget.id }).await?;
            Err::<(), SessionError>(SessionError::Stale)
        })
        .await
        .unwrap();
    outcome.unwrap_err();
    commit(undone).await;
    assert!(outbox(&database).await.is_empty());
}

#[tokio::test]
async fn no_change_without_its_event() {
    let database = database().await;
    let session = database.write();
    insert(&session, "a").await.unwrap();
    session.emit(&Unwritable).await.unwrap_err();
    assert!(matches!(session.commit(()).await, Err(SessionError::Failed)));
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn events_of_a_session_are_in_the_order_of_what_happened() {
    let clock = Arc::new(FixedClock::at_system_time());
    let database = database_with_clock(clock.clone()).await;
    let mut emitted = Vec::new();
    for _ in 0..3 {
        let session = database.write();
        let widget_id = session.new_id();
        for _ in 0..10 {
            emitted.push(session.emit(&WidgetBroken { widget_id }).await.unwrap());
        }
        commit(session).await;
        clock.advance(Duration::from_millis(1));
    }
    let ids: Vec<_> = outbox(&database).await.into_iter().map(|row| row.id).collect();
    assert_eq!(ids, emitted);
}

/// A session that began earlier but came to the row later tells later.
#[tokio::test]
async fn events_of_two_sessions_are_in_the_order_of_their_changes() {
    let clock = Arc::new(FixedClock::at_system_time());
    let database = database_with_clock(clock.clone()).await;
    let early = database.write();
    let began = early.now();
    clock.advance(Duration::from_secs(1));
    let late = database.write();
    let widget_id = late.new_id();
    let first = late.emit(&WidgetBroken { widget_id }).await.unwrap();
    commit(late).await;
    clock.advance(Duration::from_secs(1));
    let second = early.emit(&WidgetBroken { widget_id }).await.unwrap();
    commit(early).await;
    let rows = outbox(&database).await;
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(rows[1].occurred_at, began, "the instant of its session");
}

/// The table has the columns of the model and no other, and each keeps what is put into it.
#[tokio::test]
async fn the_model_of_the_outbox_agrees_with_its_table() {
    use sea_orm::{ConnectionTrait as _, IdenStatic as _};

    let database = database().await;
    let session = database.write();
    let row = event::Model {
        id: session.new_id(),
        name: "n".repeat(100),
        aggregate_id: "a".repeat(100),
        payload: serde_json::json!({"text": "a\u{1f4a1}b", "list": [1, 2.5, null, true], "deep": {"empty": {}}}),
        occurred_at: session.now(),
        attempts: i32::MAX,
        available_at: session.now() + Duration::from_micros(1),
        delivered_at: Some(session.now() + Duration::from_secs(1)),
        last_error: Some("e".repeat(10_000)),
    };
    let inserted = row.clone().into_active_model().reset_all().insert(&session).await.unwrap();
    commit(session).await;
    assert_eq!(inserted, row);
    assert_eq!(outbox(&database).await, [row]);
    let columns: BTreeSet<String> = event::Column::iter().map(|column| column.as_str().to_owned()).collect();
    let all = sea_orm::Statement::from_string(database.backend(), "SELECT * FROM outbox_events");
    let stored = database.primary().query_one_raw(all).await.unwrap().unwrap();
    assert_eq!(stored.column_names().into_iter().collect::<BTreeSet<_>>(), columns);
}
