//! Opens the pools.

use std::sync::OnceLock;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::{ConnectOptions, DatabaseConnection, SqlxPostgresConnector};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;

use super::postgres::{Limits, Pool, Target, Waits};
use super::replica::Replicas;
use super::{ConnectError, Databases, Engine, Postgres, Shared, sqlite};
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

    /// One connection of its own to a SQLite database, for work on the schema: what is left on it goes with it, and it is not
    /// closed for being old. A statement waits for another process's lock as long as [migrating](Self::migration_timeout) may
    /// take.
    ///
    /// # Errors
    ///
    /// The primary cannot be opened.
    pub async fn connect_alone(&self) -> Result<DatabaseConnection, ConnectError> {
        let wait = self.migration_timeout;
        let mut options = self.options(&self.url);
        options.max_connections(1).idle_timeout(None).max_lifetime(None);
        options.map_sqlx_sqlite_opts(move |options| sqlite::writing_options(options).busy_timeout(wait));
        Ok(sqlite::open(options).await?)
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

/// So many at most, and only while something changes the schema: one keeps others from doing the same meanwhile.
const SCHEMA_CONNECTIONS: u32 = 4;
const SCHEMA_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

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
        let engine = if url.starts_with("sqlite:") {
            Engine::Sqlite(sqlite::connect(settings).await?)
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Engine::Postgres(postgres(settings).await?)
        } else {
            return Err(ConnectError::UnknownEngine);
        };
        let cursor_key = secret.mac_key("cursor");
        let resources = settings.resources.clone();
        Ok(Self(Arc::new(Shared { engine, clock, cursor_key, resources, on_events: OnceLock::new() })))
    }
}

/// Pools that open no connection before they need one, except for the primary's first: whatever keeps us out is told here.
async fn postgres(settings: &DatabaseSettings) -> Result<Postgres, ConnectError> {
    let target = Target::parse(&settings.url)?.logged(settings.log_statements);
    let limits = settings.limits(settings.statement_timeout);
    let primary = Pool::new(target.options(Waits::within(limits.answer)), limits);
    primary.suits().await?;
    let mut replicas = Vec::new();
    for url in &settings.replica_urls {
        // Half of the time, so that the primary can still answer what a replica did not.
        let limits = settings.limits(settings.statement_timeout / 2);
        let target = Target::parse(url)?.logged(settings.log_statements);
        let options = target.options(Waits::within(limits.answer));
        replicas.push(Pool::new(options.options([("default_transaction_read_only", "on")]), limits));
    }
    Ok(Postgres { primary, replicas: Replicas::new(replicas), schema: schema_connections(settings, &target) })
}

impl DatabaseSettings {
    fn limits(&self, answer: Duration) -> Limits {
        Limits {
            size: self.pool_size,
            acquire: self.acquire_timeout.min(answer),
            answer,
            idle: self.idle_timeout,
            lifetime: self.max_lifetime,
        }
    }
}

/// Connections for what changes the schema, which takes longer than any request. It must not wait long for a table: whoever
/// comes after it waits behind it.
fn schema_connections(settings: &DatabaseSettings, target: &Target) -> DatabaseConnection {
    let waits = Waits { statement: settings.migration_timeout, ..Waits::within(settings.statement_timeout) };
    let pool = PgPoolOptions::new()
        .max_connections(SCHEMA_CONNECTIONS)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(SCHEMA_IDLE_TIMEOUT);
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(target.options(waits)))
}
