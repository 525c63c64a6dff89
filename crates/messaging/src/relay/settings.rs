//! Settings of the relay.

use std::time::Duration;

use shared_kernel::job_handler::RetryPolicy;

/// Settings of the relay. [`Relay::new`](super::Relay::new) moves values outside their bounds to the nearest bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelaySettings {
    /// Interval of looking for events that do not wake the relay: those of other instances, and those that wait after a failure. 10 ms
    /// to 1 min; 500 ms by default.
    pub poll_interval: Duration,
    /// Number of events that are delivered at the same time. Subscribers that write take a connection each. 1 to 256; 16 by default.
    pub concurrency: usize,
    /// Time that a subscriber has for one event. 1 ms to 1 h; 30 s by default.
    pub handler_timeout: Duration,
    /// Pause after the first failure; each further one doubles it. 1 ms to 1 h; 1 s by default.
    pub first_retry: Duration,
    /// Longest pause between two attempts. Not less than `first_retry`, at most 30 days; 4 h by default.
    pub longest_retry: Duration,
    /// Number of failed attempts after which an event is dead. An attempt that a crash interrupted counts. 1 to 1,000; 20 by default,
    /// which with the default pauses is about a day: an outage of one night loses nothing.
    pub max_attempts: u16,
    /// Time for which delivered events, and the records of who handled them, are kept. 0 to 10 years; 7 days by default.
    pub retention: Duration,
    /// Time for which a shutdown waits for events in flight; unfinished ones are delivered again after the lease. At most 1 h; 10 s by
    /// default.
    pub shutdown_grace: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_millis(500),
            concurrency: 16,
            handler_timeout: 30 * SECOND,
            first_retry: SECOND,
            longest_retry: 4 * HOUR,
            max_attempts: 20,
            retention: 7 * DAY,
            shutdown_grace: 10 * SECOND,
        }
    }
}

impl RelaySettings {
    /// Time of a lease beyond that of the subscribers: for the database, and for differences between the clocks of instances.
    const MARGIN: Duration = MINUTE;

    /// Time for which a claimed event is not claimed by another relay.
    #[must_use]
    pub fn lease(&self) -> Duration {
        self.handler_timeout + Self::MARGIN
    }

    /// Pause after a number of failed attempts.
    #[must_use]
    pub fn pause_after(&self, attempts: u32) -> Duration {
        let policy = RetryPolicy {
            tries: self.max_attempts.into(),
            first_pause: self.first_retry,
            longest_pause: self.longest_retry,
        };
        policy.pause_after(attempts)
    }

    /// These settings, with every value within its bounds.
    pub(super) fn bounded(self) -> Self {
        let millisecond = Duration::from_millis(1);
        let first_retry = self.first_retry.clamp(millisecond, HOUR);
        Self {
            poll_interval: self.poll_interval.clamp(10 * millisecond, MINUTE),
            concurrency: self.concurrency.clamp(1, 256),
            handler_timeout: self.handler_timeout.clamp(millisecond, HOUR),
            first_retry,
            longest_retry: self.longest_retry.clamp(first_retry, 30 * DAY),
            max_attempts: self.max_attempts.clamp(1, 1_000),
            retention: self.retention.min(3_650 * DAY),
            shutdown_grace: self.shutdown_grace.min(HOUR),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let settings = RelaySettings::default();
        let seconds = |attempts| settings.pause_after(attempts).as_secs();
        assert_eq!([1, 2, 3, 14, 15, 20].map(seconds), [1, 2, 4, 8_192, 14_400, 14_400]);
        assert_eq!(seconds(u32::MAX), 14_400);
    }

    #[test]
    fn the_default_attempts_last_a_day() {
        let settings = RelaySettings::default();
        let all: Duration =
            (1..u32::from(settings.max_attempts)).map(|attempts| settings.pause_after(attempts)).sum();
        assert!(all > DAY && all < 2 * DAY, "{all:?}");
    }

    #[test]
    fn whatever_was_set_is_bounded() {
        let extreme = |duration, number: u16| {
            RelaySettings {
                poll_interval: duration,
                concurrency: number.into(),
                handler_timeout: duration,
                first_retry: duration,
                longest_retry: duration,
                max_attempts: number,
                retention: duration,
                shutdown_grace: duration,
            }
            .bounded()
        };
        let (least, most) = (extreme(Duration::ZERO, 0), extreme(Duration::MAX, u16::MAX));
        assert_eq!((least.concurrency, least.max_attempts), (1, 1));
        assert!(least.poll_interval > Duration::ZERO && least.first_retry > Duration::ZERO);
        assert_eq!((most.concurrency, most.max_attempts), (256, 1_000));
        assert_eq!((most.lease(), most.pause_after(1_000)), (HOUR + RelaySettings::MARGIN, 30 * DAY));
        let usual = RelaySettings::default();
        assert_eq!(usual.clone().bounded(), usual);
    }
}
