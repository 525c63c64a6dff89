//! Rows that several processes take from one table: a SELECT locks the first that are free and skips those that others have locked, and
//! further statements change them by their ids.
//!
//! That is `FOR UPDATE SKIP LOCKED` of PostgreSQL (manual, SELECT, "The Locking Clause") and MariaDB. SQLite has one writer and no
//! locks of rows. No UPDATE returns rows and no statement depends on the order in which a subquery is run, because the engines differ
//! in both.

use sea_orm::FromQueryResult;
use sea_orm::sea_query::{LockBehavior, LockType, SelectStatement};
use shared_kernel::session::{Reader as _, SessionError, WriteSession};

#[derive(FromQueryResult)]
struct IdRow {
    id: String,
}

/// `select` with its rows locked, without those that others have locked.
pub(crate) fn locked(mut select: SelectStatement) -> SelectStatement {
    select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked).to_owned()
}

/// Takes the rows of `select`, until the session ends.
pub(crate) async fn take<T: FromQueryResult + Send>(
    session: &WriteSession,
    select: SelectStatement,
) -> Result<Vec<T>, SessionError> {
    session.rows(&locked(select)).await
}

/// Takes the rows of `select`, which has the column `id`, and returns their ids.
pub(crate) async fn take_ids(
    session: &WriteSession,
    select: SelectStatement,
) -> Result<Vec<String>, SessionError> {
    Ok(take::<IdRow>(session, select).await?.into_iter().map(|row| row.id).collect())
}

/// `ids` with the last one repeated up to a power of two, so that there are few different statements: each connection keeps a
/// limited number of them prepared.
pub(crate) fn padded<T: Clone>(ids: &[T]) -> impl Iterator<Item = T> {
    let missing = ids.len().next_power_of_two() - ids.len();
    let last = ids.last().cloned();
    ids.iter().cloned().chain(last.into_iter().cycle().take(missing)).collect::<Vec<_>>().into_iter()
}
