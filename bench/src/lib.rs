//! Measurements of the product beside two servers that do less: `cargo xtask bench`, described in `docs/performance.md`.
//!
//! | module | contents |
//! |---|---|
//! | [`api`] | arguments, tokens and JSON of the servers `limit` and `plain` |
//! | [`client`] | HTTP clients with little CPU time of their own |
//! | [`driver`] | the run: set-up, rounds, result |
//! | [`options`] | options of a run |
//! | [`route`] | the servers and the routes |
//! | [`report`] | figures, tables, comparison |
//! | [`site`] | the database and the running servers |
//! | [`usage`] | CPU time and context switches of processes (Linux) |

#![expect(
    clippy::disallowed_methods,
    reason = "a tool beside the product: it measures with the machine's clock, and its ids and times are those of any program"
)]

pub mod api;
pub mod client;
pub mod driver;
pub mod options;
pub mod report;
pub mod route;
pub mod site;
pub mod usage;
