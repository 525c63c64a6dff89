//! Settings of the databases.

use std::time::Duration;

use secrecy::SecretString;

use crate::resource::Resources;

/// Settings of the databases.
#[derive(Clone, Debug)]
pub struct DatabaseSettings {
    /// `sqlite:` and a path, or a `postgres://` URL.
    pub url: SecretString,
    /// Streaming replicas of the primary (PostgreSQL only).
    pub replica_urls: Vec<SecretString>,
    /// The primary for notifications between processes, past a pooler that shares connections; otherwise `url` (PostgreSQL only).
    pub listen_url: Option<SecretString>,
    /// Connections in each pool. SQLite: of readers; there is one writer.
    pub pool_size: u32,
    /// Timeout for getting a connection; after it, a request is answered with 503.
    pub acquire_timeout: Duration,
    /// Timeout of a statement, including the waits for a connection and for locks.
    pub statement_timeout: Duration,
    /// Timeout of migrations.
    pub migration_timeout: Duration,
    /// Idle time after which a connection is closed.
    pub idle_timeout: Duration,
    /// Age at which a connection is closed, so that a moved primary is found again.
    pub max_lifetime: Duration,
    /// Whether statements are logged, without their values, with the target `sqlx::query`.
    pub log_statements: bool,
    /// The descriptions of tables for other domains. Other tables cannot be referred to, and deletions do not cascade to them.
    pub resources: Resources,
}

impl DatabaseSettings {
    /// Settings for `url` with the defaults: 10 connections, 3 s for one of them and 4 s for an answer, 10 min for a migration,
    /// 10 min idle, 30 min old, and no table that another may refer to.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            replica_urls: Vec::new(),
            listen_url: None,
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
