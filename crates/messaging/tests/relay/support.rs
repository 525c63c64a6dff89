//! What the tests of the relay have in common.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use messaging::{Relay, RelaySettings};
use migration::Migrator;
use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement};
use serde::{Deserialize, Serialize};
use shared_kernel::clock::{Clock, Timestamp};
use shared_kernel::event::{DomainEvent, Envelope, EventId};
use shared_kernel::event_handler::{Handler, HandlerError, Subscriber};
use shared_kernel::id::{Id, IdKind};
use shared_kernel::session::{Databases, Reader, WriteSession};
use shared_kernel::testing::{FixedClock, TestDatabase};
use tokio::sync::{Notify, mpsc};

/// Something happened to `thing`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Happened {
    pub(crate) thing: String,
    pub(crate) number: u32,
}

#[derive(Debug)]
pub(crate) enum ThingKind {}

impl IdKind for ThingKind {
    const PREFIX: &'static str = "thg";
    const NAME: &'static str = "thing";
}

/// The id of the thing of that name, which has up to sixteen letters.
pub(crate) fn id_of(thing: &str) -> Id<ThingKind> {
    let mut bytes = [0; 16];
    bytes[..thing.len()].copy_from_slice(thing.as_bytes());
    Id::from_bytes(bytes)
}

impl DomainEvent for Happened {
    type Aggregate = ThingKind;
    const ACTION: &'static str = "happened";

    fn aggregate_id(&self) -> Id<ThingKind> {
        id_of(&self.thing)
    }

    fn aggregate_version(&self) -> Option<i64> {
        Some(self.number.into())
    }
}

pub(crate) async fn emit(databases: &Databases, thing: &str, number: u32) -> EventId {
    let session = databases.write();
    let id = session.emit(&Happened { thing: thing.to_owned(), number }).await.unwrap();
    session.commit(id).await.unwrap().into_value()
}

/// What the relay keeps in the outbox.
#[derive(Debug, PartialEq, FromQueryResult)]
pub(crate) struct Row {
    pub(crate) aggregate_id: String,
    pub(crate) position: Option<i64>,
    pub(crate) attempts: i32,
    pub(crate) available_at: Timestamp,
    pub(crate) delivered_at: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
}

fn rows() -> SelectStatement {
    Query::select()
        .columns(["aggregate_id", "position", "attempts", "available_at", "delivered_at", "last_error"])
        .from("outbox_events")
        .order_by("id", Order::Asc)
        .to_owned()
}

pub(crate) async fn outbox(databases: &Databases) -> Vec<Row> {
    databases.read_primary().rows(&rows()).await.unwrap()
}

pub(crate) async fn row(databases: &Databases, id: EventId) -> Row {
    let select = rows().and_where(Expr::col("id").eq(id)).to_owned();
    databases.read_primary().rows(&select).await.unwrap().pop().unwrap()
}

/// How many notes there are of work that was done.
pub(crate) async fn notes(databases: &Databases) -> i64 {
    let count = Statement::from_string(
        databases.primary().get_database_backend(),
        "SELECT COUNT(*) AS n FROM handled_events",
    );
    databases.primary().query_one_raw(count).await.unwrap().unwrap().try_get("", "n").unwrap()
}

/// A database with a clock that stands at a whole second: the moment that has the shortest text.
pub(crate) async fn at_rest() -> (TestDatabase, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new(Timestamp::from_unix_millis(1_800_000_000_000).unwrap()));
    (TestDatabase::with_clock::<Migrator>(Arc::clone(&clock) as Arc<dyn Clock>).await, clock)
}

pub(crate) fn relay(databases: &Databases, subscribers: &[&Arc<Recorder>]) -> Relay {
    relay_with(databases, subscribers, RelaySettings::default())
}

pub(crate) fn relay_with(
    databases: &Databases,
    subscribers: &[&Arc<Recorder>],
    settings: RelaySettings,
) -> Relay {
    let subscribers = subscribers.iter().map(|&recorder| subscriber(recorder)).collect();
    Relay::new(databases.clone(), subscribers, settings).unwrap()
}

pub(crate) fn subscriber(recorder: &Arc<Recorder>) -> Subscriber {
    Subscriber::new(recorder.name).on::<Happened>(Arc::clone(recorder))
}

/// Fails a test that would hang.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), future).await.expect("this does not hang")
}

/// What a [`Recorder`] does with an event.
pub(crate) enum Deed {
    Succeed,
    Fail(&'static str),
    Panic,
    /// Takes a while before it counts as called.
    Dawdle,
    /// Waits until the test lets it go on; then it is done.
    Wait,
    /// Never ends.
    Hang,
}

type Decide = Box<dyn Fn(&Happened, usize) -> Deed + Send + Sync>;

/// A subscriber that notes what it was called with and does as it is told.
pub(crate) struct Recorder {
    name: &'static str,
    decide: Decide,
    calls: Mutex<Vec<(EventId, String, u32)>>,
    called: mpsc::UnboundedSender<u32>,
    gate: Notify,
}

impl Recorder {
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        Self::that(name, |_, _| Deed::Succeed)
    }

    /// `decide` gets the event and how often it came before.
    pub(crate) fn that(
        name: &'static str,
        decide: impl Fn(&Happened, usize) -> Deed + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::observed(name, decide).0
    }

    /// The receiver gets the number of each event when it comes.
    pub(crate) fn observed(
        name: &'static str,
        decide: impl Fn(&Happened, usize) -> Deed + Send + Sync + 'static,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<u32>) {
        let (called, calls) = mpsc::unbounded_channel();
        let decide = Box::new(decide);
        (Arc::new(Self { name, decide, calls: Mutex::default(), called, gate: Notify::new() }), calls)
    }

    /// Lets a call that waits go on.
    pub(crate) fn let_go(&self) {
        self.gate.notify_one();
    }

    /// The numbers of the calls for `thing`.
    pub(crate) fn numbers(&self, thing: &str) -> Vec<u32> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|(_, of, _)| of == thing).map(|(_, _, number)| *number).collect()
    }

    /// How often each event came.
    pub(crate) fn counts(&self) -> HashMap<EventId, usize> {
        let mut counts = HashMap::new();
        for (id, _, _) in self.calls.lock().unwrap().iter() {
            *counts.entry(*id).or_default() += 1;
        }
        counts
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

impl Handler<Happened> for Recorder {
    async fn handle(
        &self,
        _: &WriteSession,
        happened: &Happened,
        envelope: &Envelope,
    ) -> Result<(), HandlerError> {
        let before = self.counts().get(&envelope.id).copied().unwrap_or(0);
        let deed = (self.decide)(happened, before);
        if matches!(deed, Deed::Dawdle) {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        }
        self.calls.lock().unwrap().push((envelope.id, happened.thing.clone(), happened.number));
        let _ = self.called.send(happened.number);
        match deed {
            Deed::Succeed | Deed::Dawdle => Ok(()),
            Deed::Fail(error) => Err(error.into()),
            Deed::Panic => panic!("as told"),
            Deed::Wait => {
                self.gate.notified().await;
                Ok(())
            }
            Deed::Hang => std::future::pending().await,
        }
    }
}
