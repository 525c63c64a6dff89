//! The connections to a PostgreSQL server: how many it sees, and how long.

use std::time::Duration;

use sea_orm::DbBackend;
use sea_orm::sea_query::{Expr, SelectStatement};
use shared_kernel::session::{Databases, Reader as _};
use tokio::runtime::Builder;

use crate::common::{Count, database, opened_again, until};

/// A statement of the test that lasts, as PostgreSQL shows it.
fn sleeping(seconds: u32) -> SelectStatement {
    let mut sleep = SelectStatement::new();
    sleep.expr_as(Expr::cust(format!("LENGTH(pg_sleep({seconds})::text)::bigint")), "count");
    sleep
}

/// How many sessions of this name the server has, and how many of them are asleep.
async fn sessions_named(databases: &Databases, name: &str) -> (i64, i64) {
    let count = async |condition: String| {
        let mut sessions = SelectStatement::new();
        sessions.expr_as(Expr::cust("COUNT(*)"), "count").from("pg_stat_activity");
        sessions.and_where(Expr::cust(format!("application_name = '{name}' AND {condition}")));
        databases.read_primary().rows::<Count>(&sessions).await.unwrap()[0].count
    };
    (count("TRUE".to_owned()).await, count("wait_event = 'PgSleep'".to_owned()).await)
}

/// Whoever asks a statement that is still at work when nobody waits for it any more, be it that he had to wait for his
/// connection before, or that he has gone: the connection counts as long as the server is at it.
#[tokio::test]
async fn a_server_has_no_more_sessions_than_the_pool() {
    let database = database().await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let pool = async |name: &str| {
        opened_again(&database, |settings| {
            settings.url = format!("{}?application_name={name}", database.url()).into();
            settings.pool_size = 1;
            settings.acquire_timeout = Duration::from_secs(4);
            settings.statement_timeout = Duration::from_secs(4);
        })
        .await
    };
    let asleep = |databases: Databases, seconds| {
        tokio::spawn(async move { databases.read_primary().rows::<Count>(&sleeping(seconds)).await })
    };

    let late = pool("late").await;
    let first = asleep(late.clone(), 2);
    until("the first is asked", async || sessions_named(&database, "late").await == (1, 1)).await;
    // Has two seconds when its turn comes, and takes three.
    let second = asleep(late.clone(), 3);
    first.await.unwrap().unwrap();
    assert!(second.await.unwrap().unwrap_err().is_unreachable(), "its answer comes too late");
    let counted = sessions_named(&late, "late").await;
    assert_eq!(counted, (1, 0), "the next one had to wait for its end");

    let left = pool("left").await;
    let gone = asleep(left.clone(), 3);
    until("it is asked", async || sessions_named(&database, "left").await == (1, 1)).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    assert_eq!(sessions_named(&left, "left").await, (1, 0), "the next one had to wait for its end");
}

/// Id of the server's process behind the connection that answers.
async fn backend(databases: &Databases) -> i64 {
    let mut asked = SelectStatement::new();
    asked.expr_as(Expr::cust("pg_backend_pid()::bigint"), "count");
    databases.read_primary().rows::<Count>(&asked).await.unwrap()[0].count
}

/// Each thread of the server has a runtime of its own, which watches the sockets that were opened on it.
#[test]
fn a_runtime_uses_the_connections_that_it_opened_and_others_if_it_may_open_no_more() {
    let runtime = || Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (one, two) = (runtime(), runtime());
    let database = one.block_on(database());
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let pool = |size| one.block_on(opened_again(&database, |settings| settings.pool_size = size));
    let asked =
        |databases: &Databases| [&one, &two, &one, &two].map(|runtime| runtime.block_on(backend(databases)));
    let [first, second, third, fourth] = asked(&pool(4));
    assert_eq!((first, second), (third, fourth), "each asks on its own connection");
    assert_ne!(first, second);
    let alone = asked(&pool(1));
    assert_eq!(alone, [alone[0]; 4], "there is one connection for both");
}
