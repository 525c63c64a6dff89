//! What claiming costs when there are many jobs: rows that PostgreSQL reads, which do not depend on the machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use messaging::WorkerSettings;
use migration::Migrator;
use sea_orm::{
    ConnectionTrait, Database, DbBackend, FromQueryResult, IsolationLevel, Statement, TransactionTrait,
};
use shared_kernel::clock::SystemClock;
use shared_kernel::job_handler::JobKind;
use shared_kernel::session::{DatabaseSettings, Databases};
use shared_kernel::testing::{TestDatabase, secret_key};
use tokio_util::sync::CancellationToken;

use crate::support::*;

/// Number of jobs of each sort that are not to be claimed, instead of 25,000.
const OTHERS: &str = "TEST_OTHER_JOBS";

#[expect(clippy::disallowed_methods, reason = "the setting of this test")]
fn others() -> u32 {
    let variable = std::env::var(OTHERS).ok().filter(|text| !text.is_empty());
    variable.map_or(25_000, |number| number.parse().unwrap())
}

/// Entries of the indexes and rows of the table that were read so far.
#[derive(Clone, Copy, Debug, FromQueryResult)]
struct Read {
    /// By sequential scans.
    scanned: i64,
    /// Entries of indexes, dead ones included.
    entries: i64,
}

async fn read(database: &TestDatabase) -> Read {
    let sql = "SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'jobs')::bigint AS scanned, \
         (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'jobs')::bigint AS entries";
    let row = database.primary().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    Read::from_query_result(&row.unwrap().unwrap(), "").unwrap()
}

/// Runs `work` with connections of its own, which report what they read when they are closed.
async fn reads<F: Future<Output = ()>>(database: &TestDatabase, work: impl FnOnce(Databases) -> F) -> Read {
    let before = read(database).await;
    let settings =
        DatabaseSettings { pool_size: 4, ..DatabaseSettings::new(database.url().to_owned().into()) };
    let databases = Databases::connect(&settings, SystemClock::shared(), &secret_key()).await.unwrap();
    let sql =
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let sql = Statement::from_string(DbBackend::Postgres, sql);
    let others = database.primary().query_all_raw(sql.clone()).await.unwrap().len();
    work(databases).await;
    until(async || database.primary().query_all_raw(sql.clone()).await.unwrap().len() < others.max(1)).await;
    let after = read(database).await;
    Read { scanned: after.scanned - before.scanned, entries: after.entries - before.entries }
}

/// Adds jobs that cannot be claimed now: of another queue, delayed, finished, and behind a key.
async fn add_others(database: &TestDatabase, number: u32) {
    let add = |prefix: &str, queue: &str, lane: &str, state: &str, at: &str| {
        format!(
            "INSERT INTO jobs (id, kind, version, payload, queue, priority, state, lane, lane_at, created_at, due_at) \
             SELECT 'job_{prefix}' || lpad(n::text, 20, '0'), 'test.note', 1, '{{}}', '{queue}', 1, '{state}', '{lane}', {at}, now(), now() \
             FROM generate_series(1, {number}) n"
        )
    };
    for sql in [
        add("A", "other", "other.1", "waiting", "now() - interval '1 day'"),
        add("B", "default", "default.1", "waiting", "now() + interval '1 day'"),
        add("C", "default", "done", "done", "now() - interval '1 day'"),
        add("D", "default", "key:busy", "waiting", "now() - interval '1 day'"),
        "INSERT INTO job_turns (serial_key, job_id) VALUES ('busy', 'job_X')".to_owned(),
    ] {
        database.primary().execute_unprepared(&sql).await.unwrap();
    }
}

#[tokio::test]
async fn claiming_costs_the_same_however_many_others_there_are() {
    const JOBS: usize = 20;
    let database = TestDatabase::new::<Migrator>().await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    add_others(&database, others()).await;
    for _ in 0..JOBS {
        enqueue(&database, &note("due")).await;
    }
    let read = reads(&database, async |databases| {
        let kinds = vec![JobKind::transactional::<Note>(Writer::succeeding())];
        assert_eq!(workers(&databases, kinds).run_pending().await.unwrap(), JOBS);
    });
    // No statistics were collected since the table was empty.
    let read = read.await;
    assert_eq!(read.scanned, 0, "{read:?}");
    // 170 to 370, by the number of jobs that each claim found; a single claim that passes one of the sorts reads 25,000.
    assert!(read.entries < 100 * i64::try_from(JOBS).unwrap(), "{read:?}");
}

/// Number of entries that are read while a worker runs this many jobs beside a snapshot that needs all that they leave behind. They are
/// enqueued some at a time.
async fn read_beside_a_snapshot(jobs: u16, job: impl Fn(u16) -> Note) -> Option<i64> {
    const AT_ONCE: u16 = 100;
    let database = TestDatabase::new::<Migrator>().await;
    if database.backend() != DbBackend::Postgres {
        return None;
    }
    let other = Database::connect(database.url()).await.unwrap();
    let snapshot = other.begin_with_config(Some(IsolationLevel::RepeatableRead), None).await.unwrap();
    snapshot.execute_unprepared("SELECT count(*) FROM jobs").await.unwrap();
    let done = Arc::new(AtomicU16::new(0));
    let read = reads(&database, async |databases| {
        let counted = Arc::clone(&done);
        let kinds = vec![JobKind::transactional::<Note>(Writer::new(move |_, _| {
            counted.fetch_add(1, Ordering::AcqRel);
            Ok(())
        }))];
        let shutdown = CancellationToken::new();
        // With the usual heart-beats, which look at all jobs that run.
        let settings = WorkerSettings { poll_interval: quick().poll_interval, ..WorkerSettings::default() };
        let (workers, token) = (workers_with(&databases, kinds, settings), shutdown.clone());
        let running = tokio::spawn(async move { workers.run(token).await });
        for first in (0..jobs).step_by(usize::from(AT_ONCE)) {
            let session = databases.write();
            for number in first..first + AT_ONCE {
                session.enqueue(&job(number)).unwrap();
            }
            session.commit(()).await.unwrap().into_value();
            until(async || done.load(Ordering::Acquire) == first + AT_ONCE).await;
        }
        shutdown.cancel();
        soon(running).await.unwrap();
    });
    let read = read.await;
    snapshot.rollback().await.unwrap();
    Some(read.entries)
}

#[tokio::test]
async fn a_transaction_that_is_open_for_long_does_not_make_claims_dear() {
    const JOBS: u16 = 2_000;
    let Some(entries) = read_beside_a_snapshot(JOBS, |number| note(&number.to_string())).await else {
        return;
    };
    // Some 500 claims of four jobs: if each passed all that were claimed before, these were a million.
    assert!(entries < i64::from(JOBS) * 100, "{entries}");
}

#[tokio::test]
async fn nor_does_it_make_turns_dear() {
    const JOBS: u16 = 2_000;
    let serial = |number: u16| Note { serial: Some((number % 50).to_string()), ..note(&number.to_string()) };
    let Some(entries) = read_beside_a_snapshot(JOBS, serial).await else { return };
    // 330,000; if each pass read again what was sorted before, 3,100,000.
    assert!(entries < i64::from(JOBS) * 400, "{entries}");
}
