//! PostgreSQL: connections, statements and transactions, each with a timeout.

mod pool;
mod target;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgQueryResult, PgRow, Postgres};
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, AssertSqlSafe, Executor as _};
use sea_orm::{ConnAcquireErr, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement, Values};
use sea_query_sqlx::SqlxValues;
use tokio::sync::Mutex;

use self::pool::{Connection, Phase, within};
pub(super) use self::pool::{Limits, Pool, Purpose, is_full};
pub(super) use self::target::{Target, Waits};
use super::{ConnectError, Plan};

impl Pool {
    /// Checks that the server accepts connections, stores Unicode, and keeps prepared statements.
    pub(super) async fn check_server(&self) -> Result<(), ConnectError> {
        // A pooler that shares server connections makes the second connection fail on the prepared statement of the first.
        let encoding = "SELECT current_setting('server_encoding')";
        let encoding =
            self.twice(encoding, "SELECT current_setting('client_encoding')").await.map_err(unsuitable)?;
        if encoding == "UTF8" { Ok(()) } else { Err(ConnectError::Encoding(encoding)) }
    }

    /// Whether the server is a standby, which accepts no writes.
    pub(super) async fn is_standby(&self) -> Result<bool, DbErr> {
        let sql = "SELECT pg_is_in_recovery() AS standby";
        let rows = self.fetch(&Statement::from_string(DbBackend::Postgres, sql), Plan::Kept).await?;
        Ok(rows.first().map(|row| row.try_get("", "standby")).transpose()?.unwrap_or_default())
    }

    /// The rows of a read-only statement.
    pub(super) async fn fetch(&self, statement: &Statement, plan: Plan) -> Result<Vec<QueryResult>, DbErr> {
        let mut connection = self.acquire(Purpose::Read).await.map_err(not_connected)?;
        let answer = connection.fetch(statement, plan).await;
        if answer.is_err() && connection.was_stale() {
            return self.acquire(Purpose::Read).await.map_err(not_connected)?.fetch(statement, plan).await;
        }
        answer
    }
}

impl Connection {
    async fn execute(&mut self, statement: &Statement, plan: Plan) -> Result<ExecResult, DbErr> {
        let (until, connection) = self.start().map_err(failed)?;
        let answer = within(until, query(statement, plan).execute(connection)).await;
        self.finish(answer).map(PgQueryResult::into).map_err(failed)
    }

    async fn execute_unprepared(&mut self, sql: &str) -> Result<ExecResult, DbErr> {
        let (until, connection) = self.start().map_err(failed)?;
        let answer = within(until, connection.execute(AssertSqlSafe(sql.to_owned()))).await;
        self.finish(answer).map(PgQueryResult::into).map_err(failed)
    }

    async fn fetch(&mut self, statement: &Statement, plan: Plan) -> Result<Vec<QueryResult>, DbErr> {
        let (until, connection) = self.start().map_err(failed)?;
        let answer = within(until, query(statement, plan).fetch_all(connection)).await;
        Ok(self.finish(answer).map_err(failed)?.into_iter().map(PgRow::into).collect())
    }
}

fn query(statement: &Statement, plan: Plan) -> Query<'_, Postgres, SqlxValues> {
    let values = statement.values.clone().unwrap_or_else(|| Values(Vec::new()));
    let query = sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values));
    query.persistent(plan == Plan::Kept)
}

/// A transaction. It is rolled back when dropped.
pub(super) struct Transaction {
    connection: Mutex<Connection>,
    plan: Plan,
}

impl Transaction {
    pub(super) async fn begin(pool: &Pool, plan: Plan) -> Result<Self, DbErr> {
        let mut connection = pool.acquire(Purpose::Write).await.map_err(not_connected)?;
        let mut begun = connection.control("BEGIN", Phase::Within).await;
        if begun.is_err() && connection.was_stale() {
            connection = pool.acquire(Purpose::Write).await.map_err(not_connected)?;
            begun = connection.control("BEGIN", Phase::Within).await;
        }
        begun.map_err(failed)?;
        Ok(Self { connection: Mutex::new(connection), plan })
    }

    pub(super) async fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
        self.next().await.execute(statement, self.plan).await
    }

    pub(super) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.next().await.execute_unprepared(sql).await
    }

    pub(super) async fn fetch(&self, statement: &Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.next().await.fetch(statement, self.plan).await
    }

    /// The connection, with a new timeout for the next statement.
    async fn next(&self) -> tokio::sync::MutexGuard<'_, Connection> {
        let mut connection = self.connection.lock().await;
        connection.renew_deadline();
        connection
    }

    /// Commits. Returns the connection for one more statement.
    pub(super) async fn commit(self) -> Result<AfterCommit, DbErr> {
        let mut connection = self.connection.into_inner();
        connection.renew_deadline();
        // If the answer is lost, the transaction may have been committed or not.
        connection.control("COMMIT", Phase::Outside).await.map_err(failed)?;
        Ok(AfterCommit(connection))
    }
}

/// The connection of a committed transaction.
pub(super) struct AfterCommit(Connection);

impl AfterCommit {
    /// The answer to one more statement, if it arrives within `patience`.
    pub(super) async fn ask(mut self, statement: &Statement, patience: Duration) -> Option<QueryResult> {
        self.0.shorten_deadline(patience);
        self.0.fetch(statement, Plan::Kept).await.ok()?.pop()
    }
}

fn unsuitable(error: sqlx::Error) -> ConnectError {
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() {
        // Protocol violation: in the words of PgBouncer "unsupported startup parameter: options".
        Some("08P01") => ConnectError::Settings(error.to_string()),
        // Duplicate or unknown prepared statement.
        Some("42P05" | "26000") => ConnectError::Pooler,
        _ => ConnectError::Database(not_connected(error)),
    }
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn not_connected(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        error => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
    }
}
