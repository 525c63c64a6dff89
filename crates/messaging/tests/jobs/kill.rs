//! Workers that are killed and stopped at any moment: processes of their own, which are this program again.

#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use messaging::{JobRegistry, WorkerSettings, Workers};
use migration::Migrator;
use rustix::process::{Pid, Signal, kill_process};
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use shared_kernel::clock::SystemClock;
use shared_kernel::job::Job;
use shared_kernel::job_handler::{Attempt, JobKind, Step, Stepped, Stop, Transactional};
use shared_kernel::random;
use shared_kernel::session::{DatabaseSettings, Databases, WriteSession};
use shared_kernel::testing::{TestDatabase, secret_key};
use tokio_util::sync::CancellationToken;

use crate::support::*;

/// Variables of a worker's process.
const URL: &str = "TEST_WORKER_URL";
const FOLDER: &str = "TEST_WORKER_FOLDER";

/// Number of rounds of killing, instead of ten.
const ROUNDS: &str = "TEST_KILL_ROUNDS";

/// Number of steps of the long job.
const STEPS: u32 = 10_000;

#[expect(clippy::disallowed_methods, reason = "the settings of this test")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

/// Counts to [`STEPS`].
#[derive(Debug, Serialize, Deserialize)]
struct LongCount;

impl Job for LongCount {
    const KIND: &'static str = "test.long_count";
}

struct Counter;

impl Stepped<LongCount> for Counter {
    type Cursor = u32;

    async fn step(
        &self,
        session: &WriteSession,
        _: &LongCount,
        cursor: Option<u32>,
        _: &Attempt,
    ) -> Result<Step<u32>, Stop> {
        let number = cursor.unwrap_or_default();
        effect(session, &format!("s{number:05}")).await?;
        if number + 1 == STEPS {
            return Ok(Step::Done);
        }
        Ok(Step::Next { cursor: number + 1, progress: None })
    }
}

/// Waits before its effect, until a file is there.
#[derive(Debug, Serialize, Deserialize)]
struct Patient;

impl Job for Patient {
    const KIND: &'static str = "test.patient";
}

struct Waiter(PathBuf);

impl Transactional<Patient> for Waiter {
    async fn run(&self, session: &WriteSession, _: &Patient, attempt: &Attempt) -> Result<(), Stop> {
        if attempt.number == 1 {
            tokio::fs::write(self.0.join("waiting"), std::process::id().to_string()).await?;
            while !tokio::fs::try_exists(self.0.join("go")).await? {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        // The transaction begins here.
        effect(session, "patient").await?;
        Ok(())
    }
}

/// A worker, in a process that only this module starts.
#[tokio::test]
#[ignore = "a process that other tests start"]
async fn worker_process() {
    let (Some(url), Some(folder)) = (variable(URL), variable(FOLDER)) else { return };
    let settings = DatabaseSettings { pool_size: 4, ..DatabaseSettings::new(url.into()) };
    let databases = Databases::connect(&settings, SystemClock::shared(), &secret_key()).await.unwrap();
    let often = |kind: JobKind| kind.tries(1_000).pauses(Duration::from_millis(1), Duration::from_millis(20));
    let kinds = vec![
        often(JobKind::transactional::<Note>(Writer::succeeding())),
        often(JobKind::stepped::<LongCount>(Counter)),
        often(JobKind::transactional::<Patient>(Waiter(folder.into()))),
    ];
    let jobs = JobRegistry { kinds, ..JobRegistry::default() };
    let workers = Workers::new(databases, jobs, brisk()).unwrap();
    workers.run(CancellationToken::new()).await;
}

/// Workers that take another one for dead after some 200 ms, which is less than one lives here. On a busy machine one that lives may be
/// taken for dead, too; then its work is refused.
fn brisk() -> WorkerSettings {
    WorkerSettings { beat_interval: Duration::from_millis(30), ..quick() }
}

/// A worker's process, killed when dropped.
struct Process(Child);

impl Process {
    fn start(url: &str, folder: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program)
            .args(["--exact", "kill::worker_process", "--ignored", "--nocapture"])
            .env(URL, url)
            .env(FOLDER, folder)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pause of up to that many milliseconds.
async fn some_milliseconds(most: u16) {
    let random = u16::from_be_bytes(random::bytes()) % most;
    tokio::time::sleep(Duration::from_millis(random.into())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_workers_lose_no_job_and_do_none_twice() {
    let rounds: u32 = variable(ROUNDS).map_or(10, |rounds| rounds.parse().unwrap());
    let database = TestDatabase::new::<Migrator>().await;
    let folder = tempfile::tempdir().unwrap();
    let long = enqueue(&database, &LongCount).await;
    let mut processes = [(); 2].map(|()| Process::start(database.url(), folder.path()));
    let mut expected: Vec<String> = (0..STEPS).map(|number| format!("s{number:05}")).collect();
    for round in 0..rounds {
        for number in 0..20 {
            let text = format!("n{round:03}.{number:02}");
            let session = database.write();
            session.enqueue(&note(&text)).unwrap();
            if number % 4 == 3 {
                // No commit, no job.
                drop(session);
                continue;
            }
            session.commit(()).await.unwrap().into_value();
            expected.push(text);
            some_milliseconds(40).await;
        }
        let victim = &mut processes[usize::try_from(round % 2).unwrap()];
        *victim = Process::start(database.url(), folder.path());
    }
    // The long job has the rest of the time.
    tokio::time::timeout(Duration::from_mins(5), async {
        while !states(&database).await.iter().all(|state| state == "done") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .expect("all jobs end");
    drop(processes);
    let attempts = job(&database, long).await.claim;
    assert!(attempts > 1, "the long job was killed");
    expected.sort();
    let effects = effects(&database).await;
    assert_eq!(effects.len(), expected.len());
    assert_eq!(effects, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stopped_worker_did_after_its_lease_is_refused() {
    let database = TestDatabase::new::<Migrator>().await;
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(database.url(), folder.path());
    let id = enqueue(&database, &Patient).await;
    until(async || folder.path().join("waiting").exists()).await;
    stop_outside_of_transactions(&database, &first).await;
    let second = Process::start(database.url(), folder.path());
    // The second attempt does not wait.
    until(async || job(&database, id).await.state == "done").await;
    assert_eq!(effects(&database).await, ["patient"]);
    let done = job(&database, id).await;
    std::fs::write(folder.path().join("go"), "").unwrap();
    first.signal(Signal::CONT);
    // It has noticed when it takes another id: then two workers beat.
    until(async || living(&database).await == 2).await;
    // What follows in it is behind the attempt that was stopped.
    let after = enqueue(&database, &note("after")).await;
    drop(second);
    until(async || job(&database, after).await.state == "done").await;
    assert_eq!(job(&database, id).await, done);
    assert_eq!(effects(&database).await, ["after", "patient"]);
}

/// Stops a process at a moment at which it does not hold SQLite's only writer, which nobody could take from it.
async fn stop_outside_of_transactions(databases: &Databases, process: &Process) {
    let writes = async || {
        let session = databases.write();
        session.execute_unprepared("UPDATE job_queues SET paused_at = NULL").await?;
        session.commit(()).await
    };
    loop {
        process.signal(Signal::STOP);
        if matches!(tokio::time::timeout(Duration::from_secs(1), writes()).await, Ok(Ok(_))) {
            return;
        }
        process.signal(Signal::CONT);
        // It ends its transaction before it is stopped again.
        until(async || writes().await.is_ok()).await;
    }
}

/// Number of workers that nobody has declared dead.
async fn living(databases: &Databases) -> usize {
    use sea_orm::FromQueryResult;
    use sea_orm::sea_query::{Expr, ExprTrait, Query};
    use shared_kernel::session::Reader;
    #[derive(FromQueryResult)]
    struct Worker {
        #[expect(dead_code, reason = "counted")]
        id: String,
    }
    let select = Query::select()
        .column("id")
        .from("job_workers")
        .and_where(Expr::col("silent_since").is_null())
        .to_owned();
    databases.read_primary().rows::<Worker>(&select).await.unwrap().len()
}
