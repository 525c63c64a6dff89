//! Settings of the workers.

use std::collections::BTreeMap;
use std::time::Duration;

use shared_kernel::job::Queue;

/// Settings of [`Workers`](super::Workers), which moves values outside their bounds to the nearest bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Name of the machine, for people.
    pub host: String,
    /// Number of jobs of a queue that run at the same time in this process. 0 to 256 each; 0 runs none.
    pub queues: BTreeMap<Queue, usize>,
    /// The number for queues that are not named. 0 to 256; 4 by default.
    pub slots: usize,
    /// Interval of looking for jobs that do not wake the workers: those of other processes. 10 ms to 1 min; 500 ms by default.
    pub poll_interval: Duration,
    /// Interval of heart-beats, and of looking at those of other processes. A process that has been silent for six intervals is dead,
    /// and its jobs run again. 10 ms to 5 s; 5 s by default.
    pub beat_interval: Duration,
    /// Time that a blocking handler has, after it was told to stop, before its thread is given up. At most 1 h; 10 s by default.
    pub blocking_grace: Duration,
    /// Time for which a shutdown waits for jobs that run; then they are given back. At most 1 h; 10 s by default.
    pub shutdown_grace: Duration,
    /// Time for which finished, cancelled and superseded jobs are kept. 0 to 10 years; 7 days by default.
    pub kept: Duration,
    /// Time for which dead jobs are kept. 1 day to 10 years; 90 days by default.
    pub dead_kept: Duration,
}

const DAY: Duration = Duration::from_hours(24);

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            host: "unknown".to_owned(),
            queues: BTreeMap::new(),
            slots: 4,
            poll_interval: Duration::from_millis(500),
            beat_interval: Duration::from_secs(5),
            blocking_grace: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(10),
            kept: 7 * DAY,
            dead_kept: 90 * DAY,
        }
    }
}

impl WorkerSettings {
    /// Number of jobs of this queue that run at the same time.
    #[must_use]
    pub fn slots_of(&self, queue: &Queue) -> usize {
        self.queues.get(queue).copied().unwrap_or(self.slots)
    }

    /// These settings, with every value within its bounds.
    pub(super) fn bounded(self) -> Self {
        const MOST_SLOTS: usize = 256;
        let (millisecond, hour) = (Duration::from_millis(1), Duration::from_hours(1));
        Self {
            host: self.host,
            queues: self.queues.into_iter().map(|(queue, slots)| (queue, slots.min(MOST_SLOTS))).collect(),
            slots: self.slots.min(MOST_SLOTS),
            poll_interval: self.poll_interval.clamp(10 * millisecond, Duration::from_mins(1)),
            beat_interval: self.beat_interval.clamp(10 * millisecond, Duration::from_secs(5)),
            blocking_grace: self.blocking_grace.min(hour),
            shutdown_grace: self.shutdown_grace.min(hour),
            kept: self.kept.min(3_650 * DAY),
            dead_kept: self.dead_kept.clamp(DAY, 3_650 * DAY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_set_is_bounded() {
        let extreme = |duration, slots| {
            WorkerSettings {
                host: "test".to_owned(),
                queues: BTreeMap::from([(Queue::DEFAULT, slots)]),
                slots,
                poll_interval: duration,
                beat_interval: duration,
                blocking_grace: duration,
                shutdown_grace: duration,
                kept: duration,
                dead_kept: duration,
            }
            .bounded()
        };
        let (least, most) = (extreme(Duration::ZERO, 0), extreme(Duration::MAX, usize::MAX));
        assert!(least.poll_interval > Duration::ZERO && least.beat_interval > Duration::ZERO);
        assert_eq!((least.slots, least.dead_kept), (0, DAY));
        assert_eq!((most.slots_of(&Queue::DEFAULT), most.slots), (256, 256));
        assert_eq!((most.beat_interval, most.kept), (Duration::from_secs(5), 3_650 * DAY));
        let usual = WorkerSettings::default();
        assert_eq!(usual.clone().bounded(), usual);
    }
}
