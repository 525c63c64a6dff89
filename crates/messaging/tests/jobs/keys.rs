//! Serial keys and unique keys.

use std::sync::Arc;
use std::time::Duration;

use messaging::WorkerSettings;
use sea_orm::ConnectionTrait;
use shared_kernel::job::{JobOptions, Priority};
use shared_kernel::job_handler::JobKind;
use shared_kernel::testing::concurrently;
use tokio_util::sync::CancellationToken;

use crate::support::*;

fn unique(text: &str) -> Note {
    Note { unique: Some("one".to_owned()), ..note(text) }
}

fn serial(text: &str, key: &str) -> Note {
    Note { serial: Some(key.to_owned()), ..note(text) }
}

#[tokio::test]
async fn of_a_unique_key_one_job_waits_with_the_last_payload() {
    let (database, _) = at_rest().await;
    let later = JobOptions { delay: Duration::from_mins(1), ..JobOptions::default() };
    let first = enqueue_with(&database, &unique("first"), later).await;
    enqueue(&database, &unique("second")).await;
    let session = database.write();
    session.enqueue_with(&unique("third"), later).unwrap();
    session.enqueue(&note("other")).unwrap();
    session.enqueue_with(&unique("fourth"), later).unwrap();
    session.commit(()).await.unwrap().into_value();
    let rows = jobs(&database).await;
    assert_eq!(rows.len(), 2);
    let row = job(&database, first).await;
    assert_eq!(row.payload["text"], "fourth");
    assert_eq!(row.unique_key.as_deref(), Some("test.note:one"));

    // It has the earliest time of all.
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);
    assert_eq!(workers.run_pending().await.unwrap(), 2);
    assert_eq!(effects(&database).await, ["fourth", "other"]);
    assert_eq!(job(&database, first).await.unique_key, None);
}

#[tokio::test]
async fn a_job_that_runs_does_not_count_and_a_failed_one_is_superseded() {
    let (database, clock) = at_rest().await;
    let databases = (*database).clone();
    // While it runs, somebody enqueues the next one, which cannot start before it ends; then it fails.
    let kind = JobKind::external::<Note>(Then(move |text: String| {
        let databases = databases.clone();
        async move {
            if text == "first" {
                let later = JobOptions { delay: Duration::from_hours(1), ..JobOptions::default() };
                enqueue_with(&databases, &unique("next"), later).await;
                return Err(format!("{text} failed").into());
            }
            Ok(())
        }
    }));
    let workers = workers(&database, vec![kind]);
    let first = enqueue(&database, &unique("first")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let row = job(&database, first).await;
    assert_eq!((row.state.as_str(), row.failures), ("superseded", 1));
    assert_eq!(row.last_error.as_deref(), Some("first failed"));
    assert_eq!(states(&database).await, ["superseded", "waiting"]);
    // It hurries the one that waits, which runs when the first one would have been tried again.
    clock.advance(Duration::from_secs(2));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    assert_eq!(states(&database).await, ["superseded", "done"]);
    clock.advance(Duration::from_hours(24));
    assert_eq!(workers.run_pending().await.unwrap(), 0);
}

/// Calls a function.
struct Then<F>(F);

impl<F, R> shared_kernel::job_handler::External<Note> for Then<F>
where
    F: Fn(String) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), shared_kernel::job_handler::Stop>> + Send,
{
    async fn run(
        &self,
        job: &Note,
        _: &shared_kernel::job_handler::Attempt,
    ) -> Result<(), shared_kernel::job_handler::Stop> {
        (self.0)(job.text.clone()).await
    }
}

#[tokio::test]
async fn enqueuers_of_one_key_at_the_same_time_leave_one_job() {
    let (database, _) = at_rest().await;
    let databases = (*database).clone();
    concurrently(20, |number| {
        let databases = databases.clone();
        async move {
            for round in 0..5 {
                // Two keys in either order, which must not deadlock.
                let session = databases.write();
                let other = Note { unique: Some("two".to_owned()), ..note("other") };
                let one = unique(&format!("{number}.{round}"));
                if number % 2 == 0 {
                    session.enqueue(&one).unwrap();
                    session.enqueue(&other).unwrap();
                } else {
                    session.enqueue(&other).unwrap();
                    session.enqueue(&one).unwrap();
                }
                session.commit(()).await.unwrap().into_value();
            }
        }
    })
    .await;
    assert_eq!(states(&database).await, ["waiting", "waiting"]);
}

#[tokio::test]
async fn a_duplicate_locks_the_job_until_it_is_committed() {
    let (database, _) = at_rest().await;
    if database.backend() == sea_orm::DbBackend::Sqlite {
        // It has one writer.
        return;
    }
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);
    enqueue(&database, &unique("first")).await;
    // What `enqueue` does at the commit, and then the transaction stays open.
    let session = database.write();
    session
        .execute_unprepared(
            "UPDATE jobs SET payload = '{\"text\": \"second\"}' WHERE unique_key = 'test.note:one'",
        )
        .await
        .unwrap();
    assert_eq!(workers.run_pending().await.unwrap(), 0, "it is not run with what it knew before");
    session.commit(()).await.unwrap().into_value();
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    assert_eq!(effects(&database).await, ["second"]);
}

#[tokio::test]
async fn of_a_serial_key_one_job_runs_at_a_time_the_oldest_first() {
    let (database, _) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    let settings = WorkerSettings { slots: 20, ..quick() };
    let two = [(), ()].map(|()| {
        workers_with(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))], settings.clone())
    });
    for number in 0..10 {
        for key in ["a", "b", "c"] {
            // The order is that of time, whatever the priority.
            let options = with_priority(Priority::ALL[number % 3]);
            enqueue_with(&database, &serial(key, key), options).await;
        }
    }
    let shutdown = CancellationToken::new();
    let running = two.map(|workers| {
        let shutdown = shutdown.clone();
        tokio::spawn(async move { workers.run(shutdown).await })
    });
    for _ in 0..10 {
        let mut round = Vec::new();
        for _ in 0..3 {
            round.push(soon(calls.recv()).await.unwrap());
        }
        round.sort();
        assert_eq!(round, ["a", "b", "c"], "each key has its own turn");
        for key in ["a", "b", "c"] {
            assert_eq!(caller.running(key), 1);
        }
        caller.let_end(3);
    }
    until(async || states(&database).await.iter().all(|state| state == "done")).await;
    until(async || count(&database, "job_turns").await == 0).await;
    shutdown.cancel();
    for task in running {
        soon(task).await.unwrap();
    }
}

#[tokio::test]
async fn a_failed_job_does_not_hold_its_serial_key() {
    let (database, clock) = at_rest().await;
    let kind = JobKind::transactional::<Note>(Writer::new(|text, attempt| {
        if text == "bad" && attempt.number == 1 { Err("no".into()) } else { Ok(()) }
    }));
    let workers = workers(&database, vec![kind]);
    enqueue(&database, &serial("bad", "k")).await;
    enqueue(&database, &serial("good", "k")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 2);
    assert_eq!(effects(&database).await, ["good"]);
    assert_eq!(count(&database, "job_turns").await, 0);
    clock.advance(Duration::from_secs(2));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    assert_eq!(effects(&database).await, ["bad", "good"]);
    assert_eq!(count(&database, "job_turns").await, 0);
}
