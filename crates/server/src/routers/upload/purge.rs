//! The job that removes deleted and abandoned uploads, with their objects.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_kernel::job::Job;
use shared_kernel::job_handler::{Attempt, External, InvalidSchedule, JobKind, Schedule, Stop};
use shared_kernel::session::Databases;
use upload::service::UploadService;

/// Removes uploads that were deleted or abandoned longer ago than their grace period.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct PurgeUploads {}

impl Job for PurgeUploads {
    const KIND: &'static str = "upload.purge";

    fn unique_key(&self) -> Option<String> {
        Some("all".to_owned())
    }
}

struct Purge {
    uploads: Arc<UploadService>,
    databases: Databases,
}

/// Objects are removed before rows, and a second run finds what the first one left.
impl External<PurgeUploads> for Purge {
    async fn run(&self, _: &PurgeUploads, _: &Attempt) -> Result<(), Stop> {
        self.uploads.purge(&self.databases).await?;
        Ok(())
    }
}

/// Time for one run; the next one goes on.
const TIMEOUT: Duration = Duration::from_mins(30);

/// The kind, with its handler.
pub(super) fn kind(databases: &Databases, uploads: Arc<UploadService>) -> JobKind {
    let purge = Purge { uploads, databases: databases.clone() };
    JobKind::external::<PurgeUploads>(purge).timeout(TIMEOUT)
}

/// Every hour.
pub(super) fn schedule() -> Result<Schedule, InvalidSchedule> {
    Schedule::new("upload.purge", "17 * * * * UTC", PurgeUploads {})
}
