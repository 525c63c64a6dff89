//! Durable jobs: work that is done after the request, survives the process and needs nothing but the database.
//!
//! A [`Job`] is a payload: what has to be done, and for whom. [`WriteSession::enqueue`](crate::session::WriteSession::enqueue) writes it
//! in the transaction that needs it, so there is no job without its commit and no commit without its job. A worker claims it and
//! calls the handler of its [`JobKind`].
//!
//! # Adding a kind of job
//!
//! 1. A struct that implements [`Job`]. It names people and rows by id, because they may change before it runs, and contains no secret.
//! 2. A handler. Choose the trait by what the handler does:
//!
//! | the handler | trait | how often its effect happens |
//! |---|---|---|
//! | writes to the database | [`Transactional`] | once: the effect and the end of the job are one transaction |
//! | writes to the database for long | [`Stepped`] | each step once: the effect of a step and its cursor are one transaction |
//! | calls another service (mail, object store) | [`External`] | at least once: the id of the job is the idempotency key |
//! | computes for long, or blocks its thread | [`Blocking`] | at least once |
//!
//! 3. A [`JobKind`] with the handler, in the module value of the domain.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use shared_kernel::id::UserId;
//! use shared_kernel::job::{Attempt, Job, JobKind, Stop, Transactional};
//! use shared_kernel::session::WriteSession;
//!
//! /// Adds up what an account has used.
//! #[derive(Debug, Serialize, Deserialize)]
//! struct AddUp {
//!     user_id: UserId,
//! }
//!
//! impl Job for AddUp {
//!     const KIND: &'static str = "usage.add_up";
//!
//!     // One waiting job for each account is enough.
//!     fn unique_key(&self) -> Option<String> {
//!         Some(self.user_id.to_string())
//!     }
//! }
//!
//! struct Usage;
//!
//! impl Transactional<AddUp> for Usage {
//!     async fn run(&self, session: &WriteSession, job: &AddUp, _: &Attempt) -> Result<(), Stop> {
//!         // Statements on `session`, which is committed together with the end of the job.
//!         let _ = (session, job.user_id);
//!         Ok(())
//!     }
//! }
//!
//! let kind = JobKind::transactional::<AddUp>(Usage).tries(5);
//! assert_eq!(kind.name(), "usage.add_up");
//! ```
//!
//! A job that is needed at certain times has a [`Schedule`], beside its kind.
//!
//! # What a handler may rely on
//!
//! - **It runs as the system.** The principal that enqueued the job is in [`Attempt::principal`] for audit. A handler that acts for a
//!   person asks again what that person may do.
//! - **Two keys.** Of one [serial key](Job::serial_key) one job runs at a time, the oldest that is due first. Of one
//!   [unique key](Job::unique_key) one job waits.
//! - **A failure is tried again** after a growing pause with jitter, up to [`JobKind::tries`]; then the job is dead, and is kept with its
//!   error. A handler that fails, takes longer than its [timeout](JobKind::timeout) or takes its process down has failed. A
//!   committed step sets the number of failures to zero. The shutdown of a worker counts nothing.
//! - **A kind or version that a worker does not know** goes back untouched, for workers of another release.

mod enqueue;
mod kind;
mod lane;
mod queue;
mod schedule;
mod signal;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::enqueue::{InvalidJob, JobOptions, PendingJob};
pub(crate) use self::enqueue::{in_order, insert};
pub use self::kind::{
    Attempt, Blocking, ErasedBlocking, ErasedExternal, ErasedStepped, External, JobKind, Payload, Progress,
    RetryPolicy, Step, Stepped, Stop, Transactional, Work,
};
pub use self::lane::{InvalidLane, Lane};
pub use self::queue::{InvalidQueue, Priority, Queue};
pub use self::schedule::{InvalidSchedule, Missed, Schedule};
pub use self::signal::{JobSignal, Wake};
use crate::id::{Id, IdKind};

/// The kind of [`JobId`].
#[derive(Debug)]
pub enum JobIdKind {}

impl IdKind for JobIdKind {
    const PREFIX: &'static str = "job";
    const NAME: &'static str = "job";
}

/// Id of a job. It is the idempotency key of an [`External`] handler: all attempts have the same.
pub type JobId = Id<JobIdKind>;

/// The payload of a job, and where it waits.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the kind, `<domain>.<verb>`: 1 to 100 characters of `a` to `z`, digits, `_` and `.`. It is stored, so it never changes.
    const KIND: &'static str;

    /// Version of the payload's schema, from 1. It is raised by a change that code for the version before cannot read.
    const VERSION: i32 = 1;

    /// The oldest version that [`from_payload`](Self::from_payload) reads.
    const OLDEST_VERSION: i32 = Self::VERSION;

    /// Queue of the jobs, which has a number of slots of its own.
    const QUEUE: Queue = Queue::DEFAULT;

    /// Priority within the queue, unless [`JobOptions`] say otherwise.
    const PRIORITY: Priority = Priority::Normal;

    /// Key of which one job runs at a time, the oldest that is due first: `account:usr_…`. It is shared by all kinds, so it begins with
    /// what it names. A job that waits after a failure does not hold up the others.
    fn serial_key(&self) -> Option<String> {
        None
    }

    /// Key of which one job of this kind waits at most. If one waits already, it gets this payload, and the earlier of both times. The
    /// row is locked until the enqueuing session has ended, so that the job cannot run before what it was enqueued for is visible.
    /// A job that is running does not count as waiting. A failed job whose key was taken meanwhile is `superseded`.
    fn unique_key(&self) -> Option<String> {
        None
    }

    /// Parses a payload of a version from [`OLDEST_VERSION`](Self::OLDEST_VERSION) to [`VERSION`](Self::VERSION). A job whose version
    /// was raised overrides this, to read older payloads.
    ///
    /// # Errors
    ///
    /// The payload does not match.
    fn from_payload(_version: i32, payload: &serde_json::Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(payload)
    }
}
