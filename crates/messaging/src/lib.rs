//! Events on their way to subscribers, durable jobs, and mail. This crate knows no domain.
//!
//! # Events
//!
//! [`WriteSession::emit`](shared_kernel::session::WriteSession::emit) writes an event into the outbox; the [`Relay`] takes
//! it from there and hands it to each [`Subscriber`](shared_kernel::event_handler::Subscriber) that wants it. What a subscriber may
//! rely on:
//!
//! - **At least once.** The event is as durable as its change. A subscriber that has handled an event is not called again
//!   for it, unless the process died or the database failed before that was recorded. So either its work is idempotent, or
//!   it records the event's id in its own transaction.
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
//! gives to [`Relay::new`]. A payload names people by id, so the handler looks them up:
//!
//! ```
//! use std::sync::Arc;
//!
//! use messaging::{Mail, Mailer};
//! use shared_kernel::event::{Created, Envelope};
//! use shared_kernel::event_handler::{Handler, HandlerError, Subscriber};
//! use shared_kernel::id::{UserId, UserKind};
//!
//! struct Welcome {
//!     mailer: Arc<dyn Mailer>,
//! }
//!
//! impl Handler<Created<UserKind>> for Welcome {
//!     async fn handle(&self, created: &Created<UserKind>, _: &Envelope) -> Result<(), HandlerError> {
//!         // Deleted in the meantime.
//!         let Some(address) = address_of(created.id).await? else { return Ok(()) };
//!         let mail = Mail {
//!             to: address.parse()?,
//!             subject: "Welcome".parse()?,
//!             text: "It is good to have you here.\n".to_owned(),
//!         };
//!         Ok(self.mailer.send(mail).await?)
//!     }
//! }
//!
//! fn subscribers(mailer: Arc<dyn Mailer>) -> Vec<Subscriber> {
//!     vec![Subscriber::new("mail.welcome").on::<Created<UserKind>>(Arc::new(Welcome { mailer }))]
//! }
//! # async fn address_of(_: UserId) -> Result<Option<String>, HandlerError> { Ok(None) }
//! ```
//!
//! A handler opens a write session of its own if it writes, and holds none while it waits for anything else. It never blocks
//! the thread, which no timeout could interrupt. The text of its error is stored with the event and logged, so it must not
//! contain secrets.
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
//! [`FileMailer`] writes it into a folder. Mail is sent by subscribers, never while a request waits.

/// The snippets of the page on jobs.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/jobs.md")]
struct PageOnJobs;

mod jobs;
mod mail;
mod relay;
mod work;

pub use self::jobs::{
    InvalidKinds, JobAdmin, JobAdminError, JobFilter, JobRecord, JobRegistry, JobStatus, QueueDepth,
    UnknownKind, WorkerSettings, Workers,
};
pub use self::mail::{
    Address, AddressError, FileMailer, InvalidSubject, Mail, MailError, Mailbox, Mailer, Subject,
};
pub use self::relay::{InvalidSubscribers, Relay, RelaySettings};
