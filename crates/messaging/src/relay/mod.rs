//! The relay: takes events from the outbox and delivers them to their subscribers.

mod deliver;
mod handled;
mod outbox;
mod row;
mod settings;

use std::collections::{HashSet, VecDeque};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use shared_kernel::event_handler::Subscriber;
use shared_kernel::session::{Databases, SessionError};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use self::outbox::Outbox;
pub use self::settings::RelaySettings;
use crate::work::{PAUSE_AFTER_FAILURE, Trouble, report};

/// Events in flight, and those that are due next.
#[derive(Default)]
struct WorkQueue {
    /// Deliveries in progress; each returns whether its event is delivered.
    in_flight: JoinSet<Result<bool, SessionError>>,
    /// Ids of the events to claim that were due at the last look into the outbox.
    due: VecDeque<String>,
}

/// What was done with the events that were due.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Number of events that are delivered already, because they have no subscriber.
    settled: usize,
    /// Number of events that were claimed since then.
    claimed: usize,
}

impl Progress {
    /// Time to wait before the next look into the outbox, if there should be one at all.
    fn pause(self) -> Option<Duration> {
        (self.settled > 0 && self.claimed == 0).then_some(PAUSE_WITHOUT_SUBSCRIBERS)
    }
}

/// Pause after events that have no subscribers. Nobody waits for them, and many at once cost little more than one.
const PAUSE_WITHOUT_SUBSCRIBERS: Duration = Duration::from_millis(10);

/// Length of the longest name in the table of handled events, in characters.
const LONGEST_NAME: usize = 100;

/// Delivers events to their subscribers, with the guarantees in the documentation of this crate.
#[derive(Clone)]
pub struct Relay {
    shared: Arc<Shared>,
}

struct Shared {
    databases: Databases,
    outbox: Outbox,
    subscribers: Vec<Subscriber>,
    settings: RelaySettings,
}

/// The names of subscribers are invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubscribers {
    /// Two subscribers have the same name, so the work of one would count as done by the other.
    #[error("two subscribers have the name {0:?}")]
    SameName(&'static str),
    /// The name cannot be stored.
    #[error("the name of a subscriber must have 1 to {LONGEST_NAME} characters: {0:?}")]
    Name(&'static str),
}

impl Relay {
    /// A relay of the events of `databases`. It does nothing until it is [run](Self::run) or [drained](Self::drain).
    ///
    /// # Errors
    ///
    /// A subscriber's name cannot be stored, or two have the same.
    pub fn new(
        databases: Databases,
        subscribers: Vec<Subscriber>,
        settings: RelaySettings,
    ) -> Result<Self, InvalidSubscribers> {
        let names: Vec<_> = subscribers.iter().map(Subscriber::name).collect();
        check(&names)?;
        let settings = settings.bounded();
        let outbox = Outbox::new(databases.clone(), &subscribers, &settings);
        Ok(Self { shared: Arc::new(Shared { databases, outbox, subscribers, settings }) })
    }

    /// Delivers events until `shutdown` is cancelled, then finishes the events in flight for at most
    /// [`shutdown_grace`](RelaySettings::shutdown_grace). A failure of the database is logged and tried again.
    ///
    /// It looks for events when a session of this process has [committed some](Databases::events), and every
    /// [`poll_interval`](RelaySettings::poll_interval) for those of other processes.
    ///
    /// Dropping the future drops the events in flight, which are delivered again after their lease.
    pub async fn run(&self, shutdown: CancellationToken) {
        self.deliver_until(&shutdown).await;
    }

    /// Delivers all events that are due, and returns their number. Does not wait for events that another relay has claimed or that wait
    /// after a failure. For tests and for the command line.
    ///
    /// # Errors
    ///
    /// The database failed. Events in flight are delivered again after their lease.
    pub async fn drain(&self) -> Result<usize, SessionError> {
        let mut queue = WorkQueue::default();
        let mut delivered = 0;
        loop {
            let settled = self.take(&mut queue, &CancellationToken::new()).await?.settled;
            delivered += settled;
            match queue.in_flight.join_next().await {
                Some(ended) => delivered += usize::from(outcome(ended)?),
                // An event behind one without subscribers is due now.
                None if settled > 0 => {}
                None => return Ok(delivered),
            }
        }
    }

    /// Deletes events that were delivered longer ago than the [retention](RelaySettings::retention), with the records of who handled
    /// them, in small transactions. Returns the number of rows. To be called regularly.
    ///
    /// # Errors
    ///
    /// The database failed; rows that were deleted before stay deleted.
    pub async fn sweep(&self) -> Result<u64, SessionError> {
        self.shared.outbox.sweep().await
    }

    async fn deliver_until(&self, shutdown: &CancellationToken) {
        let mut queue = WorkQueue::default();
        let mut rested = false;
        let mut trouble = Trouble::new("events cannot be taken from the outbox");
        while !shutdown.is_cancelled() {
            // Full batches cost fewer transactions; after a pause any free capacity is used, because the rest may hang.
            let worth_it = rested || self.free(&queue) * 2 >= self.shared.settings.concurrency;
            let pause =
                if worth_it { self.take(&mut queue, shutdown).await.map(Progress::pause) } else { Ok(None) };
            if worth_it && pause.is_ok() {
                trouble.is_over();
            }
            let pause = pause.unwrap_or_else(|error| {
                trouble.failed(&error);
                Some(PAUSE_AFTER_FAILURE)
            });
            if let Some(pause) = pause {
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = sleep(pause) => {
                        rested = false;
                        continue;
                    }
                }
            }
            rested = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(ended) = queue.in_flight.join_next() => { note_end(ended); false }
                () = self.shared.databases.events().notified() => false,
                () = sleep(self.shared.settings.poll_interval) => true,
            };
        }
        self.finish(queue.in_flight).await;
    }

    /// Claims as many events as there is capacity for, and none after `stop`. Each is a task of its own: one that waits for a
    /// connection must not keep another from releasing its own.
    async fn take(&self, queue: &mut WorkQueue, stop: &CancellationToken) -> Result<Progress, SessionError> {
        let mut progress = Progress::default();
        while let free @ 1.. = self.free(queue) {
            if queue.due.is_empty() {
                let due = self.shared.outbox.due().await?;
                queue.due = due.ids;
                if due.has_unwanted && !stop.is_cancelled() {
                    progress.settled += self.shared.outbox.settle_unwanted().await?;
                    // The last look decides whether there is more to claim.
                    progress.claimed = 0;
                }
            }
            let ids: Vec<_> = queue.due.drain(..free.min(queue.due.len())).collect();
            if ids.is_empty() || stop.is_cancelled() {
                break;
            }
            let claimed = self.shared.outbox.claim(&ids).await?;
            if claimed.is_empty() && queue.due.is_empty() {
                // Other relays are busy with them, and an immediate retry would only compete with them.
                break;
            }
            progress.claimed += claimed.len();
            for claimed in claimed {
                let shared = Arc::clone(&self.shared);
                queue.in_flight.spawn(async move { shared.deliver(claimed).await });
            }
        }
        Ok(progress)
    }

    /// Number of events that may still be claimed.
    fn free(&self, queue: &WorkQueue) -> usize {
        self.shared.settings.concurrency.saturating_sub(queue.in_flight.len())
    }

    async fn finish(&self, mut in_flight: JoinSet<Result<bool, SessionError>>) {
        let all = async {
            while let Some(ended) = in_flight.join_next().await {
                note_end(ended);
            }
        };
        if timeout(self.shared.settings.shutdown_grace, all).await.is_err() {
            tracing::warn!(
                events = in_flight.len(),
                "deliveries were interrupted by the shutdown; they are repeated later"
            );
        }
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

fn check(names: &[&'static str]) -> Result<(), InvalidSubscribers> {
    let mut seen = HashSet::new();
    for &name in names {
        if name.is_empty() || name.chars().count() > LONGEST_NAME {
            return Err(InvalidSubscribers::Name(name));
        }
        if !seen.insert(name) {
            return Err(InvalidSubscribers::SameName(name));
        }
    }
    Ok(())
}

/// Whether the event is delivered. Panics of subscribers are caught earlier; a panic of the relay itself costs one event one
/// attempt.
fn outcome(ended: Result<Result<bool, SessionError>, JoinError>) -> Result<bool, SessionError> {
    ended.unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn Error, "the delivery of an event ended early");
        Ok(false)
    })
}

fn note_end(ended: Result<Result<bool, SessionError>, JoinError>) {
    if let Err(error) = outcome(ended) {
        report(&error, "the outcome of an event cannot be recorded; it is delivered again after its lease");
    }
}
