//! Read and write sessions.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use sea_orm::{ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _};
use secrecy::SecretString;
use shared_kernel::clock::{Clock as _, SystemClock};
use shared_kernel::repository::Repository as _;
use shared_kernel::session::{ConnectError, DatabaseSettings, Databases, Reader, SessionError, WriteSession};
use shared_kernel::testing::{FixedClock, concurrently, secret_key};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::common::{
    Count, Widgets, commit, count, database, database_with_clock, find_label, insert, labels, opened_again,
    select_that_deletes, stored, widget,
};

const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn what_is_committed_is_there() {
    let database = database().await;
    let session = database.write();
    insert(&session, "a").await.unwrap();
    assert_eq!(labels(&session).await, ["a"], "a session sees what it wrote");
    let committed = session.commit("done").await.unwrap();
    assert_eq!(committed.map(str::len).into_value(), 4);
    assert_eq!(labels(&database.read(None)).await, ["a"]);
    assert_eq!(labels(&database.read_primary()).await, ["a"]);
}

#[tokio::test]
async fn what_is_not_committed_is_rolled_back() {
    let database = database().await;
    let session = database.write();
    insert(&session, "a").await.unwrap();
    drop(session);
    assert_eq!(count(&database).await, 0);
    stored(&database, "a").await;
}

#[tokio::test]
async fn an_error_can_be_committed_and_answered() {
    let database = database().await;
    let session = database.write();
    insert(&session, "a").await.unwrap();
    let committed = session.commit(Err::<(), _>("refused")).await.unwrap();
    assert_eq!(committed.transpose().map(drop).unwrap_err(), "refused");
    assert_eq!(labels(&database.read(None)).await, ["a"]);
}

/// PostgreSQL itself would answer this `COMMIT` with success.
#[tokio::test]
async fn a_session_with_a_failed_statement_does_not_commit() {
    let database = database().await;
    let session = database.write();
    insert(&session, "a").await.unwrap();
    insert(&session, "a").await.unwrap_err();
    assert!(matches!(session.commit(()).await, Err(SessionError::Failed)));
    assert_eq!(count(&database).await, 0);
}

/// sea-orm's own way to the database through the session is watched too.
#[tokio::test]
async fn every_way_to_fail_is_remembered() {
    async fn execute(session: &WriteSession) -> Result<(), DbErr> {
        session.execute_unprepared("DELETE FROM nothing").await.map(drop)
    }
    async fn read(session: &WriteSession) -> Result<(), DbErr> {
        let statement =
            sea_orm::Statement::from_string(session.get_database_backend(), "SELECT * FROM nothing");
        session.query_one_raw(statement).await.map(drop)
    }
    let database = database().await;
    let executed = database.write();
    insert(&executed, "a").await.unwrap();
    execute(&executed).await.unwrap_err();
    assert!(matches!(executed.commit(()).await, Err(SessionError::Failed)));
    let queried = database.write();
    insert(&queried, "a").await.unwrap();
    read(&queried).await.unwrap_err();
    assert!(matches!(queried.commit(()).await, Err(SessionError::Failed)));
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn an_expected_failure_is_undone_and_the_rest_is_committed() {
    let database = database().await;
    let session = database.write();
    insert(&session, "a").await.unwrap();
    let outcome = session
        .savepoint(async {
            insert(&session, "undone").await?;
            insert(&session, "a").await
        })
        .await
        .unwrap();
    assert_eq!(outcome.unwrap_err().violated_unique().as_deref(), Some("widgets_label_key"));
    session.savepoint(insert(&session, "b")).await.unwrap().unwrap();
    insert(&session, "c").await.unwrap();
    commit(session).await;
    assert_eq!(labels(&database.read(None)).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn savepoints_nest() {
    let database = database().await;
    let session = database.write();
    let outer: Result<(), SessionError> = session
        .savepoint(async {
            insert(&session, "a").await?;
            let inner: Result<(), &str> = session
                .savepoint(async {
                    insert(&session, "undone").await.map_err(|_| "the database's")?;
                    Err("a rule's")
                })
                .await?;
            assert_eq!(inner, Err("a rule's"));
            insert(&session, "b").await.map(drop)
        })
        .await
        .unwrap();
    outer.unwrap();
    commit(session).await;
    assert_eq!(labels(&database.read(None)).await, ["a", "b"]);
}

#[tokio::test]
async fn a_savepoint_does_not_heal_what_failed_before_or_was_kept_silent() {
    let database = database().await;
    stored(&database, "a").await;
    let before = database.write();
    insert(&before, "a").await.unwrap_err();
    // PostgreSQL refuses the savepoint itself; SQLite would go on.
    let _outcome = before.savepoint(async { Err::<(), _>("expected") }).await;
    assert!(matches!(before.commit(()).await, Err(SessionError::Failed)));
    let silent = database.write();
    let _outcome = silent
        .savepoint(async {
            insert(&silent, "b").await?;
            insert(&silent, "a").await.map(drop).or(Ok::<_, SessionError>(()))
        })
        .await;
    assert!(matches!(silent.commit(()).await, Err(SessionError::Failed)));
    assert_eq!(labels(&database.read(None)).await, ["a"]);
}

#[tokio::test]
async fn a_savepoint_that_is_given_up_half_way_is_not_committed() {
    let database = database().await;
    let session = database.write();
    insert(&session, "a").await.unwrap();
    let (written, when_written) = oneshot::channel();
    let hangs = session.savepoint(async {
        insert(&session, "b").await?;
        written.send(()).unwrap();
        std::future::pending::<Result<(), SessionError>>().await
    });
    tokio::select! {
        biased;
        _ = hangs => panic!("it has no end"),
        _ = when_written => {}
    }
    assert!(matches!(session.commit(()).await, Err(SessionError::Failed)));
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn a_violated_constraint_is_told_by_name() {
    async fn twice(session: &WriteSession, statement: &str) -> Option<String> {
        let outcome: Result<_, SessionError> = session
            .savepoint(async {
                session.execute_unprepared(statement).await?;
                session.execute_unprepared(statement).await.map_err(SessionError::from)
            })
            .await
            .unwrap();
        outcome.unwrap_err().violated_unique()
    }
    let database = database().await;
    database.primary().execute_unprepared("CREATE TABLE pairs (a integer, b integer)").await.unwrap();
    database.primary().execute_unprepared("CREATE UNIQUE INDEX pairs_a_b_key ON pairs (a, b)").await.unwrap();
    let session = database.write();
    let user = match database.backend() {
        DbBackend::Postgres => "substr(md5(random()::text), 1, 26)",
        _ => "lower(hex(randomblob(13)))",
    };
    let user = format!(
        "INSERT INTO users (id, created_at, updated_at, email, email_normalized, name, name_normalized) VALUES \
         ('usr_' || {user}, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP, 'a@example.com', 'a@example.com', 'A', 'a')"
    );
    assert_eq!(twice(&session, &user).await.as_deref(), Some("users_email_normalized_key"));
    let handled = "INSERT INTO handled_events VALUES ('a', 'evt_1', CURRENT_TIMESTAMP)";
    assert_eq!(twice(&session, handled).await.as_deref(), Some("handled_events_pkey"));
    assert_eq!(twice(&session, "INSERT INTO pairs VALUES (1, 2)").await.as_deref(), Some("pairs_a_b_key"));
    // Another rule is none of these.
    let outcome = session.execute_unprepared("INSERT INTO outbox_events (id) VALUES (NULL)").await;
    assert_eq!(SessionError::from(outcome.unwrap_err()).violated_unique(), None);
}

#[tokio::test]
async fn an_unused_session_takes_no_connection() {
    let database = database().await;
    let one = opened_again(&database, |settings| settings.pool_size = 1).await;
    let idle: Vec<WriteSession> = (0..50).map(|_| one.write()).collect();
    for session in &idle {
        session.now();
    }
    stored(&one, "a").await;
    for session in idle {
        commit(session).await;
    }
    assert_eq!(labels(&one.read(None)).await, ["a"]);
}

#[tokio::test]
async fn a_session_has_one_instant() {
    let clock = Arc::new(FixedClock::at_system_time());
    let database = database_with_clock(clock.clone()).await;
    let session = database.write();
    let first = insert(&session, "a").await.unwrap();
    clock.advance(Duration::from_hours(1));
    let second = insert(&session, "b").await.unwrap();
    commit(session).await;
    assert_eq!(first.created_at, second.created_at);
    assert!(first.id < second.id, "ids of one instant are in the order of their making");
    let third = stored(&database, "c").await;
    assert_eq!(third.created_at, first.created_at + Duration::from_hours(1));
    assert_eq!(third.created_at, clock.now());
    assert_eq!(labels(&database.read(None)).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn readers_go_on_during_a_write_and_see_it_when_it_is_committed() {
    let database = database().await;
    stored(&database, "a").await;
    let session = database.write();
    insert(&session, "b").await.unwrap();
    assert_eq!(labels(&database.read(None)).await, ["a"]);
    assert_eq!(labels(&database.read_primary()).await, ["a"]);
    commit(session).await;
    assert_eq!(labels(&database.read(None)).await, ["a", "b"]);
    assert_eq!(labels(&database.read_primary()).await, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_writers_at_once_all_succeed() {
    let database = database().await;
    let handle = Databases::clone(&database);
    concurrently(20, |number| {
        let databases = handle.clone();
        async move {
            let session = databases.write();
            // Reads first: a deferred transaction of SQLite would fail at its write then.
            let seen = session.count(Widgets::unscoped()).await.unwrap();
            insert(&session, &number.to_string()).await.unwrap();
            assert!(session.count(Widgets::unscoped()).await.unwrap() > seen);
            commit(session).await;
        }
    })
    .await;
    assert_eq!(count(&database).await, 20);
}

/// The command line beside a running server.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_process_may_write_at_the_same_time() {
    let database = database().await;
    let other = opened_again(&database, |_| ()).await;
    let both = [Databases::clone(&database), other];
    concurrently(20, |number| {
        let databases = both[number % 2].clone();
        async move { stored(&databases, &number.to_string()).await }
    })
    .await;
    assert_eq!(count(&database).await, 20);
}

#[tokio::test]
async fn a_request_that_goes_away_leaves_nothing_behind() {
    let database = database().await;
    let one = opened_again(&database, |settings| settings.pool_size = 1).await;
    // Somebody hangs up in the middle of a session.
    let (begun, when_begun) = oneshot::channel();
    let hanging = tokio::spawn({
        let one = one.clone();
        async move {
            let session = one.write();
            insert(&session, "a").await.unwrap();
            begun.send(()).unwrap();
            std::future::pending::<()>().await;
        }
    });
    when_begun.await.unwrap();
    hanging.abort();
    assert!(hanging.await.unwrap_err().is_cancelled());
    // Many hang up at their first statement.
    for _ in 0..50 {
        let session = one.write();
        let _gone = insert(&session, "b").now_or_never();
    }
    stored(&one, "c").await;
    assert_eq!(labels(&one.read(None)).await, ["c"]);
}

/// What the types forbid, the engine refuses as well: SQLite's readers are `query_only`, a replica's connections
/// `default_transaction_read_only`, even where the replica could write.
#[tokio::test]
async fn a_write_that_looks_like_a_read_is_refused() {
    let database = database().await;
    stored(&database, "a").await;
    let databases = opened_again(&database, |settings| {
        if database.backend() == DbBackend::Postgres {
            settings.replica_urls = vec![SecretString::from(database.url())];
        }
    })
    .await;
    let outcome: Result<Vec<Count>, _> =
        databases.read(None).rows(&select_that_deletes(database.backend())).await;
    let SessionError::Database(error) = outcome.unwrap_err() else { panic!("the database refuses it") };
    let message = error.to_string();
    assert!(message.contains("readonly database") || message.contains("read-only transaction"), "{message}");
    if database.backend() == DbBackend::Sqlite {
        let outcome: Result<Vec<Count>, _> =
            databases.read_primary().rows(&select_that_deletes(DbBackend::Sqlite)).await;
        assert!(outcome.unwrap_err().to_string().contains("database"));
    }
    assert_eq!(labels(&database.read(None)).await, ["a"]);
    // The statement is one that writes where writing is allowed.
    let session = database.write();
    let written: Vec<Count> = session.rows(&select_that_deletes(database.backend())).await.unwrap();
    assert_eq!(written.len(), if database.backend() == DbBackend::Postgres { 1 } else { 2 });
    assert_eq!(written[0].count, 1);
    commit(session).await;
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn the_methods_of_a_reader_agree() {
    let database = database().await;
    for label in ["a", "b", "c"] {
        stored(&database, label).await;
    }
    let session = database.read(None);
    assert_eq!(session.count(Widgets::unscoped()).await.unwrap(), 3);
    assert_eq!(session.all(Widgets::unscoped()).await.unwrap().len(), 3);
    assert_eq!(find_label(&session, "b").await.map(|widget| widget.label).as_deref(), Some("b"));
    assert_eq!(find_label(&session, "z").await, None);
    let none = widget::Entity::find().filter(widget::Column::Label.eq("z"));
    assert_eq!(session.count(none).await.unwrap(), 0);
    database.ping().await.unwrap();
    assert_eq!(database.replicas_in_use(), Vec::<bool>::new());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_a_sentence() {
    let refusal = async |url: &str, replicas: &[&str]| {
        let mut settings = DatabaseSettings::new(SecretString::from(url));
        settings.replica_urls = replicas.iter().copied().map(SecretString::from).collect();
        Databases::connect(&settings, SystemClock::shared(), &secret_key()).await.unwrap_err()
    };
    assert!(matches!(refusal("mysql://localhost/x", &[]).await, ConnectError::UnknownEngine));
    assert!(matches!(refusal("sqlite::memory:", &[]).await, ConnectError::InMemory));
    assert!(matches!(refusal("sqlite://x?mode=memory", &[]).await, ConnectError::InMemory));
    let replica = refusal("sqlite://x.sqlite", &["postgres://localhost/x"]).await;
    assert!(matches!(replica, ConnectError::ReplicaOfSqlite), "{replica}");
    let folder = refusal("sqlite:///no/such/folder/x.sqlite", &[]).await;
    assert!(matches!(folder, ConnectError::File(_)), "{folder}");
}

/// What is committed lies in a write-ahead log that is synchronised at each commit, and foreign keys hold.
#[tokio::test]
async fn sqlite_is_set_up_for_a_server() {
    let database = database().await;
    if database.backend() != DbBackend::Sqlite {
        return;
    }
    let pragma = async |name: &str| {
        let statement = sea_orm::Statement::from_string(DbBackend::Sqlite, format!("PRAGMA {name}"));
        let row = database.primary().query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index::<String>(0)
            .or_else(|_| row.try_get_by_index::<i64>(0).map(|number| number.to_string()))
            .unwrap()
    };
    assert_eq!(pragma("journal_mode").await, "wal");
    assert_eq!(pragma("synchronous").await, "2", "FULL");
    assert_eq!(pragma("foreign_keys").await, "1");
    assert_eq!(pragma("busy_timeout").await, "20000", "half of the time that there is for an answer");
    assert_eq!(pragma("journal_size_limit").await, (16 * 1024 * 1024).to_string());
}

#[tokio::test]
async fn every_commit_has_a_token_and_a_session_without_statements_none() {
    let database = database().await;
    let session = database.write();
    insert(&session, "a").await.unwrap();
    let token = session.commit(()).await.unwrap().into_parts().1.unwrap();
    assert_eq!(token.to_string().parse(), Ok(token));
    assert_eq!(labels(&database.read(Some(token))).await, ["a"]);
    assert_eq!(database.write().commit(()).await.unwrap().into_parts().1, None);
}

#[tokio::test]
async fn what_follows_a_commit_is_done_after_it_and_in_order() {
    let database = database().await;
    let done = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let done = done.clone();
        async move { done.lock().unwrap().push(what) }
    };
    let session = database.write();
    insert(&session, "a").await.unwrap();
    session.after_commit(note("first"));
    session.after_commit(note("second"));
    assert!(done.lock().unwrap().is_empty());
    commit(session).await;
    assert_eq!(*done.lock().unwrap(), ["first", "second"]);
    let session = database.write();
    session.after_commit(note("rolled back"));
    drop(session);
    let failed = database.write();
    failed.after_commit(note("failed"));
    failed.execute_unprepared("SELECT nothing FROM nowhere").await.unwrap_err();
    failed.commit(()).await.unwrap_err();
    assert_eq!(*done.lock().unwrap(), ["first", "second"], "nothing follows what did not happen");
}

#[tokio::test]
async fn hooks_run_although_the_request_is_cut_off_during_the_commit() {
    let database = database().await;
    let mut was_cut_off = false;
    // The answer of the database may be there at the first look.
    for attempt in 0..100 {
        let session = database.write();
        insert(&session, &format!("{attempt}")).await.unwrap();
        let (ran, has_run) = oneshot::channel();
        session.after_commit(async move { ran.send(()).unwrap() });
        {
            let mut commit = pin!(session.commit(()));
            was_cut_off |= futures_util::poll!(&mut commit).is_pending();
        }
        timeout(DEADLINE, has_run).await.expect("the hook runs").unwrap();
        if was_cut_off {
            return;
        }
    }
    panic!("no commit waited for the database");
}

#[tokio::test]
async fn hooks_go_on_although_the_request_is_cut_off_between_them() {
    let database = database().await;
    let session = database.write();
    insert(&session, "a").await.unwrap();
    let (enter, entered) = oneshot::channel();
    let (go_on, may_go_on) = oneshot::channel::<()>();
    let (ran, has_run) = oneshot::channel();
    session.after_commit(async move {
        enter.send(()).unwrap();
        may_go_on.await.unwrap();
    });
    session.after_commit(async move { ran.send(()).unwrap() });
    tokio::select! {
        committed = session.commit(()) => panic!("the first hook waits, but {committed:?}"),
        () = entered.map(Result::unwrap) => {}
    }
    go_on.send(()).unwrap();
    timeout(DEADLINE, has_run).await.expect("the second hook runs").unwrap();
}

#[tokio::test]
async fn a_session_that_begins_anew_has_written_nothing() {
    let database = database().await;
    let mut session = database.write();
    insert(&session, "a").await.unwrap();
    session.after_commit(async { panic!("it was forgotten") });
    session.execute_unprepared("SELECT nothing FROM nowhere").await.unwrap_err();
    session.restart();
    insert(&session, "b").await.unwrap();
    commit(session).await;
    assert_eq!(labels(&database.read_primary()).await, ["b"]);
}
