//! Events on their way to subscribers, durable jobs, and mail. This crate knows no domain.
//!
//! # Events
//!
//! [`WriteSession::emit`](shared_kernel::session::WriteSession::emit) writes an event into the outbox; the [`Relay`] takes
//! it from there and hands it to each [`Subscriber`](shared_kernel::event_handler::Subscriber) that wants it. What a subscriber may
//! rely on:
//!
//! - **Once, in the database.** A handler gets a write session, which is committed together with the note that its subscriber has
//!   handled this event. What it does elsewhere is done at least once: the process may die before the commit.
//! - **In order for each aggregate**, by id: in the order of the sessions' instants. Sessions that change one
//!   aggregate at the same time have no order but the one that they lock it in, so a change locks or guards what it
//!   changes. An event waits until the one before it is delivered to *all* its subscribers. Events of different
//!   aggregates go side by side.
//! - **Bounded.** A subscriber has [`handler_timeout`](RelaySettings::handler_timeout); after that, or after an error or
//!   a panic, the event waits with growing pauses and only the subscribers that have not done their work see it again.
//! - **A dead event is skipped.** After [`max_attempts`](RelaySettings::max_attempts), a day with the defaults, an
//!   event stays in the outbox, undelivered and never tried again, until an operator decides. It does *not* hold back the
//!   later events of its aggregate: a password reset and an erasure must not wait for ever behind a welcome mail that
//!   cannot be sent. A replayed event arrives late, so a subscriber that depends on the order looks at the current state
//!   and not only at the event.
//!
//! Events that no subscriber handles are marked as delivered many at once, without a claim and whatever the order of their aggregate, unless
//! a relay has claimed them before.
//!
//! All instances read the outbox. Each claims events for the time that its subscribers may need and a minute more (the
//! [lease](RelaySettings::lease)); if it dies, another instance claims them after that.
//!
//! A subscriber receives the event and its [`Envelope`](shared_kernel::event::Envelope): the event's id, its aggregate, its
//! time, its principal and its trace. The number of attempts is internal to the relay.
//!
//! # Adding a subscriber
//!
//! A struct that implements [`Handler`](shared_kernel::event_handler::Handler) for each event that it wants, in a
//! [`Subscriber`](shared_kernel::event_handler::Subscriber) with a unique name that never changes, added to the list that the server
//! gives to [`Relay::new`]. A payload names people by id. What waits for mail or takes long is a [job](#jobs):
//!
//! ```
//! use std::sync::Arc;
//!
//! use serde::{Deserialize, Serialize};
//! use shared_kernel::event::{Created, Envelope};
//! use shared_kernel::event_handler::{Handler, HandlerError, Subscriber};
//! use shared_kernel::id::{UserId, UserKind};
//! use shared_kernel::job::Job;
//! use shared_kernel::session::WriteSession;
//!
//! /// A welcome mail to a new account.
//! #[derive(Serialize, Deserialize)]
//! struct WelcomeMail {
//!     user_id: UserId,
//! }
//!
//! impl Job for WelcomeMail {
//!     const KIND: &'static str = "auth.welcome";
//! }
//!
//! struct NewAccounts;
//!
//! impl Handler<Created<UserKind>> for NewAccounts {
//!     async fn handle(
//!         &self,
//!         session: &WriteSession,
//!         created: &Created<UserKind>,
//!         _: &Envelope,
//!     ) -> Result<(), HandlerError> {
//!         session.enqueue(&WelcomeMail { user_id: created.id })?;
//!         Ok(())
//!     }
//! }
//!
//! fn subscribers() -> Vec<Subscriber> {
//!     vec![Subscriber::new("mail.welcome").on::<Created<UserKind>>(Arc::new(NewAccounts))]
//! }
//! ```
//!
//! The transaction begins with the handler's first statement; from then on it awaits nothing but the database, and opens no other write
//! session, because SQLite has one writer. It never blocks the thread, which no timeout could interrupt. The text of its error is stored
//! with the event and logged, so it must not contain secrets.
//!
//! A new subscriber receives the events that are delivered from then on. While a new version is rolled out, instances of the
//! old version deliver events without the subscribers that only the new one has: all of them that no instance of the new version has claimed.
//!
//! # Jobs
//!
//! A [`Job`](shared_kernel::job::Job) is enqueued in a write session; [`Workers`] claim it and call its handler. What a handler may
//! rely on, and how to add a kind, is in [`shared_kernel::job_handler`]. [`JobAdmin`] is for operators.
//!
//! # Mail
//!
//! A [`Mail`] is plain text to one address; its types prevent header injection. A [`Mailer`] sends it:
//! [`FileMailer`] writes it into a folder. Mail is sent by jobs, never while a request waits.

/// The snippets of the page on jobs.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/jobs.md")]
struct PageOnJobs;

mod jobs;
mod mail;
mod relay;
mod rows;
mod work;

pub use self::jobs::{
    InvalidKinds, JobAdmin, JobAdminError, JobFilter, JobRecord, JobRegistry, JobStatus, QueueRecord,
    ScheduleRecord, UnknownKind, WaitsFor, WorkerRecord, WorkerSettings, Workers,
};
pub use self::mail::{
    Address, AddressError, FileMailer, InvalidSubject, Mail, MailError, MailId, MailKind, Mailbox, Mailer,
    Subject,
};
pub use self::relay::{InvalidSubscribers, Relay, RelaySettings};
