//! Domain events, published to subscribers that the publisher does not know.
//!
//! [`WriteSession::emit`](crate::session::WriteSession::emit) writes an event into the outbox, in the transaction of the change itself: no event without
//! its change, no change without its event. A relay (crate `messaging`) hands each event to its
//! [`Subscriber`](crate::event_handler::Subscriber)s, in order for each aggregate.
//!
//! An event is sent in an [`Envelope`]: its id and name, its aggregate, its time, and who caused it. The event
//! itself is the payload.
//!
//! # Creations, changes and deletions
//!
//! [`Created<K>`], [`Updated<K>`] and [`Deleted<K>`] need no code in a domain: a
//! [`Repository`](crate::repository::Repository) with `EMITS_EVENTS` emits them with each insert, update and soft delete.
//!
//! # Adding an event
//!
//! For anything else that happens, a struct in the domain's `event.rs` that derives `Serialize` and `Deserialize` and
//! implements [`DomainEvent`]; `session.emit(&event)` where the change is made.
//!
//! A payload has ids instead of personal data, and no secrets: it stays in the outbox for days
//! and may be copied to other systems. A handler that needs more queries it when it handles the event.
//!
//! Fields may be added later, never renamed: events outlive the code that wrote them. A change that older code cannot read
//! raises [`DomainEvent::VERSION`].

mod lifecycle;
mod origin;
pub(crate) mod outbox;

use sea_orm::FromQueryResult;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::lifecycle::{Created, Creation, Deleted, Deletion, Lifecycle, LifecycleStep, Update, Updated};
pub use self::origin::{InvalidTraceparent, Origin, Traceparent};
pub use self::outbox::PendingEvent;
use crate::clock::Timestamp;
use crate::id::{Id, IdKind};

/// The kind of [`EventId`].
#[derive(Debug)]
pub enum EventKind {}

impl IdKind for EventKind {
    const PREFIX: &'static str = "evt";
    const NAME: &'static str = "event";
}

/// Id of one occurrence of an event, by which subscribers deduplicate.
pub type EventId = Id<EventKind>;

/// Something that happened in a domain.
pub trait DomainEvent: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of the aggregate: the resource that the event is about.
    type Aggregate: IdKind;

    /// Past participle of the action: `completed`. The name of the event is the name of the kind and the action:
    /// `order.completed`.
    const ACTION: &'static str;

    /// The version of the payload's schema, from 1. It is raised by a change that code for the version before cannot read.
    const VERSION: i32 = 1;

    /// Id of the aggregate. Events of one aggregate are delivered in order.
    fn aggregate_id(&self) -> Id<Self::Aggregate>;

    /// The version of the aggregate's row after the change; `None` where rows have no version.
    fn aggregate_version(&self) -> Option<i64>;

    /// The event's name: `order.completed`.
    #[must_use]
    fn name() -> String {
        format!("{}.{}", Self::Aggregate::NAME, Self::ACTION)
    }

    /// Parses a payload of a schema version. An event whose [`VERSION`](Self::VERSION) was raised overrides this, to
    /// read older payloads.
    ///
    /// # Errors
    ///
    /// [`UnreadableEvent`].
    fn from_payload(version: i32, payload: &serde_json::Value) -> Result<Self, UnreadableEvent> {
        if version != Self::VERSION {
            return Err(UnreadableEvent::Version { found: version, known: Self::VERSION });
        }
        Ok(Self::deserialize(payload)?)
    }
}

/// The payload of an event cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableEvent {
    /// Its schema version is not supported: it was written by a newer instance, or by one too old.
    #[error("the payload has schema version {found}, and this build reads version {known}")]
    Version {
        /// The version of the payload.
        found: i32,
        /// The version that this build reads.
        known: i32,
    },
    /// It does not match the type of the event.
    #[error("the payload does not match the event")]
    Shape(#[from] serde_json::Error),
}

/// An event with its metadata.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Envelope {
    /// The id of this occurrence. Ids of one aggregate are in the order of what happened.
    pub id: EventId,
    /// The event's name: `order.completed`.
    pub name: String,
    /// The version of the payload's schema: [`DomainEvent::VERSION`].
    pub version: i32,
    /// The kind of the aggregate: [`IdKind::NAME`].
    pub aggregate_type: String,
    /// Id of the aggregate.
    pub aggregate_id: String,
    /// The version of the aggregate's row after the change, where rows have one.
    pub aggregate_version: Option<i64>,
    /// Time of the change.
    pub occurred_at: Timestamp,
    /// The principal who caused it: `usr_…` for a user, `system:…` for a command or a job, `None` if nobody was signed in.
    pub principal: Option<String>,
    /// The trace of the request that caused it (W3C Trace Context).
    pub traceparent: Option<Traceparent>,
    /// The event itself.
    pub payload: serde_json::Value,
}

impl Envelope {
    /// The columns of the outbox that make an envelope.
    pub const COLUMNS: [&'static str; 10] = [
        "id",
        "name",
        "version",
        "aggregate_type",
        "aggregate_id",
        "aggregate_version",
        "occurred_at",
        "principal",
        "traceparent",
        "payload",
    ];

    /// The event, if it is an `E`.
    ///
    /// # Errors
    ///
    /// It has the name of an `E` and cannot be parsed.
    pub fn read<E: DomainEvent>(&self) -> Result<Option<E>, UnreadableEvent> {
        if self.name != E::name() {
            return Ok(None);
        }
        E::from_payload(self.version, &self.payload).map(Some)
    }
}
