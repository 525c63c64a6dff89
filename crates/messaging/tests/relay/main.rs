//! The relay on a real database.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what fails in a test should fail loudly"
)]

mod delivery;
mod failure;
mod retention;
mod support;
