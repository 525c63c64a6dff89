//! Wake-ups between processes on PostgreSQL.

use std::sync::Arc;
use std::time::Duration;

use messaging::WorkerSettings;
use migration::Migrator;
use sea_orm::DbBackend;
use shared_kernel::clock::SystemClock;
use shared_kernel::job::JobOptions;
use shared_kernel::job_handler::JobKind;
use shared_kernel::session::{DatabaseSettings, Databases};
use shared_kernel::testing::{TestDatabase, secret_key};
use tokio_util::sync::CancellationToken;

use crate::support::*;

/// Connections as another process has them.
async fn another(database: &TestDatabase) -> Databases {
    let settings =
        DatabaseSettings { pool_size: 4, ..DatabaseSettings::new(database.url().to_owned().into()) };
    Databases::connect(&settings, SystemClock::shared(), &secret_key()).await.unwrap()
}

#[tokio::test]
async fn a_worker_that_hardly_polls_hears_of_jobs_of_other_processes() {
    let database = TestDatabase::new::<Migrator>().await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let (caller, mut calls) = Caller::new();
    // A minute, and ten minutes where notifications arrive.
    let settings = WorkerSettings { poll_interval: Duration::from_mins(1), ..WorkerSettings::default() };
    let worker =
        workers_with(&database, vec![JobKind::external::<Note>(Arc::clone(&caller))], settings.clone());
    let elsewhere = another(&database).await;
    let enqueuer = workers_with(&elsewhere, Vec::new(), settings);
    let shutdown = CancellationToken::new();
    let running = [
        tokio::spawn({
            let (worker, token) = (worker.clone(), shutdown.clone());
            async move { worker.run(token).await }
        }),
        tokio::spawn({
            let token = shutdown.clone();
            async move { enqueuer.announce(token).await }
        }),
    ];
    // Both listen when a first job has arrived; until then it is enqueued again.
    caller.let_end(1_000);
    soon(async {
        while tokio::time::timeout(Duration::from_millis(100), calls.recv()).await.is_err() {
            enqueue(&elsewhere, &note("are you there")).await;
        }
    })
    .await;
    let id = enqueue(&elsewhere, &note("now")).await;
    until(async || job(&database, id).await.state == "done").await;

    // A command, which listens to nothing.
    let later = JobOptions { delay: Duration::from_hours(1), ..JobOptions::default() };
    let hurried = enqueue_with(&elsewhere, &note("hurried"), later).await;
    Operator::of(&another(&database).await).retry(hurried).await.unwrap();
    until(async || job(&database, hurried).await.state == "done").await;
    shutdown.cancel();
    for task in running {
        soon(task).await.unwrap();
    }
}
