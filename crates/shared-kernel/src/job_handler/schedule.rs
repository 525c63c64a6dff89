//! Jobs that are enqueued at certain times.

use std::fmt;
use std::sync::Arc;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::tz::TimeZone;

use crate::clock::Timestamp;
use crate::job::{InvalidJob, Job, JobId, check_kind};
use crate::session::{SessionError, WriteSession};

/// A job, and when it is enqueued.
///
/// Times are a crontab expression of five fields and a time zone of the IANA database: `30 3 * * * Europe/Berlin`. At certain hours each
/// time comes once a day: where clocks go forward, one that does not exist is that much later; where they go back, the first of both
/// counts. With `*` in the hours, every hour that passes counts.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use shared_kernel::job::Job;
/// use shared_kernel::job_handler::{Missed, Schedule};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Report;
///
/// impl Job for Report {
///     const KIND: &'static str = "sales.report";
/// }
///
/// let schedule = Schedule::new("sales.report", "0 7 * * MON-FRI Europe/Berlin", Report)?.missed(Missed::Skip);
/// # Ok::<_, shared_kernel::job_handler::InvalidSchedule>(())
/// ```
#[derive(Clone)]
pub struct Schedule {
    name: &'static str,
    kind: &'static str,
    expression: &'static str,
    times: Arc<Times>,
    missed: Missed,
    enqueue: Arc<Enqueue>,
}

/// Times of a schedule.
struct Times {
    /// Those of a clock that is never changed.
    plain: Crontab,
    /// Those that pass in the zone, if every hour counts.
    passing: Option<Crontab>,
    zone: TimeZone,
}

impl Times {
    /// Reads an expression.
    fn parse(expression: &str) -> Result<Self, String> {
        let (fields, zone) = expression.rsplit_once(' ').ok_or("the time zone is missing")?;
        let parse = |text: &str| cronexpr::parse_crontab(text).map_err(|error| error.to_string());
        let plain = parse(&format!("{fields} UTC"))?;
        let zone = TimeZone::get(zone).map_err(|error| error.to_string())?;
        let hours = fields.split_whitespace().nth(1).unwrap_or_default();
        let passing = hours.contains('*').then(|| parse(expression)).transpose()?;
        Ok(Self { plain, passing, zone })
    }

    /// The first time after `moment`.
    fn next_after(&self, moment: jiff::Timestamp) -> Option<jiff::Timestamp> {
        if let Some(passing) = &self.passing {
            return passing.find_next(MakeTimestamp(moment)).ok().map(|next| next.timestamp());
        }
        let mut clock = self.zone.to_datetime(moment);
        loop {
            let plain = clock.to_zoned(TimeZone::UTC).ok()?.timestamp();
            clock = self.plain.find_next(MakeTimestamp(plain)).ok()?.datetime();
            // A time that does not exist is moved forward, and of one that comes twice it is the first (RFC 5545, section 3.3.5).
            let next = self.zone.to_ambiguous_timestamp(clock).compatible().ok()?;
            if next > moment {
                return Some(next);
            }
        }
    }
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
        let invalid = |reason| InvalidSchedule::Expression { name, expression, reason };
        let times = Arc::new(Times::parse(expression).map_err(invalid)?);
        let schedule = Self {
            name,
            kind: J::KIND,
            expression,
            times,
            missed: Missed::default(),
            enqueue: Arc::new(move |session| session.enqueue(&job)),
        };
        // The 30th of February.
        let first = Timestamp::from_unix_micros(0).and_then(|epoch| schedule.next_after(epoch));
        first.map(|_| schedule).ok_or_else(|| invalid("it names no time".to_owned()))
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

    /// Name of the kind of its job.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// What happens after a time at which no worker ran.
    #[must_use]
    pub fn after_a_miss(&self) -> Missed {
        self.missed
    }

    /// The first time after `moment`.
    #[must_use]
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        let moment = jiff::Timestamp::from_microsecond(moment.unix_micros()).ok()?;
        Timestamp::from_unix_micros(self.times.next_after(moment)?.as_microsecond())
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
    fn every_hour_that_passes_counts() {
        assert_eq!(
            times("30 * * * * Europe/Berlin", "2026-03-29T00:00:00Z", 3),
            ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]
        );
        assert_eq!(
            times("30 */1 * * * Europe/Berlin", "2026-10-25T00:00:00Z", 3),
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]
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
