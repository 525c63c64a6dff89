//! Events in the outbox.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait as _, IntoActiveModel as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared_kernel::clock::Clock as _;
use shared_kernel::event::{
    Created, Deleted, DomainEvent, Envelope, Origin, PendingEvent, UnreadableEvent, Updated,
};
use shared_kernel::kernel_error::KernelError;
use shared_kernel::repository::{Precondition, Repository};
use shared_kernel::session::{Databases, SessionError};
use shared_kernel::testing::{FixedClock, envelopes, events};

use crate::common::widget::{self, WidgetKind};
use crate::common::{WidgetId, commit, count, database, database_with_clock, insert, stored};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WidgetPolished {
    widget_id: WidgetId,
    note: Option<String>,
    strokes: Vec<i64>,
}

impl DomainEvent for WidgetPolished {
    type Aggregate = WidgetKind;
    const ACTION: &'static str = "polished";
    const VERSION: i32 = 2;

    fn aggregate_id(&self) -> WidgetId {
        self.widget_id
    }

    fn aggregate_version(&self) -> Option<i64> {
        None
    }

    /// The first version had no strokes.
    fn from_payload(version: i32, payload: &Value) -> Result<Self, UnreadableEvent> {
        match version {
            1 => {
                let widget_id = serde_json::from_value(payload["widget_id"].clone())?;
                Ok(Self { widget_id, note: None, strokes: Vec::new() })
            }
            2 => Ok(Self::deserialize(payload)?),
            found => Err(UnreadableEvent::Version { found, known: 2 }),
        }
    }
}

/// Has the same fields and another name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WidgetBroken {
    widget_id: WidgetId,
}

impl DomainEvent for WidgetBroken {
    type Aggregate = WidgetKind;
    const ACTION: &'static str = "broken";

    fn aggregate_id(&self) -> WidgetId {
        self.widget_id
    }

    fn aggregate_version(&self) -> Option<i64> {
        None
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
    type Aggregate = WidgetKind;
    const ACTION: &'static str = "unwritable";

    fn aggregate_id(&self) -> WidgetId {
        WidgetId::from_bytes([0; 16])
    }

    fn aggregate_version(&self) -> Option<i64> {
        None
    }
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
    // PostgreSQL may have answered before the first poll is over; then nothing was cut, and it is told all the same.
    drop(session.commit(()).now_or_never());
    assert!(is_notified(&database));
}

#[tokio::test]
async fn a_session_that_begins_anew_keeps_its_origin() {
    let database = database().await;
    let mut session = database.write();
    session.set_origin(Origin::system("test"));
    session.emit(&WidgetBroken { widget_id: session.new_id() }).await.unwrap();
    session.restart();
    session.emit(&WidgetBroken { widget_id: session.new_id() }).await.unwrap();
    commit(session).await;
    let principals: Vec<_> =
        envelopes(&database).await.into_iter().map(|envelope| envelope.principal).collect();
    assert_eq!(principals, [Some("system:test".to_owned())]);
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
    assert!(envelopes(&database).await.is_empty(), "nobody sees it before the commit");
    commit(session).await;
    let [envelope] = envelopes(&database).await.try_into().unwrap();
    assert_eq!((envelope.id, &*envelope.name, envelope.version), (id, "widget.polished", 2));
    assert_eq!((&*envelope.aggregate_type, &envelope.aggregate_id), ("widget", &widget.id.to_string()));
    assert_eq!(
        (envelope.occurred_at, &envelope.principal, &envelope.traceparent),
        (clock.now(), &None, &None)
    );
    assert_eq!(envelope.read::<WidgetPolished>().unwrap(), Some(polished));
    assert_eq!(envelope.read::<WidgetBroken>().unwrap(), None, "it is another event");
    let broken =
        |version, payload| Envelope { name: WidgetBroken::name(), version, payload, ..envelope.clone() };
    let misshapen = broken(1, json!({"widget": 1})).read::<WidgetBroken>();
    assert!(matches!(misshapen, Err(UnreadableEvent::Shape(_))), "{misshapen:?}");
    for version in [0, 2] {
        let other = broken(version, json!({"widget_id": widget.id})).read::<WidgetBroken>();
        assert!(matches!(other, Err(UnreadableEvent::Version { known: 1, .. })), "{other:?}");
    }
    let before = Envelope { version: 1, payload: json!({"widget_id": widget.id}), ..envelope };
    assert_eq!(before.read::<WidgetPolished>().unwrap().unwrap().strokes, [0; 0]);
}

#[tokio::test]
async fn an_event_whose_type_is_not_known_is_emitted_alike() {
    let database = database().await;
    let session = database.write();
    session.set_origin(Origin::system("test"));
    let polished = WidgetPolished { widget_id: session.new_id(), note: None, strokes: vec![1] };
    let first = session.emit(&polished).await.unwrap();
    let second = session.emit_raw(PendingEvent::of(&polished).unwrap()).await.unwrap();
    commit(session).await;
    let [emitted, raw] = envelopes(&database).await.try_into().unwrap();
    assert!((emitted.id, raw.id) == (first, second) && first < second);
    assert_eq!(emitted.principal.as_deref(), Some("system:test"));
    assert_eq!(raw, Envelope { id: second, ..emitted });
    assert!(PendingEvent::of(&Unwritable).is_err());
}

/// Widgets whose life is told.
struct Told;

impl Repository for Told {
    type Entity = widget::Entity;
    type Row = widget::ActiveModel;
    const EMITS_EVENTS: bool = true;
}

#[tokio::test]
async fn a_repository_emits_what_happens_to_its_rows() {
    let database = database().await;
    let made = stored(&database, "a").await;
    assert!(envelopes(&database).await.is_empty(), "the repository of widgets emits nothing");
    let session = database.write();
    let (id, none) = (made.id, Precondition::None);
    let again =
        widget::ActiveModel { id: Set(session.new_id()), label: Set("b".into()), ..made.into_active_model() };
    let other = Told::insert(&session, again.reset_all()).await.unwrap();
    let named = |name: &str| widget::ActiveModel { name: Set(name.to_owned()), ..Default::default() };
    for name in ["x", "x", "y"] {
        Told::update(&session, id, &none, named(name)).await.unwrap().unwrap();
    }
    Told::update(&session, id, &none, <widget::ActiveModel as Default>::default()).await.unwrap().unwrap();
    assert!(Told::update(&session, session.new_id(), &none, named("z")).await.unwrap().is_none());
    Told::soft_delete(&session, id, &none).await.unwrap().unwrap();
    assert!(Told::soft_delete(&session, id, &none).await.unwrap().is_none());
    commit(session).await;
    assert_eq!(events::<Created<WidgetKind>>(&database).await, [Created::new(other.id, 1, None)]);
    assert_eq!(
        events::<Updated<WidgetKind>>(&database).await,
        [2, 3].map(|version| Updated::new(id, version, None))
    );
    assert_eq!(events::<Deleted<WidgetKind>>(&database).await, [Deleted::new(id, 4, None)]);
    let told: Vec<_> =
        envelopes(&database).await.into_iter().map(|it| (it.name, it.aggregate_version)).collect();
    let expected = [("created", 1), ("updated", 2), ("updated", 3), ("deleted", 4)];
    assert_eq!(told, expected.map(|(action, version)| (format!("widget.{action}"), Some(version))));
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
            Err::<(), KernelError>(KernelError::Stale)
        })
        .await
        .unwrap();
    outcome.unwrap_err();
    commit(undone).await;
    assert!(envelopes(&database).await.is_empty());
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
    let ids: Vec<_> = envelopes(&database).await.into_iter().map(|row| row.id).collect();
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
    let rows = envelopes(&database).await;
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(rows[1].occurred_at, began, "the instant of its session");
}
