//! Subscribers and handlers of [events](crate::event).
//!
//! A handler does quick work in the database, in a session that is committed together with the note that this subscriber has handled
//! this event: both happen once. Whatever waits for mail, another service or the CPU is a [job](crate::job) that it enqueues there.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::event::{DomainEvent, Envelope};
use crate::session::WriteSession;

/// An error of a handler; the event is delivered again later.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// A handler of events of type `E`.
pub trait Handler<E: DomainEvent>: Send + Sync + 'static {
    /// Handles `event`. What it writes on `session` is committed if it succeeds, and rolled back if it fails. Anything else may be done
    /// twice if the process dies in between; the envelope's id identifies the event.
    ///
    /// Once it has run a statement, it awaits nothing but the database, and opens no other write session: SQLite has one writer.
    fn handle(
        &self,
        session: &WriteSession,
        event: &E,
        envelope: &Envelope,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// A named group of event handlers, called by the relay.
///
/// The name must not change: with the event's id it records which events were handled already.
#[derive(Clone)]
pub struct Subscriber {
    name: &'static str,
    reactions: BTreeMap<String, Arc<dyn Reaction>>,
}

impl Subscriber {
    /// A subscriber of that name without a handler.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, reactions: BTreeMap::new() }
    }

    /// Sets the handler of `E`, instead of an earlier one.
    #[must_use]
    pub fn on<E: DomainEvent>(mut self, handler: Arc<impl Handler<E>>) -> Self {
        self.reactions.insert(E::name(), Arc::new(Typed { handler, event: PhantomData::<fn() -> E> }));
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Names of the events that it has handlers for.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        self.reactions.keys().map(String::as_str)
    }

    /// Whether it has a handler for events of that name.
    #[must_use]
    pub fn wants(&self, event: &str) -> bool {
        self.reactions.contains_key(event)
    }

    /// Calls the handler of the event, if there is one.
    ///
    /// # Errors
    ///
    /// Errors of the handler, and an unreadable payload.
    pub async fn handle(&self, session: &WriteSession, envelope: &Envelope) -> Result<(), HandlerError> {
        match self.reactions.get(&envelope.name) {
            Some(reaction) => reaction.react(session, envelope).await,
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("name", &self.name)
            .field("events", &self.reactions.keys())
            .finish()
    }
}

/// A [`Handler`] whose event's type is forgotten.
trait Reaction: Send + Sync {
    fn react<'a>(
        &'a self,
        session: &'a WriteSession,
        envelope: &'a Envelope,
    ) -> BoxFuture<'a, Result<(), HandlerError>>;
}

struct Typed<E, H> {
    handler: Arc<H>,
    event: PhantomData<fn() -> E>,
}

impl<E: DomainEvent, H: Handler<E>> Reaction for Typed<E, H> {
    fn react<'a>(
        &'a self,
        session: &'a WriteSession,
        envelope: &'a Envelope,
    ) -> BoxFuture<'a, Result<(), HandlerError>> {
        Box::pin(async move {
            let event = E::from_payload(envelope.version, &envelope.payload)?;
            self.handler.handle(session, &event, envelope).await
        })
    }
}
