//! Jobs and their workers on a real database.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a test should fail loudly"
)]

mod admin;
mod attempts;
mod costs;
mod cron;
mod enqueue;
mod keys;
mod kill;
mod members;
mod notify;
mod steps;
mod support;
mod unknown;
