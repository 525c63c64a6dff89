//! One process at work: which jobs it runs, and under which id.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::attempt::Signals;
use super::row::WorkerId;
use super::row::{Claim, Claimed};

/// What the loop that claims and the heart-beat share.
pub(super) struct Shift {
    worker: Mutex<WorkerId>,
    jobs: Mutex<HashMap<String, Running>>,
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

    /// Takes another id, after this one was declared dead.
    pub(super) fn rejoin(&self, worker: WorkerId) {
        *lock(&self.worker) = worker;
    }

    /// Adds jobs whose claim is about to be committed: from then on they are this process's.
    pub(super) fn expect(&self, claimed: &[Claimed]) {
        let mut jobs = lock(&self.jobs);
        for Claimed { claim, .. } in claimed {
            jobs.insert(claim.id.clone(), Running { claim: claim.clone(), signals: Signals::default() });
        }
    }

    /// Removes a job: how that claim ended is recorded, or the claim was not committed.
    pub(super) fn remove(&self, id: &str) {
        lock(&self.jobs).remove(id);
    }

    /// The signals of a claim, if this process runs it.
    pub(super) fn signals(&self, id: &str, number: i32) -> Option<Signals> {
        let jobs = lock(&self.jobs);
        jobs.get(id).filter(|running| running.claim.number == number).map(|running| running.signals.clone())
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
