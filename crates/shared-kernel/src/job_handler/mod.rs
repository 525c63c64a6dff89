//! Handlers of [durable jobs](crate::job), and the times at which jobs are enqueued.
//!
//! # Adding a kind of job
//!
//! 1. A struct that implements [`Job`](crate::job::Job). It names people and rows by id, because they may change before it runs, and contains no secret.
//! 2. A handler. Choose the trait by what the handler does:
//!
//! | the handler | trait | how often its effect happens |
//! |---|---|---|
//! | writes to the database | [`Transactional`] | once: the effect and the end of the job are one transaction |
//! | writes to the database for long | [`Stepped`] | each step once: the effect of a step and its cursor are one transaction |
//! | calls another service, or sends mail | [`External`] | at least once: the id of the job is the idempotency key |
//! | computes for long, or blocks its thread | [`Blocking`] | at least once |
//!
//! 3. A [`JobKind`] with the handler, in the module value of the domain.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use shared_kernel::id::UserId;
//! use shared_kernel::job::Job;
//! use shared_kernel::job_handler::{Attempt, JobKind, Stop, Transactional};
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
//! - **Two keys.** Of one [serial key](crate::job::Job::serial_key) one job runs at a time, the oldest that is due first. Of one
//!   [unique key](crate::job::Job::unique_key) one job waits.
//! - **A failure is tried again** after a growing pause with jitter, up to [`JobKind::tries`]; then the job is dead, and is kept with its
//!   error. A handler that fails, takes longer than its [timeout](JobKind::timeout) or takes its process down has failed. A
//!   committed step sets the number of failures to zero. The shutdown of a worker counts nothing.
//! - **A kind or version that a worker does not know** goes back untouched, for workers of another release.

mod kind;
mod schedule;

pub use self::kind::{
    Attempt, Blocking, ErasedBlocking, ErasedExternal, ErasedStepped, External, JobKind, Payload, Progress,
    RetryPolicy, Step, Stepped, Stop, Transactional, Work,
};
pub use self::schedule::{InvalidSchedule, Missed, Schedule};
