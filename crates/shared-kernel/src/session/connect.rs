//! Opens the pools.

use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;

use super::replica::Replicas;
use super::sqlite::{self, Writer};
use super::{ConnectError, Databases, Shared};
use crate::clock::SharedClock;
use crate::crypto::SecretKey;
use crate::reference::Resources;

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
    /// A connection that nobody used for so long is closed.
    pub idle_timeout: Duration,
    /// A connection is closed when it is this old, so that a moved primary is found again.
    pub max_lifetime: Duration,
    /// Each statement is logged, without its values, at `info` for the target `sqlx::query`.
    pub log_statements: bool,
    /// What domains may know of each other's tables. What is not in it is visible to nobody, and a deletion has no
    /// consequences for it.
    pub resources: Resources,
}

impl DatabaseSettings {
    /// Those of `url` with the defaults: 10 connections, 5 s, 10 min, 30 min, and no table that another may refer to.
    #[must_use]
    pub fn new(url: SecretString) -> Self {
        Self {
            url,
            replica_urls: Vec::new(),
            pool_size: 10,
            acquire_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_mins(10),
            max_lifetime: Duration::from_mins(30),
            log_statements: false,
            resources: Resources::default(),
        }
    }

    pub(super) fn options(&self, url: &SecretString) -> ConnectOptions {
        let mut options = ConnectOptions::new(url.expose_secret());
        options
            .max_connections(self.pool_size)
            .acquire_timeout(self.acquire_timeout)
            .connect_timeout(self.acquire_timeout)
            .idle_timeout(self.idle_timeout)
            .max_lifetime(self.max_lifetime)
            .test_before_acquire_if_idle_for(Duration::from_secs(30))
            // Costs a third of the throughput of a cheap route.
            .sqlx_logging(self.log_statements);
        options
    }
}

impl Databases {
    /// Opens the primary and the replicas. A replica that does not answer is left out until it does.
    ///
    /// # Errors
    ///
    /// The primary cannot be opened, or the settings do not fit each other.
    pub async fn connect(
        settings: &DatabaseSettings,
        clock: SharedClock,
        secret: &SecretKey,
    ) -> Result<Self, ConnectError> {
        let url = settings.url.expose_secret();
        let writer = Arc::new(Writer::default());
        let (primary, replicas) = if url.starts_with("sqlite:") {
            sqlite::connect(settings, &writer).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            postgres(settings).await?
        } else {
            return Err(ConnectError::UnknownEngine);
        };
        let cursor_key = secret.mac_key("cursor");
        let resources = settings.resources.clone();
        Ok(Self(Arc::new(Shared { primary, writer, replicas, clock, cursor_key, resources })))
    }
}

async fn postgres(settings: &DatabaseSettings) -> Result<(DatabaseConnection, Replicas), ConnectError> {
    let named = |mut options: ConnectOptions| {
        options.set_application_name("ashlar");
        options
    };
    let primary = Database::connect(named(settings.options(&settings.url))).await?;
    let mut replicas = Vec::new();
    for url in &settings.replica_urls {
        let mut options = named(settings.options(url));
        options
            // A replica that is away must not keep the server from starting.
            .connect_lazy(true)
            .map_sqlx_postgres_opts(|options| options.options([("default_transaction_read_only", "on")]));
        replicas.push(Database::connect(options).await?);
    }
    Ok((primary, Replicas::streaming(replicas)))
}
