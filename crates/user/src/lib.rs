//! User accounts. Sign-in is in `auth`.
//!
//! Six modules, the same in every domain:
//!
//! | module | contents | visible to |
//! |---|---|---|
//! | `model` | the table as sea-orm knows it | this crate |
//! | `repository` | the queries, all of them on living rows | this crate |
//! | [`dto`] | requests and responses, with validation rules | everyone |
//! | [`service`] | the business rules: a struct whose methods take a session and the principal, and return DTOs | everyone |
//! | [`error`] | the errors of its operations | everyone |
//! | [`event`] | the events that other domains can subscribe to | everyone |
//!
//! and two more here: [`contact`], the types of user names and phone numbers, and `name`, the type of display names.
//!
//! # Adding a field
//!
//! A migration, a line in `model`, a line in the DTOs that have it, a line where the service writes it, and a
//! test in `tests/`.

pub mod contact;
pub mod dto;
pub mod error;
pub mod event;
mod model;
mod name;
mod repository;
pub mod service;
