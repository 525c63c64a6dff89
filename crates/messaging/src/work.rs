//! Calls of handlers, of events and of jobs: within their time, without their panics, and their errors as text that can be stored.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use shared_kernel::event_handler::HandlerError;
use shared_kernel::session::SessionError;
use tokio::time::Instant;

/// Length of the longest error that is stored, in bytes.
const LONGEST_ERROR: usize = 2_000;

/// Pause after a failure of the database.
pub(crate) const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// The outcome of a handler, or the text of its panic or its timeout.
pub(crate) async fn call<T>(limit: Duration, handling: impl Future<Output = T>) -> Result<T, String> {
    match tokio::time::timeout(limit, AssertUnwindSafe(handling).catch_unwind()).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(panic)) => Err(panicked(panic.as_ref())),
        Err(_) => Err(overran(limit)),
    }
}

/// Text of a panic.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("no message"))
}

/// Text of a timeout.
pub(crate) fn overran(limit: Duration) -> String {
    format!("took longer than {limit:?}")
}

/// Texts of an error and its causes.
pub(crate) fn in_words(error: &HandlerError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

/// A text that the column accepts: without NUL, which PostgreSQL refuses, and shortened.
pub(crate) fn storable(error: &str) -> String {
    let mut error = error.replace('\0', "\u{FFFD}");
    error.truncate(error.floor_char_boundary(LONGEST_ERROR));
    error
}

/// Logs a failure of the database: an outage as a warning, anything else as an error.
pub(crate) fn report(error: &SessionError, message: &'static str) {
    let causes = causes(error);
    if error.is_unreachable() {
        tracing::warn!(error = causes, "{message}");
    } else {
        tracing::error!(error = causes, "{message}");
    }
}

/// Texts of an error and its causes, without those that the one before contains.
fn causes(error: &SessionError) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.ends_with(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = error.source();
    }
    words
}

/// Failures of something that is tried again and again: the log has the first one, one every half minute, and the end.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// What does not work, as a sentence.
    message: &'static str,
    told_at: Option<Instant>,
}

impl Trouble {
    pub(crate) fn new(message: &'static str) -> Self {
        Self { message, told_at: None }
    }

    pub(crate) fn failed(&mut self, error: &SessionError) {
        if self.told_at.is_none_or(|told_at| told_at.elapsed() >= TOLD_AGAIN_AFTER) {
            report(error, self.message);
            self.told_at = Some(Instant::now());
        }
    }

    pub(crate) fn is_over(&mut self) {
        if self.told_at.take().is_some() {
            tracing::info!(was = self.message, "the database works again");
        }
    }
}

/// Interval of the same failure in the log.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(30);

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
