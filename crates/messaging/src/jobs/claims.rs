//! The loop that looks for jobs that are due, and claims as many as there are slots for.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::time::Duration;

use shared_kernel::clock::Timestamp;
use shared_kernel::job::{Lane, Priority, Queue, Wake};
use shared_kernel::session::SessionError;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver};
use tokio::task::{Id as TaskId, JoinError, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::row::Claimed;
use super::shift::Shift;
use super::{Shared, Workers};
use crate::work::{PAUSE_AFTER_FAILURE, Trouble};

/// Interval of looking for jobs from the beginning of each lane: for those that were committed late, by a process that does not wake this
/// one. Where notifications arrive, ten times as long.
const FROM_THE_BEGINNING: Duration = Duration::from_secs(1);

/// Factor of intervals where notifications of other processes arrive.
const WHEN_HEARING: u32 = 10;

/// Interval of looking for jobs that another worker did not know.
const FOR_THE_UNKNOWN: Duration = Duration::from_mins(1);

/// Number of jobs that one transaction claims.
const CLAIMED_AT_ONCE: usize = 50;

/// Number of times that one pass sorts jobs with serial keys before it claims.
const SORTS_AT_ONCE: usize = 20;

/// Pause after so many.
const PAUSE_BETWEEN_SORTS: Duration = Duration::from_millis(10);

/// What the loop remembers between two looks.
pub(super) struct Desk {
    wakes: Receiver<Wake>,
    queues: BTreeSet<Queue>,
    /// The attempts that run, by task.
    attempts: JoinSet<()>,
    claims: HashMap<TaskId, (String, i32)>,
    /// The smallest time in each lane that a job may have which was not seen. Claimed jobs leave entries in the index that every look
    /// would pass, for as long as an old snapshot needs them.
    floors: HashMap<Lane, Timestamp>,
    from_the_beginning_at: Instant,
    for_the_unknown_at: Instant,
    /// Whether jobs with serial keys may have to be sorted.
    has_serial: bool,
    /// When the first of those that are in line is due.
    line_due_at: Option<Timestamp>,
}

impl Desk {
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            wakes: shared.store.databases.jobs().subscribe(),
            queues: shared.kinds.values().map(|kind| kind.queue().clone()).collect(),
            attempts: JoinSet::new(),
            claims: HashMap::new(),
            floors: HashMap::new(),
            from_the_beginning_at: Instant::now(),
            for_the_unknown_at: Instant::now(),
            has_serial: true,
            line_due_at: None,
        }
    }

    /// Makes the next look one from the beginning of every lane.
    pub(super) fn look_everywhere(&mut self) {
        self.floors.clear();
        self.has_serial = true;
    }

    /// Waits until an attempt has ended. `false`: none runs.
    pub(super) async fn wait_for_one(&mut self, shift: &Shift) -> bool {
        match self.attempts.join_next_with_id().await {
            Some(ended) => {
                self.note_end(shift, &ended);
                true
            }
            None => false,
        }
    }

    pub(super) async fn abort(&mut self) {
        self.attempts.shutdown().await;
    }

    fn note_end(&mut self, shift: &Shift, ended: &Result<(TaskId, ()), JoinError>) {
        let task = match ended {
            Ok((task, ())) => *task,
            Err(error) => {
                // Handlers are caught earlier. The job is found without an owner, and runs again.
                tracing::error!(error = error as &dyn std::error::Error, "an attempt of a job ended early");
                error.id()
            }
        };
        if let Some((id, number)) = self.claims.remove(&task) {
            shift.remove(&id, number);
        }
    }

    /// Time from which on jobs with serial keys may be in line.
    fn line_floor(&self) -> Option<Timestamp> {
        self.floors.get(&Lane::Line).copied()
    }

    /// Looks from that time on, at the latest.
    fn note_wake(&mut self, wake: &Wake) {
        if wake.lane == Lane::Line {
            self.has_serial = true;
        }
        if let Some(floor) = self.floors.get_mut(&wake.lane) {
            *floor = (*floor).min(wake.due_at);
        }
    }

    fn note_wakes(&mut self) {
        loop {
            match self.wakes.try_recv() {
                Ok(wake) => self.note_wake(&wake),
                Err(broadcast::error::TryRecvError::Lagged(_)) => self.look_everywhere(),
                Err(_) => return,
            }
        }
    }

    /// The lanes to look at: not those of queues that are paused or full. Jobs that others did not know come first, because they have waited
    /// for long.
    fn open_lanes(&self, shared: &Shared, shift: &Shift, for_the_unknown: bool) -> Vec<Lane> {
        let is_open = |queue: &Queue| !shift.is_paused(queue.as_str()) && free(shared, shift, queue) > 0;
        let ready =
            self.queues.iter().filter(|queue| is_open(queue)).flat_map(|queue| {
                Priority::ALL.into_iter().map(|priority| Lane::Ready(queue.clone(), priority))
            });
        let odd = shared.odd_lanes().filter(|lane| queue_of(lane).is_some_and(is_open));
        odd.filter(|_| for_the_unknown).chain(ready).collect()
    }
}

fn queue_of(lane: &Lane) -> Option<&Queue> {
    match lane {
        Lane::Ready(queue, _) | Lane::Odd { queue, .. } => Some(queue),
        _ => None,
    }
}

/// Number of free slots of a queue.
fn free(shared: &Shared, shift: &Shift, queue: &Queue) -> usize {
    shared.settings.slots_of(queue).saturating_sub(shift.count(queue.as_str()))
}

impl Workers {
    /// Claims jobs and runs them until `shutdown` is cancelled.
    pub(super) async fn claim_until(&self, shift: &Shift, desk: &mut Desk, shutdown: &CancellationToken) {
        let mut trouble = Trouble::new("jobs cannot be claimed");
        while !shutdown.is_cancelled() {
            let filled = self.fill(shift, desk).await;
            if filled.is_ok() {
                trouble.is_over();
            }
            let pause = match filled {
                // There is more to sort.
                Ok(_) if desk.has_serial => PAUSE_BETWEEN_SORTS,
                Ok(due) => self.pause(due),
                Err(error) => {
                    trouble.failed(&error);
                    PAUSE_AFTER_FAILURE
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(ended) = desk.attempts.join_next_with_id() => desk.note_end(shift, &ended),
                wake = desk.wakes.recv() => match wake {
                    Ok(wake) => desk.note_wake(&wake),
                    Err(RecvError::Lagged(_)) => desk.look_everywhere(),
                    // The databases are there as long as this is.
                    Err(RecvError::Closed) => {}
                },
                () = sleep(pause) => {}
            }
            desk.note_wakes();
            while let Some(ended) = desk.attempts.try_join_next_with_id() {
                desk.note_end(shift, &ended);
            }
        }
    }

    /// How much longer intervals are, because others tell what they enqueue.
    fn factor(&self) -> u32 {
        if self.shared.hears_others.load(Ordering::Acquire) { WHEN_HEARING } else { 1 }
    }

    /// Time until the next look: when the next job is due, or after the interval of polling.
    fn pause(&self, due: Option<Timestamp>) -> Duration {
        let poll = self.shared.settings.poll_interval * self.factor();
        due.map_or(poll, |due| due.since(self.shared.store.now()).min(poll))
    }

    /// Claims jobs as long as there are free slots and jobs that are due. Returns when the next one is due.
    pub(super) async fn fill(
        &self,
        shift: &Shift,
        desk: &mut Desk,
    ) -> Result<Option<Timestamp>, SessionError> {
        loop {
            if desk.from_the_beginning_at <= Instant::now() {
                desk.look_everywhere();
                desk.from_the_beginning_at = Instant::now() + FROM_THE_BEGINNING * self.factor();
            }
            self.sort(desk).await?;
            let for_the_unknown = desk.for_the_unknown_at <= Instant::now();
            let lanes = desk.open_lanes(&self.shared, shift, for_the_unknown);
            let lanes: Vec<_> = lanes
                .into_iter()
                .map(|lane| {
                    let floor = desk.floors.get(&lane).copied();
                    (lane, floor)
                })
                .collect();
            let now = self.shared.store.now();
            let mut next = desk.line_due_at;
            let mut claimed = 0;
            for due in self.shared.store.peek(&lanes).await? {
                match due.at {
                    Some(at) if at <= now => claimed += self.claim(shift, desk, &due.lane).await?,
                    at => {
                        desk.floors.insert(due.lane, now);
                        next = next.into_iter().chain(at).min();
                    }
                }
            }
            // Not if the queue of one was full or paused.
            let seen = lanes.iter().filter(|(lane, _)| matches!(lane, Lane::Odd { .. })).count();
            if for_the_unknown && claimed == 0 && seen == self.shared.odd_lanes().count() {
                desk.for_the_unknown_at = Instant::now() + FOR_THE_UNKNOWN;
            }
            if claimed == 0 {
                return Ok(next);
            }
        }
    }

    /// Gives the turns of serial keys.
    async fn sort(&self, desk: &mut Desk) -> Result<(), SessionError> {
        let now = self.shared.store.now();
        if !desk.has_serial && desk.line_due_at.is_none_or(|due| due > now) {
            return Ok(());
        }
        desk.has_serial = false;
        desk.line_due_at = self.line_due_at(desk).await?;
        if desk.line_due_at.is_none_or(|at| at > now) && !self.shared.store.has_vacant_turn().await? {
            return Ok(());
        }
        for _ in 0..SORTS_AT_ONCE {
            let sorted = self.shared.store.sort(desk.line_floor()).await?;
            if let Some(floor) = sorted.floor {
                desk.floors.insert(Lane::Line, floor);
            }
            if !sorted.is_more {
                desk.line_due_at = self.line_due_at(desk).await?;
                return Ok(());
            }
        }
        desk.has_serial = true;
        Ok(())
    }

    /// When the first job in line is due.
    async fn line_due_at(&self, desk: &Desk) -> Result<Option<Timestamp>, SessionError> {
        let line = self.shared.store.peek(&[(Lane::Line, desk.line_floor())]).await?.pop();
        Ok(line.and_then(|due| due.at))
    }

    /// Claims the first jobs of a lane and runs them. Returns their number.
    async fn claim(&self, shift: &Shift, desk: &mut Desk, lane: &Lane) -> Result<usize, SessionError> {
        let shared = &self.shared;
        let Some(queue) = queue_of(lane) else { return Ok(0) };
        let free = free(shared, shift, queue).min(CLAIMED_AT_ONCE);
        if free == 0 {
            return Ok(0);
        }
        let mut expected: Vec<(String, i32)> = Vec::new();
        let floor = desk.floors.get(lane).copied();
        let claiming = shared.store.claim(lane, floor, free, shift.worker(), |claimed| {
            shift.expect(claimed);
            expected =
                claimed.iter().map(|claimed| (claimed.claim.id.clone(), claimed.claim.number)).collect();
        });
        let claimed = match claiming.await {
            Ok(Some(claimed)) => claimed,
            // The heart-beat notices it, too, and takes another id.
            Ok(None) => return Ok(0),
            Err(error) => {
                // If it was committed nevertheless, the heart-beat finds jobs that nobody runs, and gives them back.
                for (id, number) in &expected {
                    shift.remove(id, *number);
                }
                return Err(error);
            }
        };
        if let Some(last) = claimed.last() {
            desk.floors.insert(lane.clone(), last.lane_at);
        }
        let count = claimed.len();
        for claimed in claimed {
            self.start(shift, desk, claimed);
        }
        Ok(count)
    }

    fn start(&self, shift: &Shift, desk: &mut Desk, claimed: Claimed) {
        let claim = &claimed.claim;
        let Some(signals) = shift.signals(&claim.id, claim.number) else { return };
        let kind = self.shared.kind(&claim.kind, claim.version).cloned();
        let (runner, key) = (self.shared.runner.clone(), (claim.id.clone(), claim.number));
        let task = desk.attempts.spawn(async move { runner.run_caught(kind, claimed, signals).await });
        desk.claims.insert(task.id(), key);
    }
}
