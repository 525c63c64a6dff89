//! What operators see of jobs, and do with them.

use std::sync::Arc;
use std::time::Duration;

use messaging::{JobAdmin, JobAdminError, JobFilter};
use shared_kernel::clock::Timestamp;
use shared_kernel::id::Id;
use shared_kernel::job::{JobOptions, Priority, Queue};
use shared_kernel::job_handler::{JobKind, Stop};
use tokio_util::sync::CancellationToken;

use crate::support::*;

#[tokio::test]
async fn a_dead_job_is_listed_with_its_error_and_tried_again() {
    let (database, clock) = at_rest().await;
    let admin = JobAdmin::new((*database).clone());
    let failing = JobKind::transactional::<Note>(Writer::new(|_, _| Err("no route".into()))).tries(1);
    let id = enqueue(&database, &note("poison")).await;
    workers(&database, vec![failing]).run_pending().await.unwrap();
    clock.advance(Duration::from_secs(1));
    let dead = admin.list(&JobFilter::Dead, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].id.clone(), dead[0].last_error.as_deref()), (id.to_string(), Some("no route")));
    assert_eq!((dead[0].failures, dead[0].claim, dead[0].payload["text"].as_str()), (1, 1, Some("poison")));

    admin.retry(id).await.unwrap();
    let row = admin.get(id).await.unwrap();
    assert_eq!((row.state.as_str(), row.failures, row.finished_at), ("waiting", 0, None));
    workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())])
        .run_pending()
        .await
        .unwrap();
    assert_eq!(effects(&database).await, ["poison"]);
    for (state, done) in [(admin.retry(id).await, "done"), (admin.cancel(id).await, "done")] {
        assert!(matches!(state, Err(JobAdminError::State { state, .. }) if state == done));
    }
    let unknown = Id::new(Timestamp::from_unix_millis(1).unwrap());
    assert!(matches!(admin.get(unknown).await, Err(JobAdminError::NotFound(id)) if id == unknown));
}

#[tokio::test]
async fn a_waiting_job_is_hurried_or_cancelled() {
    let (database, _) = at_rest().await;
    let admin = JobAdmin::new((*database).clone());
    let later = JobOptions { delay: Duration::from_hours(1), ..JobOptions::default() };
    let hurried = enqueue_with(&database, &note("hurried"), later).await;
    let unique = Note { unique: Some("one".to_owned()), ..note("cancelled") };
    let cancelled = enqueue(&database, &unique).await;
    admin.retry(hurried).await.unwrap();
    admin.cancel(cancelled).await.unwrap();
    workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())])
        .run_pending()
        .await
        .unwrap();
    assert_eq!(effects(&database).await, ["hurried"]);
    let row = job(&database, cancelled).await;
    assert_eq!(
        (row.state.as_str(), row.unique_key, row.last_error.as_deref()),
        ("cancelled", None, Some("cancelled by an operator"))
    );
    assert_eq!(admin.list(&JobFilter::Cancelled, 10).await.unwrap().len(), 1);

    // A second one waits now, so the first cannot come back.
    enqueue_with(&database, &unique, later).await;
    assert!(matches!(admin.retry(cancelled).await, Err(JobAdminError::State { .. })));
    assert_eq!(job(&database, cancelled).await.state, "cancelled");
}

#[tokio::test]
async fn cancelling_a_job_that_has_its_turn_lets_the_next_one_go() {
    let (database, _) = at_rest().await;
    let admin = JobAdmin::new((*database).clone());
    let (caller, mut calls) = Caller::new();
    let workers = workers(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))]);
    let serial = |text| Note { serial: Some("k".to_owned()), ..note(text) };
    admin.pause(&Queue::DEFAULT).await.unwrap();
    let first = enqueue(&database, &serial("first")).await;
    let second = enqueue(&database, &serial("second")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 0, "the queue is paused");
    assert!(matches!(admin.retry(second).await, Err(JobAdminError::State { .. })), "it is behind the first");
    admin.cancel(first).await.unwrap();
    admin.resume(&Queue::DEFAULT).await.unwrap();
    caller.let_end(1);
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    assert_eq!(calls.try_recv().unwrap(), "second");
    assert_eq!(count(&database, "job_turns").await, 0);
}

/// Waits until it is told to stop.
struct Listener;

impl shared_kernel::job_handler::Blocking<Note> for Listener {
    fn run(&self, _: &Note, attempt: &shared_kernel::job_handler::Attempt) -> Result<(), Stop> {
        while !attempt.should_stop() {
            std::thread::yield_now();
        }
        Err(Stop::Snooze(Duration::ZERO))
    }
}

#[tokio::test]
async fn a_job_that_runs_is_told_that_it_was_cancelled() {
    let (database, _) = at_rest().await;
    let admin = JobAdmin::new((*database).clone());
    let workers = workers(&database, vec![JobKind::blocking::<Note>(Listener)]);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (workers, shutdown) = (workers.clone(), shutdown.clone());
        async move { workers.run(shutdown).await }
    });
    let id = enqueue(&database, &note("long")).await;
    until(async || job(&database, id).await.state == "running").await;
    assert_eq!(admin.list(&JobFilter::Running, 10).await.unwrap().len(), 1);
    admin.cancel(id).await.unwrap();
    until(async || job(&database, id).await.state == "cancelled").await;
    shutdown.cancel();
    soon(running).await.unwrap();
}

#[tokio::test]
async fn a_paused_queue_rests_and_tells_its_depth() {
    let (database, clock) = at_rest().await;
    let admin = JobAdmin::new((*database).clone());
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);
    let since = database.clock().now();
    enqueue(&database, &note("one")).await;
    enqueue_with(&database, &note("two"), with_priority(Priority::Low)).await;
    enqueue_with(
        &database,
        &note("later"),
        JobOptions { delay: Duration::from_hours(1), ..JobOptions::default() },
    )
    .await;
    admin.pause(&Queue::DEFAULT).await.unwrap();
    admin.pause(&Queue::DEFAULT).await.unwrap();
    clock.advance(Duration::from_mins(1));
    assert_eq!(workers.run_pending().await.unwrap(), 0);
    let depth = admin.depths(&[Queue::DEFAULT]).await.unwrap().pop().unwrap();
    assert_eq!((depth.due, depth.oldest, depth.is_paused), (2, Some(since), true));
    assert_eq!(admin.list(&JobFilter::Waiting(Queue::DEFAULT), 10).await.unwrap().len(), 3);
    assert_eq!(admin.list(&JobFilter::Waiting(Queue::DEFAULT), 2).await.unwrap().len(), 2);
    admin.resume(&Queue::DEFAULT).await.unwrap();
    assert_eq!(workers.run_pending().await.unwrap(), 2);
    let depth = admin.depths(&[Queue::DEFAULT]).await.unwrap().pop().unwrap();
    assert_eq!((depth.due, depth.oldest, depth.is_paused), (0, None, false));
    assert_eq!(admin.list(&JobFilter::All, 10).await.unwrap().len(), 3);
    assert_eq!(admin.list(&JobFilter::Done, 10).await.unwrap().len(), 2);
}
