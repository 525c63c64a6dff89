//! One process at work: which jobs it runs, and under which id.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::attempt::Signals;
use super::row::WorkerId;
use super::row::{Claim, Claimed};

/// What the loop that claims and the heart-beat share.
pub(super) struct Shift {
    worker: Mutex<WorkerId>,
    /// By id and number of the claim: after a rescue, an earlier attempt of the same job may still run here.
    jobs: Mutex<HashMap<(String, i32), Running>>,
    paused: Mutex<BTreeSet<String>>,
}

/// A job that this process runs.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) claim: Claim,
    pub(super) signals: Signals,
}

impl Shift {
    pub(super) fn of(worker: WorkerId) -> Self {
        Self { worker: Mutex::new(worker), jobs: Mutex::default(), paused: Mutex::default() }
    }

    /// The id under which jobs are claimed.
    pub(super) fn worker(&self) -> WorkerId {
        *lock(&self.worker)
    }

    /// Takes another id, after this one was declared dead. The ends of its attempts would be refused, so they are told to stop.
    pub(super) fn rejoin(&self, worker: WorkerId) {
        *lock(&self.worker) = worker;
        self.ask_all_to_stop();
    }

    pub(super) fn ask_all_to_stop(&self) {
        lock(&self.jobs).values().for_each(|running| running.signals.ask_to_stop());
    }

    /// Adds jobs whose claim is about to be committed: from then on they are this process's.
    pub(super) fn expect(&self, claimed: &[Claimed]) {
        let mut jobs = lock(&self.jobs);
        for Claimed { claim, .. } in claimed {
            jobs.insert(
                (claim.id.clone(), claim.number),
                Running { claim: claim.clone(), signals: Signals::default() },
            );
        }
    }

    /// Removes a claim: how it ended is recorded, or it was not committed.
    pub(super) fn remove(&self, id: &str, number: i32) {
        lock(&self.jobs).remove(&(id.to_owned(), number));
    }

    /// The signals of a claim, if this process runs it.
    pub(super) fn signals(&self, id: &str, number: i32) -> Option<Signals> {
        lock(&self.jobs).get(&(id.to_owned(), number)).map(|running| running.signals.clone())
    }

    /// All jobs that it runs.
    pub(super) fn all(&self) -> Vec<Running> {
        lock(&self.jobs).values().cloned().collect()
    }

    /// Number of jobs of a queue that it runs.
    pub(super) fn count(&self, queue: &str) -> usize {
        lock(&self.jobs).values().filter(|running| running.claim.queue == queue).count()
    }

    pub(super) fn is_paused(&self, queue: &str) -> bool {
        lock(&self.paused).contains(queue)
    }

    /// Sets the queues that are paused. Returns whether one is not any more.
    pub(super) fn pause(&self, queues: Vec<String>) -> bool {
        let queues: BTreeSet<String> = queues.into_iter().collect();
        let mut paused = lock(&self.paused);
        let is_resumed = paused.difference(&queues).next().is_some();
        *paused = queues;
        is_resumed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
