//! Rows that refer to rows of other domains: `post_id`, `author_id`. Domains do not depend on each other, so what they
//! need of each other's tables is data: a [`Resource`] for each table, which its domain lists in `service::RESOURCES` and
//! the server passes to the [`Databases`](crate::session::Databases) as [`Resources`](crate::resource::Resources).
//!
//! Two rules hold on both engines, whatever happens concurrently: **no living row refers to a deleted one**, and nobody
//! refers to a row that they may not see.
//!
//! - [`check_references`], before a row is written, checks whether the referenced row is living and visible to the principal, and
//!   keeps it from being deleted until the session ends. PostgreSQL locks the row `FOR SHARE`, and a
//!   deletion waits for that lock; SQLite has one writer.
//! - [`Repository::soft_delete`](crate::repository::Repository::soft_delete) applies the [`OnDelete`] rule to the living rows that refer to
//!   a deleted one, in the same transaction. First all rows are deleted to which the deletion cascades
//!   ([`Cascade`]), directly or by others; then the remaining rows either prevent the deletion ([`Restrict`]) or
//!   have their column set to null ([`SetNull`]). So the result does not depend on the order of references, and circles
//!   end. Deleted rows keep their references.
//!
//! Foreign keys of the database are still useful: they apply to rows that are removed for good.
//!
//! Concurrent deletions of related rows can deadlock, with each other or with another session that has locked one of the rows.
//! PostgreSQL aborts one of them then, and its client gets an error that asks for a retry ([`SessionError::is_transient`]).
//!
//! # Adding a reference
//!
//! A [`Reference`] in the list `REFERENCES` of the repository whose table has the column, and an index on the
//! column. [`Scoped::create`](crate::repository::Scoped::create) and [`Scoped::change`](crate::repository::Scoped::change) check it; a
//! service that writes rows otherwise calls [`check_references`] before.
//!
//! Rows that refer to rows of their own table form trees: one that would belong to itself, directly or by others, is refused with the
//! code `circular_reference`, unless the repository sets `ALLOWS_CIRCLES`. In the columns of the list `WITHIN` a row agrees with the row
//! that it refers to: an answer to a comment belongs to the post of the comment, and anything else is refused with the code
//! `inconsistent_reference`.
//!
//! [`Cascade`]: OnDelete::Cascade
//! [`Restrict`]: OnDelete::Restrict
//! [`SetNull`]: OnDelete::SetNull

use std::borrow::Cow;
use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, UpdateStatement};
use sea_orm::{Condition, ConnectionTrait as _, DbErr};

use crate::error::{FieldError, Invalid};
use crate::id::{Id, IdKind};
use crate::kernel_error::KernelError;
use crate::principal::Principal;
use crate::resource::{OnDelete, Reference, Resource};
use crate::session::{Reader as _, SessionError, WriteSession};

/// A field of a request with a reference to a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceField {
    pointer: Cow<'static, str>,
    table: &'static str,
    id: Option<String>,
}

impl ReferenceField {
    /// The field at `pointer` (RFC 6901) with a reference to a row of `table`; `None` is no reference, which is always valid.
    #[must_use]
    pub fn new<K: IdKind>(pointer: &'static str, table: &'static str, id: Option<Id<K>>) -> Self {
        Self { pointer: pointer.into(), table, id: id.map(|id| id.to_string()) }
    }
}

/// The field of a request for the column of a reference.
pub(crate) fn field_of(reference: &Reference, id: Option<String>) -> ReferenceField {
    ReferenceField { pointer: format!("/{}", reference.column).into(), table: reference.to, id }
}

/// Refuses a reference to `target` with which a row would belong to itself. The rows above are locked until the session ends, so
/// that two sessions cannot close a circle together.
///
/// # Errors
///
/// [`KernelError::Invalid`] with the code `circular_reference`, and errors of the session.
pub(crate) async fn check_no_circle(
    session: &WriteSession,
    reference: &Reference,
    id: &str,
    target: &str,
) -> Result<(), KernelError> {
    let mut seen = HashSet::new();
    let mut above = Some(target.to_owned());
    while let Some(at) = above {
        if at == id {
            let message = "this would belong to itself";
            return Err(
                Invalid::field(format!("/{}", reference.column), "circular_reference", message).into()
            );
        }
        // A circle that already exists, because it was written by other code, ends here.
        if !seen.insert(at.clone()) {
            break;
        }
        let select = Query::select()
            .column(reference.column)
            .from(reference.to)
            .and_where(Expr::col("id").eq(at))
            .and_where(Expr::col("deleted_at").is_null())
            .lock_shared()
            .to_owned();
        let row = session.query_one(&select).await?;
        above = row.map(|row| row.try_get("", reference.column)).transpose()?.flatten();
    }
    Ok(())
}

/// Whether `target`, a row of the table, has the id `own` in that column; true if there is no such row. It is locked until the
/// session ends.
pub(crate) async fn agrees(
    session: &WriteSession,
    (table, column): (&'static str, &'static str),
    target: &str,
    own: Option<&str>,
) -> Result<bool, KernelError> {
    let select = Query::select()
        .column(column)
        .from(table)
        .and_where(Expr::col("id").eq(target))
        .lock_shared()
        .to_owned();
    let Some(row) = session.query_one(&select).await? else { return Ok(true) };
    let theirs: Option<String> = row.try_get("", column)?;
    Ok(theirs.as_deref() == own)
}

/// Whether a living row of the table refers to `id` by that column. Stays so until the session ends if the row `id` is locked,
/// because who refers to a row locks it first.
pub(crate) async fn is_referred_to(
    session: &WriteSession,
    (table, column): (&'static str, &'static str),
    id: &str,
) -> Result<bool, KernelError> {
    let select = Query::select()
        .column("id")
        .from(table)
        .and_where(Expr::col(column).eq(id))
        .and_where(Expr::col("deleted_at").is_null())
        .limit(1)
        .to_owned();
    Ok(session.query_one(&select).await?.is_some())
}

/// Refuses fields with a reference to a row that does not exist, was deleted, or is not visible to the principal: all of them at
/// once, each with the code `reference`, which does not reveal the reason. Valid references are locked against deletion until the
/// session ends. Must be called before the referring rows are written.
///
/// # Errors
///
/// [`KernelError::Invalid`], and errors of the session.
pub async fn check_references(
    session: &WriteSession,
    principal: &Principal,
    fields: &[ReferenceField],
) -> Result<(), KernelError> {
    let refused = invalid_references(session, principal, fields).await?;
    if refused.is_empty() { Ok(()) } else { Err(Invalid(refused).into()) }
}

async fn invalid_references(
    session: &WriteSession,
    principal: &Principal,
    fields: &[ReferenceField],
) -> Result<Vec<FieldError>, SessionError> {
    let resources = session.resources();
    let mut checks: Vec<_> = fields
        .iter()
        .enumerate()
        .filter_map(|(field, to)| Some((resources.place(to.table), to.id.as_deref()?, field)))
        .collect();
    checks.sort_unstable();
    let mut refused = Vec::new();
    for (_, id, field) in checks {
        if !lock_for_share(session, principal, fields[field].table, id).await? {
            refused.push(field);
        }
    }
    refused.sort_unstable();
    let message = "there is nothing with this id, or it is not visible to you";
    let refusal = |field: usize| FieldError::new(&*fields[field].pointer, "reference", message);
    Ok(refused.into_iter().map(refusal).collect())
}

/// Whether the row is living and visible to the principal. If so, it is locked against deletion until the session ends.
async fn lock_for_share(
    session: &WriteSession,
    principal: &Principal,
    table: &'static str,
    id: &str,
) -> Result<bool, SessionError> {
    let Some(resource) = session.resources().find(table) else {
        tracing::error!(
            table,
            "nobody can refer to this table, because it is in no list RESOURCES of a domain that the server knows"
        );
        return Ok(false);
    };
    let select = Query::select()
        .column("id")
        .from(table)
        .and_where(Expr::col("id").eq(id))
        .and_where(Expr::col("deleted_at").is_null())
        .cond_where((resource.referable)(principal))
        .lock_shared()
        .to_owned();
    Ok(session.query_one(&select).await?.is_some())
}

/// Applies the `OnDelete` rules to the rows that refer to deleted rows, in the session of the deletion. For code that
/// deletes many rows at once; [`Repository::soft_delete`](crate::repository::Repository::soft_delete) calls it.
///
/// # Errors
///
/// [`KernelError::Referenced`], and errors of the database. The session cannot be committed then.
pub async fn apply_on_delete<K: IdKind>(
    session: &WriteSession,
    table: &'static str,
    deleted: &[Id<K>],
) -> Result<(), KernelError> {
    apply_on_delete_of(session, table, deleted.iter().map(Id::to_string).collect()).await
}

/// [`apply_on_delete`] for ids of any kind.
pub(crate) async fn apply_on_delete_of(
    session: &WriteSession,
    table: &'static str,
    ids: Vec<String>,
) -> Result<(), KernelError> {
    let deleted = DeletedRows { table, ids };
    // On the heap: the future is large, and every handler that deletes contains it.
    session.record_failure(Box::pin(session.atomically(apply_rules(session, deleted))).await)
}

/// Rows of a table that were deleted.
struct DeletedRows {
    table: &'static str,
    ids: Vec<String>,
}

impl DeletedRows {
    /// The ids, in chunks of as many as a statement can have.
    fn some(&self) -> impl Iterator<Item = &[String]> {
        self.ids.chunks(IDS_AT_ONCE)
    }
}

const IDS_AT_ONCE: usize = 500;

async fn apply_rules(session: &WriteSession, deleted: DeletedRows) -> Result<(), KernelError> {
    let resources = session.resources();
    let all = cascade(session, deleted).await?;
    for gone in &all {
        for (resource, column) in resources.referring(gone.table, OnDelete::Restrict) {
            check_unreferenced(session, resource.table, column, gone).await?;
        }
    }
    for gone in &all {
        for (resource, column) in resources.referring(gone.table, OnDelete::SetNull) {
            set_null(session, resource, column, gone).await?;
        }
    }
    Ok(())
}

/// Deletes all rows to which the deletion cascades, directly or by others. Returns them with the rows deleted first.
async fn cascade(session: &WriteSession, deleted: DeletedRows) -> Result<Vec<DeletedRows>, SessionError> {
    let mut all = vec![deleted];
    let mut done = 0;
    while let Some(gone) = all.get(done) {
        let mut more = Vec::new();
        for (resource, column) in session.resources().referring(gone.table, OnDelete::Cascade) {
            more.push(delete_referring(session, resource, column, gone).await?);
        }
        all.extend(more.into_iter().filter(|gone| !gone.ids.is_empty()));
        done += 1;
    }
    Ok(all)
}

async fn delete_referring(
    session: &WriteSession,
    resource: &Resource,
    column: &'static str,
    gone: &DeletedRows,
) -> Result<DeletedRows, SessionError> {
    let mut deleted = DeletedRows { table: resource.table, ids: Vec::new() };
    forget_recent(session, resource);
    for ids in gone.some() {
        let mut update = change_of_referring(session, resource.table, column, ids);
        update.value("deleted_at", session.now());
        match resource.deletion_event {
            Some(_) => update.returning_all(),
            None => update.returning_col("id"),
        };
        let rows = session.query_all(&update).await?;
        for row in &rows {
            deleted.ids.push(row.try_get("", "id")?);
        }
        if let Some(tell) = resource.deletion_event {
            session.emit_all(rows.iter().map(tell).collect::<Result<_, DbErr>>()?).await?;
        }
    }
    Ok(deleted)
}

async fn check_unreferenced(
    session: &WriteSession,
    table: &'static str,
    column: &'static str,
    gone: &DeletedRows,
) -> Result<(), KernelError> {
    for ids in gone.some() {
        let referring =
            Query::select().column("id").from(table).cond_where(referring(column, ids)).limit(1).to_owned();
        if session.query_one(&referring).await?.is_some() {
            return Err(KernelError::Referenced { by: table });
        }
    }
    Ok(())
}

async fn set_null(
    session: &WriteSession,
    resource: &Resource,
    column: &'static str,
    gone: &DeletedRows,
) -> Result<(), SessionError> {
    forget_recent(session, resource);
    for ids in gone.some() {
        let mut update = change_of_referring(session, resource.table, column, ids);
        update.value(column, Option::<String>::None);
        session.execute(&update).await?;
    }
    Ok(())
}

/// Removes the rows from memory that a cascade is about to change: all of them, because their ids are not known yet.
fn forget_recent(session: &WriteSession, resource: &Resource) {
    if resource.keeps_recent {
        session.forget_all_recent();
    }
}

/// An `UPDATE` of the living rows that refer to one of these ids. It increments their versions.
fn change_of_referring(
    session: &WriteSession,
    table: &'static str,
    column: &'static str,
    ids: &[String],
) -> UpdateStatement {
    Query::update()
        .table(table)
        .value("version", Expr::col("version").add(1))
        .value("updated_at", session.now())
        .cond_where(referring(column, ids))
        .to_owned()
}

/// The living rows that refer to one of these ids.
fn referring(column: &'static str, ids: &[String]) -> Condition {
    Condition::all().add(Expr::col(column).is_in(ids)).add(Expr::col("deleted_at").is_null())
}
