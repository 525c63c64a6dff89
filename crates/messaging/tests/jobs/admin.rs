//! What operators see of jobs, and do with them.

use std::sync::Arc;
use std::time::Duration;

use messaging::{JobAdminError, JobFilter, WaitsFor, WorkerSettings};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use shared_kernel::clock::Timestamp;
use shared_kernel::id::Id;
use shared_kernel::job::{JobOptions, JobState, Priority};
use shared_kernel::job_handler::{Attempt, External, JobKind, Stop};
use shared_kernel::page::PageRequest;
use shared_kernel::session::{Databases, WriteSession};
use tokio_util::sync::CancellationToken;

use crate::support::*;

#[tokio::test]
async fn a_dead_job_is_listed_with_its_error_and_tried_again() {
    let (database, clock) = at_rest().await;
    let admin = Operator::of(&database);
    let failing = JobKind::transactional::<Note>(Writer::new(|_, _| Err("no route".into()))).tries(1);
    let id = enqueue(&database, &note("poison")).await;
    workers(&database, vec![failing]).run_pending().await.unwrap();
    clock.advance(Duration::from_secs(1));
    let filter = JobFilter { state: Some(JobState::Dead), ..JobFilter::default() };
    let dead = admin.list(&filter, &PageRequest::first(10)).await.items;
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].id, dead[0].last_error.as_deref()), (id, Some("no route")));
    assert_eq!(
        (dead[0].failures, dead[0].attempts, dead[0].payload["text"].as_str()),
        (1, 1, Some("poison"))
    );

    admin.retry(id).await.unwrap();
    let row = admin.get(id).await.unwrap();
    assert_eq!((row.state, row.failures, row.finished_at), (JobState::Waiting, 0, None));
    workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())])
        .run_pending()
        .await
        .unwrap();
    assert_eq!(effects(&database).await, ["poison"]);
    for refused in [admin.retry(id).await, admin.cancel(id).await] {
        assert!(matches!(refused, Err(JobAdminError::State { state: JobState::Done, .. })));
    }
    let unknown = Id::new(Timestamp::from_unix_millis(1).unwrap());
    assert!(matches!(admin.get(unknown).await, Err(JobAdminError::NotFound)));
}

#[tokio::test]
async fn a_waiting_job_is_hurried_or_cancelled() {
    let (database, _) = at_rest().await;
    let admin = Operator::of(&database);
    let later = JobOptions { delay: Duration::from_hours(1), ..JobOptions::default() };
    let hurried = enqueue_with(&database, &note("hurried"), later).await;
    let waits_for = async || admin.get(hurried).await.unwrap().waits_for(clock_now(&database));
    assert_eq!(waits_for().await, Some(WaitsFor::Time));
    let unique = Note { unique: Some("one".to_owned()), ..note("cancelled") };
    let cancelled = enqueue(&database, &unique).await;
    admin.retry(hurried).await.unwrap();
    assert_eq!(waits_for().await, Some(WaitsFor::Worker));
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
    assert_eq!(admin.count(JobState::Cancelled).await, 1);

    // A second one waits now, so the first cannot come back.
    enqueue_with(&database, &unique, later).await;
    assert!(matches!(admin.retry(cancelled).await, Err(JobAdminError::State { .. })));
    assert_eq!(job(&database, cancelled).await.state, "cancelled");
}

#[tokio::test]
async fn cancelling_a_job_that_has_its_turn_lets_the_next_one_go() {
    let (database, _) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    let workers = workers(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))]);
    let admin = Operator(workers.admin(), (*database).clone());
    let serial = |text| Note { serial: Some("k".to_owned()), ..note(text) };
    admin.pause("default").await.unwrap();
    let first = enqueue(&database, &serial("first")).await;
    let second = enqueue(&database, &serial("second")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 0, "the queue is paused");
    // Workers have sorted them though the queue is paused.
    assert_eq!(admin.get(second).await.unwrap().waits_for(clock_now(&database)), Some(WaitsFor::SerialKey));
    assert!(matches!(admin.retry(second).await, Err(JobAdminError::State { .. })), "it is behind the first");
    admin.cancel(first).await.unwrap();
    admin.resume("default").await.unwrap();
    caller.let_end(1);
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    assert_eq!(calls.try_recv().unwrap(), "second");
    assert_eq!(count(&database, "job_turns").await, 0);
}

/// Waits until it is told to stop.
struct Listener;

impl shared_kernel::job_handler::Blocking<Note> for Listener {
    fn run(&self, _: &Note, attempt: &Attempt) -> Result<(), Stop> {
        while !attempt.should_stop() {
            std::thread::yield_now();
        }
        Err(Stop::Snooze(Duration::ZERO))
    }
}

#[tokio::test]
async fn a_job_that_runs_is_told_that_it_was_cancelled() {
    let (database, _) = at_rest().await;
    let admin = Operator::of(&database);
    let workers = workers(&database, vec![JobKind::blocking::<Note>(Listener)]);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (workers, shutdown) = (workers.clone(), shutdown.clone());
        async move { workers.run(shutdown).await }
    });
    let id = enqueue(&database, &note("long")).await;
    until(async || job(&database, id).await.state == "running").await;
    assert_eq!(admin.count(JobState::Running).await, 1);
    admin.cancel(id).await.unwrap();
    until(async || job(&database, id).await.state == "cancelled").await;
    shutdown.cancel();
    soon(running).await.unwrap();
}

#[tokio::test]
async fn a_paused_queue_rests_and_tells_its_depth() {
    let (database, clock) = at_rest().await;
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);
    let admin = Operator(workers.admin(), (*database).clone());
    let since = database.clock().now();
    enqueue(&database, &note("one")).await;
    enqueue_with(&database, &note("two"), with_priority(Priority::Low)).await;
    let later = JobOptions { delay: Duration::from_hours(1), ..JobOptions::default() };
    enqueue_with(&database, &note("later"), later).await;
    clock.advance(Duration::from_mins(1));
    let paused = admin.pause("default").await.unwrap();
    assert_eq!((paused.due, paused.oldest, paused.paused_at), (2, Some(since), Some(clock_now(&database))));
    clock.advance(Duration::from_mins(1));
    let again = admin.pause("default").await.unwrap();
    assert_eq!(again, paused, "the first pause counts");
    assert_eq!(workers.run_pending().await.unwrap(), 0);
    admin.resume("default").await.unwrap();
    assert_eq!(workers.run_pending().await.unwrap(), 2);
    let resumed = admin.resume("default").await.unwrap();
    assert_eq!((resumed.due, resumed.oldest, resumed.paused_at), (0, None, None));
    assert_eq!((admin.count(JobState::Waiting).await, admin.count(JobState::Done).await), (1, 2));
}

#[tokio::test]
async fn jobs_are_listed_by_state_queue_and_kind_page_by_page() {
    let (database, clock) = at_rest().await;
    let admin = Operator::of(&database);
    let mut ids = Vec::new();
    for number in 0..5 {
        clock.advance(Duration::from_secs(1));
        ids.push(enqueue(&database, &note(&number.to_string())).await);
        enqueue(&database, &Letter(number.to_string())).await;
    }
    ids.reverse();
    workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())])
        .run_pending()
        .await
        .unwrap();
    let done = JobFilter { state: Some(JobState::Done), ..JobFilter::default() };
    let of_kind = JobFilter { kind: Some("test.note".to_owned()), ..JobFilter::default() };
    let of_queue = JobFilter { queue: Some("default".to_owned()), ..JobFilter::default() };
    for filter in [done.clone(), of_kind, of_queue] {
        let first = admin.list(&filter, &PageRequest::first(3).with_total()).await;
        let second = PageRequest::after(3, first.next_cursor.clone().unwrap());
        let second = admin.list(&filter, &second).await;
        let found: Vec<_> = first.items.iter().chain(&second.items).map(|job| job.id).collect();
        assert_eq!((found, first.total, second.next_cursor), (ids.clone(), Some(5), None), "{filter:?}");
    }
    let both = JobFilter { queue: Some("mail".to_owned()), ..done };
    assert!(admin.list(&both, &PageRequest::first(3)).await.items.is_empty());
    let forged = admin.0.list(&database.read_primary(), &both, &PageRequest::after(3, "x")).await;
    assert!(matches!(forged, Err(JobAdminError::Kernel(_))), "{forged:?}");
}

#[tokio::test]
async fn queues_are_found_whoever_knows_them() {
    let (database, _) = at_rest().await;
    let admin = Operator::of(&database);
    let names = async || -> Vec<String> {
        admin.0.queues().await.unwrap().iter().map(|record| record.queue.to_string()).collect()
    };
    assert!(names().await.is_empty());
    assert!(matches!(admin.pause("mail").await, Err(JobAdminError::NoQueue { .. })));
    // A job waits in it, among others that wait elsewhere.
    enqueue(&database, &Letter("to nobody".to_owned())).await;
    enqueue_with(&database, &Letter("later".to_owned()), with_priority(Priority::Urgent)).await;
    enqueue(&database, &Note { serial: Some("zz.0".to_owned()), ..note("serial") }).await;
    assert_eq!(names().await, ["mail"]);

    let (caller, mut calls) = Caller::new();
    let settings = WorkerSettings { slots: 7, ..quick() };
    let workers = workers_with(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))], settings);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (workers, shutdown) = (workers.clone(), shutdown.clone());
        async move { workers.run(shutdown).await }
    });
    soon(calls.recv()).await.unwrap();
    // A worker serves this one, and nobody the other.
    let queues = admin.0.queues().await.unwrap();
    let told: Vec<_> =
        queues.iter().map(|one| (one.queue.as_str(), one.due, one.running, one.slots)).collect();
    assert_eq!(told, [("default", 0, 1, 7), ("mail", 2, 0, 0)]);
    let listed = admin.0.workers().await.unwrap();
    assert_eq!((listed[0].host.as_str(), listed[0].queues["default"].as_u64()), ("test", Some(7)));
    caller.let_end(1);
    shutdown.cancel();
    soon(running).await.unwrap();
    assert!(admin.0.workers().await.unwrap().is_empty());
    // It is paused, and nothing else is known of it.
    admin.pause("mail").await.unwrap();
    for job in jobs(&database).await.iter().filter(|job| job.state == "waiting") {
        admin.cancel(job.id.parse().unwrap()).await.unwrap();
    }
    assert_eq!(names().await, ["mail"]);
    admin.resume("mail").await.unwrap();
    assert!(names().await.is_empty());
    // A worker served it before.
    admin.pause("default").await.unwrap();
    assert_eq!(names().await, ["default"]);
}

#[tokio::test]
async fn a_job_that_was_told_to_stop_can_be_tried_again() {
    let (database, clock) = at_rest().await;
    let admin = Operator::of(&database);
    let id = enqueue(&database, &note("once more")).await;
    let settled = set(&database, id, "cancel_asked_at", clock_now(&database));
    settled.await;
    admin.cancel(id).await.unwrap();
    admin.retry(id).await.unwrap();
    let failing = JobKind::transactional::<Note>(Writer::new(|_, attempt| {
        if attempt.number == 1 { Err("not yet".into()) } else { Ok(()) }
    }));
    let workers = workers(&database, vec![failing]);
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    assert_eq!(job(&database, id).await.state, "waiting", "what was asked of its first life is forgotten");
    clock.advance(Duration::from_secs(2));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    assert_eq!(job(&database, id).await.state, "done");
}

/// Fails when somebody has cancelled it and not committed that yet.
struct Cancelled {
    databases: Databases,
    cancelled: tokio::sync::mpsc::UnboundedSender<WriteSession>,
}

impl External<Note> for Cancelled {
    async fn run(&self, _: &Note, attempt: &Attempt) -> Result<(), Stop> {
        let session = self.databases.write();
        Operator::of(&self.databases).0.cancel(&session, attempt.job_id).await?;
        self.cancelled.send(session)?;
        Err("failed meanwhile".into())
    }
}

#[tokio::test]
async fn a_cancel_that_is_committed_while_the_job_fails_counts() {
    let (database, _) = at_rest().await;
    let (sender, mut cancelled) = tokio::sync::mpsc::unbounded_channel();
    let handler = Cancelled { databases: (*database).clone(), cancelled: sender };
    let workers = workers(&database, vec![JobKind::external::<Note>(handler)]);
    let id = enqueue(&database, &note("cancelled")).await;
    let running = tokio::spawn(async move { workers.run_pending().await });
    let session = soon(cancelled.recv()).await.unwrap();
    if database.backend() == DbBackend::Postgres {
        // The end of the attempt waits for it.
        until(async || {
            let sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let waiting = database.primary().query_one_raw(Statement::from_string(DbBackend::Postgres, sql));
            waiting.await.unwrap().is_some()
        })
        .await;
    }
    session.commit(()).await.unwrap().into_value();
    soon(running).await.unwrap().unwrap();
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.failures), ("cancelled", 1));
}

#[tokio::test]
async fn a_worker_that_does_not_beat_has_no_slots() {
    let (database, clock) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    let workers = workers(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))]);
    enqueue(&database, &note("runs")).await;
    let running = tokio::spawn({
        let workers = workers.clone();
        async move { workers.run_pending().await }
    });
    soon(calls.recv()).await.unwrap();
    let slots = async || workers.admin().queues().await.unwrap()[0].slots;
    assert_eq!(slots().await, 4);
    // This one runs what is there, and does not beat.
    clock.advance(Duration::from_mins(1));
    assert_eq!(slots().await, 0);
    caller.let_end(1);
    soon(running).await.unwrap().unwrap();
}
