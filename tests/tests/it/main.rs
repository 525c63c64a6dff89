//! Black-box tests of the product. They are one binary, so that it is linked only once.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a failing test")]

mod accounts;
mod admin;
mod commands;
mod connections;
mod contract;
mod domains;
mod events;
mod faults;
mod hostile;
mod identity;
mod jobs;
mod operations;
mod statements;
mod tokens;
mod uploads; // domain: upload
mod users;
