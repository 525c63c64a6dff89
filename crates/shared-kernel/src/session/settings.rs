//! What an installation decides about its databases.

use std::time::Duration;

use secrecy::SecretString;

use crate::resource::Resources;

/// Where the databases are and how many connections each gets.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// `sqlite:` and a path, or a `postgres://` URL.
    pub url: SecretString,
    /// Streaming replicas of the primary (PostgreSQL only).
    pub replica_urls: Vec<SecretString>,
    /// Connections in each pool. SQLite: of readers; there is one writer.
    pub pool_size: u32,
    /// How long a request waits for a connection before it is answered with 503.
    pub acquire_timeout: Duration,
    /// How long it waits for the answer to a statement, the waits for a connection and for locks included.
    pub statement_timeout: Duration,
    /// How long migrating may take.
    pub migration_timeout: Duration,
    /// A connection that nobody used for so long is closed.
    pub idle_timeout: Duration,
    /// A connection is closed when it is this old, so that a moved primary is found again.
    pub max_lifetime: Duration,
    /// Each statement is logged, without its values, for the target `sqlx::query`.
    pub log_statements: bool,
    /// What domains may know of each other's tables. What is not in it is visible to nobody, and a deletion has no
    /// consequences for it.
    pub resources: Resources,
}

impl DatabaseSettings {
    /// Those of `url` with the defaults: 10 connections, 3 s for one of them and 4 s for an answer, 10 min for a migration,
    /// 10 min idle, 30 min old, and no table that another may refer to.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            replica_urls: Vec::new(),
            pool_size: 10,
            acquire_timeout: Duration::from_secs(3),
            statement_timeout: Duration::from_secs(4),
            migration_timeout: Duration::from_mins(10),
            idle_timeout: Duration::from_mins(10),
            max_lifetime: Duration::from_mins(30),
            log_statements: false,
            resources: Resources::default(),
        }
    }
}
