//! What health checks tell of jobs.

use std::sync::Arc;
use std::time::Duration;

use shared_kernel::session::SessionError;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Workers;
use super::queues::QueueRecord;

/// The state of jobs in all processes, and of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStatus {
    /// Each queue.
    pub queues: Vec<QueueRecord>,
    /// Kinds and versions of waiting jobs that a worker did not know.
    pub unknown: Vec<UnknownKind>,
    /// Number of threads of handlers that did not end in this process.
    pub threads_given_up: usize,
}

/// A kind that a worker did not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKind {
    /// Name of the kind.
    pub kind: String,
    /// Version of the payload.
    pub version: i32,
}

/// Time for which a status is kept: probes come often, and counting is not free.
const KEPT: Duration = Duration::from_secs(10);

/// The last status, and when it was taken.
pub(super) type LastStatus = Mutex<Option<(Instant, Arc<JobStatus>)>>;

impl Workers {
    /// The state of jobs, up to ten seconds old.
    ///
    /// # Errors
    ///
    /// Errors of the database.
    pub async fn status(&self) -> Result<Arc<JobStatus>, SessionError> {
        let mut last = self.shared.status.lock().await;
        if let Some((taken_at, status)) = &*last
            && taken_at.elapsed() < KEPT
        {
            return Ok(Arc::clone(status));
        }
        let status = Arc::new(self.take_status().await?);
        *last = Some((Instant::now(), Arc::clone(&status)));
        Ok(status)
    }

    async fn take_status(&self) -> Result<JobStatus, SessionError> {
        let shared = &self.shared;
        let unknown = shared.store.odd_lanes().await?;
        Ok(JobStatus {
            queues: self.admin().queues().await?,
            unknown: unknown.iter().filter_map(|lane| unknown_kind(lane)).collect(),
            threads_given_up: self.threads_given_up(),
        })
    }
}

/// The kind of a lane of unknown jobs, `odd:<queue>:<kind>:<version>`.
fn unknown_kind(lane: &str) -> Option<UnknownKind> {
    let (rest, version) = lane.rsplit_once(':')?;
    let (_, kind) = rest.rsplit_once(':')?;
    Some(UnknownKind { kind: kind.to_owned(), version: version.parse().ok()? })
}
