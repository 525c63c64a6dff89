//! Errors of sessions and of opening a database.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::SqliteError;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr, sqlx};

use crate::error::{DomainError, INTERNAL, Problem, UNAVAILABLE};
use crate::job::InvalidJob;

use super::postgres::is_full;

/// A failure of the database, or of a session after an earlier failure.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// An error of the database.
    #[error("the database failed")]
    Database(#[from] DbErr),
    /// The server that should be the primary is a standby, which accepts no writes.
    #[error(
        "the primary database is a standby, which accepts no writes: the URL must be that of the primary"
    )]
    Standby,
    /// A statement of the session failed before, so nothing was committed.
    #[error("a statement of this session failed, so nothing was committed")]
    Failed,
    /// A job cannot be enqueued, which is a bug.
    #[error("a job cannot be enqueued")]
    Job(#[from] InvalidJob),
}

impl SessionError {
    /// Name of the violated unique constraint, if that is the cause.
    ///
    /// PostgreSQL reports the name. SQLite reports the columns (`UNIQUE constraint failed: users.email`), so constraints are
    /// named after them: `<table>_<column>_…_key`; the primary key is `<table>_pkey`.
    #[must_use]
    pub fn violated_unique(&self) -> Option<String> {
        let Self::Database(error) = self else { return None };
        let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() else { return None };
        if let Some(name) = driver_error(error).and_then(|error| error.as_database_error()?.constraint()) {
            return Some(name.to_owned());
        }
        let columns = message.rsplit_once("UNIQUE constraint failed: ")?.1;
        // SQLITE_CONSTRAINT_PRIMARYKEY
        if driver_error(error).and_then(|error| error.as_database_error()?.code()).as_deref() == Some("1555")
        {
            return Some(format!("{}_pkey", columns.split_once('.')?.0));
        }
        if let Some(index) = columns.strip_prefix("index '") {
            return Some(index.trim_end_matches('\'').to_owned());
        }
        let mut name = String::new();
        for column in columns.split(", ") {
            let (table, column) = column.split_once('.')?;
            if name.is_empty() {
                name.push_str(table);
            }
            name.push('_');
            name.push_str(column);
        }
        Some(name + "_key")
    }

    /// Whether a foreign key was violated: other rows refer to a row that was to be removed for good.
    #[must_use]
    pub fn violated_foreign_key(&self) -> bool {
        let Self::Database(error) = self else { return false };
        let code = driver_error(error).and_then(|error| error.as_database_error()?.code());
        // 23503, and 23001 for RESTRICT in newer versions (PostgreSQL manual, appendix A). SQLITE_CONSTRAINT_FOREIGNKEY, and
        // SQLITE_CONSTRAINT_TRIGGER for RESTRICT (https://sqlite.org/rescode.html).
        matches!(code.as_deref(), Some("23503" | "23001" | "787" | "1811"))
    }

    /// Error code of the database: an extended result code of SQLite, or a SQLSTATE.
    #[must_use]
    pub fn code(&self) -> Option<String> {
        let Self::Database(error) = self else { return None };
        Some(driver_error(error)?.as_database_error()?.code()?.into_owned())
    }

    /// Whether the database was unreachable or had no connection left; the same request may work later.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        let Self::Database(error) = self else { return false };
        if matches!(error, DbErr::Conn(_) | DbErr::ConnectionAcquire(_)) {
            return true;
        }
        match driver_error(error).map(Arc::as_ref) {
            Some(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed) => true,
            Some(sqlx::Error::Database(error)) => match sqlite_code(error.as_ref()) {
                Some(code) => code == sqlite::BUSY,
                // 57P01 to 57P03: the server shuts down, crashed, or starts up. 57P05, 25P03: it ended a session that was idle,
                // in a transaction or not. 53300: too many connections.
                None => matches!(
                    error.code().as_deref(),
                    Some("57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53300")
                ),
            },
            _ => false,
        }
    }

    /// Whether the error is transient: the database was unreachable or failed for a temporary reason, and the same request may work
    /// later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        if self.is_unreachable() || matches!(self, Self::Standby) {
            return true;
        }
        let Self::Database(error) = self else { return false };
        let Some(error) = driver_error(error).and_then(|error| error.as_database_error()) else {
            return false;
        };
        let code = error.code();
        match sqlite_code(error) {
            Some(code) => sqlite::TRANSIENT.contains(&code),
            None => code.is_some_and(|code| POSTGRES_TRANSIENT.contains(&&*code)),
        }
    }

    /// Whether the query timed out without an answer: the server may be down, busy or unreachable.
    pub(super) fn is_timeout(&self) -> bool {
        let Self::Database(error) = self else { return false };
        if matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) {
            return true;
        }
        match connection_error(error).or_else(|| driver_error(error)).map(Arc::as_ref) {
            Some(sqlx::Error::Io(error)) => error.kind() == std::io::ErrorKind::TimedOut,
            Some(error) => is_full(error),
            None => false,
        }
    }

    /// Whether a replica cancelled the query: it needs what the primary has removed since (PostgreSQL manual, "Handling Query
    /// Conflicts"), waits for what is being replayed, or takes longer than a replica may. The primary can answer it.
    pub(super) fn is_for_the_primary(&self) -> bool {
        let Self::Database(error) = self else { return false };
        let code = driver_error(error).and_then(|error| error.as_database_error()?.code());
        // 40P01: the replay waited for a page that the query held (same section, "deadlock").
        matches!(code.as_deref(), Some("40001" | "40P01" | "55P03" | "57014"))
    }
}

/// SQLSTATEs of transient errors (PostgreSQL manual, appendix A).
const POSTGRES_TRANSIENT: [&str; 10] = [
    // Serialization failure, deadlock.
    "40001", "40P01", // Disk full, out of memory.
    "53100", "53200", // Another session has locked a row, or uses an object.
    "55P03", "55006", // A time limit, ours or the operator's, or the operator.
    "57014", "57P04", "25P04", // The server has become a standby.
    "25006",
];

/// Primary result codes of SQLite (<https://sqlite.org/rescode.html>).
mod sqlite {
    /// Another process writes.
    pub(super) const BUSY: u8 = 5;
    /// A rule of the schema was broken.
    pub(super) const CONSTRAINT: u8 = 19;
    /// LOCKED, NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL: caused by the machine, not by the statement.
    pub(super) const TRANSIENT: [u8; 7] = [6, 7, 9, 10, 13, 14, 15];
}

/// The primary result code, if the error is SQLite's. It is the lowest byte of the extended one, which the driver reports.
fn sqlite_code(error: &(dyn sqlx::error::DatabaseError + 'static)) -> Option<u8> {
    error.try_downcast_ref::<SqliteError>()?;
    let code: u32 = error.code()?.parse().ok()?;
    Some(code.to_le_bytes()[0])
}

/// Whether SQLite's file could not be opened because another process has locked it.
pub(super) fn is_busy(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(error)) = error else { return false };
    error.as_database_error().and_then(sqlite_code) == Some(sqlite::BUSY)
}

/// Whether the state of the transaction and of its connection is unknown after this error of a statement. Of all failures of
/// SQLite only a violated constraint is known to undo its own statement and nothing else. PostgreSQL reports the state of the
/// transaction with every answer.
pub(super) fn has_unknown_outcome(error: &DbErr) -> bool {
    match driver_error(error).map(Arc::as_ref) {
        // An error of sea-orm itself: the statement succeeded.
        None => false,
        Some(sqlx::Error::Database(error)) => {
            sqlite_code(error.as_ref()).is_some_and(|code| code != sqlite::CONSTRAINT)
        }
        Some(_) => true,
    }
}

fn driver_error(error: &DbErr) -> Option<&Arc<sqlx::Error>> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

fn connection_error(error: &DbErr) -> Option<&Arc<sqlx::Error>> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}

impl DomainError for SessionError {
    fn problem(&self) -> &'static Problem {
        if self.is_transient() { &UNAVAILABLE } else { &INTERNAL }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.is_transient().then_some(Duration::from_secs(1))
    }
}

/// The databases could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL names an engine that is not supported.
    #[error("the database URL must start with sqlite: or postgres://")]
    UnknownEngine,
    /// A replica was configured for SQLite, which has none.
    #[error(
        "replicas need PostgreSQL: remove database.replica_urls or set database.url to a postgres:// URL"
    )]
    ReplicaOfSqlite,
    /// An in-memory SQLite database cannot be shared by the writer and the readers.
    #[error("an in-memory SQLite database is not supported: name a file")]
    InMemory,
    /// The file cannot be created or written.
    #[error("the SQLite database cannot be opened: {0}")]
    File(String),
    /// The URL cannot be read.
    #[error("the database URL cannot be read: {0}")]
    Url(String),
    /// A pooler rejects the settings of a connection.
    #[error(
        "the pooler in front of the database refuses the settings of a connection ({0}): set \
         `ignore_startup_parameters = extra_float_digits,options` in it, and the limits that are lost by ALTER ROLE (docs/operations.md)"
    )]
    Settings(String),
    /// A pooler drops prepared statements.
    #[error(
        "the pooler in front of the database gives every transaction another connection and drops prepared statements: set the URL \
         of PostgreSQL itself, use PgBouncer's session mode, or PgBouncer 1.21 or later with max_prepared_statements"
    )]
    Pooler,
    /// The server is a standby, which accepts no writes.
    #[error(
        "the server that database.url names is a standby, which accepts no writes: set it to the primary, and add this \
         server to database.replica_urls"
    )]
    Standby,
    /// The database cannot store Unicode.
    #[error(
        "the encoding of the database is {0}, and it must be UTF8: create it with CREATE DATABASE … ENCODING 'UTF8'"
    )]
    Encoding(String),
    /// The database cannot be opened, for another reason.
    #[error("the database cannot be opened: {0}")]
    Database(#[from] DbErr),
}
