//! Jobs that are enqueued at certain times.

use std::fmt;
use std::sync::Arc;

use cronexpr::{Crontab, MakeTimestamp};

use super::enqueue::{InvalidJob, check_kind};
use super::{Job, JobId};
use crate::clock::Timestamp;
use crate::session::{SessionError, WriteSession};

/// A job, and when it is enqueued.
///
/// Times are a crontab expression of five fields and a time zone of the IANA database: `30 3 * * * Europe/Berlin`. Where clocks go
/// forward, a time that does not exist is the one an hour later; where they go back, the first of both counts.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use shared_kernel::job::{Job, Missed, Schedule};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Report;
///
/// impl Job for Report {
///     const KIND: &'static str = "sales.report";
/// }
///
/// let schedule = Schedule::new("sales.report", "0 7 * * MON-FRI Europe/Berlin", Report)?.missed(Missed::Skip);
/// # Ok::<_, shared_kernel::job::InvalidSchedule>(())
/// ```
#[derive(Clone)]
pub struct Schedule {
    name: &'static str,
    expression: &'static str,
    times: Arc<Crontab>,
    missed: Missed,
    enqueue: Arc<Enqueue>,
}

type Enqueue = dyn Fn(&WriteSession) -> Result<JobId, SessionError> + Send + Sync;

/// What happens after a time at which no worker ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// The job is enqueued once, however many times were missed.
    #[default]
    Once,
    /// It is enqueued at the next time.
    Skip,
}

/// The schedule cannot be used, which is a bug.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSchedule {
    /// The name cannot be stored.
    #[error("the name of the schedule")]
    Name(#[from] InvalidJob),
    /// The expression cannot be read, or it names no time.
    #[error("the schedule {name}: {expression:?} is no crontab expression with a time zone: {reason}")]
    Expression {
        /// The name.
        name: &'static str,
        /// The expression.
        expression: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl Schedule {
    /// A schedule for `job`. The name is stored, so it never changes; it has the form of the name of a kind.
    ///
    /// # Errors
    ///
    /// The name cannot be stored, or the expression cannot be read.
    pub fn new<J: Job>(
        name: &'static str,
        expression: &'static str,
        job: J,
    ) -> Result<Self, InvalidSchedule> {
        check_kind(name)?;
        let invalid = |error: cronexpr::Error| InvalidSchedule::Expression {
            name,
            expression,
            reason: error.to_string(),
        };
        let times = Arc::new(cronexpr::parse_crontab(expression).map_err(invalid)?);
        let schedule = Self {
            name,
            expression,
            times,
            missed: Missed::default(),
            enqueue: Arc::new(move |session| session.enqueue(&job)),
        };
        // The 30th of February.
        let first = Timestamp::from_unix_micros(0).and_then(|epoch| schedule.next_after(epoch));
        let reason = || "it names no time".to_owned();
        first.map(|_| schedule).ok_or_else(|| InvalidSchedule::Expression {
            name,
            expression,
            reason: reason(),
        })
    }

    /// Sets what happens after a time at which no worker ran.
    #[must_use]
    pub fn missed(self, missed: Missed) -> Self {
        Self { missed, ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What happens after a time at which no worker ran.
    #[must_use]
    pub fn after_a_miss(&self) -> Missed {
        self.missed
    }

    /// The first time after `moment`.
    #[must_use]
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment = MakeTimestamp::from_microsecond(moment.unix_micros()).ok()?;
        let next = self.times.find_next(moment).ok()?;
        Timestamp::from_unix_micros(next.timestamp().as_microsecond())
    }

    /// Enqueues the job.
    ///
    /// # Errors
    ///
    /// Those of [`WriteSession::enqueue`].
    pub fn enqueue(&self, session: &WriteSession) -> Result<JobId, SessionError> {
        (self.enqueue)(session)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schedule")
            .field("name", &self.name)
            .field("expression", &self.expression)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Nothing;

    impl Job for Nothing {
        const KIND: &'static str = "test.nothing";
    }

    fn times(expression: &'static str, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::new("test", expression, Nothing).unwrap();
        let mut moment: Timestamp = serde_json::from_value(after.into()).unwrap();
        let next = || {
            moment = schedule.next_after(moment).unwrap();
            moment.to_string()
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn times_are_those_of_the_zone() {
        assert_eq!(
            times("30 3 * * * Europe/Berlin", "2026-03-28T00:00:00Z", 3),
            ["2026-03-28T02:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T01:30:00Z"]
        );
        assert_eq!(
            times("0 7 * * MON-FRI UTC", "2026-11-27T07:00:00Z", 2),
            ["2026-11-30T07:00:00Z", "2026-12-01T07:00:00Z"]
        );
    }

    #[test]
    fn an_hour_that_is_left_out_or_comes_twice_has_one_time() {
        assert_eq!(
            times("30 2 * * * Europe/Berlin", "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]
        );
        assert_eq!(
            times("30 2 * * * Europe/Berlin", "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for (name, expression) in [
            ("test", "30 3 * * *"),
            ("test", "30 3 * * * Europe/Atlantis"),
            ("test", "60 3 * * * UTC"),
            ("test", "0 0 30 2 * UTC"),
            ("test", ""),
            ("A test", "0 0 * * * UTC"),
        ] {
            assert!(Schedule::new(name, expression, Nothing).is_err(), "{name} {expression}");
        }
    }
}
