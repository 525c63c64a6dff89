//! Jobs are enqueued in the transaction that needs them.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use migration::Migrator;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};
use shared_kernel::clock::SystemClock;
use shared_kernel::event::Origin;
use shared_kernel::job::{InvalidJob, Job, JobOptions, Priority};
use shared_kernel::job_handler::JobKind;
use shared_kernel::session::{DatabaseSettings, Databases, SessionError};
use shared_kernel::testing::{TestDatabase, secret_key};
use tracing::field::Field;
use tracing::{Event, Metadata, Subscriber, span};

use crate::support::*;

#[tokio::test]
async fn a_job_runs_after_its_commit_and_not_without_it() {
    let (database, _) = at_rest().await;
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);

    let session = database.write();
    session.enqueue(&note("rolled back")).unwrap();
    drop(session);
    assert_eq!(workers.run_pending().await.unwrap(), 0);

    let session = database.write();
    session.set_origin(Origin::system("test"));
    let id = session.enqueue(&note("committed")).unwrap();
    assert_eq!(workers.run_pending().await.unwrap(), 0);
    session.commit(()).await.unwrap().into_value();
    assert_eq!(workers.run_pending().await.unwrap(), 1);

    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.lane.as_str(), row.worker_id), ("done", "done", None));
    assert_eq!((row.principal.as_deref(), row.claim, row.failures), (Some("system:test"), 1, 0));
    assert!(row.finished_at.is_some());
    assert_eq!(effects(&database).await, ["committed"]);
    assert_eq!(count(&database, "job_workers").await, 0);
}

#[tokio::test]
async fn what_a_savepoint_undid_is_not_enqueued() {
    let (database, _) = at_rest().await;
    let session = database.write();
    session.enqueue(&note("before")).unwrap();
    let undone: Result<(), &str> = session
        .savepoint(async {
            session.enqueue(&note("undone")).unwrap();
            Err("no")
        })
        .await
        .unwrap();
    assert_eq!(undone, Err("no"));
    session.savepoint(async { session.enqueue(&note("within")).map(drop) }).await.unwrap().unwrap();
    session.commit(()).await.unwrap().into_value();
    let texts: Vec<_> = jobs(&database).await.into_iter().map(|row| row.payload["text"].clone()).collect();
    assert_eq!(texts, ["before", "within"]);
}

#[tokio::test]
async fn a_session_that_failed_enqueues_nothing() {
    let (database, _) = at_rest().await;
    let session = database.write();
    session.enqueue(&note("lost")).unwrap();
    session.execute_unprepared("this is no SQL").await.unwrap_err();
    assert!(matches!(session.commit(()).await, Err(SessionError::Failed)));
    assert!(jobs(&database).await.is_empty());
}

#[tokio::test]
async fn a_delayed_job_waits_and_an_urgent_one_goes_first() {
    let (database, clock) = at_rest().await;
    let (caller, mut calls) = Caller::new();
    caller.let_end(10);
    let settings = messaging::WorkerSettings { slots: 1, ..quick() };
    let workers = workers_with(&database, vec![JobKind::external::<Note>(caller)], settings);
    enqueue_with(
        &database,
        &note("later"),
        JobOptions { delay: Duration::from_mins(1), ..JobOptions::default() },
    )
    .await;
    enqueue_with(&database, &note("low"), with_priority(Priority::Low)).await;
    enqueue(&database, &note("normal")).await;
    enqueue_with(&database, &note("urgent"), with_priority(Priority::Urgent)).await;
    assert_eq!(workers.run_pending().await.unwrap(), 3);
    clock.advance(Duration::from_secs(59));
    assert_eq!(workers.run_pending().await.unwrap(), 0);
    clock.advance(Duration::from_secs(1));
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    let mut order = Vec::new();
    while let Ok(text) = calls.try_recv() {
        order.push(text);
    }
    assert_eq!(order, ["urgent", "normal", "low", "later"]);
}

#[tokio::test]
async fn many_jobs_of_one_session_run_once_each() {
    let (database, _) = at_rest().await;
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);
    let session = database.write();
    for number in 0..1_201 {
        session.enqueue(&note(&format!("{number:04}"))).unwrap();
    }
    session.commit(()).await.unwrap().into_value();
    assert_eq!(soon(workers.run_pending()).await.unwrap(), 1_201);
    let expected: Vec<_> = (0..1_201).map(|number| format!("{number:04}")).collect();
    assert_eq!(effects(&database).await, expected);
}

/// A job that cannot be stored.
#[derive(serde::Serialize, serde::Deserialize)]
struct Wrong(String);

impl Job for Wrong {
    const KIND: &'static str = "Test Wrong";
}

#[tokio::test]
async fn what_cannot_be_stored_is_refused() {
    let (database, _) = at_rest().await;
    let refused = |session: shared_kernel::session::WriteSession, job: &Note| match session.enqueue(job) {
        Err(SessionError::Job(error)) => error,
        other => panic!("{other:?}"),
    };
    let long = Note { text: "a".repeat(70_000), ..Note::default() };
    assert!(matches!(refused(database.write(), &long), InvalidJob::Payload { bytes: 70_000.., .. }));
    for key in [String::new(), "a".repeat(101)] {
        let serial = Note { serial: Some(key.clone()), ..Note::default() };
        assert!(matches!(refused(database.write(), &serial), InvalidJob::Key("test.note")), "{key:?}");
    }
    assert!(matches!(refused(database.write(), &note("a\0b")), InvalidJob::Nul("test.note")));
    let unique = Note { unique: Some("a".repeat(240)), ..Note::default() };
    assert!(matches!(refused(database.write(), &unique), InvalidJob::Key(_)));
    let session = database.write();
    assert!(matches!(session.enqueue(&Pair(1, 2)), Err(SessionError::Job(InvalidJob::Array("test.pair")))));
    assert!(matches!(session.enqueue(&Wrong(String::new())), Err(SessionError::Job(InvalidJob::Kind(_)))));
    // What the session had to do is not done without its job.
    assert!(matches!(session.commit(()).await, Err(SessionError::Failed)));
}

/// Its payload is an array.
#[derive(Serialize, Deserialize)]
struct Pair(u8, u8);

impl Job for Pair {
    const KIND: &'static str = "test.pair";
}

/// Statements that sqlx runs, as it logs them.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    fn of_sqlx(metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        Self::of_sqlx(metadata)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = String::new();
        event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
            write!(text, "{field}={value:?} ").unwrap();
        });
        self.0.lock().unwrap().push(text);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn enqueuing_adds_one_statement_and_tells_nobody_before_the_commit() {
    let database = TestDatabase::new::<Migrator>().await;
    if database.backend() != sea_orm::DbBackend::Postgres {
        // SQLite's driver logs on a thread of its own, and has no notifications.
        return;
    }
    let settings =
        DatabaseSettings { log_statements: true, ..DatabaseSettings::new(database.url().to_owned().into()) };
    let databases = Databases::connect(&settings, SystemClock::shared(), &secret_key()).await.unwrap();
    let write = async |jobs: usize| {
        let statements = Statements::default();
        let guard = tracing::subscriber::set_default(statements.clone());
        let session = databases.write();
        effect(&session, "change").await.unwrap();
        for number in 0..jobs {
            session.enqueue(&note(&number.to_string())).unwrap();
        }
        session.commit(()).await.unwrap().into_value();
        drop(guard);
        statements.0.lock().unwrap().clone()
    };
    // The connection is there, and has prepared what is the same each time.
    write(1).await;
    let (without, with) = (write(0).await, write(3).await);
    assert!(!without.is_empty() && with.len() == without.len() + 1, "{without:#?} {with:#?}");
    assert!(!with.iter().any(|statement| statement.to_lowercase().contains("notify")), "{with:#?}");
}
