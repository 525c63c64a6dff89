//! Choice of the server that answers a read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use sea_orm::{DbBackend, Statement};

use super::postgres::Pool;
use super::token::Position;
use super::{ConsistencyToken, Plan, SessionError};

/// Streaming replicas of PostgreSQL, which lag behind the primary.
pub(super) struct Replicas {
    replicas: Vec<Arc<Replica>>,
    next: AtomicUsize,
}

pub(super) struct Replica {
    pool: Pool,
    left_out: AtomicBool,
    /// It did not answer in time, and is being checked.
    suspect: AtomicBool,
}

/// Timeout for a new connection to a replica that is being checked.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval of checking a replica that is not in use.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

impl Replicas {
    pub(super) fn new(pools: Vec<Pool>) -> Self {
        let replica = |pool| {
            Arc::new(Replica { pool, left_out: AtomicBool::new(false), suspect: AtomicBool::new(false) })
        };
        Self { replicas: pools.into_iter().map(replica).collect(), next: AtomicUsize::new(0) }
    }

    /// Whether each replica is in use.
    pub(super) fn in_use(&self) -> Vec<bool> {
        self.replicas.iter().map(|replica| !replica.left_out.load(Ordering::Acquire)).collect()
    }

    /// Index of the replica that a session reads from; `None` for the primary.
    pub(super) async fn choose(&self, seen: Option<ConsistencyToken>) -> Option<usize> {
        let (turn, count) = (self.next.fetch_add(1, Ordering::Relaxed), self.replicas.len());
        let index = (0..count)
            .map(|step| turn.wrapping_add(step) % count)
            .find(|&index| self.replicas.get(index).is_some_and(|replica| replica.is_asked()))?;
        let Some(seen) = seen else { return Some(index) };
        let replayed = match self.replicas.get(index)?.replayed().await.map_err(SessionError::from) {
            Ok(replayed) => replayed,
            Err(error) => {
                self.failed(index, &error);
                return None;
            }
        };
        (replayed >= seen.position()).then_some(index)
    }

    /// The pool of a replica, unless it is no longer in use.
    pub(super) fn pool(&self, index: usize) -> Option<&Pool> {
        self.replicas.get(index).filter(|replica| replica.is_asked()).map(|replica| &replica.pool)
    }

    /// Handles a failure of a replica. After an error it is no longer used; after a timeout it may just be busy, so it is checked
    /// first, in the background.
    pub(super) fn failed(&self, index: usize, error: &SessionError) {
        let Some(replica) = self.replicas.get(index) else { return };
        if !error.is_timeout() {
            Self::leave_out(index, replica);
            return;
        }
        if replica.suspect.swap(true, Ordering::AcqRel) {
            return;
        }
        let replica = Arc::clone(replica);
        tokio::spawn(async move {
            if !replica.pool.accepts_connections(PROBE_TIMEOUT).await {
                Self::leave_out(index, &replica);
            }
            replica.suspect.store(false, Ordering::Release);
        });
    }

    /// Stops using this replica until it answers again.
    fn leave_out(index: usize, replica: &Arc<Replica>) {
        if replica.left_out.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::warn!(replica = index, "a replica does not answer; reads go elsewhere until it does");
        let replica = Arc::downgrade(replica);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PROBE_INTERVAL).await;
                // The databases were dropped: the process is ending.
                let Some(replica) = replica.upgrade() else { return };
                if replica.pool.accepts_connections(PROBE_TIMEOUT).await {
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

    /// Position in the WAL of the primary that the replica has replayed. A server that is not a standby is always current.
    async fn replayed(&self) -> Result<Position, sea_orm::DbErr> {
        let sql = "SELECT COALESCE(pg_last_wal_replay_lsn()::text, 'FFFFFFFF/FFFFFFFF') AS position";
        let rows = self.pool.fetch(&Statement::from_string(DbBackend::Postgres, sql), Plan::Kept).await?;
        let position: String =
            rows.first().map(|row| row.try_get("", "position")).transpose()?.unwrap_or_default();
        Ok(position.parse().unwrap_or(Position::START))
    }
}
