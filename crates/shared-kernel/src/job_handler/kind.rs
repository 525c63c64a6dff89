//! Kinds of jobs with their handlers.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::event_handler::HandlerError;
use crate::job::{InvalidJob, Job, JobId, Queue, check_kind};
use crate::random;
use crate::session::WriteSession;

/// Why a handler did not do its work. What it wrote in the session is rolled back.
#[derive(Debug)]
pub enum Stop {
    /// It failed, and is tried again later. `?` makes this of any error. The text of the error is stored and logged, so it must not
    /// contain secrets.
    Failed(HandlerError),
    /// Not yet: it is called again after this time, which counts as no failure.
    Snooze(Duration),
    /// It is not needed any more, for this reason.
    Cancel(String),
}

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Number of items that are done.
    pub done: i64,
    /// Number of all items, where it is known.
    pub total: Option<i64>,
}

/// The outcome of a step that succeeded.
#[derive(Debug)]
pub enum Step<C> {
    /// Another step follows, with this cursor.
    Next {
        /// Where it begins.
        cursor: C,
        /// How far the job is.
        progress: Option<Progress>,
    },
    /// That was the last one.
    Done,
}

/// One attempt of a job.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Id of the job: the idempotency key.
    pub job_id: JobId,
    /// Number of this attempt, from 1. A committed step sets it to 1.
    pub number: u32,
    /// Principal that enqueued the job, for audit.
    pub principal: Option<String>,
    /// Time at which it was enqueued.
    pub created_at: Timestamp,
    stop: Arc<AtomicBool>,
}

impl Attempt {
    /// An attempt. `stop` is set when it is to end.
    #[must_use]
    pub fn new(
        job_id: JobId,
        number: u32,
        principal: Option<String>,
        created_at: Timestamp,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self { job_id, number, principal, created_at, stop }
    }

    /// Whether the handler should end soon: the job was cancelled, its time is over, or the worker stops. A [`Blocking`] handler asks
    /// this regularly and returns [`Stop::Snooze`] with no time; nobody can interrupt it.
    #[must_use]
    pub fn should_stop(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Makes [`should_stop`](Self::should_stop) true, for the worker that runs it.
    pub fn ask_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
    }
}

/// A handler whose effect is in the database. It runs exactly once: the session is committed together with the end of the job, and
/// only if no other attempt has begun meanwhile.
///
/// Nothing but the database is awaited here, because the transaction is open.
pub trait Transactional<J: Job>: Send + Sync + 'static {
    /// Does the work on `session`, which the worker commits if this succeeds.
    fn run(
        &self,
        session: &WriteSession,
        job: &J,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<(), Stop>> + Send;
}

/// A [`Transactional`] handler of work that is too long for one transaction. It is called until it returns [`Step::Done`]; the effect of
/// each step and the cursor of the next one are committed together.
pub trait Stepped<J: Job>: Send + Sync + 'static {
    /// Where a step begins.
    type Cursor: Serialize + DeserializeOwned + Send + 'static;

    /// Does one step on `session`. There is no cursor at the first one.
    fn step(
        &self,
        session: &WriteSession,
        job: &J,
        cursor: Option<Self::Cursor>,
        attempt: &Attempt,
    ) -> impl Future<Output = Result<Step<Self::Cursor>, Stop>> + Send;
}

/// A handler whose effect is elsewhere, such as mail. It runs at least once, and two attempts may overlap after an outage;
/// [`Attempt::job_id`] is the idempotency key.
pub trait External<J: Job>: Send + Sync + 'static {
    /// Does the work.
    fn run(&self, job: &J, attempt: &Attempt) -> impl Future<Output = Result<(), Stop>> + Send;
}

/// An [`External`] handler that computes for long or blocks its thread. It has a thread of its own, of lower priority than those of
/// requests.
pub trait Blocking<J: Job>: Send + Sync + 'static {
    /// Does the work, and asks [`Attempt::should_stop`] regularly: a thread that goes on after that is given up.
    fn run(&self, job: &J, attempt: &Attempt) -> Result<(), Stop>;
}

/// The payload of a job as it is stored.
#[derive(Clone, Debug)]
pub struct Payload {
    /// Version of its schema.
    pub version: i32,
    /// Its content.
    pub content: serde_json::Value,
}

impl Payload {
    fn read<J: Job>(&self) -> Result<J, serde_json::Error> {
        J::from_payload(self.version, &self.content)
    }
}

/// A [`Stepped`] or [`Transactional`] handler whose types are forgotten.
pub trait ErasedStepped: Send + Sync {
    /// Does one step.
    fn step<'a>(
        &'a self,
        session: &'a WriteSession,
        payload: &'a Payload,
        cursor: Option<serde_json::Value>,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<Step<serde_json::Value>, Stop>>;
}

/// An [`External`] handler whose types are forgotten.
pub trait ErasedExternal: Send + Sync {
    /// Does the work.
    fn run<'a>(&'a self, payload: &'a Payload, attempt: &'a Attempt) -> BoxFuture<'a, Result<(), Stop>>;
}

/// A [`Blocking`] handler whose types are forgotten.
pub trait ErasedBlocking: Send + Sync {
    /// Does the work.
    fn run(&self, payload: &Payload, attempt: &Attempt) -> Result<(), Stop>;
}

/// A handler, by the way in which it is called.
#[derive(Clone)]
pub enum Work {
    /// In a session, step by step.
    InSession(Arc<dyn ErasedStepped>),
    /// Without a session.
    External(Arc<dyn ErasedExternal>),
    /// On a thread of its own.
    Blocking(Arc<dyn ErasedBlocking>),
}

struct Typed<J, H>(H, PhantomData<fn() -> J>);

impl<J, H> Typed<J, H> {
    fn of(handler: H) -> Arc<Self> {
        Arc::new(Self(handler, PhantomData))
    }
}

/// A [`Transactional`] handler as one with a single step.
struct Single<J, H>(H, PhantomData<fn() -> J>);

impl<J: Job, H: Transactional<J>> ErasedStepped for Single<J, H> {
    fn step<'a>(
        &'a self,
        session: &'a WriteSession,
        payload: &'a Payload,
        _: Option<serde_json::Value>,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<Step<serde_json::Value>, Stop>> {
        Box::pin(async move {
            self.0.run(session, &payload.read::<J>()?, attempt).await?;
            Ok(Step::Done)
        })
    }
}

impl<J: Job, H: Stepped<J>> ErasedStepped for Typed<J, H> {
    fn step<'a>(
        &'a self,
        session: &'a WriteSession,
        payload: &'a Payload,
        cursor: Option<serde_json::Value>,
        attempt: &'a Attempt,
    ) -> BoxFuture<'a, Result<Step<serde_json::Value>, Stop>> {
        Box::pin(async move {
            let cursor = cursor.map(serde_json::from_value).transpose()?;
            let step = self.0.step(session, &payload.read::<J>()?, cursor, attempt).await?;
            Ok(match step {
                Step::Next { cursor, progress } => {
                    Step::Next { cursor: serde_json::to_value(cursor)?, progress }
                }
                Step::Done => Step::Done,
            })
        })
    }
}

impl<J: Job, H: External<J>> ErasedExternal for Typed<J, H> {
    fn run<'a>(&'a self, payload: &'a Payload, attempt: &'a Attempt) -> BoxFuture<'a, Result<(), Stop>> {
        Box::pin(async move { self.0.run(&payload.read::<J>()?, attempt).await })
    }
}

impl<J: Job, H: Blocking<J>> ErasedBlocking for Typed<J, H> {
    fn run(&self, payload: &Payload, attempt: &Attempt) -> Result<(), Stop> {
        self.0.run(&payload.read::<J>()?, attempt)
    }
}

/// How a failed job is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Number of failures in a row after which the job is dead.
    pub tries: u32,
    /// Pause after the first failure; each further one doubles it.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    /// Twenty tries from one second to four hours: about a day, so that an outage of one night loses nothing.
    fn default() -> Self {
        Self { tries: 20, first_pause: Duration::from_secs(1), longest_pause: Duration::from_hours(4) }
    }
}

impl RetryPolicy {
    /// Pause after that number of failures, without jitter.
    #[must_use]
    pub fn pause_after(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause)
    }

    /// The pause with a random part of up to a quarter more, so that jobs that failed together do not return together.
    #[must_use]
    pub fn pause_with_jitter(&self, failures: u32) -> Duration {
        let pause = self.pause_after(failures);
        pause + (pause / 4).mul_f64(f64::from(u16::from_be_bytes(random::buffered())) / f64::from(u16::MAX))
    }
}

/// A kind of job with its handler, as a domain registers it.
#[derive(Clone)]
pub struct JobKind {
    name: &'static str,
    queue: Queue,
    versions: RangeInclusive<i32>,
    retry: RetryPolicy,
    timeout: Duration,
    work: Work,
}

/// Time that an attempt or a step may take, unless the kind says otherwise.
const TIMEOUT: Duration = Duration::from_mins(1);

impl JobKind {
    fn of<J: Job>(work: Work) -> Self {
        Self {
            name: J::KIND,
            queue: J::QUEUE,
            versions: J::OLDEST_VERSION..=J::VERSION,
            retry: RetryPolicy::default(),
            timeout: TIMEOUT,
            work,
        }
    }

    /// A kind whose handler writes to the database.
    #[must_use]
    pub fn transactional<J: Job>(handler: impl Transactional<J>) -> Self {
        Self::of::<J>(Work::InSession(Arc::new(Single(handler, PhantomData::<fn() -> J>))))
    }

    /// A kind whose handler writes to the database in many steps.
    #[must_use]
    pub fn stepped<J: Job>(handler: impl Stepped<J>) -> Self {
        Self::of::<J>(Work::InSession(Typed::<J, _>::of(handler)))
    }

    /// A kind whose handler calls another service.
    #[must_use]
    pub fn external<J: Job>(handler: impl External<J>) -> Self {
        Self::of::<J>(Work::External(Typed::<J, _>::of(handler)))
    }

    /// A kind whose handler needs a thread of its own.
    #[must_use]
    pub fn blocking<J: Job>(handler: impl Blocking<J>) -> Self {
        Self::of::<J>(Work::Blocking(Typed::<J, _>::of(handler)))
    }

    /// Sets the number of failures in a row after which a job is dead: 1 to 1,000, 20 by default.
    #[must_use]
    pub fn tries(self, tries: u32) -> Self {
        Self { retry: RetryPolicy { tries: tries.clamp(1, 1_000), ..self.retry }, ..self }
    }

    /// Sets the pauses between attempts: the first one, 1 ms to 1 day, and the longest, up to 30 days. 1 s and 4 h by default.
    #[must_use]
    pub fn pauses(self, first: Duration, longest: Duration) -> Self {
        let first = first.clamp(Duration::from_millis(1), Duration::from_hours(24));
        let longest = longest.clamp(first, Duration::from_hours(30 * 24));
        Self { retry: RetryPolicy { first_pause: first, longest_pause: longest, ..self.retry }, ..self }
    }

    /// Sets the time that an attempt may take, or each step: 1 ms to 1 day, 1 min by default.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.clamp(Duration::from_millis(1), Duration::from_hours(24)), ..self }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its queue.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The versions of the payload that it reads.
    #[must_use]
    pub fn versions(&self) -> RangeInclusive<i32> {
        self.versions.clone()
    }

    /// How a failed job is tried again.
    #[must_use]
    pub fn retry(&self) -> RetryPolicy {
        self.retry
    }

    /// Time that an attempt or a step may take.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.timeout
    }

    /// Its handler.
    #[must_use]
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Checks its name.
    ///
    /// # Errors
    ///
    /// The name cannot be stored.
    pub fn check(&self) -> Result<(), InvalidJob> {
        check_kind(self.name)
    }
}

impl fmt::Debug for JobKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobKind")
            .field("name", &self.name)
            .field("queue", &self.queue)
            .field("versions", &self.versions)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_get_a_quarter_more_at_most() {
        let retry = RetryPolicy::default();
        let seconds = |failures| retry.pause_after(failures).as_secs();
        assert_eq!([1, 2, 3, 14, 15, 20, u32::MAX].map(seconds), [1, 2, 4, 8_192, 14_400, 14_400, 14_400]);
        for failures in 1..20 {
            let (least, with) = (retry.pause_after(failures), retry.pause_with_jitter(failures));
            assert!(least <= with && with <= least * 5 / 4, "{failures}: {with:?}");
        }
    }

    #[test]
    fn the_default_tries_last_a_day() {
        let retry = RetryPolicy::default();
        let all: Duration = (1..retry.tries).map(|failures| retry.pause_after(failures)).sum();
        assert!(all > Duration::from_hours(24) && all < Duration::from_hours(48), "{all:?}");
    }
}
