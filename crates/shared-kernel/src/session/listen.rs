//! Notifications between the processes of an installation (PostgreSQL manual, `NOTIFY`).

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sea_orm::sqlx::{self, Executor as _};
use sea_orm::{DbErr, RuntimeErr};
use tokio::time::timeout;

use super::{Databases, Engine, SessionError};

/// Timeout of everything but waiting for a notification.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection of its own on which notifications are sent and received. A notification is not sent in the transaction that it is about:
/// `NOTIFY` in a transaction holds a lock of the whole server until its commit has ended.
pub struct Notifications {
    listener: PgListener,
    channel: &'static str,
}

impl Databases {
    /// Listens to a channel. `None` on SQLite, which has no notifications.
    ///
    /// # Errors
    ///
    /// The server cannot be reached.
    pub async fn notifications(&self, channel: &'static str) -> Result<Option<Notifications>, SessionError> {
        let Engine::Postgres(postgres) = &self.0.engine else { return Ok(None) };
        let listener = within(open(PgConnectOptions::clone(&postgres.listening), channel)).await?;
        Ok(Some(Notifications { listener, channel }))
    }
}

async fn open(options: PgConnectOptions, channel: &str) -> sqlx::Result<PgListener> {
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(channel).await?;
    Ok(listener)
}

impl Notifications {
    /// The next notification, of this process or another one. May be dropped and called again.
    ///
    /// # Errors
    ///
    /// The connection is lost, and with it perhaps some notifications.
    pub async fn receive(&mut self) -> Result<String, SessionError> {
        match self.listener.try_recv().await {
            Ok(Some(notification)) => Ok(notification.payload().to_owned()),
            Ok(None) => Err(failed(std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into())),
            Err(error) => Err(failed(error)),
        }
    }

    /// Sends a notification of less than 8,000 bytes to all who listen to the channel, this connection included.
    ///
    /// # Errors
    ///
    /// The connection is lost.
    pub async fn send(&mut self, payload: &str) -> Result<(), SessionError> {
        let notify = sqlx::query("SELECT pg_notify($1, $2)").bind(self.channel).bind(payload);
        within(self.listener.execute(notify)).await?;
        Ok(())
    }
}

async fn within<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, SessionError> {
    let silence = |_| sqlx::Error::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
    timeout(PATIENCE, work).await.map_err(silence).flatten().map_err(failed)
}

fn failed(error: sqlx::Error) -> SessionError {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))).into()
}
