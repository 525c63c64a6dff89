//! Durable jobs: work that is done after the request, survives the process and needs nothing but the database.
//!
//! A [`Job`] is a payload: what has to be done, and for whom. [`WriteSession::enqueue`](crate::session::WriteSession::enqueue) writes it
//! in the transaction that needs it, so there is no job without its commit and no commit without its job. A worker claims it and
//! calls its handler: [`job_handler`](crate::job_handler) says how to add one, and what it may rely on.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use shared_kernel::id::UserId;
//! use shared_kernel::job::Job;
//! use shared_kernel::session::{SessionError, WriteSession};
//!
//! /// Adds up what an account has used. It names the account by id, because everything else may change before it runs.
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
//! fn change(session: &WriteSession, user_id: UserId) -> Result<(), SessionError> {
//!     // … the change itself …
//!     session.enqueue(&AddUp { user_id })?;
//!     Ok(())
//! }
//! ```

mod enqueue;
mod lane;
mod queue;
mod signal;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::enqueue::{InvalidJob, JobOptions, PendingJob};
pub(crate) use self::enqueue::{check_kind, in_order, insert};
pub use self::lane::{InvalidLane, JobState, Lane};
pub use self::queue::{InvalidQueue, Priority, Queue};
pub use self::signal::{JobSignal, Wake};
use crate::id::{Id, IdKind};

/// The kind of [`JobId`].
#[derive(Debug)]
pub enum JobIdKind {}

impl IdKind for JobIdKind {
    const PREFIX: &'static str = "job";
    const NAME: &'static str = "job";
}

/// Id of a job. All attempts have the same, so it is the idempotency key of what a handler does elsewhere.
pub type JobId = Id<JobIdKind>;

/// The payload of a job, and where it waits.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Name of the kind, `<domain>.<verb>`: 1 to 90 characters of `a` to `z`, digits, `_` and `.`. It is stored, so it never changes.
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
    /// what it names. A job that waits after a failure does not hold up the others. Jobs with one unique key have one serial key.
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
