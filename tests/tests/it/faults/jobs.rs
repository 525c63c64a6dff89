//! Workers whose database is away, on PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use messaging::{JobRegistry, WorkerSettings, Workers};
use serde::{Deserialize, Serialize};
use shared_kernel::clock::SystemClock;
use shared_kernel::job::Job;
use shared_kernel::job_handler::{Attempt, External, JobKind, Stop};
use shared_kernel::session::{DatabaseSettings, Databases};
use shared_kernel::testing::secret_key;
use tests::proxy::{Mode, Proxy};
use tests::{TestServer, eventually};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A job that goes on for as long as the test wants.
#[derive(Serialize, Deserialize)]
struct Long {
    number: usize,
}

impl Job for Long {
    const KIND: &'static str = "test.long";
}

/// Counts how often it is started, and ends when it may.
struct Counter {
    started: AtomicUsize,
    end: Semaphore,
}

impl External<Long> for Arc<Counter> {
    async fn run(&self, _: &Long, _: &Attempt) -> Result<(), Stop> {
        self.started.fetch_add(1, Ordering::AcqRel);
        self.end.acquire().await?.forget();
        Ok(())
    }
}

/// A database with the tables, whose server runs no jobs. `None` on SQLite.
async fn tables() -> Option<TestServer> {
    let server = TestServer::with_variables(&[("ASHLAR_JOBS__IN_SERVER", "false")]).await;
    (server.backend() == sea_orm::DbBackend::Postgres).then_some(server)
}

async fn connect(url: &str, listen_url: Option<&str>) -> Databases {
    let settings = DatabaseSettings {
        pool_size: 4,
        listen_url: listen_url.map(|url| url.to_owned().into()),
        ..DatabaseSettings::new(url.to_owned().into())
    };
    Databases::connect(&settings, SystemClock::shared(), &secret_key()).await.unwrap()
}

/// A worker that runs until the token is cancelled.
fn start(
    databases: &Databases,
    counter: &Arc<Counter>,
    settings: WorkerSettings,
    shutdown: &CancellationToken,
) -> JoinHandle<()> {
    let kinds = vec![JobKind::external::<Long>(Arc::clone(counter)).timeout(Duration::from_mins(5))];
    let registry = JobRegistry { kinds, ..JobRegistry::default() };
    let (workers, token) = (Workers::new(databases.clone(), registry, settings).unwrap(), shutdown.clone());
    tokio::spawn(async move { workers.run(token).await })
}

fn counter() -> Arc<Counter> {
    Arc::new(Counter { started: AtomicUsize::new(0), end: Semaphore::new(0) })
}

async fn enqueue(databases: &Databases, number: usize) {
    let session = databases.write();
    session.enqueue(&Long { number }).unwrap();
    session.commit(()).await.unwrap().into_value();
}

async fn started(counter: &Counter, number: usize) {
    let all = async || (counter.started.load(Ordering::Acquire) >= number).then_some(());
    eventually("the jobs", all).await;
}

#[tokio::test]
async fn a_database_that_is_away_for_long_starts_no_job_twice() {
    const JOBS: usize = 6;
    let Some(server) = tables().await else { return };
    let (mut first, one) = Proxy::to_database(server.database.url()).await;
    let (mut second, other) = Proxy::to_database(server.database.url()).await;
    let (counter, shutdown) = (counter(), CancellationToken::new());
    // A worker is silent after 1.2 s, so an outage of three seconds is what one of 75 is with the usual settings.
    let settings = WorkerSettings {
        beat_interval: Duration::from_millis(200),
        slots: JOBS / 2,
        ..WorkerSettings::default()
    };
    let mut running = Vec::new();
    for url in [&one, &other] {
        running.push(start(&connect(url, None).await, &counter, settings.clone(), &shutdown));
    }
    for number in 0..JOBS {
        enqueue(&server.database, number).await;
    }
    started(&counter, JOBS).await;
    // Both lose it: first nothing comes back, then connections are refused.
    first.set_mode(Mode::Stalled);
    second.set_mode(Mode::Stalled);
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.close().await;
    second.close().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    for proxy in [&mut first, &mut second] {
        proxy.set_mode(Mode::Forward);
        proxy.listen().await;
    }
    // Each looks at the other more often than it takes to declare it dead.
    let beats = "SELECT COALESCE(min(beat), 0) FROM job_workers";
    let again = server.count(beats).await;
    eventually("the beats", async || (server.count(beats).await > again + 10).then_some(())).await;
    assert_eq!(counter.started.load(Ordering::Acquire), JOBS);
    counter.end.add_permits(JOBS);
    eventually("the ends", async || {
        let done =
            server.count("SELECT count(*) FROM jobs WHERE kind = 'test.long' AND state = 'done'").await;
        (done == i64::try_from(JOBS).unwrap()).then_some(())
    })
    .await;
    assert_eq!(counter.started.load(Ordering::Acquire), JOBS);
    let failures = "SELECT count(*) FROM jobs WHERE kind = 'test.long' AND (failures > 0 OR claim > 1)";
    assert_eq!(server.count(failures).await, 0);
    shutdown.cancel();
    for task in running {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_listening_connection_that_falls_silent_does_not_hide_jobs() {
    let Some(server) = tables().await else { return };
    let url = server.database.url();
    let (proxy, listening) = Proxy::to_database(url).await;
    let (counter, shutdown) = (counter(), CancellationToken::new());
    counter.end.add_permits(100);
    let databases = connect(url, Some(&listening)).await;
    let running = start(&databases, &counter, WorkerSettings::default(), &shutdown);
    enqueue(&server.database, 0).await;
    started(&counter, 1).await;
    proxy.set_mode(Mode::Stalled);
    // It is found by polling, within ten seconds.
    enqueue(&server.database, 1).await;
    started(&counter, 2).await;
    shutdown.cancel();
    running.await.unwrap();
}
