//! Heart-beats, the rescue of jobs whose worker is gone, and the deletion of old jobs.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use shared_kernel::job::{Lane, Wake};
use shared_kernel::job_handler::{JobKind, RetryPolicy};
use shared_kernel::session::SessionError;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Workers;
use super::members::{Living, Watch};
use super::row::Claim;
use super::shift::Shift;
use super::store::{End, ROWS_AT_ONCE, RunningRow, Stretch};
use crate::work::{Trouble, report};

/// Interval of deleting old jobs.
const PRUNE_INTERVAL: Duration = Duration::from_mins(10);

/// Time after which a job is dead that no worker knows.
const UNKNOWN_FOR: Duration = Duration::from_hours(24);

impl Workers {
    /// Beats, and looks after the other workers, for ever.
    pub(super) async fn beat(&self, shift: &Shift) -> Infallible {
        let every = self.shared.settings.beat_interval;
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut watch, mut last) = (Watch::default(), Instant::now());
        let mut trouble = Trouble::new("this worker's heart-beat failed");
        loop {
            ticks.tick().await;
            // After a pause of this process, that of the others may be over as well.
            if last.elapsed() > every * 2 {
                watch.forget();
            }
            match self.beat_once(shift, &mut watch).await {
                Ok(()) => trouble.is_over(),
                Err(error) => {
                    trouble.failed(&error);
                    watch.forget();
                }
            }
            last = Instant::now();
        }
    }

    async fn beat_once(&self, shift: &Shift, watch: &mut Watch) -> Result<(), SessionError> {
        let store = &self.shared.store;
        if shift.pause(store.paused().await?) {
            // Looks at once at the queue that was resumed.
            store.databases.jobs().send(Wake::new(Lane::Line, store.now()));
        }
        if !store.beat(shift.worker()).await? {
            watch.forget();
            let worker = self.shared.join().await?;
            tracing::warn!(
                was = %shift.worker(),
                now = %worker,
                "this worker was silent for so long that others took its jobs"
            );
            shift.rejoin(worker);
        }
        // Before the workers: one that joins in between is not missed.
        let running = store.running().await?;
        let mut workers = store.workers().await?;
        let mut declared = false;
        for (id, beat) in watch.look(&workers, shift.worker()) {
            if store.declare_silent(&id, beat).await? {
                tracing::warn!(worker = id, "a worker is silent; its jobs run again");
                declared = true;
            }
        }
        if declared {
            workers = store.workers().await?;
        }
        let living = Living::of(&workers);
        let own = shift.worker().to_string();
        for row in &running {
            if row.worker_id.as_deref() == Some(own.as_str()) {
                self.look_after(shift, row).await?;
            } else if !living.contains(row.worker_id.as_deref()) {
                self.rescue(&row.claim).await?;
            }
        }
        let is_named = |id: &str| running.iter().any(|row| row.worker_id.as_deref() == Some(id));
        for gone in workers.iter().filter(|worker| worker.is_silent() && !is_named(&worker.id)) {
            store.leave(&gone.id).await?;
        }
        Ok(())
    }

    /// Tells a job of this process that it was cancelled, and gives one back that nobody runs: the answer to its claim was lost.
    async fn look_after(&self, shift: &Shift, row: &RunningRow) -> Result<(), SessionError> {
        match shift.signals(&row.claim.id, row.claim.number) {
            Some(signals) if row.cancel_asked_at.is_some() => signals.cancel(),
            Some(_) => {}
            None => {
                let again = self.shared.store.now();
                self.shared.store.end(&row.claim, &End::Later { again }).await?;
            }
        }
        Ok(())
    }

    /// Ends the claim of a worker that is gone, as a failure: the job may have taken it down.
    async fn rescue(&self, claim: &Claim) -> Result<(), SessionError> {
        let kind = self.shared.kind(&claim.kind, claim.version);
        // One that this build does not know may be tried again by those that do.
        let retry = kind.map_or(RetryPolicy { tries: u32::MAX, ..RetryPolicy::default() }, JobKind::retry);
        let failures = u32::try_from(claim.failures).unwrap_or_default().saturating_add(1);
        let error = "its worker died".to_owned();
        let end = if failures >= retry.tries {
            tracing::error!(
                job = claim.id,
                kind = claim.kind,
                failures,
                "a job is dead: its worker died with it"
            );
            End::Dead { error }
        } else {
            End::Failed { error, again: self.shared.store.now() + retry.pause_with_jitter(failures) }
        };
        self.shared.store.end(claim, &end).await?;
        Ok(())
    }

    /// Deletes old jobs, for ever.
    pub(super) async fn keep_up(&self) -> Infallible {
        let mut ticks = interval(PRUNE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.prune().await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "deleted old jobs"),
                Err(error) => report(&error, "old jobs cannot be deleted"),
            }
        }
    }

    /// Deletes jobs that ended longer ago than they are kept, in small transactions, and makes those dead that no worker has known for a
    /// day. Returns the number of deleted rows. [`run`](Self::run) does this by itself.
    ///
    /// # Errors
    ///
    /// The database failed; rows that were deleted before stay deleted.
    pub async fn prune(&self) -> Result<u64, SessionError> {
        let (store, settings) = (&self.shared.store, &self.shared.settings);
        let now = store.now();
        let known: BTreeSet<String> = self.shared.odd_lanes().map(|lane| lane.to_string()).collect();
        for lane in store.odd_lanes().await?.into_iter().filter(|lane| !known.contains(lane)) {
            let mut since = Stretch::before(now - UNKNOWN_FOR);
            while store.bury_unknown(&lane, &mut since).await? == ROWS_AT_ONCE {}
        }
        let mut deleted = store.prune_schedules(now - settings.dead_kept).await?;
        for (lane, kept) in [
            (Lane::Done, settings.kept),
            (Lane::Cancelled, settings.kept),
            (Lane::Superseded, settings.kept),
            (Lane::Dead, settings.dead_kept),
        ] {
            let mut ended = Stretch::before(now - kept);
            loop {
                let batch = store.prune(&lane, &mut ended).await?;
                deleted += batch;
                if batch < ROWS_AT_ONCE {
                    break;
                }
            }
        }
        Ok(deleted)
    }
}
