//! The shared kernel: the types and traits that every domain uses. It knows no domain and no web framework.
//!
//! | module | contents |
//! |---|---|
//! | [`id`] | [`Id<K>`](id::Id): typed, prefixed, time-ordered identifiers (`usr_01J…`) |
//! | [`clock`] | the only source of time; [`Timestamp`](clock::Timestamp), [`Date`](clock::Date) |
//! | [`random`] | the only source of randomness |
//! | [`crypto`] | keys derived from the one secret key; encryption (sealing) and signing |
//! | [`frozen`] | what must not change once there is data |
//! | [`principal`] | the authenticated caller, and its scopes |
//! | [`session`] | [`ReadSession`](session::ReadSession), [`WriteSession`](session::WriteSession), [`Committed`](session::Committed) |
//! | [`soft_delete`] | the columns of every resource's table: id, version, times of creation, change and deletion |
//! | [`repository`] | queries with soft delete, versions and scopes; all start at [`live`](repository::live) |
//! | [`resource`] | descriptions of tables for other domains |
//! | [`reference`](mod@reference) | references to rows of other domains: permission checks, and cascading deletion |
//! | [`page`] | keyset pages with signed, opaque cursors |
//! | [`sort`] | [`Sort<K>`](sort::Sort): the requested order of a list |
//! | [`error`] | [`DomainError`](trait@error::DomainError), a trait and a derive: kind, stable code, field errors |
//! | [`kernel_error`] | [`KernelError`](kernel_error::KernelError): errors that the operations of every domain have in common |
//! | [`event`] | domain events, written to the outbox in the transaction that they belong to |
//! | [`job`] | durable jobs, enqueued in the transaction that needs them |
//! | [`job_handler`] | handlers of jobs, and schedules |
//! | [`event_handler`] | subscribers, and handlers of events |
//! | [`json`] | strict JSON parsing: every error has a pointer and a code; [`JsonObject`](json::JsonObject): any fields |
//! | [`validation`] | [`ValidationError`](validation::ValidationError): a validation error with its code and parameters |
//! | [`field`] | types of fields: each has its rule, its schema and its errors |
//! | [`text`] | text input: trimmed, normalised, without control characters |
//! | [`contact`] | e-mail addresses and web addresses, validated and normalised |
//! | [`integer`] | integers within bounds |
//! | [`decimal`] | [`Decimal<PRECISION, SCALE>`](decimal::Decimal): exact decimals, strings in JSON |
//! | [`patch`] | [`Patch<T>`](patch::Patch): a field of a merge patch, absent, `null` or a value (RFC 7396) |
//! | [`prelude`] | the names that nearly every domain uses |
//! | `testing` | (feature) a real database per test, a clock that stands still |
//!
//! # Reads cannot write
//!
//! A [`ReadSession`](session::ReadSession) has no method that writes and does not implement sea-orm's
//! `ConnectionTrait`, so this does not compile:
//!
//! ```compile_fail,E0277
//! use sea_orm::{ActiveModelTrait, ConnectionTrait};
//! use shared_kernel::session::ReadSession;
//!
//! async fn write_through_a_read_session(session: &ReadSession) {
//!     fn writes(_: &impl ConnectionTrait) {}
//!     writes(session);
//! }
//! ```
//!
//! # A forgotten commit does not compile
//!
//! The response to a write is built from a [`Committed`](session::Committed), and only
//! [`WriteSession::commit`](session::WriteSession::commit) returns one:
//!
//! ```compile_fail,E0308
//! use shared_kernel::session::{Committed, WriteSession};
//!
//! async fn create(session: WriteSession) -> Committed<&'static str> {
//!     "created" // expected `Committed<&str>`, found `&str`
//! }
//! ```
//!
//! Nor can one be made by hand, or a session be used after its commit:
//!
//! ```compile_fail,E0451
//! let forged = shared_kernel::session::Committed { value: (), consistency: None };
//! ```
//!
//! ```compile_fail,E0382
//! use shared_kernel::session::{SessionError, WriteSession};
//!
//! async fn twice(session: WriteSession) -> Result<(), SessionError> {
//!     session.commit(()).await?;
//!     session.commit(()).await?; // use of moved value
//!     Ok(())
//! }
//! ```
//!
//! # Adding to the kernel
//!
//! Code belongs here if two domains need it and it names no domain. Ports (a trait that one domain implements and
//! another uses) belong here too, or into a small crate beside the domain that implements it; the server wires them.

// The derives refer to this crate by its name, as in a domain; only its tests derive.
#[cfg(test)]
extern crate self as shared_kernel;

pub mod clock;
pub mod contact;
pub mod crypto;
pub mod decimal;
pub mod error;
pub mod event;
pub mod event_handler;
pub mod field;
pub mod from_columns;
pub mod frozen;
pub mod id;
pub mod integer;
pub mod job;
pub mod job_handler;
pub mod json;
pub mod kernel_error;
pub mod page;
pub mod patch;
pub mod prelude;
pub mod principal;
pub mod random;
pub mod reference;
pub mod repository;
pub mod resource;
pub mod session;
pub mod soft_delete;
pub mod sort;
pub mod text;
pub mod validation;

#[cfg(feature = "testing")]
pub mod testing;

pub use secrecy;
