//! SQLite's file cannot grow, its log grew, or something else goes wrong below a statement. What is acknowledged after
//! that is in the file all the same, and what is not is answered with "come again".

use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement, TransactionTrait as _};
use shared_kernel::error::{DomainError as _, Kind};
use shared_kernel::session::{Committed, Databases, SessionError, WriteSession};
use shared_kernel::testing::TestDatabase;

use crate::common::{commit, count, database, insert, labels, opened_again, stored};

/// A database whose every new widget needs a page of its own. `None` on PostgreSQL, which has no such connection.
async fn sqlite() -> Option<TestDatabase> {
    let database = database().await;
    if database.backend() != DbBackend::Sqlite {
        return None;
    }
    for sql in [
        "CREATE TABLE ballast (bytes BLOB)",
        "CREATE TRIGGER grow AFTER INSERT ON widgets BEGIN INSERT INTO ballast VALUES (randomblob(5000)); END",
    ] {
        database.primary().execute_unprepared(sql).await.unwrap();
    }
    Some(database)
}

/// Lets the file grow by so many pages, as far as the writing connection that there is now is concerned.
async fn leave_pages(databases: &Databases, pages: i64) {
    let primary = databases.primary();
    let row = primary.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA page_count")).await;
    let used: i64 = row.unwrap().unwrap().try_get_by_index(0).unwrap();
    primary.execute_unprepared(&format!("PRAGMA max_page_count = {}", used + pages)).await.unwrap();
}

#[track_caller]
fn comes_again(error: &SessionError) {
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(error.problem().kind, Kind::Unavailable);
    assert!(error.retry_after().is_some());
}

/// Three inserts, the second of them in a savepoint.
async fn write_three(session: WriteSession, name: &str) -> Result<(), SessionError> {
    insert(&session, &format!("{name} 1")).await?;
    session.savepoint(insert(&session, &format!("{name} 2"))).await??;
    insert(&session, &format!("{name} 3")).await?;
    session.commit(()).await.map(Committed::into_value)
}

/// That writing works: a write is seen by other connections, a refused one harms none of those that follow.
async fn writes_are_kept(database: &TestDatabase, name: &str) {
    let before = count(database).await;
    stored(database, name).await;
    let refused = database.write();
    assert!(insert(&refused, name).await.unwrap_err().violated_unique().is_some());
    drop(refused);
    for number in 0..3 {
        stored(database, &format!("{name} {number}")).await;
    }
    assert_eq!(count(database).await, before + 4);
    assert_eq!(count(&opened_again(database, |_| ()).await).await, before + 4);
}

#[tokio::test]
async fn a_full_disk_at_any_statement_loses_nothing_that_is_acknowledged() {
    let Some(database) = sqlite().await else { return };
    let mut refused = 0;
    for pages in 0.. {
        leave_pages(&database, pages).await;
        let before = count(&database).await;
        let written = write_three(database.write(), &format!("try {pages}")).await;
        let kept = count(&database).await - before;
        let Err(error) = written else {
            assert_eq!(kept, 3);
            break;
        };
        comes_again(&error);
        assert_eq!(kept, 0, "{error:?}");
        refused += 1;
        // There is space again: the limit was the closed connection's.
        writes_are_kept(&database, &format!("after {pages}")).await;
    }
    assert!(refused >= 3, "the file was full {refused} times only");
}

#[tokio::test]
async fn after_the_end_of_its_transaction_a_session_writes_nothing() {
    let Some(database) = sqlite().await else { return };
    leave_pages(&database, 0).await;
    let session = database.write();
    comes_again(&insert(&session, "does not fit").await.unwrap_err());
    // Without a transaction it would be durable by itself.
    let late = session.execute_unprepared("DELETE FROM ballast").await.unwrap_err();
    comes_again(&late.into());
    comes_again(&session.savepoint(async { Ok::<_, SessionError>(()) }).await.unwrap_err());
    comes_again(&session.commit(()).await.unwrap_err());
    assert_eq!(count(&database).await, 0);
    writes_are_kept(&database, "after").await;
}

/// A failure that is expected is one of the statement's own. One that ended the transaction is not healed.
#[tokio::test]
async fn a_savepoint_does_not_heal_a_full_disk() {
    let Some(database) = sqlite().await else { return };
    let session = database.write();
    insert(&session, "a").await.unwrap();
    session.execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
    comes_again(&session.savepoint(insert(&session, "b")).await.unwrap_err());
    comes_again(&session.commit(()).await.unwrap_err());
    assert_eq!(count(&database).await, 0);
    writes_are_kept(&database, "after").await;
}

/// Whoever hangs up does so between any two steps of the driver, also after the last statement.
#[tokio::test]
async fn a_write_that_is_given_up_anywhere_harms_no_other() {
    // PostgreSQL has to keep this promise too.
    let database = match sqlite().await {
        Some(database) => database,
        None => database().await,
    };
    let mut given_up = 0;
    for steps in 0..2_000 {
        let name = format!("given up {steps}");
        let mut write = Box::pin(write_three(database.write(), &name));
        let mut done = false;
        for _ in 0..steps {
            done = (&mut write).now_or_never().is_some();
            if done {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(write);
        stored(&database, &format!("after {steps}")).await;
        if done {
            break;
        }
        given_up += 1;
    }
    assert!(given_up > 0);
    writes_are_kept(&database, "at last").await;
    let kept = labels(&database.read(None)).await;
    let halves = (0..given_up).map(|steps| {
        let name = format!("given up {steps} ");
        kept.iter().filter(|label| label.starts_with(&name)).count()
    });
    // The last ones were given up after they had been sent off to be committed.
    assert!(halves.clone().all(|rows| rows == 0 || rows == 3), "{kept:?}");
}

#[tokio::test]
async fn a_statement_that_is_given_up_is_not_committed_around() {
    let Some(database) = sqlite().await else { return };
    let session = database.write();
    insert(&session, "a").await.unwrap();
    let slow = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT max(i) FROM n";
    {
        let mut statement = pin!(session.execute_unprepared(slow));
        assert!(statement.as_mut().now_or_never().is_none());
    }
    assert!(matches!(session.commit(()).await, Err(SessionError::Failed)));
    assert_eq!(count(&database).await, 0);
    writes_are_kept(&database, "after").await;
}

/// However it came to that: SQLite has a transaction open, and the driver does not know.
#[tokio::test]
async fn a_transaction_that_the_driver_does_not_know_of_takes_no_write_with_it() {
    let Some(database) = sqlite().await else { return };
    database.primary().execute_unprepared("BEGIN").await.unwrap();
    let first = database.write();
    insert(&first, "a").await.unwrap_err();
    drop(first);
    // At the latest the second is on a new connection.
    let second = database.write();
    let _refused_or_not = insert(&second, "b").await;
    drop(second);
    writes_are_kept(&database, "after").await;
}

/// The transaction was ended behind the driver's back, so that its own end fails.
#[tokio::test]
async fn a_commit_that_fails_takes_its_connection_with_it() {
    let Some(database) = sqlite().await else { return };
    let session = database.write();
    insert(&session, "rolled back").await.unwrap();
    session.execute_unprepared("ROLLBACK").await.unwrap();
    session.commit(()).await.unwrap_err();
    assert_eq!(count(&database).await, 0);
    writes_are_kept(&database, "after").await;
}

/// Readiness asks this: it is about writing, and waits for whoever writes.
#[tokio::test]
async fn a_database_that_is_asked_says_whether_it_takes_writes() {
    let Some(database) = sqlite().await else { return };
    database.ping().await.unwrap();
    leave_pages(&database, 0).await;
    insert(&database.write(), "does not fit").await.unwrap_err();
    database.ping().await.unwrap();
    let holder = database.write();
    insert(&holder, "a").await.unwrap();
    let held = tokio::time::timeout(Duration::from_millis(300), database.ping()).await;
    assert!(held.is_err(), "{held:?}");
    commit(holder).await;
    database.ping().await.unwrap();
}

/// Somebody reads an older state, a backup for one: the log grows until that ends, and is cut off then. Nobody waits.
#[tokio::test]
async fn a_write_ahead_log_that_grew_is_cut_off() {
    let Some(database) = sqlite().await else { return };
    let log = format!("{}-wal", database.url().trim_start_matches("sqlite://"));
    let length = || std::fs::metadata(&log).unwrap().len();
    let other = opened_again(&database, |_| ()).await;
    let reader = other.primary().begin().await.unwrap();
    reader
        .query_one_raw(Statement::from_string(DbBackend::Sqlite, "SELECT count(*) FROM widgets"))
        .await
        .unwrap();
    for number in 0..20 {
        let session = database.write();
        session.execute_unprepared("INSERT INTO ballast VALUES (randomblob(1000000))").await.unwrap();
        insert(&session, &number.to_string()).await.unwrap();
        commit(session).await;
    }
    let grown = length();
    assert!(grown > 16 * 1024 * 1024, "{grown}");
    database.truncate_log().await.unwrap();
    assert!(length() >= grown, "the reader needs it");
    stored(&database, "meanwhile").await;
    reader.rollback().await.unwrap();
    database.truncate_log().await.unwrap();
    assert_eq!(length(), 0);
    writes_are_kept(&database, "after").await;
}
