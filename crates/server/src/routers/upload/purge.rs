//! The job that removes deleted and abandoned uploads, with their objects.

use std::sync::Arc;
use std::time::Duration;

use app_kit::wiring::Wiring;
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

/// Registers the job, for every hour.
pub(super) fn register(wiring: &mut Wiring<'_>, uploads: Arc<UploadService>) -> Result<(), InvalidSchedule> {
    let purge = Purge { uploads, databases: wiring.databases.clone() };
    wiring.job(JobKind::external::<PurgeUploads>(purge).timeout(TIMEOUT));
    wiring.schedule(Schedule::new("upload.purge", "17 * * * * UTC", PurgeUploads {})?);
    Ok(())
}
