//! Uploads with a real database, a real object store and real bytes. No test waits for a clock.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails as loudly as the test itself"
)]

mod deletion;
mod files;
mod fixture;
mod flow;
mod presigned;
mod rules;
