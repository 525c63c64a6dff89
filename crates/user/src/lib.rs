//! Accounts: who there is, apart from how they sign in (that is `auth`).
//!
//! Six rooms, the same in every domain:
//!
//! | room | what is in it | who sees it |
//! |---|---|---|
//! | `model` | the table as sea-orm knows it | this crate |
//! | `repository` | the queries; every one starts at the living rows | this crate |
//! | [`dto`] | what goes in and out, with its rules | everyone |
//! | [`service`] | the rules: a struct whose methods take a session and who asks, and give DTOs | everyone |
//! | [`error`] | every way to fail | everyone |
//! | [`event`] | what others may want to know | everyone |
//!
//! and two more here: [`contact`], the types of a user name and a phone number, and `name`, the type of the name that others see.
//!
//! # Adding a field
//!
//! A migration, a line in `model`, a line in the DTOs that show or take it, a line where the service writes it, and a
//! test in `tests/`.

pub mod contact;
pub mod dto;
pub mod error;
pub mod event;
mod model;
mod name;
mod repository;
pub mod service;
