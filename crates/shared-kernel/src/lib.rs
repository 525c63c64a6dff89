//! The shared kernel: what every domain stands on. It knows no domain and no web framework.
//!
//! | module | what it gives |
//! |---|---|
//! | [`id`] | [`Id<K>`](id::Id): typed, prefixed, time-ordered identifiers (`usr_01J…`) |
//! | [`clock`] | the only source of time; [`Timestamp`](clock::Timestamp), [`Date`](clock::Date) |
//! | [`random`] | the only source of randomness |
//! | [`crypto`] | keys derived from the one secret key; sealing and signing |
//! | [`frozen`] | what must not change once there is data |
//! | [`principal`] | on whose authority something is done, and what it may |
//! | [`session`] | [`ReadSession`](session::ReadSession), [`WriteSession`](session::WriteSession), [`Committed`](session::Committed) |
//! | [`soft_delete`] | what is known of every resource's table: its id, its version, and when it was deleted |
//! | [`repository`] | soft delete, versions: every query starts at [`live`](repository::live) |
//! | [`resource`] | what domains may know of each other's tables |
//! | [`reference`](mod@reference) | rows that refer to rows of other domains: who may, and what a deletion does to them |
//! | [`page`] | keyset pages with signed, opaque cursors |
//! | [`sort`] | [`Sort<K>`](sort::Sort): the order that a client wants a list in |
//! | [`error`] | [`DomainError`](trait@error::DomainError), a trait and a derive: kind, stable code, field errors |
//! | [`kernel_error`] | [`KernelError`](kernel_error::KernelError): what every domain's operations can fail with |
//! | [`event`] | domain events, written to the outbox in the transaction that they belong to |
//! | [`json`] | strict JSON in: every refusal has a pointer and a code; [`JsonObject`](json::JsonObject): any fields |
//! | [`validation`] | [`ValidationError`](validation::ValidationError): a broken rule with its code and parameters |
//! | [`field`] | types of fields: each has its rule, its schema and its errors |
//! | [`text`] | strings as people type them: trimmed, normalised, without control characters |
//! | [`contact`] | e-mail addresses and web addresses, checked where they come in |
//! | [`integer`] | integers within bounds |
//! | [`decimal`] | [`Decimal<PRECISION, SCALE>`](decimal::Decimal): exact decimals, strings in JSON |
//! | [`patch`] | [`Patch<T>`](patch::Patch): absent is not `null` (RFC 7396) |
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
//! What a write answers with is built from a [`Committed`](session::Committed), and only
//! [`WriteSession::commit`](session::WriteSession::commit) makes one:
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
//! A thing belongs here when two domains need it and it names no domain. Ports (a trait that one domain implements and
//! another uses) belong here too, or into a small crate beside the domain that implements it; the server wires them.

// The derives name this crate as a domain does; only its tests derive.
#[cfg(test)]
extern crate self as shared_kernel;

pub mod clock;
pub mod contact;
pub mod crypto;
pub mod decimal;
pub mod error;
pub mod event;
pub mod field;
pub mod frozen;
pub mod id;
pub mod integer;
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
