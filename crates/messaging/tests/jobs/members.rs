//! Workers that die, are silent, or lose the answer to a claim.

use std::sync::Arc;
use std::time::Duration;

use messaging::WorkerSettings;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, FromQueryResult};
use shared_kernel::id::UserId;
use shared_kernel::job::JobId;
use shared_kernel::job_handler::JobKind;
use shared_kernel::session::{Databases, Reader};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::*;

/// Adds a worker as another process would, and returns its id.
async fn join(databases: &Databases) -> String {
    let now = databases.clock().now();
    let id = UserId::new(now).to_string().replace("usr_", "wrk_");
    let mut insert = Query::insert();
    insert.into_table("job_workers").columns(["id", "host", "queues", "started_at", "beat_at"]);
    let none = serde_json::json!({});
    insert.values_panic([id.clone().into(), "elsewhere".into(), none.into(), now.into(), now.into()]);
    databases.primary().execute(&insert).await.unwrap();
    id
}

/// Marks a job as running under that worker.
async fn claimed_by(databases: &Databases, id: JobId, worker: &str) {
    let update = Query::update()
        .table("jobs")
        .value("state", "running")
        .value("lane", "run")
        .value("claim", 1)
        .value("worker_id", worker)
        .and_where(Expr::col("id").eq(id))
        .to_owned();
    databases.primary().execute(&update).await.unwrap();
}

async fn beat(databases: &Databases, worker: &str) {
    let update = Query::update()
        .table("job_workers")
        .value("beat", Expr::col("beat").add(1))
        .and_where(Expr::col("id").eq(worker))
        .to_owned();
    databases.primary().execute(&update).await.unwrap();
}

fn start(workers: &messaging::Workers) -> DropGuard {
    let shutdown = CancellationToken::new();
    let (workers, token) = (workers.clone(), shutdown.clone());
    tokio::spawn(async move { workers.run(token).await });
    shutdown.drop_guard()
}

#[tokio::test]
async fn the_jobs_of_a_silent_worker_run_again() {
    let (database, clock) = at_rest().await;
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);
    let silent = join(&database).await;
    let id = enqueue(&database, &note("orphan")).await;
    claimed_by(&database, id, &silent).await;
    let _running = start(&workers);
    until(async || job(&database, id).await.state == "waiting").await;
    let row = job(&database, id).await;
    assert_eq!((row.failures, row.last_error.as_deref()), (1, Some("its worker died")));
    clock.advance(Duration::from_secs(2));
    until(async || job(&database, id).await.state == "done").await;
    assert_eq!(effects(&database).await, ["orphan"]);
    // The row of the silent one is not needed any more.
    until(async || count(&database, "job_workers").await == 1).await;
}

/// Number of beats of the worker on that machine.
async fn beats(databases: &Databases, host: &str) -> i64 {
    #[derive(FromQueryResult)]
    struct Beats {
        beat: i64,
    }
    let select =
        Query::select().column("beat").from("job_workers").and_where(Expr::col("host").eq(host)).to_owned();
    let rows: Vec<Beats> = databases.read_primary().rows(&select).await.unwrap();
    rows.first().map_or(0, |row| row.beat)
}

#[tokio::test]
async fn a_job_whose_worker_beats_is_left_alone() {
    let (database, _) = at_rest().await;
    // So much slower than the beats below that none is missed on a busy machine.
    let settings = WorkerSettings { beat_interval: Duration::from_millis(250), ..quick() };
    let kinds = vec![JobKind::transactional::<Note>(Writer::succeeding())];
    let workers = workers_with(&database, kinds, settings);
    let busy = join(&database).await;
    let id = enqueue(&database, &note("long")).await;
    claimed_by(&database, id, &busy).await;
    let _running = start(&workers);
    until(async || {
        beat(&database, &busy).await;
        beats(&database, "test").await > 8
    })
    .await;
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.claim, row.failures), ("running", 1, 0));
}

#[tokio::test]
async fn a_job_of_a_worker_that_is_gone_runs_again_at_once() {
    let (database, clock) = at_rest().await;
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);
    let id = enqueue(&database, &note("orphan")).await;
    claimed_by(&database, id, "wrk_01J9ZC3V8T5Q4X2M7N6P0R1S2T").await;
    let _running = start(&workers);
    until(async || job(&database, id).await.failures == 1).await;
    clock.advance(Duration::from_secs(2));
    until(async || job(&database, id).await.state == "done").await;
}

#[tokio::test]
async fn a_job_that_takes_its_worker_down_is_dead_in_the_end() {
    let (database, _) = at_rest().await;
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding()).tries(3)]);
    let id = enqueue(&database, &note("poison")).await;
    set(&database, id, "failures", 2).await;
    claimed_by(&database, id, "wrk_01J9ZC3V8T5Q4X2M7N6P0R1S2T").await;
    let _running = start(&workers);
    until(async || job(&database, id).await.state == "dead").await;
    let row = job(&database, id).await;
    assert_eq!((row.failures, row.last_error.as_deref()), (3, Some("its worker died")));
    assert!(effects(&database).await.is_empty());
}

#[tokio::test]
async fn a_worker_that_was_declared_dead_claims_under_a_new_id() {
    let (database, clock) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    let workers = workers(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))]);
    let first = enqueue(&database, &note("first")).await;
    let _running = start(&workers);
    soon(calls.recv()).await.unwrap();
    let was = job(&database, first).await.worker_id.unwrap();
    let declare = Query::update().table("job_workers").value("silent_since", clock_now(&database)).to_owned();
    database.primary().execute(&declare).await.unwrap();
    // Its job is not its own any more.
    until(async || job(&database, first).await.failures == 1).await;
    enqueue(&database, &note("second")).await;
    assert_eq!(soon(calls.recv()).await.as_deref(), Some("second"));
    let now = jobs(&database).await.into_iter().find_map(|row| row.worker_id).unwrap();
    assert_ne!(was, now);
    // What the first attempt did is elsewhere; its end is not recorded.
    caller.let_end(2);
    until(async || states(&database).await == ["waiting", "done"]).await;
    clock.advance(Duration::from_secs(2));
    caller.let_end(1);
    assert_eq!(soon(calls.recv()).await.as_deref(), Some("first"));
    until(async || states(&database).await == ["done", "done"]).await;
}

#[tokio::test]
async fn a_job_that_was_claimed_without_an_answer_is_given_back() {
    let (database, _) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    let workers = workers(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))]);
    let first = enqueue(&database, &note("first")).await;
    let _running = start(&workers);
    soon(calls.recv()).await.unwrap();
    let worker = job(&database, first).await.worker_id.unwrap();
    let lost = enqueue_with(
        &database,
        &note("lost"),
        shared_kernel::job::JobOptions { delay: Duration::from_hours(1), ..Default::default() },
    )
    .await;
    claimed_by(&database, lost, &worker).await;
    assert_eq!(soon(calls.recv()).await.as_deref(), Some("lost"));
    caller.let_end(2);
    until(async || states(&database).await == ["done", "done"]).await;
    assert_eq!(job(&database, lost).await.failures, 0);
}

#[tokio::test]
async fn two_workers_share_the_load_and_no_job_runs_twice() {
    let (database, _) = at_rest().await;
    let kinds = || vec![JobKind::transactional::<Note>(Writer::succeeding())];
    let running = [workers(&database, kinds()), workers(&database, kinds())].map(|workers| start(&workers));
    for number in 0..200 {
        enqueue(&database, &note(&format!("{number:03}"))).await;
    }
    until(async || states(&database).await.iter().all(|state| state == "done")).await;
    let expected: Vec<_> = (0..200).map(|number| format!("{number:03}")).collect();
    assert_eq!(effects(&database).await, expected);
    assert!(jobs(&database).await.iter().all(|row| row.claim == 1));
    drop(running);
}

#[tokio::test]
async fn an_attempt_that_goes_on_after_its_rescue_does_not_disturb_the_next_one() {
    let (database, clock) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    let workers = workers(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))]);
    let id = enqueue(&database, &note("long")).await;
    let _running = start(&workers);
    soon(calls.recv()).await.unwrap();
    let declare = Query::update().table("job_workers").value("silent_since", clock_now(&database)).to_owned();
    database.primary().execute(&declare).await.unwrap();
    until(async || job(&database, id).await.failures == 1).await;
    clock.advance(Duration::from_secs(2));
    // The second attempt begins while the first one runs.
    soon(calls.recv()).await.unwrap();
    assert_eq!(caller.running("long"), 2);
    // The first one ends; its end is refused, and the second one stays.
    caller.let_end(1);
    until(async || caller.running("long") == 1).await;
    let (beats_before, worker) = (beats(&database, "test").await, job(&database, id).await);
    until(async || beats(&database, "test").await > beats_before + 5).await;
    assert_eq!(job(&database, id).await, worker, "it still runs, and was not claimed again");
    assert_eq!((worker.state.as_str(), worker.claim), ("running", 2));
    caller.let_end(1);
    until(async || job(&database, id).await.state == "done").await;
    assert_eq!(job(&database, id).await.claim, 2);
}

#[tokio::test]
async fn a_queue_that_is_paused_rests_from_the_start_of_a_worker_on() {
    let (database, _) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    let workers = workers(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))]);
    let admin = Operator(workers.admin(), (*database).clone());
    admin.pause("default").await.unwrap();
    enqueue(&database, &note("waits")).await;
    let _running = start(&workers);
    until(async || beats(&database, "test").await > 10).await;
    assert!(calls.try_recv().is_err());
    admin.resume("default").await.unwrap();
    assert_eq!(soon(calls.recv()).await.as_deref(), Some("waits"));
    caller.let_end(1);
}
