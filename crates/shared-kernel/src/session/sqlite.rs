//! SQLite: the file, the one writing connection, and the checks before that is used again.

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

use super::error::{has_unknown_outcome, is_busy};
use super::settings::DatabaseSettings;
use super::{Committed, ConnectError, SessionError, WriteSession};

/// A database.
pub(super) struct Sqlite {
    /// The writing connection.
    primary: DatabaseConnection,
    writer: Arc<Writer>,
    /// Reading connections, which see every commit at once.
    readers: DatabaseConnection,
}

/// Number of attempts to open a locked file, and the pause between them: 5 s in total.
const OPEN_ATTEMPTS: usize = 100;
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// Size in bytes above which the write-ahead log is truncated. SQLite copies it into the database every 1,000 pages (4 MB); it grows
/// further while a reader uses an older snapshot.
const LOG_LIMIT: u64 = 16 * 1024 * 1024;

/// Opens one writing connection and a pool of readers. Writers that compete for SQLite's lock back off unfairly, so one connection
/// queues them in order (see docs/adr/). WAL lets readers continue; `synchronous=FULL` makes a commit survive a power failure.
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
    // Half of the time for getting the writing connection, and half for the lock of another process (a command beside a running
    // server).
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

/// Opens a pool on the file. The first connection switches the file to WAL, which needs an exclusive lock that SQLite does not wait
/// for, so opening is repeated.
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

    /// The rows of a read-only statement, without using the writing connection.
    pub(super) async fn fetch(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.readers.query_all_raw(statement).await
    }

    /// Begins a transaction with the write lock. A transaction that starts as a reader may find another writer when it first writes,
    /// and SQLite returns an error that waiting does not resolve (<https://sqlite.org/lang_transaction.html>).
    pub(super) async fn begin(&self) -> Result<Transaction, DbErr> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = self.primary.begin_with_options(options).await;
        let transaction = begun.inspect_err(|error| self.writer.record_failure_of(error))?;
        Ok(Transaction { transaction, writer: Arc::clone(&self.writer) })
    }

    /// Checks that the database accepts writes: that the lock is available and, after a write failed because of the machine, that a
    /// commit works again.
    pub(super) async fn takes_writes(&self, session: WriteSession) -> Result<(), SessionError> {
        let failing = &self.writer.failing;
        // Nothing uses this number; writing its own value makes a commit without a change.
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

    /// Copies a write-ahead log that is too large into the database and truncates it. Does not wait: if a writer or a reader of an older
    /// snapshot is active, the next run does it.
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

/// A transaction on the writing connection, whose failures are recorded.
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

    /// A cancelled statement can leave a connection that no longer answers; nothing is committed on it either.
    pub(super) async fn roll_back(self) {
        if let Err(error) = self.writer.record_failure(self.transaction.rollback()).await {
            tracing::warn!(%error, "a failed session could not be rolled back in order");
        }
    }
}

/// Creates the file of the database, readable by its owner only; SQLite creates the files beside it with the same mode.
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

/// Known state of the writing connection.
///
/// After some failures SQLite has ended the transaction by itself (a full disk, a failed read or write, no memory:
/// <https://sqlite.org/lang_transaction.html>, section 3.1). The driver does not notice: its `ROLLBACK` fails, it still counts a
/// transaction as open, turns the next `BEGIN` into a savepoint, and from then on nothing is ever committed. So a connection is
/// used again only if it is known to be like new, not because no such failure was seen.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The connection was used in a way that may have left a transaction open.
    in_doubt: AtomicBool,
    /// A statement failed because of the machine, and no write has succeeded since.
    failing: AtomicBool,
}

impl Writer {
    /// Awaits `statement`, which runs on the writing connection. If it is cancelled, or fails in a way that leaves the state of the
    /// connection unknown, the connection is not used again.
    pub(super) async fn record_failure<T>(
        &self,
        statement: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        // Declared before the guard and so dropped after it: dropping it may release the connection.
        let mut statement = pin!(statement);
        let unanswered = Unanswered(self);
        let outcome = statement.as_mut().await;
        if let Err(error) = &outcome {
            self.record_failure_of(error);
        }
        std::mem::forget(unanswered);
        outcome
    }

    /// Records a failure that becomes known only after the connection was released. The connection is then closed after its next use.
    pub(super) fn record_failure_of(&self, error: &DbErr) {
        if has_unknown_outcome(error) {
            self.failing.store(true, Ordering::Release);
            self.in_doubt.store(true, Ordering::Release);
        }
    }

    /// Whether a released connection may be used again: the driver knows of no open transaction, and nothing happened that the driver
    /// may have missed. Otherwise the pool closes it and opens another.
    ///
    /// After a commit this costs two reads of memory; after a rollback one message to the thread of the connection.
    async fn inspect(&self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        if connection.is_in_transaction() {
            // A dropped transaction has only queued its rollback; an answer now means that it was done.
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

/// Marks the connection as doubtful when dropped.
struct Unanswered<'a>(&'a Writer);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.in_doubt.store(true, Ordering::Release);
    }
}
