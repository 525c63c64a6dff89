//! A database that is away, or has no connection left: the client is told to come again.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database, DbBackend};
use shared_kernel::error::{DomainError as _, Kind};
use shared_kernel::repository::Repository as _;
use shared_kernel::session::{Reader as _, SessionError};

use crate::common::{Door, Widgets, commit, count, database, insert, labels, opened_again, stored, until};

/// Long enough to connect on a busy machine, short enough to be waited for in vain.
const BRIEFLY: Duration = Duration::from_secs(2);

/// The answer is "come again in a moment", and not "our fault".
fn comes_again(error: &SessionError) {
    assert!(error.is_unreachable(), "{error:?}");
    passes(error);
}

fn passes(error: &SessionError) {
    assert!(error.is_transient(), "{error:?}");
    assert_eq!(error.problem().kind, Kind::Unavailable);
    assert_eq!(error.problem().code, "service_unavailable");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn no_connection_left() {
    let database = database().await;
    let one = opened_again(&database, |settings| {
        settings.pool_size = 1;
        settings.acquire_timeout = BRIEFLY;
    })
    .await;
    let holder = one.write();
    insert(&holder, "a").await.unwrap();
    let late = one.write();
    comes_again(&insert(&late, "b").await.unwrap_err());
    // The failure was kept silent, and the session had never begun: it must not tell of success all the same.
    assert!(matches!(late.commit(()).await, Err(SessionError::Failed)));
    commit(holder).await;
    let again = one.write();
    insert(&again, "c").await.unwrap();
    commit(again).await;
    assert_eq!(labels(&one.read(None)).await, ["a", "c"]);
}

#[tokio::test]
async fn a_failed_rule_is_not_a_missing_database() {
    let database = database().await;
    stored(&database, "a").await;
    let session = database.write();
    let error = insert(&session, "a").await.unwrap_err();
    assert!(!error.is_unreachable());
    assert_eq!((error.problem().code, error.retry_after()), ("internal_error", None));
    let failed = session.commit(()).await.unwrap_err();
    assert_eq!((failed.problem().code, failed.retry_after()), ("internal_error", None));
}

/// What the database cannot do now and may do in a moment is not our fault, and the server is not away.
#[tokio::test]
async fn a_failure_that_passes() {
    let database = database().await;
    let errors = if database.backend() == DbBackend::Postgres {
        let mut errors = Vec::new();
        for code in ["40001", "40P01", "53100", "53200", "55P03", "57014", "57P04", "25P04"] {
            let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$");
            errors.push(database.primary().execute_unprepared(&raise).await.unwrap_err());
        }
        errors
    } else {
        let one = opened_again(&database, |_| ()).await;
        one.primary().execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
        let fill = "CREATE TABLE filler AS SELECT randomblob(10000000) AS bytes";
        vec![one.primary().execute_unprepared(fill).await.unwrap_err()]
    };
    for error in errors {
        let error = SessionError::from(error);
        assert!(!error.is_unreachable(), "{error:?}");
        passes(&error);
    }
}

/// Another process holds SQLite's only write lock for longer than a statement waits.
#[tokio::test]
async fn a_locked_file() {
    let database = database().await;
    if database.backend() != DbBackend::Sqlite {
        return;
    }
    let session = database.write();
    insert(&session, "a").await.unwrap();
    let mut impatient = sea_orm::ConnectOptions::new(database.url());
    impatient.map_sqlx_sqlite_opts(|options| options.busy_timeout(Duration::ZERO));
    let impatient = Database::connect(impatient).await.unwrap();
    let error = impatient.execute_unprepared("DELETE FROM widgets").await.unwrap_err();
    comes_again(&SessionError::from(error));
    commit(session).await;
}

/// An administrator ends the connections (`pg_terminate_backend`), or the server goes down fast.
#[tokio::test]
async fn a_connection_that_was_ended() {
    let database = database().await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let one = opened_again(&database, |settings| settings.pool_size = 1).await;
    let administrator = opened_again(&database, |settings| settings.pool_size = 1).await;
    let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let session = one.write();
    insert(&session, "a").await.unwrap();
    administrator.primary().execute_unprepared(end_all).await.unwrap();
    comes_again(&insert(&session, "b").await.unwrap_err());
    assert!(session.commit(()).await.is_err());
    assert_eq!(count(&administrator).await, 0);
    // One that lay idle: nothing was begun on it, so whoever takes it gets a new one.
    stored(&one, "c").await;
    administrator.primary().execute_unprepared(end_all).await.unwrap();
    assert_eq!(one.read_primary().count(Widgets::unscoped()).await.unwrap(), 1);
    administrator.primary().execute_unprepared(end_all).await.unwrap();
    stored(&one, "d").await;
    assert_eq!(labels(&one.read(None)).await, ["c", "d"]);
}

#[tokio::test]
async fn a_server_that_is_away_and_comes_back() {
    let database = database().await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let (mut door, url) = Door::to(database.url()).await;
    let databases = opened_again(&database, |settings| {
        settings.url = url.into();
        settings.acquire_timeout = BRIEFLY;
    })
    .await;
    stored(&databases, "a").await;
    let session = databases.write();
    insert(&session, "b").await.unwrap();
    door.shut().await;
    // One that was connected, one that would connect, and one that only asks.
    comes_again(&insert(&session, "c").await.unwrap_err());
    assert!(session.commit(()).await.is_err());
    let late = databases.write();
    comes_again(&insert(&late, "d").await.unwrap_err());
    comes_again(&databases.read(None).count(Widgets::unscoped()).await.unwrap_err());
    comes_again(&databases.ping().await.unwrap_err());
    door.open().await;
    until("the server is reached again", async || databases.ping().await.is_ok()).await;
    stored(&databases, "e").await;
    assert_eq!(labels(&database.read(None)).await, ["a", "e"]);
}
