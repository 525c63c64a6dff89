//! Delivery of one event to its subscribers.

use futures_util::future::join_all;
use shared_kernel::event::{Envelope, Origin};
use shared_kernel::event_handler::Subscriber;
use shared_kernel::session::SessionError;

use super::Shared;
use super::outbox::{Claimed, Outcome, Taken, note};
use crate::work::{self, in_words, storable};

/// Outcome of a subscriber's work for one event.
struct Work {
    subscriber: &'static str,
    outcome: Result<(), String>,
}

impl Shared {
    /// Hands `claimed` to its subscribers that have not handled it yet, and returns whether it is delivered now.
    pub(super) async fn deliver(&self, claimed: Claimed) -> Result<bool, SessionError> {
        let Claimed { event, handled } = claimed;
        let pending: Vec<_> = self
            .subscribers
            .iter()
            .filter(|subscriber| subscriber.wants(&event.envelope.name))
            .filter(|subscriber| !handled.contains(subscriber.name()))
            .collect();
        let works = join_all(pending.into_iter().map(|subscriber| self.work(subscriber, &event))).await;
        let outcome = self.outcome(&event, &works);
        let delivered = matches!(outcome, Outcome::Delivered);
        if self.outbox.settle(&event, outcome).await? {
            return Ok(delivered);
        }
        let Envelope { id, name, .. } = &event.envelope;
        tracing::warn!(event = %id, name, "an event took longer than its lease; another relay has it");
        Ok(false)
    }

    async fn work(&self, subscriber: &Subscriber, event: &Taken) -> Work {
        Work { subscriber: subscriber.name(), outcome: self.call(subscriber, &event.envelope).await }
    }

    /// Calls the subscriber in a session of its own, which is committed with the note that it has handled the event. An error, a timeout
    /// or a panic becomes text.
    async fn call(&self, subscriber: &Subscriber, event: &Envelope) -> Result<(), String> {
        let session = self.databases.write();
        session.set_origin(Origin {
            principal: Some(format!("system:{}", subscriber.name())),
            traceparent: event.traceparent.clone(),
        });
        let handled = work::call(self.settings.handler_timeout, subscriber.handle(&session, event)).await?;
        handled.map_err(|error| in_words(&error))?;
        let noted = note(session, event.id, subscriber.name()).await;
        noted.map_err(|error| in_words(&error.into()))
    }

    fn outcome(&self, event: &Taken, works: &[Work]) -> Outcome {
        let Envelope { id, name, .. } = &event.envelope;
        let failures = works.iter().filter_map(|Work { subscriber, outcome }| {
            let error = outcome.as_ref().err()?;
            tracing::warn!(event = %id, name, subscriber, attempt = event.attempts, error, "a subscriber failed");
            Some(format!("{subscriber}: {error}"))
        });
        let failures: Vec<_> = failures.collect();
        if failures.is_empty() {
            return Outcome::Delivered;
        }
        let error = storable(&failures.join("\n"));
        if event.attempts >= i32::from(self.settings.max_attempts) {
            tracing::error!(event = %id, name, error, "an event is dead: it is not delivered again");
            return Outcome::Dead { error };
        }
        let pause = self.settings.pause_after(u32::try_from(event.attempts).unwrap_or(1));
        Outcome::Failed { error, pause }
    }
}
