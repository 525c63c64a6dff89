//! Domain events: what happened, published to whoever wants to know, without the publisher knowing who that is.
//!
//! [`WriteSession::emit`](crate::session::WriteSession::emit) writes an event into the outbox, in the transaction of the change itself: no event without
//! its change, no change without its event. A relay (crate `messaging`) hands each event to the [`Subscriber`]s at least
//! once, in order for each aggregate; a subscriber's work is done once for each event id.
//!
//! An event travels in an [`Envelope`]: which event it is, what it is about, when it happened, and who caused it. The event
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
//! A payload names people and things by their ids and holds no personal data and no secret: it stays in the outbox for days
//! and may be copied to other systems. A handler that needs more looks it up when it handles the event.
//!
//! Fields may be added later, never renamed: events outlive the code that wrote them. A change that older code cannot read
//! raises [`DomainEvent::VERSION`].

mod lifecycle;
mod origin;
pub(crate) mod outbox;
mod subscriber;

use sea_orm::FromQueryResult;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::lifecycle::{Created, Creation, Deleted, Deletion, Lifecycle, LifecycleStep, Update, Updated};
pub use self::origin::{InvalidTraceparent, Origin, Traceparent};
pub use self::outbox::PendingEvent;
pub use self::subscriber::{Handler, HandlerError, Subscriber};
use crate::clock::Timestamp;
use crate::id::{Id, IdKind};

/// The kind of [`EventId`].
#[derive(Debug)]
pub enum EventKind {}

impl IdKind for EventKind {
    const PREFIX: &'static str = "evt";
    const NAME: &'static str = "event";
}

/// One occurrence of an event: what subscribers dedupe on.
pub type EventId = Id<EventKind>;

/// Something that happened in a domain.
pub trait DomainEvent: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of thing that it happened to.
    type Aggregate: IdKind;

    /// What happened, in the past tense: `completed`. Together with the name of the kind it is the event's name:
    /// `order.completed`.
    const ACTION: &'static str;

    /// The version of the payload's schema, from 1. It is raised by a change that code for the version before cannot read.
    const VERSION: i32 = 1;

    /// The id of what it happened to. Events of one aggregate are handed on in order.
    fn aggregate_id(&self) -> Id<Self::Aggregate>;

    /// The version of the aggregate's row after the change; `None` where rows have no version.
    fn aggregate_version(&self) -> Option<i64>;

    /// The event's name: `order.completed`.
    #[must_use]
    fn name() -> String {
        format!("{}.{}", Self::Aggregate::NAME, Self::ACTION)
    }

    /// The event in a payload of that schema version. An event whose [`VERSION`](Self::VERSION) was raised overrides this, to
    /// read what was written before.
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
    /// It has another schema version than this build reads: a newer instance wrote it, or one too old.
    #[error("the payload has schema version {found}, and this build reads version {known}")]
    Version {
        /// The version of the payload.
        found: i32,
        /// The version that this build reads.
        known: i32,
    },
    /// It has the version that this build reads, and another shape.
    #[error("the payload has not the shape of the event")]
    Shape(#[from] serde_json::Error),
}

/// An event on its way, with what is known about it beside the event itself.
#[derive(Clone, Debug, PartialEq, FromQueryResult)]
pub struct Envelope {
    /// The id of this occurrence. Ids of one aggregate are in the order of what happened.
    pub id: EventId,
    /// The event's name: `order.completed`.
    pub name: String,
    /// The version of the payload's schema: [`DomainEvent::VERSION`].
    pub version: i32,
    /// The kind of thing that it happened to: [`IdKind::NAME`].
    pub aggregate_type: String,
    /// The id of what it happened to.
    pub aggregate_id: String,
    /// The version of the aggregate's row after the change, where rows have one.
    pub aggregate_version: Option<i64>,
    /// The instant of the change.
    pub occurred_at: Timestamp,
    /// Who caused it: `usr_…` for a user, `system:…` for a command or a job, `None` for somebody who is not signed in.
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
    /// It has the name of an `E` and cannot be read as one.
    pub fn read<E: DomainEvent>(&self) -> Result<Option<E>, UnreadableEvent> {
        if self.name != E::name() {
            return Ok(None);
        }
        E::from_payload(self.version, &self.payload).map(Some)
    }
}
