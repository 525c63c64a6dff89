//! Tells the workers of this process that a job may be due.

use std::fmt;

use tokio::sync::broadcast;

use super::lane::Lane;
use crate::clock::Timestamp;

/// A job in a lane, and when it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// The lane.
    pub lane: Lane,
    /// Due time of the earliest of the jobs that were added.
    pub due_at: Timestamp,
    /// Whether another process enqueued them.
    pub is_remote: bool,
}

impl Wake {
    /// A job of this process.
    #[must_use]
    pub fn new(lane: Lane, due_at: Timestamp) -> Self {
        Self { lane, due_at, is_remote: false }
    }

    /// Adds it to others: the earliest of each lane remains.
    pub fn merge_into(self, wakes: &mut Vec<Self>) {
        match wakes.iter_mut().find(|wake| wake.lane == self.lane) {
            Some(wake) => wake.due_at = wake.due_at.min(self.due_at),
            None => wakes.push(self),
        }
    }
}

/// Sent after each commit that enqueued jobs.
pub struct JobSignal(broadcast::Sender<Wake>);

/// Number of messages that a receiver may be behind. One that missed some looks at everything.
const CAPACITY: usize = 256;

impl JobSignal {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }

    /// Receives the messages from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Wake> {
        self.0.subscribe()
    }

    /// Sends a message, if anybody receives it.
    pub fn send(&self, wake: Wake) {
        // Without a worker in this process nobody does.
        let _ = self.0.send(wake);
    }
}

impl fmt::Debug for JobSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSignal").field("receivers", &self.0.receiver_count()).finish()
    }
}
