//! Options of a run. `cargo xtask bench` explains and checks them.

use std::path::PathBuf;

use serde::Deserialize;

use crate::route::Route;

/// Options of a run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Number of users in the database.
    pub users: usize,
    /// Duration of a measurement in seconds. A warming of at most a second precedes it.
    pub seconds: f64,
    /// Number of measurements of each server and route. The figures are medians.
    pub rounds: usize,
    /// Number of connections.
    pub connections: usize,
    /// Number of threads that answer requests, of each server.
    pub workers: usize,
    /// The routes; empty for all. `insert` needs a product with the domain `bench_note`.
    pub only: Vec<Route>,
    /// Whether the database is SQLite, without the server `limit`.
    pub sqlite: bool,
    /// File that the result is written to.
    pub json: PathBuf,
    /// File of an earlier result that this one is compared with.
    pub compare: Option<PathBuf>,
}

impl Options {
    /// Whether the route is to be measured.
    #[must_use]
    pub fn has(&self, route: Route) -> bool {
        self.only.is_empty() || self.only.contains(&route)
    }
}
