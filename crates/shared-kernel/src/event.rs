//! Domain events: what happened, told to whoever wants to know, without the teller knowing who that is.
//!
//! [`WriteSession::emit`](crate::session::WriteSession::emit) writes an event into the outbox, in the transaction of the change itself: no event without
//! its change, no change without its event. A relay (crate `messaging`) hands each event to the [`Subscriber`]s at least
//! once, in order for each aggregate; a subscriber's work is done once for each event id.
//!
//! # Adding an event
//!
//! A struct in the domain's `event.rs` that derives `Serialize` and `Deserialize` and implements [`DomainEvent`]; `session.emit(&event)` where
//! the change is made. Fields may be added later, never renamed: events outlive the code that wrote them.

use std::error::Error;

use futures_util::future::BoxFuture;
use sea_orm::entity::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::id::{Id, Prefixed};

/// The kind of [`EventId`].
#[derive(Debug)]
pub enum EventKind {}

impl Prefixed for EventKind {
    const PREFIX: &'static str = "evt";
}

/// One occurrence of an event: what subscribers dedupe on.
pub type EventId = Id<EventKind>;

/// Something that happened in a domain.
pub trait DomainEvent: Serialize + DeserializeOwned + Send + Sync {
    /// Its name, `domain.past_tense`: `user.registered`.
    const NAME: &'static str;

    /// The id of what it happened to. Events of one aggregate are handed on in order.
    fn aggregate_id(&self) -> String;
}

/// An event on its way: a row of the outbox.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox_events")]
pub struct Model {
    /// Its id; ids of one aggregate are in the order of what happened.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EventId,
    /// [`DomainEvent::NAME`].
    pub name: String,
    /// [`DomainEvent::aggregate_id`].
    pub aggregate_id: String,
    /// The event itself.
    pub payload: Json,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// How often it was handed on in vain.
    pub attempts: i32,
    /// Not to be handed on before this: a relay has it, or it waits after a failure.
    pub available_at: Timestamp,
    /// When every subscriber had done its work.
    pub delivered_at: Option<Timestamp>,
    /// What the last failure was.
    pub last_error: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

/// An event that is ready for the outbox, whatever type it had: what code hands on that knows no domain, such as the one
/// that deletes rows of another domain together with what they refer to (see [`crate::reference`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    pub(crate) name: &'static str,
    pub(crate) aggregate_id: String,
    pub(crate) payload: Json,
}

impl Announcement {
    /// That of `event`.
    ///
    /// # Errors
    ///
    /// The event cannot be written as JSON.
    pub fn of<E: DomainEvent>(event: &E) -> Result<Self, serde_json::Error> {
        let payload = serde_json::to_value(event)?;
        Ok(Self { name: E::NAME, aggregate_id: event.aggregate_id(), payload })
    }
}

impl Model {
    /// The event, if it is an `E`.
    ///
    /// # Errors
    ///
    /// It has the name of an `E` and cannot be read as one.
    pub fn read<E: DomainEvent>(&self) -> Result<Option<E>, serde_json::Error> {
        if self.name == E::NAME { serde_json::from_value(self.payload.clone()).map(Some) } else { Ok(None) }
    }
}

/// Why a subscriber could not do its work; the event is handed to it again later.
pub type SubscriberError = Box<dyn Error + Send + Sync>;

/// Does something when events happen.
pub trait Subscriber: Send + Sync {
    /// Its name, stable: with the event's id it tells what was done already.
    fn name(&self) -> &'static str;

    /// The names of the events that it wants.
    fn events(&self) -> &'static [&'static str];

    /// Does its work for `event`. May be called twice for one event when the process dies in between.
    fn handle<'a>(&'a self, event: &'a Model) -> BoxFuture<'a, Result<(), SubscriberError>>;
}
