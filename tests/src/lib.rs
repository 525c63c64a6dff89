//! Support for black-box tests: everything that the tests in `tests/` use.
//!
//! | module | contents |
//! |---|---|
//! | [`server`] | the application in the process of the tests, on free ports, with a database of its own |
//! | [`contract`] | the OpenAPI document, as a source of requests |
//! | [`faults`] | faults of dependencies, and how the server behaves meanwhile |
//! | [`load`] | load by many concurrent clients |
//! | [`client`] | an HTTP client that checks the general rules of every response |
//! | [`raw`] | a plain TCP connection, for requests that a client library would not send |
//! | [`proxy`] | a TCP proxy that can simulate faults |
//! | [`process`] | the binary as a process, which can be stopped and killed |
//! | [`resource`] | tests that apply to every resource |
//! | [`token`] | forged access tokens |
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

/// Timeout of every wait in a test.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until `ask` returns a value, for at most [`PATIENCE`]: for effects of other processes and threads.
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
    tokio::time::timeout(PATIENCE, asking)
        .await
        .unwrap_or_else(|_| panic!("timeout while waiting for: {what}"))
}

/// A unique name.
pub fn unique(prefix: &str) -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{prefix}{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The value with a number, from 1; after the last value the first follows.
pub fn pick<T: Clone + Into<serde_json::Value>>(values: &[T], number: i64) -> serde_json::Value {
    let index = usize::try_from(number - 1).unwrap() % values.len();
    values[index].clone().into()
}
