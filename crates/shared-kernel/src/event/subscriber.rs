//! What is done when events happen.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{DomainEvent, Envelope};

/// Why a handler could not do its work; the event is handed to it again later.
pub type HandlerError = Box<dyn Error + Send + Sync>;

/// Does something when an `E` happens.
pub trait Handler<E: DomainEvent>: Send + Sync + 'static {
    /// Does its work for `event`. May be called twice for one event when the process dies in between; the envelope's id tells.
    fn handle(&self, event: &E, envelope: &Envelope)
    -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// Handlers under a common name: what a relay calls.
///
/// The name is stable: with the event's id it tells what was done already.
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

    /// The same with `handler` for each `E`, in place of the handler that it had for it.
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

    /// Whether it has a handler for the event of that name.
    #[must_use]
    pub fn wants(&self, event: &str) -> bool {
        self.reactions.contains_key(event)
    }

    /// Hands the event to its handler, if it has one.
    ///
    /// # Errors
    ///
    /// The handler's, and a payload that cannot be read.
    pub async fn handle(&self, envelope: &Envelope) -> Result<(), HandlerError> {
        match self.reactions.get(&envelope.name) {
            Some(reaction) => reaction.react(envelope).await,
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
    fn react<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<(), HandlerError>>;
}

struct Typed<E, H> {
    handler: Arc<H>,
    event: PhantomData<fn() -> E>,
}

impl<E: DomainEvent, H: Handler<E>> Reaction for Typed<E, H> {
    fn react<'a>(&'a self, envelope: &'a Envelope) -> BoxFuture<'a, Result<(), HandlerError>> {
        Box::pin(async move {
            let event = E::from_payload(envelope.version, &envelope.payload)?;
            self.handler.handle(&event, envelope).await
        })
    }
}
