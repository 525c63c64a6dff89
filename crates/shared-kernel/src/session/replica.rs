//! Which connection a read goes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};

use super::{ConsistencyToken, SessionError};

/// What reads go to besides the primary.
pub(super) enum Replicas {
    /// SQLite: other connections to the same file.
    SameDatabase(DatabaseConnection),
    /// PostgreSQL: streaming replicas, which lag.
    Streaming { replicas: Vec<Arc<Replica>>, next: AtomicUsize },
}

pub(super) struct Replica {
    connection: DatabaseConnection,
    left_out: AtomicBool,
    /// No connection became free in time, and it is being found out why.
    suspect: AtomicBool,
}

/// How long a replica that is suspect has to let a new connection in.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a replica that was left out is asked whether it is back.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl Replicas {
    pub(super) fn same_database(connection: DatabaseConnection) -> Self {
        Self::SameDatabase(connection)
    }

    pub(super) fn streaming(connections: Vec<DatabaseConnection>) -> Self {
        let replica = |connection| {
            Arc::new(Replica {
                connection,
                left_out: AtomicBool::new(false),
                suspect: AtomicBool::new(false),
            })
        };
        Self::Streaming {
            replicas: connections.into_iter().map(replica).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// The connection that sees every commit of the primary at once, if there is one.
    pub(super) fn always_current(&self) -> Option<&DatabaseConnection> {
        match self {
            Self::SameDatabase(connection) => Some(connection),
            Self::Streaming { .. } => None,
        }
    }

    /// Whether each streaming replica is in use.
    pub(super) fn in_use(&self) -> Vec<bool> {
        match self {
            Self::SameDatabase(_) => Vec::new(),
            Self::Streaming { replicas, .. } => {
                replicas.iter().map(|replica| !replica.left_out.load(Ordering::Acquire)).collect()
            }
        }
    }

    /// The number of the connection that a session reads from; `None` is the primary.
    pub(super) async fn choose(&self, seen: Option<ConsistencyToken>) -> Option<usize> {
        let Self::Streaming { replicas, next } = self else { return None };
        let turn = next.fetch_add(1, Ordering::Relaxed);
        let index = (0..replicas.len())
            .map(|step| turn.wrapping_add(step) % replicas.len())
            .find(|&index| replicas.get(index).is_some_and(|replica| replica.is_asked()))?;
        let Some(seen) = seen else { return Some(index) };
        let replayed = match replicas.get(index)?.replayed().await.map_err(SessionError::from) {
            Ok(replayed) => replayed,
            Err(error) => {
                self.failed(index, &error);
                return None;
            }
        };
        (replayed >= seen).then_some(index)
    }

    /// The connection of that number, unless it is left out meanwhile.
    pub(super) fn connection(&self, index: usize) -> Option<&DatabaseConnection> {
        match self {
            Self::SameDatabase(_) => None,
            Self::Streaming { replicas, .. } => {
                replicas.get(index).filter(|replica| replica.is_asked()).map(|replica| &replica.connection)
            }
        }
    }

    /// The replica could not answer. One that was not reached is left out; one whose connections are all busy is not, but
    /// the pool reports a server that is away in the same words, so that is found out first, beside the request.
    pub(super) fn failed(&self, index: usize, error: &SessionError) {
        let Self::Streaming { replicas, .. } = self else { return };
        let Some(replica) = replicas.get(index) else { return };
        if !error.is_acquire_timeout() {
            Self::leave_out(index, replica);
            return;
        }
        if replica.suspect.swap(true, Ordering::AcqRel) {
            return;
        }
        let replica = Arc::clone(replica);
        tokio::spawn(async move {
            if !replica.lets_in().await {
                Self::leave_out(index, &replica);
            }
            replica.suspect.store(false, Ordering::Release);
        });
    }

    /// Sends no more reads to this replica until it answers again.
    fn leave_out(index: usize, replica: &Arc<Replica>) {
        if replica.left_out.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::warn!(replica = index, "a replica does not answer; reads go elsewhere until it does");
        let replica = Arc::downgrade(replica);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PROBE_INTERVAL).await;
                // The installation was shut down: nobody waits for the answer.
                let Some(replica) = replica.upgrade() else { return };
                if replica.connection.execute_unprepared("SELECT 1").await.is_ok() {
                    replica.left_out.store(false, Ordering::Release);
                    tracing::info!(replica = index, "the replica answers again");
                    return;
                }
            }
        });
    }
}

impl Replica {
    fn is_asked(&self) -> bool {
        !self.left_out.load(Ordering::Acquire) && !self.suspect.load(Ordering::Acquire)
    }

    /// Whether the server answers to a connection beside those of the pool.
    async fn lets_in(&self) -> bool {
        let options = self.connection.get_postgres_connection_pool().connect_options();
        match tokio::time::timeout(PROBE_TIMEOUT, options.connect()).await {
            Ok(Ok(connection)) => {
                // Nobody needs to wait for the goodbye.
                drop(tokio::time::timeout(PROBE_TIMEOUT, connection.close()).await);
                true
            }
            // 53300, too many connections: it is there and busy.
            Ok(Err(sqlx::Error::Database(error))) => error.code().as_deref() == Some("53300"),
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// How far it has replayed the primary's WAL. A server that is no standby has nothing to replay: it is current.
    async fn replayed(&self) -> Result<ConsistencyToken, sea_orm::DbErr> {
        let sql = "SELECT COALESCE(pg_last_wal_replay_lsn()::text, 'FFFFFFFF/FFFFFFFF') AS position";
        let row = self.connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        let position: String = row.map(|row| row.try_get("", "position")).transpose()?.unwrap_or_default();
        Ok(position.parse().unwrap_or(ConsistencyToken(0)))
    }
}
