//! The job that deletes events that were delivered long ago.

use std::time::Duration;

use messaging::{JobRegistry, Relay};
use serde::{Deserialize, Serialize};
use shared_kernel::job::Job;
use shared_kernel::job_handler::{Attempt, External, InvalidSchedule, JobKind, Schedule, Stop};

/// Deletes delivered events.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct SweepEvents {}

impl Job for SweepEvents {
    const KIND: &'static str = "events.sweep";

    fn unique_key(&self) -> Option<String> {
        Some("all".to_owned())
    }
}

struct Sweep(Relay);

/// It deletes in small transactions of its own, and a second run finds what the first one left.
impl External<SweepEvents> for Sweep {
    async fn run(&self, _: &SweepEvents, _: &Attempt) -> Result<(), Stop> {
        let rows = self.0.sweep().await?;
        if rows > 0 {
            tracing::info!(rows, "deleted old events");
        }
        Ok(())
    }
}

/// Time for one run; the next one goes on.
const TIMEOUT: Duration = Duration::from_mins(30);

/// Registers the job, for every ten minutes.
pub(crate) fn register(jobs: &mut JobRegistry, relay: Relay) -> Result<(), InvalidSchedule> {
    jobs.kinds.push(JobKind::external::<SweepEvents>(Sweep(relay)).timeout(TIMEOUT));
    jobs.schedules.push(Schedule::new("events.sweep", "*/10 * * * * UTC", SweepEvents {})?);
    Ok(())
}
