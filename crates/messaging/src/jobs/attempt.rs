//! One attempt of a claimed job, from its handler to the record of how it ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use shared_kernel::clock::Timestamp;
use shared_kernel::event::Origin;
use shared_kernel::job_handler::{
    Attempt, ErasedBlocking, ErasedExternal, ErasedStepped, JobKind, Payload, RetryPolicy, Step, Stop, Work,
};
use shared_kernel::session::SessionError;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::row::{Claim, Claimed, Content};
use super::store::{End, Store};
use crate::work::{self, PAUSE_AFTER_FAILURE, Trouble, in_words, overran, panicked, storable};

/// Calls handlers and records how they end.
#[derive(Clone)]
pub(super) struct Runner {
    pub(super) store: Store,
    pub(super) blocking_grace: Duration,
    /// Number of threads of blocking handlers that were given up and still run.
    pub(super) given_up: Arc<watch::Sender<usize>>,
    /// Permits for handlers that write.
    pub(super) writers: Arc<Semaphore>,
}

/// Number of threads that are given up and still run, from which on no other blocking handler is called.
const MOST_GIVEN_UP: usize = 8;

/// Pause of a job of such a kind.
const PAUSE_WHEN_OVERLOADED: Duration = Duration::from_mins(1);

/// The longest pause that a handler can ask for: ten years.
const LONGEST_PAUSE: Duration = Duration::from_hours(24 * 3_650);

/// What becomes of the thread of a blocking handler: it ends, or it is given up, whichever is first.
#[derive(Debug, Default)]
struct ThreadState(AtomicU8);

impl ThreadState {
    const RUNS: u8 = 0;
    const ENDED: u8 = 1;
    const GIVEN_UP: u8 = 2;

    /// Notes that it ends. `false`: it was given up.
    fn end(&self) -> bool {
        self.0.compare_exchange(Self::RUNS, Self::ENDED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Gives it up. `false`: it has ended.
    fn give_up(&self) -> bool {
        self.0.compare_exchange(Self::RUNS, Self::GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// What is known after a handler.
enum Outcome {
    /// It is recorded, in the session of its effect.
    Finished,
    /// The claim is not valid any more: another attempt has begun, or the job was ended otherwise. Nothing was written.
    Lost,
    /// It has to be recorded.
    Ended(End),
}

/// Why a handler did not succeed.
enum Failure {
    Stopped(Stop),
    Text(String),
}

impl Runner {
    /// [`run`](Self::run), whose own panic is a failure of the job, too.
    pub(super) async fn run_caught(&self, kind: Option<JobKind>, claimed: Claimed, signals: Signals) {
        let claim = claimed.claim.clone();
        let running = AssertUnwindSafe(self.run(kind, claimed, signals)).catch_unwind();
        if let Err(panic) = running.await {
            let error = panicked(panic.as_ref());
            tracing::error!(job = claim.id, kind = claim.kind, error, "the worker of a job panicked");
            let again = self.again_after(RetryPolicy::default().pause_after(failures(&claim) + 1));
            self.record(&claim, &End::Failed { error, again }).await;
        }
    }

    /// The time after a pause, which a handler chose.
    fn again_after(&self, pause: Duration) -> Timestamp {
        self.store.now() + pause.min(LONGEST_PAUSE)
    }

    /// Runs a claimed job, and returns when it is known and recorded how it ended. `stop` is set when it should end soon, and
    /// `cancelled` when it was cancelled.
    pub(super) async fn run(&self, kind: Option<JobKind>, claimed: Claimed, signals: Signals) {
        let Claimed { claim, content, .. } = claimed;
        let outcome = match (kind, content) {
            (None, _) => {
                tracing::warn!(
                    job = claim.id,
                    kind = claim.kind,
                    version = claim.version,
                    "a job is put aside: this worker does not know its kind in that version"
                );
                Outcome::Ended(End::Unknown)
            }
            (Some(kind), Err(error)) => {
                self.failed(&kind, &claim, &format!("the row cannot be read: {error}"))
            }
            (Some(kind), Ok(_)) if self.is_overloaded(&kind) => {
                Outcome::Ended(End::Later { again: self.again_after(PAUSE_WHEN_OVERLOADED) })
            }
            (Some(kind), Ok(_)) if failures(&claim) >= kind.retry().tries => {
                let error = "it took its process down too often".to_owned();
                Outcome::Ended(End::Dead { error })
            }
            (Some(kind), Ok(content)) => self.work(&kind, &claim, content, &signals).await,
        };
        match outcome {
            Outcome::Finished => {}
            Outcome::Lost => tracing::warn!(
                job = claim.id,
                kind = claim.kind,
                "a job was taken from this worker before it ended; nothing was written"
            ),
            Outcome::Ended(end) => self.record(&claim, &end).await,
        }
    }

    /// Records how a job ended, and tries until that succeeds: nobody else may run it before.
    pub(super) async fn record(&self, claim: &Claim, end: &End) {
        let mut trouble = Trouble::new("it cannot be recorded how a job ended");
        while let Err(error) = self.store.end(claim, end).await {
            trouble.failed(&error);
            sleep(PAUSE_AFTER_FAILURE).await;
        }
    }

    async fn work(&self, kind: &JobKind, claim: &Claim, content: Content, signals: &Signals) -> Outcome {
        let attempt = Attempt::new(
            content.id,
            failures(claim).saturating_add(1),
            content.principal.clone(),
            content.created_at,
            Arc::clone(&signals.stop),
        );
        let limit = kind.time_limit();
        let ended = match kind.work() {
            Work::InSession(handler) => {
                return self.in_session(kind, claim, content, attempt, &**handler, signals).await;
            }
            Work::External(handler) => external(&**handler, &content.payload, &attempt, limit).await,
            Work::Blocking(handler) => {
                self.blocking(Arc::clone(handler), content.payload, attempt, limit).await
            }
        };
        match ended {
            Ok(()) => Outcome::Ended(End::Done),
            Err(failure) => self.stopped(kind, claim, failure, signals),
        }
    }

    /// Calls a handler until it has done its last step.
    async fn in_session(
        &self,
        kind: &JobKind,
        claim: &Claim,
        mut content: Content,
        mut attempt: Attempt,
        handler: &dyn ErasedStepped,
        signals: &Signals,
    ) -> Outcome {
        let mut claim = claim.clone();
        loop {
            let stepped = self.step(kind, &claim, &mut content, &attempt, handler).await;
            match stepped {
                Ok(Stepped::Finished) => return Outcome::Finished,
                Ok(Stepped::Lost) => return Outcome::Lost,
                Ok(Stepped::Advanced) if attempt.should_stop() => {
                    return Outcome::Ended(signals.interruption(self.store.now()));
                }
                Ok(Stepped::Advanced) => (claim.failures, attempt.number) = (0, 1),
                Err(failure) => return self.stopped(kind, &claim, failure, signals),
            }
        }
    }

    async fn step(
        &self,
        kind: &JobKind,
        claim: &Claim,
        content: &mut Content,
        attempt: &Attempt,
        handler: &dyn ErasedStepped,
    ) -> Result<Stepped, Failure> {
        // It waits for a connection here, and not in the time that it has.
        let _permit = self.writers.acquire().await;
        let session = self.store.write();
        session.set_origin(Origin {
            principal: Some(format!("system:{}", kind.name())),
            traceparent: content.traceparent.clone(),
        });
        let step = handler.step(&session, &content.payload, content.cursor.clone(), attempt);
        let step =
            work::call(kind.time_limit(), step).await.map_err(Failure::Text)?.map_err(Failure::Stopped)?;
        let (is_valid, stepped) = match step {
            Step::Done => (self.store.finish(&session, claim).await?, Stepped::Finished),
            Step::Next { cursor, progress } => {
                let is_valid = self.store.advance(&session, claim, &cursor, progress).await?;
                content.cursor = Some(cursor);
                (is_valid, Stepped::Advanced)
            }
        };
        if !is_valid {
            return Ok(Stepped::Lost);
        }
        session.commit(()).await?.into_value();
        if matches!(stepped, Stepped::Finished) {
            self.store.wake_next(claim);
        }
        Ok(stepped)
    }

    /// Calls a handler on a thread of its own.
    async fn blocking(
        &self,
        handler: Arc<dyn ErasedBlocking>,
        payload: Payload,
        attempt: Attempt,
        limit: Duration,
    ) -> Result<(), Failure> {
        let (sender, mut receiver) = oneshot::channel();
        let (told, thread) = (attempt.clone(), Arc::new(ThreadState::default()));
        let (state, given_up) = (Arc::clone(&thread), Arc::clone(&self.given_up));
        let spawned = std::thread::Builder::new().name(format!("job {}", attempt.job_id)).spawn(move || {
            lower_priority();
            let run = AssertUnwindSafe(|| handler.run(&payload, &attempt));
            let outcome = std::panic::catch_unwind(run);
            if state.end() {
                // Nobody listens if the worker has stopped.
                let _ = sender.send(outcome);
            } else {
                given_up.send_modify(|number| *number -= 1);
            }
        });
        spawned.map_err(|error| Failure::Text(format!("there is no thread for it: {error}")))?;
        let answered = if let Ok(answered) = timeout(limit, &mut receiver).await {
            answered
        } else {
            told.ask_to_stop();
            let answered = match timeout(self.blocking_grace, &mut receiver).await {
                Ok(answered) => answered,
                Err(_) if self.gives_up(&thread) => {
                    tracing::error!(job = %told.job_id, "a job does not end and its thread is given up");
                    return Err(Failure::Text(overran(limit) + ", and its thread was given up"));
                }
                // It ended at the last moment.
                Err(_) => receiver.await,
            };
            if !matches!(answered, Ok(Ok(Ok(())))) {
                return Err(Failure::Text(overran(limit)));
            }
            answered
        };
        match answered {
            Ok(Ok(outcome)) => outcome.map_err(Failure::Stopped),
            Ok(Err(panic)) => Err(Failure::Text(panicked(panic.as_ref()))),
            Err(_) => Err(Failure::Text("its thread ended without an answer".to_owned())),
        }
    }

    /// Gives a thread up. `false`: it has just ended. It is counted before, because it counts itself off when it ends.
    fn gives_up(&self, thread: &ThreadState) -> bool {
        self.given_up.send_modify(|number| *number += 1);
        let is_given_up = thread.give_up();
        if !is_given_up {
            self.given_up.send_modify(|number| *number -= 1);
        }
        is_given_up
    }

    /// Whether so many threads do not end that no other one is started.
    fn is_overloaded(&self, kind: &JobKind) -> bool {
        matches!(kind.work(), Work::Blocking(_)) && *self.given_up.borrow() >= MOST_GIVEN_UP
    }

    fn stopped(&self, kind: &JobKind, claim: &Claim, failure: Failure, signals: &Signals) -> Outcome {
        match failure {
            Failure::Stopped(Stop::Failed(error)) => self.failed(kind, claim, &in_words(&error)),
            Failure::Text(error) => self.failed(kind, claim, &error),
            Failure::Stopped(Stop::Snooze(_)) if signals.cancelled.load(Ordering::Acquire) => {
                Outcome::Ended(signals.interruption(self.store.now()))
            }
            Failure::Stopped(Stop::Snooze(pause)) => {
                Outcome::Ended(End::Later { again: self.again_after(pause) })
            }
            Failure::Stopped(Stop::Cancel(reason)) => {
                Outcome::Ended(End::Cancelled { reason: storable(&reason) })
            }
        }
    }

    fn failed(&self, kind: &JobKind, claim: &Claim, error: &str) -> Outcome {
        let failures = failures(claim).saturating_add(1);
        let (job, name, error) = (&claim.id, kind.name(), storable(error));
        if failures >= kind.retry().tries {
            tracing::error!(job, kind = name, failures, error, "a job is dead: it is not tried again");
            return Outcome::Ended(End::Dead { error });
        }
        tracing::warn!(job, kind = name, failures, error, "a job failed");
        let again = self.store.now() + kind.retry().pause_with_jitter(failures);
        Outcome::Ended(End::Failed { error, again })
    }
}

/// What happened to a step.
enum Stepped {
    /// It was the last one, and is committed.
    Finished,
    /// It is committed, and another follows.
    Advanced,
    /// The claim is not valid any more; nothing is committed.
    Lost,
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Stopped(error.into())
    }
}

async fn external(
    handler: &dyn ErasedExternal,
    payload: &Payload,
    attempt: &Attempt,
    limit: Duration,
) -> Result<(), Failure> {
    let handling = handler.run(payload, attempt);
    work::call(limit, handling).await.map_err(Failure::Text)?.map_err(Failure::Stopped)
}

/// Number of failures so far.
fn failures(claim: &Claim) -> u32 {
    u32::try_from(claim.failures).unwrap_or_default()
}

/// What a job that runs is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    /// It should end soon.
    pub(super) stop: Arc<AtomicBool>,
    /// It was cancelled.
    pub(super) cancelled: Arc<AtomicBool>,
}

impl Signals {
    pub(super) fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.ask_to_stop();
    }

    /// How a job ends that stopped between two steps because it was told to.
    fn interruption(&self, now: Timestamp) -> End {
        if self.cancelled.load(Ordering::Acquire) {
            return End::Cancelled { reason: "cancelled while it ran".to_owned() };
        }
        End::Later { again: now }
    }
}

/// Gives the threads of requests precedence over this one. On Linux the priority is one of the thread (`nice(2)`, "C library/kernel
/// differences").
fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        // If it is not allowed, the thread runs as it is.
        let _ = rustix::process::nice(10);
    }
}
