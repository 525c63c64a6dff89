//! The connections to a PostgreSQL server: how many it sees, and how long.

use std::time::Duration;

use sea_orm::DbBackend;
use sea_orm::sea_query::{Expr, SelectStatement};
use shared_kernel::session::{Databases, Reader as _};

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
