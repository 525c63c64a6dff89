//! Attempts that fail, wait, never end, or lose their claim.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use messaging::WorkerSettings;
use sea_orm::sea_query::{Expr, ExprTrait};
use shared_kernel::job::{Job, JobOptions};
use shared_kernel::job_handler::{Attempt, Blocking, External, JobKind, Stop, Transactional};
use shared_kernel::session::{Databases, WriteSession};
use tokio_util::sync::CancellationToken;

use crate::support::*;

#[tokio::test]
async fn a_failed_job_waits_longer_each_time_and_dies_in_the_end() {
    let (database, clock) = at_rest().await;
    let kind = JobKind::transactional::<Note>(Writer::new(|_, attempt| {
        Err(format!("attempt {} failed", attempt.number).into())
    }));
    let workers =
        workers(&database, vec![kind.tries(3).pauses(Duration::from_secs(10), Duration::from_hours(1))]);
    let id = enqueue(&database, &note("poison")).await;

    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.failures, row.lane.as_str()), ("waiting", 1, "default.1"));
    assert_eq!(row.last_error.as_deref(), Some("attempt 1 failed"));
    clock.advance(Duration::from_millis(9_999));
    assert_eq!(workers.run_pending().await.unwrap(), 0);
    clock.advance(Duration::from_millis(2_501));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    // Twice as long, and a quarter more at most.
    clock.advance(Duration::from_millis(19_999));
    assert_eq!(workers.run_pending().await.unwrap(), 0);
    clock.advance(Duration::from_millis(5_001));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.failures, row.claim), ("dead", 3, 3));
    assert_eq!(row.last_error.as_deref(), Some("attempt 3 failed"));
    clock.advance(Duration::from_hours(24));
    assert_eq!(workers.run_pending().await.unwrap(), 0);
    assert!(effects(&database).await.is_empty(), "what a failed attempt wrote is rolled back");
}

#[tokio::test]
async fn snoozing_and_cancelling_are_no_failures() {
    let (database, clock) = at_rest().await;
    let kind = JobKind::transactional::<Note>(Writer::new(|text, attempt| {
        assert_eq!(attempt.number, 1);
        match text {
            "early" => Err(Stop::Snooze(Duration::from_mins(5))),
            _ => Err(Stop::Cancel("the account is gone".to_owned())),
        }
    }));
    let workers = workers(&database, vec![kind.tries(1)]);
    let snoozed = enqueue(&database, &note("early")).await;
    let cancelled = enqueue(&database, &note("late")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 2);
    clock.advance(Duration::from_mins(5));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, snoozed).await;
    assert_eq!((row.state.as_str(), row.failures, row.claim, row.last_error), ("waiting", 0, 2, None));
    let row = job(&database, cancelled).await;
    assert_eq!((row.state.as_str(), row.failures, row.claim), ("cancelled", 0, 1));
    assert_eq!(row.last_error.as_deref(), Some("the account is gone"));
    assert!(effects(&database).await.is_empty());
}

#[tokio::test]
async fn a_panic_is_a_failure_and_others_go_on() {
    let (database, _) = at_rest().await;
    let kind = JobKind::transactional::<Note>(Writer::new(|text, _| {
        assert_ne!(text, "bad", "do not like it");
        Ok(())
    }));
    let workers = workers(&database, vec![kind]);
    let bad = enqueue(&database, &note("bad")).await;
    enqueue(&database, &note("good")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 2);
    let row = job(&database, bad).await;
    assert_eq!((row.state.as_str(), row.failures), ("waiting", 1));
    assert!(row.last_error.unwrap().starts_with("panicked: "));
    assert_eq!(effects(&database).await, ["good"]);
}

#[tokio::test]
async fn a_handler_that_never_ends_is_dropped() {
    let (database, _) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    let kind = JobKind::external::<Note>(caller).timeout(Duration::from_millis(20));
    let workers = workers(&database, vec![kind]);
    let id = enqueue(&database, &note("endless")).await;
    assert_eq!(soon(workers.run_pending()).await.unwrap(), 1);
    assert_eq!(calls.recv().await.as_deref(), Some("endless"));
    let row = job(&database, id).await;
    assert_eq!((row.failures, row.last_error.as_deref()), (1, Some("took longer than 20ms")));
}

/// Computes until it is told to stop, or for ever.
struct Loop {
    listens: bool,
    ended: Arc<AtomicU32>,
}

impl Blocking<Note> for Loop {
    fn run(&self, _: &Note, attempt: &Attempt) -> Result<(), Stop> {
        while !(self.listens && attempt.should_stop()) {
            std::thread::yield_now();
            if Arc::strong_count(&self.ended) == 1 {
                // The test is over.
                return Ok(());
            }
        }
        self.ended.fetch_add(1, Ordering::AcqRel);
        Err(Stop::Snooze(Duration::ZERO))
    }
}

#[tokio::test]
async fn a_blocking_handler_is_told_to_stop_and_else_given_up() {
    let (database, _) = at_rest().await;
    let ended = Arc::new(AtomicU32::new(0));
    for (listens, error, given_up) in
        [(true, "took longer than 20ms", 0), (false, "took longer than 20ms, and its thread was given up", 1)]
    {
        let kind = JobKind::blocking::<Note>(Loop { listens, ended: Arc::clone(&ended) });
        let settings = WorkerSettings {
            blocking_grace: Duration::from_millis(if listens { 60_000 } else { 20 }),
            ..quick()
        };
        let workers = workers_with(&database, vec![kind.timeout(Duration::from_millis(20))], settings);
        let id = enqueue(&database, &note("compute")).await;
        assert_eq!(soon(workers.run_pending()).await.unwrap(), 1);
        let row = job(&database, id).await;
        assert_eq!((row.failures, row.last_error.as_deref()), (1, Some(error)));
        assert_eq!(workers.threads_given_up(), given_up);
    }
    assert_eq!(ended.load(Ordering::Acquire), 1);
}

/// Computes, and does as it is told.
struct Compute;

impl Blocking<Letter> for Compute {
    fn run(&self, _: &Letter, _: &Attempt) -> Result<(), Stop> {
        Ok(())
    }
}

impl Blocking<Note> for Compute {
    fn run(&self, job: &Note, _: &Attempt) -> Result<(), Stop> {
        assert!(std::thread::current().name().unwrap().starts_with("job job_"));
        match job.text.as_str() {
            "panic" => panic!("no"),
            "fail" => Err("not today".into()),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_blocking_handler_succeeds_fails_and_panics_like_any_other() {
    let (database, _) = at_rest().await;
    let workers = workers(&database, vec![JobKind::blocking::<Note>(Compute)]);
    for text in ["fine", "fail", "panic"] {
        enqueue(&database, &note(text)).await;
    }
    assert_eq!(soon(workers.run_pending()).await.unwrap(), 3);
    let errors: Vec<_> = jobs(&database).await.into_iter().map(|row| (row.state, row.last_error)).collect();
    let waiting = |error: &str| ("waiting".to_owned(), Some(error.to_owned()));
    assert_eq!(errors, [("done".to_owned(), None), waiting("not today"), waiting("panicked: no")]);
}

/// Takes its own claim away, as a worker does that believes this one dead.
struct Robbed {
    databases: Databases,
}

impl Transactional<Note> for Robbed {
    async fn run(&self, session: &WriteSession, job: &Note, attempt: &Attempt) -> Result<(), Stop> {
        if job.text == "robbed" {
            set(&self.databases, attempt.job_id, "claim", Expr::col("claim").add(1)).await;
        }
        effect(session, &job.text).await?;
        Ok(())
    }
}

#[tokio::test]
async fn what_was_done_under_an_invalid_claim_is_not_committed() {
    let (database, _) = at_rest().await;
    let robbed = Robbed { databases: (*database).clone() };
    let workers = workers(&database, vec![JobKind::transactional::<Note>(robbed)]);
    let id = enqueue(&database, &note("robbed")).await;
    enqueue(&database, &note("kept")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 2);
    assert_eq!(effects(&database).await, ["kept"]);
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.claim, row.failures), ("running", 2, 0));
}

#[tokio::test]
async fn jobs_that_run_at_the_shutdown_are_given_back_untouched() {
    let (database, _) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    let settings = WorkerSettings { shutdown_grace: Duration::from_millis(20), ..quick() };
    let workers = workers_with(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))], settings);
    let id = enqueue(&database, &note("interrupted")).await;
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (workers, shutdown) = (workers.clone(), shutdown.clone());
        async move { workers.run(shutdown).await }
    });
    assert_eq!(soon(calls.recv()).await.as_deref(), Some("interrupted"));
    assert_eq!(job(&database, id).await.state, "running");
    shutdown.cancel();
    soon(running).await.unwrap();
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.failures, row.worker_id), ("waiting", 0, None));
    assert_eq!(count(&database, "job_workers").await, 0);
    caller.let_end(1);
    assert_eq!(soon(workers.run_pending()).await.unwrap(), 1);
    assert_eq!(job(&database, id).await.state, "done");
}

/// Enqueues the next letter in its own session.
struct Chain;

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Link(u32);

impl Job for Link {
    const KIND: &'static str = "test.link";
}

impl Transactional<Link> for Chain {
    async fn run(&self, session: &WriteSession, job: &Link, _: &Attempt) -> Result<(), Stop> {
        if job.0 > 0 {
            session.enqueue(&Link(job.0 - 1))?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_job_enqueues_others_with_its_own_effect() {
    let (database, _) = at_rest().await;
    let workers = workers(&database, vec![JobKind::transactional::<Link>(Chain)]);
    enqueue(&database, &Link(3)).await;
    assert_eq!(workers.run_pending().await.unwrap(), 4);
    let principals: Vec<_> = jobs(&database).await.into_iter().map(|row| row.principal).collect();
    let by_job = Some("system:test.link".to_owned());
    assert_eq!(principals, [None, by_job.clone(), by_job.clone(), by_job]);
}

#[tokio::test]
async fn a_queue_that_is_full_does_not_hold_up_another() {
    let (database, _) = at_rest().await;
    let (notes, mut note_calls) = Caller::new();
    let (letters, mut letter_calls) = Caller::new();
    let kinds = vec![
        JobKind::external::<Note>(Arc::clone(&notes)),
        JobKind::external::<Letter>(Arc::clone(&letters)),
    ];
    let workers = workers_with(&database, kinds, WorkerSettings { slots: 2, ..quick() });
    for _ in 0..50 {
        enqueue(&database, &note("flood")).await;
    }
    let shutdown = CancellationToken::new();
    let running = tokio::spawn({
        let (workers, shutdown) = (workers.clone(), shutdown.clone());
        async move { workers.run(shutdown).await }
    });
    soon(note_calls.recv()).await.unwrap();
    soon(note_calls.recv()).await.unwrap();
    enqueue(&database, &Letter("mail".to_owned())).await;
    assert_eq!(soon(letter_calls.recv()).await.as_deref(), Some("mail"));
    assert_eq!(notes.running("flood"), 2, "as many as there are slots");
    notes.let_end(50);
    letters.let_end(1);
    until(async || states(&database).await.iter().all(|state| state == "done")).await;
    shutdown.cancel();
    soon(running).await.unwrap();
}

/// Never called.
struct Nothing;

impl External<Note> for Nothing {
    async fn run(&self, _: &Note, _: &Attempt) -> Result<(), Stop> {
        unreachable!("its payload cannot be read")
    }
}

#[tokio::test]
async fn a_payload_that_cannot_be_read_is_a_failure() {
    let (database, _) = at_rest().await;
    let workers = workers(&database, vec![JobKind::external::<Note>(Nothing)]);
    let id = enqueue(&database, &note("changed")).await;
    set(&database, id, "payload", serde_json::json!({"text": 1})).await;
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.failures), ("waiting", 1));
    assert!(row.last_error.unwrap().contains("invalid type"));
}

#[tokio::test]
async fn no_pause_is_too_long_to_be_stored() {
    let (database, _) = at_rest().await;
    let kind = JobKind::transactional::<Note>(Writer::new(|_, _| Err(Stop::Snooze(Duration::MAX))));
    let workers = workers(&database, vec![kind]);
    let id = enqueue(&database, &note("snoozes")).await;
    let delayed = JobOptions { delay: Duration::MAX, ..JobOptions::default() };
    enqueue_with(&database, &note("delayed"), delayed).await;
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.failures), ("waiting", 0));
    assert_eq!(row.lane_at.since(database.clock().now()), Duration::from_hours(24 * 3_650));
}

#[tokio::test]
async fn a_job_that_was_cancelled_is_not_tried_again_after_a_failure() {
    let (database, clock) = at_rest().await;
    let databases = (*database).clone();
    let cancels = Cancels { databases };
    let workers = workers(&database, vec![JobKind::external::<Note>(cancels)]);
    let id = enqueue(&database, &note("cancelled")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.failures), ("cancelled", 1));
    assert_eq!(row.last_error.as_deref(), Some("failed after that"));
    clock.advance(Duration::from_hours(24));
    assert_eq!(workers.run_pending().await.unwrap(), 0);
}

/// Is cancelled while it runs, and fails.
struct Cancels {
    databases: Databases,
}

impl External<Note> for Cancels {
    async fn run(&self, _: &Note, attempt: &Attempt) -> Result<(), Stop> {
        Operator::of(&self.databases).cancel(attempt.job_id).await?;
        Err("failed after that".into())
    }
}

#[tokio::test]
async fn after_eight_threads_that_do_not_end_no_other_one_is_started() {
    const THREADS: usize = 8;
    let (database, clock) = at_rest().await;
    let ended = Arc::new(AtomicU32::new(0));
    let stuck = JobKind::blocking::<Note>(Loop { listens: false, ended: Arc::clone(&ended) });
    let moment = Duration::from_millis(20);
    let settings = WorkerSettings { slots: THREADS, blocking_grace: moment, ..quick() };
    let mail = JobKind::blocking::<Letter>(Compute);
    let workers = workers_with(&database, vec![stuck.timeout(moment), mail], settings);
    for number in 0..THREADS {
        enqueue(&database, &note(&number.to_string())).await;
    }
    assert_eq!(soon(workers.run_pending()).await.unwrap(), THREADS);
    assert_eq!(workers.threads_given_up(), THREADS);
    let ninth = enqueue(&database, &Letter("ninth".to_owned())).await;
    assert_eq!(soon(workers.run_pending()).await.unwrap(), 1);
    let (row, in_a_minute) = (job(&database, ninth).await, clock_now(&database) + Duration::from_mins(1));
    assert_eq!((row.state.as_str(), row.failures, row.lane_at), ("waiting", 0, in_a_minute), "it waits");
    assert_eq!(workers.threads_given_up(), THREADS);

    // They end after all, and the next one has a thread.
    drop(ended);
    until(async || workers.threads_given_up() == 0).await;
    clock.advance(Duration::from_mins(1));
    soon(workers.run_pending()).await.unwrap();
    assert_eq!(job(&database, ninth).await.state, "done");
}
