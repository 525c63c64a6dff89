//! Delivery of one event to its subscribers.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use shared_kernel::event::{Envelope, HandlerError, Subscriber};
use shared_kernel::session::SessionError;

use super::Shared;
use super::outbox::{Claimed, Outcome, Taken};

/// Length of the longest error that is stored with an event, in bytes.
const LONGEST_ERROR: usize = 2_000;

/// Outcome of a subscriber's work for one event.
struct Work {
    subscriber: &'static str,
    outcome: Result<(), String>,
}

impl Shared {
    /// Hands `claimed` to its subscribers that have not handled it yet, and returns whether it is delivered now.
    ///
    /// No transaction is open while a subscriber works, and subscribers continue while another one's work is recorded: one of them
    /// may hold SQLite's only writer.
    pub(super) async fn deliver(&self, claimed: Claimed) -> Result<bool, SessionError> {
        let Claimed { event, handled } = claimed;
        let pending: Vec<_> = self
            .subscribers
            .iter()
            .filter(|subscriber| subscriber.wants(&event.envelope.name))
            .filter(|subscriber| !handled.contains(subscriber.name()))
            .collect();
        let alone = pending.len() == 1;
        let works =
            join_all(pending.into_iter().map(|subscriber| self.work(subscriber, &event, alone))).await;
        let done: Vec<_> =
            works.iter().filter(|work| work.outcome.is_ok()).map(|work| work.subscriber).collect();
        let outcome = self.outcome(&event, &works);
        let delivered = matches!(outcome, Outcome::Delivered);
        if self.outbox.settle(&event, &done, outcome).await? {
            return Ok(delivered);
        }
        let Envelope { id, name, .. } = &event.envelope;
        tracing::warn!(event = %id, name, "an event took longer than its lease; another relay has it");
        Ok(false)
    }

    async fn work(&self, subscriber: &Subscriber, event: &Taken, alone: bool) -> Work {
        let name = subscriber.name();
        let outcome = self.call(subscriber, &event.envelope).await;
        // A single subscriber is recorded together with the end of the event, which saves a commit.
        if outcome.is_ok()
            && !alone
            && let Err(error) = self.outbox.note(event, name).await
        {
            let error: &dyn Error = &error;
            tracing::warn!(event = %event.envelope.id, subscriber = name, error, "finished work could not be recorded yet");
        }
        Work { subscriber: name, outcome }
    }

    /// Calls the subscriber, and turns an error, a timeout or a panic into text.
    async fn call(&self, subscriber: &Subscriber, event: &Envelope) -> Result<(), String> {
        // Inside an async block, so that a panic before the first `await` is caught too.
        let handling = AssertUnwindSafe(async { subscriber.handle(event).await }).catch_unwind();
        match tokio::time::timeout(self.settings.handler_timeout, handling).await {
            Ok(Ok(outcome)) => outcome.map_err(|error| in_words(&error)),
            Ok(Err(panic)) => Err(format!("panicked: {}", panic_message(panic.as_ref()))),
            Err(_) => Err(format!("took longer than {:?}", self.settings.handler_timeout)),
        }
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

/// Texts of an error and its causes.
fn in_words(error: &HandlerError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// A text that the column accepts: without NUL, which PostgreSQL refuses, and shortened.
fn storable(error: &str) -> String {
    let mut error = error.replace('\0', "\u{FFFD}");
    error.truncate(error.floor_char_boundary(LONGEST_ERROR));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_stored_with_its_causes() {
        let error: HandlerError = Box::new(SessionError::from(sea_orm::DbErr::Custom("no disk".into())));
        assert_eq!(in_words(&error), "the database failed: Custom Error: no disk");
    }

    #[test]
    fn what_is_stored_is_bounded_and_has_no_nul() {
        let long = format!("a\0{}", "ü".repeat(LONGEST_ERROR));
        let stored = storable(&long);
        assert!(stored.len() <= LONGEST_ERROR && stored.len() > LONGEST_ERROR - 2, "{}", stored.len());
        assert!(stored.starts_with("a\u{FFFD}ü"));
    }
}
