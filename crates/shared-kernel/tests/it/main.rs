//! The kernel through its public face, on a real database: SQLite, or PostgreSQL with `TEST_DATABASE_URL`.
//!
//! One program for all of it: a program for each file would link sea-orm each time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of tests fails as a test does"
)]

mod common;
mod connecting;

mod events;
mod full_disk;
mod pages;
mod pool;
mod recent;
mod references;
mod replicas;
mod repository;
mod scoped;
mod sessions;
mod trees;
mod types;
mod unreachable;
mod worst;
