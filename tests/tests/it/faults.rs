//! Faults of dependencies: requests that need the dependency get a 503 with `Retry-After` in time, other requests succeed, and the
//! server recovers with the dependency, without a restart.

mod deadlines;
pub(crate) mod disk_full;
mod jobs;
mod side_by_side;

use std::time::Duration;

use tests::faults::{self, DEADLINE, Finding};

/// Maximum time of a request that does not wait for a dependency, on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(2);

/// All requests that need the dependency got a 503 with `Retry-After` in time; the others succeeded immediately.
pub(crate) fn holds(finding: Option<Finding>) {
    let Some(finding) = finding else { return };
    assert!(finding.asked.all_are(503), "{finding:?}");
    assert!(finding.asked.all_have_retry_after, "{finding:?}");
    assert!(finding.asked.slowest < DEADLINE, "{finding:?}");
    goes_on(&finding);
}

fn goes_on(finding: &Finding) {
    assert!(finding.others.all_are(200), "{finding:?}");
    assert!(finding.others.slowest < AT_ONCE, "{finding:?}");
    assert!(finding.recovered < DEADLINE, "{finding:?}");
}

#[tokio::test]
async fn nothing_comes_back_from_the_primary() {
    holds(faults::primary_silent().await);
}

/// Reads use the primary, in time.
#[tokio::test]
async fn nothing_comes_back_from_the_replica() {
    let Some(finding) = faults::replica_silent().await else { return };
    assert!(finding.asked.all_are(200), "{finding:?}");
    assert!(finding.asked.slowest < DEADLINE, "{finding:?}");
    goes_on(&finding);
}

#[tokio::test]
async fn the_answer_to_a_commit_is_lost() {
    holds(faults::commit_unanswered().await);
}

#[tokio::test]
async fn the_primary_refuses_connections() {
    let Some(finding) = faults::primary_refuses().await else { return };
    assert!(finding.asked.slowest < AT_ONCE, "{finding:?}");
    holds(Some(finding));
}

/// No request fails, because no transaction was open on the idle connections.
#[tokio::test]
async fn the_primary_was_restarted() {
    let Some(finding) = faults::primary_restarts().await else { return };
    assert!(finding.asked.all_are(200), "{finding:?}");
    goes_on(&finding);
}

#[tokio::test]
async fn a_table_is_locked() {
    holds(faults::table_locked().await);
}

#[tokio::test]
async fn a_row_is_locked_that_many_want_to_change() {
    holds(faults::row_locked().await);
}

#[tokio::test]
async fn a_limit_of_the_operator() {
    let Some(finding) = faults::operators_limit().await else { return };
    assert!(finding.asked.slowest < AT_ONCE, "{finding:?}");
    holds(Some(finding));
}

#[tokio::test]
async fn another_process_holds_the_lock_of_sqlite() {
    holds(Some(faults::file_locked().await));
}

/// Waiting requests are answered, and then the server ends.
#[tokio::test]
async fn a_stop_while_nothing_comes_back_from_the_primary() {
    let Some((asked, status, time)) = faults::stop_while_primary_silent().await else { return };
    assert!(asked.all_are(503) && asked.slowest < DEADLINE, "{asked:?}");
    assert_eq!(status.code(), Some(0));
    assert!(time < 2 * DEADLINE, "{time:?}");
}
