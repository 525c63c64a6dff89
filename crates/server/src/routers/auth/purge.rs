//! The job that removes sessions that ended long ago.

use std::sync::Arc;
use std::time::Duration;

use auth::Auth;
use serde::{Deserialize, Serialize};
use shared_kernel::job::Job;
use shared_kernel::job_handler::{Attempt, External, InvalidSchedule, JobKind, Schedule, Stop};

/// Removes ended sessions.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct PurgeSessions {}

impl Job for PurgeSessions {
    const KIND: &'static str = "auth.purge_sessions";

    fn unique_key(&self) -> Option<String> {
        Some("all".to_owned())
    }
}

struct Purge(Arc<Auth>);

/// It deletes in small transactions of its own, and a second run finds what the first one left.
impl External<PurgeSessions> for Purge {
    async fn run(&self, _: &PurgeSessions, _: &Attempt) -> Result<(), Stop> {
        let sessions = self.0.purge_sessions().await?;
        if sessions > 0 {
            tracing::info!(sessions, "removed sessions that ended long ago");
        }
        Ok(())
    }
}

/// Time for one run; the next one goes on.
const TIMEOUT: Duration = Duration::from_mins(30);

/// The kind, with its handler.
pub(super) fn kind(auth: Arc<Auth>) -> JobKind {
    JobKind::external::<PurgeSessions>(Purge(auth)).timeout(TIMEOUT)
}

/// Every hour.
pub(super) fn schedule() -> Result<Schedule, InvalidSchedule> {
    Schedule::new("auth.purge_sessions", "7 * * * * UTC", PurgeSessions {})
}
