//! Opening of the connection pools.

use std::time::Duration;

use sea_orm::sqlx::postgres::PgPoolOptions;
use sea_orm::{ConnectOptions, DatabaseConnection, DbBackend, SqlxPostgresConnector};
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use tokio::sync::Notify;

use super::postgres::{Limits, Pool, Target, Waits};
use super::recent::RecentRows;
use super::replica::Replicas;
use super::settings::DatabaseSettings;
use super::texts::StatementTexts;
use super::{ConnectError, Databases, Engine, Postgres, Shared, sqlite};
use crate::clock::SharedClock;
use crate::crypto::SecretKey;
use crate::frozen::CURSOR_KEY;
use crate::job::JobSignal;

impl DatabaseSettings {
    /// A separate connection to a SQLite database for migrations. No state of it is left in a pool, and it is not closed because of its
    /// age. A statement waits for the lock of another process for up to the [timeout of migrations](Self::migration_timeout).
    ///
    /// # Errors
    ///
    /// The primary cannot be opened.
    pub async fn connect_alone(&self) -> Result<DatabaseConnection, ConnectError> {
        let wait = self.migration_timeout;
        let mut options = self.sqlite_options();
        options.max_connections(1).idle_timeout(None).max_lifetime(None);
        options.map_sqlx_sqlite_opts(move |options| sqlite::writing_options(options).busy_timeout(wait));
        Ok(sqlite::open(options).await?)
    }

    /// Options of connections to a SQLite database.
    pub(super) fn sqlite_options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.url.expose_secret());
        options
            .max_connections(self.pool_size)
            .acquire_timeout(self.acquire_timeout)
            .connect_timeout(self.acquire_timeout)
            .idle_timeout(self.idle_timeout)
            .max_lifetime(self.max_lifetime)
            .test_before_acquire_if_idle_for(Duration::from_secs(30))
            // Logging costs a third of the throughput of a cheap route.
            .sqlx_logging(self.log_statements);
        options
    }
}

/// Maximum number of connections for migrations; one of them holds the lock that excludes other processes.
const SCHEMA_CONNECTIONS: u32 = 4;
const SCHEMA_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// The database engine of a URL, if it is supported.
#[must_use]
pub fn engine_of(url: &str) -> Option<DbBackend> {
    match url.split_once(':')?.0 {
        "sqlite" => Some(DbBackend::Sqlite),
        "postgres" | "postgresql" => Some(DbBackend::Postgres),
        _ => None,
    }
}

impl Databases {
    /// Opens the primary and the replicas. A replica that does not answer is not used until it does.
    ///
    /// # Errors
    ///
    /// The primary cannot be opened, or the settings do not fit each other.
    pub async fn connect(
        settings: &DatabaseSettings,
        clock: SharedClock,
        secret: &SecretKey,
    ) -> Result<Self, ConnectError> {
        let engine = match engine_of(settings.url.expose_secret()) {
            Some(DbBackend::Sqlite) => Engine::Sqlite(sqlite::connect(settings).await?),
            Some(DbBackend::Postgres) => Engine::Postgres(postgres(settings).await?),
            _ => return Err(ConnectError::UnknownEngine),
        };
        let cursor_key = secret.mac_key(CURSOR_KEY);
        let resources = settings.resources.clone();
        Ok(Self(Arc::new(Shared {
            engine,
            clock,
            cursor_key,
            resources,
            events: Notify::new(),
            jobs: JobSignal::new(),
            recent: RecentRows::new(),
            texts: StatementTexts::default(),
        })))
    }
}

/// Pools that open connections on demand, except for the first one to the primary, so that its errors are reported at start.
async fn postgres(settings: &DatabaseSettings) -> Result<Postgres, ConnectError> {
    let target = Target::parse(&settings.url)?.logged(settings.log_statements);
    let limits = settings.limits(settings.statement_timeout);
    let primary = Pool::new(target.options(Waits::within(limits.answer)), limits);
    primary.check_server().await?;
    if primary.is_standby().await? {
        return Err(ConnectError::Standby);
    }
    let mut replicas = Vec::new();
    for url in &settings.replica_urls {
        // Half of the time, so that the primary can still answer after a replica has failed.
        let limits = settings.limits(settings.statement_timeout / 2);
        let target = Target::parse(url)?.logged(settings.log_statements);
        let options = target.options(Waits::within(limits.answer));
        replicas.push(Pool::new(options.options([("default_transaction_read_only", "on")]), limits));
    }
    let listening = settings.listen_url.as_ref().map_or_else(|| Ok(target.clone()), Target::parse)?;
    let listening =
        listening.logged(settings.log_statements).options(Waits::within(settings.statement_timeout));
    Ok(Postgres {
        primary,
        replicas: Replicas::new(replicas),
        schema: schema_connections(settings, &target),
        listening: Box::new(listening),
    })
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

/// Connections for migrations, which take longer than requests. They must not wait long for a lock on a table, because other
/// statements queue behind them.
fn schema_connections(settings: &DatabaseSettings, target: &Target) -> DatabaseConnection {
    let waits = Waits { statement: settings.migration_timeout, ..Waits::within(settings.statement_timeout) };
    let pool = PgPoolOptions::new()
        .max_connections(SCHEMA_CONNECTIONS)
        .acquire_timeout(settings.acquire_timeout)
        .idle_timeout(SCHEMA_IDLE_TIMEOUT);
    SqlxPostgresConnector::from_sqlx_postgres_pool(pool.connect_lazy_with(target.options(waits)))
}
