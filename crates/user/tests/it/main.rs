//! Accounts through the crate's public face, on a real database: SQLite, or PostgreSQL with `TEST_DATABASE_URL`.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

mod common;

mod admin;
mod list;
mod me;
mod references;
mod register;
