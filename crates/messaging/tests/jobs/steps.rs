//! Long jobs: the effect of a step and its cursor are committed together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared_kernel::job::Job;
use shared_kernel::job_handler::{Attempt, JobKind, Progress, Step, Stepped, Stop};
use shared_kernel::session::WriteSession;

use crate::support::*;

#[derive(Debug, Serialize, Deserialize)]
struct Count {
    to: u32,
}

impl Job for Count {
    const KIND: &'static str = "test.count";

    fn unique_key(&self) -> Option<String> {
        Some("one".to_owned())
    }
}

/// Counts, and fails once at each number that it is told.
struct Counter {
    fails_at: Vec<u32>,
    calls: Arc<AtomicU32>,
}

impl Stepped<Count> for Counter {
    type Cursor = u32;

    async fn step(
        &self,
        session: &WriteSession,
        job: &Count,
        cursor: Option<u32>,
        attempt: &Attempt,
    ) -> Result<Step<u32>, Stop> {
        let number = cursor.unwrap_or_default();
        self.calls.fetch_add(1, Ordering::AcqRel);
        effect(session, &format!("{number:03}")).await?;
        if self.fails_at.contains(&number) && attempt.number == 1 {
            return Err(format!("stumbled over {number}").into());
        }
        if number + 1 == job.to {
            return Ok(Step::Done);
        }
        let progress = Progress { done: i64::from(number) + 1, total: Some(i64::from(job.to)) };
        Ok(Step::Next { cursor: number + 1, progress: Some(progress) })
    }
}

#[tokio::test]
async fn each_step_has_its_effect_once_and_failures_start_anew() {
    let (database, clock) = at_rest().await;
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Counter { fails_at: vec![0, 3, 9], calls: Arc::clone(&calls) };
    // Three failures in all, and never two in a row.
    let workers = workers(&database, vec![JobKind::stepped::<Count>(counter).tries(2)]);
    let id = enqueue(&database, &Count { to: 10 }).await;

    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, id).await;
    assert_eq!((row.failures, row.step, row.step_cursor), (1, 0, None));
    clock.advance(Duration::from_secs(2));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, id).await;
    assert_eq!((row.failures, row.step, row.step_cursor), (1, 3, Some(3.into())));
    assert_eq!((row.done_count, row.total_count), (Some(3), Some(10)));
    assert_eq!(row.last_error.as_deref(), Some("stumbled over 3"));
    clock.advance(Duration::from_secs(2));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    clock.advance(Duration::from_secs(2));
    assert_eq!(workers.run_pending().await.unwrap(), 1);

    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.claim, row.step), ("done", 4, 9));
    let expected: Vec<_> = (0..10).map(|number| format!("{number:03}")).collect();
    assert_eq!(effects(&database).await, expected);
    assert_eq!(calls.load(Ordering::Acquire), 13);
}

#[tokio::test]
async fn a_duplicate_begins_anew_because_no_step_has_seen_it() {
    let (database, clock) = at_rest().await;
    let counter = Counter { fails_at: vec![3], calls: Arc::new(AtomicU32::new(0)) };
    let workers = workers(&database, vec![JobKind::stepped::<Count>(counter)]);
    let id = enqueue(&database, &Count { to: 5 }).await;
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    assert_eq!(job(&database, id).await.step, 3);
    set(&database, id, "cancel_asked_at", clock_now(&database)).await;
    enqueue(&database, &Count { to: 2 }).await;
    let row = job(&database, id).await;
    assert_eq!((row.failures, row.step, row.step_cursor, row.done_count), (0, 0, None, None));
    clock.advance(Duration::from_secs(2));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.step), ("done", 1));
    assert_eq!(effects(&database).await, ["000", "000", "001", "001", "002"]);
}
