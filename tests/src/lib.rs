//! The product from outside: what the tests in `tests/` are made with.
//!
//! | module | what it gives |
//! |---|---|
//! | [`server`] | the application in this process, on free ports, with a database of its own |
//! | [`contract`] | the OpenAPI document, as a source of requests |
//! | [`faults`] | what happens while something that the server needs is broken |
//! | [`load`] | what many clients at once cost |
//! | [`client`] | requests, and what holds for every answer whatever the test is about |
//! | [`raw`] | HTTP by hand, for requests that no client would send |
//! | [`proxy`] | a way to a server that can break |
//! | [`process`] | the binary, to be stopped and killed |
//! | [`resource`] | what every resource promises, asked of any |
//! | [`token`] | access tokens made by hand |
//!
//! SQLite, or, with `TEST_DATABASE_URL`, a database of its own on that PostgreSQL server for each test.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a failing harness is a failing test"
)]

pub mod client;
pub mod contract;
pub mod faults;
pub mod load;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod resource;
pub mod server;
pub mod store; // domain: upload
pub mod token;
pub mod uploads; // domain: upload

pub use client::{Answer, Client, Request};
pub use raw::Raw;
pub use server::{Account, PASSWORD, TestServer};

use std::time::Duration;

/// How long anything may take before a test gives it up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for what another process or thread does: asks again and again, for so long and no longer.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    const PAUSE: Duration = Duration::from_millis(20);
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("it never happened: {what}"))
}

/// A name that no other test has.
pub fn unique(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Of several values the one with that number, from 1; behind the last the first comes again.
pub fn pick<T: Clone + Into<serde_json::Value>>(values: &[T], number: i64) -> serde_json::Value {
    let index = usize::try_from(number - 1).unwrap() % values.len();
    values[index].clone().into()
}
