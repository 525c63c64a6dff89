//! SQLite: its file, its one writing connection, and what that must be like to be used again.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, Row as _};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction, DbBackend,
    DbErr, ExecResult, QueryResult, SqliteTransactionMode, Statement, TransactionOptions,
    TransactionTrait as _,
};
use secrecy::ExposeSecret as _;

use super::error::{is_busy, leaves_doubt};
use super::settings::DatabaseSettings;
use super::{Committed, ConnectError, SessionError, WriteSession};

/// One database.
pub(super) struct Sqlite {
    /// One connection.
    primary: DatabaseConnection,
    writer: Arc<Writer>,
    /// Connections to the same file, which see every commit at once.
    readers: DatabaseConnection,
}

/// How often, and after which pause, a file that is locked is tried to be opened again: for 5 s.
const OPEN_ATTEMPTS: usize = 100;
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// The write-ahead log is cut off where it is longer than that, in bytes. SQLite moves it into the file every 1,000 pages
/// (4 MB), and it grows beyond while somebody reads an older state.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// One writer and a pool of readers. Writers that meet at SQLite's lock back off unfairly, so one connection queues them
/// in order (see docs/adr/). WAL lets readers go on meanwhile; `synchronous=FULL` makes a commit survive a power loss.
pub(super) async fn connect(settings: &DatabaseSettings) -> Result<Sqlite, ConnectError> {
    if !settings.replica_urls.is_empty() {
        return Err(ConnectError::ReplicaOfSqlite);
    }
    let url = settings.url.expose_secret();
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(ConnectError::InMemory);
    }
    make_file(url)?;
    let writer = Arc::new(Writer::default());
    // Half of the time for the one writing connection, and half for another process's write (the command line beside a
    // running server).
    let busy_timeout = settings.statement_timeout / 2;
    let mut writing = settings.sqlite_options();
    writing
        .max_connections(1)
        .acquire_timeout(settings.acquire_timeout.min(busy_timeout))
        .map_sqlx_sqlite_opts(move |options| writing_options(options).busy_timeout(busy_timeout))
        .map_sqlx_sqlite_pool_opts({
            let writer = Arc::clone(&writer);
            move |pool| {
                let writer = Arc::clone(&writer);
                pool.after_release(move |connection, _| {
                    let writer = Arc::clone(&writer);
                    Box::pin(async move { writer.inspect(connection).await })
                })
            }
        });
    let primary = open(writing).await?;
    let mut reading = settings.sqlite_options();
    reading.map_sqlx_sqlite_opts(move |options| {
        options.create_if_missing(false).busy_timeout(busy_timeout).pragma("query_only", "ON")
    });
    Ok(Sqlite { primary, writer, readers: open(reading).await? })
}

/// Opens a pool on the file. The first connection of all gives it its write-ahead log, which it has to be alone for, and
/// SQLite does not wait for that: it is tried again.
pub(super) async fn open(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    for _ in 0..OPEN_ATTEMPTS {
        match Database::connect(options.clone()).await {
            Err(error) if is_busy(&error) => tokio::time::sleep(OPEN_PAUSE).await,
            opened => return opened,
        }
    }
    Database::connect(options).await
}

pub(super) fn writing_options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("journal_size_limit", LOG_LIMIT.to_string())
}

impl Sqlite {
    /// The writing connection.
    pub(super) fn primary(&self) -> &DatabaseConnection {
        &self.primary
    }

    /// The rows of a statement that reads. The one writing connection stays free.
    pub(super) async fn fetch(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.readers.query_all_raw(statement).await
    }

    /// A transaction that writes. One that reads first and writes then would meet another writer half-way: SQLite answers
    /// that with an error that waiting does not mend (<https://sqlite.org/lang_transaction.html>).
    pub(super) async fn begin(&self) -> Result<Transaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = self.primary.begin_with_options(options).await;
        let transaction = begun.inspect_err(|error| self.writer.judge(error))?;
        Ok(Transaction { transaction, writer: Arc::clone(&self.writer) })
    }

    /// Whether the database takes writes: that the lock can be had, and, after a write that failed for a reason of the
    /// database's own, that one can be made durable again.
    pub(super) async fn takes_writes(&self, session: WriteSession) -> Result<(), SessionError> {
        let failing = &self.writer.failing;
        // Nobody uses this number; written as it is, it makes a commit that changes nothing.
        let version = Statement::from_string(DbBackend::Sqlite, "PRAGMA user_version");
        let version: Option<i32> =
            session.query_one_raw(version).await?.map(|row| row.try_get_by_index(0)).transpose()?;
        if failing.load(Ordering::Acquire) {
            session
                .execute_unprepared(&format!("PRAGMA user_version = {}", version.unwrap_or_default()))
                .await?;
            session.commit(()).await?.into_value();
            failing.store(false, Ordering::Release);
            return Ok(());
        }
        session.commit(()).await.map(Committed::into_value)
    }

    /// Moves a write-ahead log that has grown too long into the file, and cuts it off. It waits for nobody: while somebody
    /// writes or reads an older state, the next time does it.
    pub(super) async fn trim_log(&self) -> Result<(), sqlx::Error> {
        let options = self.primary.get_sqlite_connection_pool().connect_options();
        let mut log = options.get_filename().as_os_str().to_owned();
        log.push("-wal");
        let length = tokio::fs::metadata(&log).await.map_or(0, |file| file.len());
        if length <= LOG_LIMIT {
            return Ok(());
        }
        let options = SqliteConnectOptions::clone(&options).busy_timeout(Duration::ZERO);
        let mut connection = options.connect().await?;
        let outcome = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await;
        connection.close().await?;
        if outcome?.try_get::<i32, _>(0)? != 0 {
            tracing::warn!(
                length,
                "SQLite's write-ahead log is long and cannot be cut off, because somebody writes or reads an older state"
            );
        }
        Ok(())
    }
}

/// A transaction on the writing connection, watched.
pub(super) struct Transaction {
    transaction: DatabaseTransaction,
    writer: Arc<Writer>,
}

impl Transaction {
    pub(super) async fn execute(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.writer.record_failure(self.transaction.execute_raw(statement)).await
    }

    pub(super) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.writer.record_failure(self.transaction.execute_unprepared(sql)).await
    }

    pub(super) async fn fetch(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.writer.record_failure(self.transaction.query_all_raw(statement)).await
    }

    pub(super) async fn commit(self) -> Result<(), DbErr> {
        self.writer.record_failure(self.transaction.commit()).await
    }

    /// A statement that was given up half-way can leave a connection that answers no more; nothing is committed on it either.
    pub(super) async fn roll_back(self) {
        if let Err(error) = self.writer.record_failure(self.transaction.rollback()).await {
            tracing::warn!(%error, "a failed session could not be rolled back in order");
        }
    }
}

/// Makes the database's file, readable by nobody else; SQLite gives the files beside it the same mode.
fn make_file(url: &str) -> Result<(), ConnectError> {
    let options: SqliteConnectOptions =
        url.parse().map_err(|error: sqlx::Error| ConnectError::File(error.to_string()))?;
    let path = options.get_filename();
    let mut file = std::fs::OpenOptions::new();
    file.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    file.open(path).map(drop).map_err(|error| ConnectError::File(format!("{}: {error}", path.display())))
}

/// What is known of the one writing connection.
///
/// After some failures SQLite has ended the transaction by itself (a full disk, a failed read or write, no memory:
/// <https://sqlite.org/lang_transaction.html>, section 3.1). The driver does not learn of it: its `ROLLBACK` fails, it goes
/// on counting a transaction as open, makes a savepoint of the next `BEGIN`, and from then on nothing is ever committed. So
/// what is used again is not what has seen none of these failures, but what is known to be as new.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// Something was done on the connection that may have left anything behind.
    in_doubt: AtomicBool,
    /// A statement failed for a reason of the database's own, and it has not been seen since that writing works.
    failing: AtomicBool,
}

impl Writer {
    /// Awaits `statement`, which is under way on the writing connection. If it is given up, or ends in a way that tells
    /// nothing of what the connection is like now, the connection is not used again.
    pub(super) async fn record_failure<T>(
        &self,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        // Before the guard, to be dropped after it: what is dropped may give the connection back.
        let mut statement = pin!(statement);
        let unanswered = Unanswered(self);
        let outcome = statement.as_mut().await;
        if let Err(error) = &outcome {
            self.judge(error);
        }
        std::mem::forget(unanswered);
        outcome
    }

    /// The same for a failure that is known only after the connection went back. It is then closed after its next use, if it
    /// was not already.
    pub(super) fn judge(&self, error: &DbErr) {
        if leaves_doubt(error) {
            self.failing.store(true, Ordering::Release);
            self.in_doubt.store(true, Ordering::Release);
        }
    }

    /// Whether a connection that comes back may be used again: no transaction is open on it as far as the driver knows, and
    /// nothing happened on it that the driver may not know of. Else the pool closes it and makes another.
    ///
    /// After a commit this costs two looks at memory; after a rollback one message to the connection's thread.
    async fn inspect(&self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        if connection.is_in_transaction() {
            // A dropped transaction only asked for its rollback. Who answers now has come to it.
            connection.ping().await?;
        }
        let was_in_doubt = self.in_doubt.swap(false, Ordering::AcqRel);
        let is_as_new = !was_in_doubt && !connection.is_in_transaction();
        if !is_as_new {
            tracing::warn!("SQLite's writing connection is closed: it may be left in any state");
        }
        Ok(is_as_new)
    }
}

/// Dropped, it leaves the connection in doubt.
struct Unanswered<'a>(&'a Writer);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.in_doubt.store(true, Ordering::Release);
    }
}
