//! Rows that refer to rows of other domains: `post_id`, `author_id`. Domains do not know each other, so what they
//! need of each other's tables is data: a [`Resource`] for each table, which its domain lists in `service::RESOURCES` and
//! the server gives to the [`Databases`](crate::session::Databases) as [`Resources`](crate::resource::Resources).
//!
//! Two things are kept, on both engines and whatever happens at once: **no living row refers to a deleted one**, and nobody
//! refers to what they may not see.
//!
//! - [`check_references`], before a row is written, asks whether what it points at lives and is visible to the principal, and
//!   keeps it from being deleted until the session ends. PostgreSQL holds the row `FOR SHARE`, which whoever deletes it
//!   waits for; SQLite has one writer.
//! - [`Repository::soft_delete`](crate::repository::Repository::soft_delete) does to the living rows that refer to a
//!   deleted one what their [`OnDelete`] says, in the same transaction. First everything goes that goes with it
//!   ([`Cascade`]), as far as that leads; then what still lives either keeps the deletion from happening ([`Restrict`]) or
//!   forgets what it referred to ([`SetNull`]). So the outcome does not depend on the order of references, and circles
//!   end. Deleted rows keep what they referred to.
//!
//! Foreign keys of the database stay useful beside this: they hold for rows that are removed for good.
//!
//! Deletions that meet each other half-way, or that meet a session which already holds something further down, can wait in a
//! circle. PostgreSQL ends one of them then, whose client is told to try again ([`SessionError::is_transient`]).
//!
//! # Adding a reference
//!
//! A [`Reference`] in the list `REFERENCES` of the repository whose table has the column, and an index on the
//! column. [`Scoped::create`](crate::repository::Scoped::create) and [`Scoped::change`](crate::repository::Scoped::change) check it; a
//! service that writes rows otherwise calls [`check_references`] before.
//!
//! Rows that refer to rows of their own table form trees: one that would belong to itself, directly or by others, is refused with the
//! code `circular_reference`, unless the repository says `ALLOWS_CIRCLES`.
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

/// A field of a request that points at a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceField {
    pointer: Cow<'static, str>,
    table: &'static str,
    id: Option<String>,
}

impl ReferenceField {
    /// The field at `pointer` (RFC 6901) points at that row of `table`; `None`: at nothing, which is always right.
    #[must_use]
    pub fn new<K: IdKind>(pointer: &'static str, table: &'static str, id: Option<Id<K>>) -> Self {
        Self { pointer: pointer.into(), table, id: id.map(|id| id.to_string()) }
    }
}

/// The field that the column of a reference is in a request, and where it points.
pub(crate) fn field_of(reference: &Reference, id: Option<String>) -> ReferenceField {
    ReferenceField { pointer: format!("/{}", reference.column).into(), table: reference.to, id }
}

/// Refuses a row of `reference.to` that would belong to itself if it referred to `target` in that column. The rows above are kept from
/// being changed until the session ends, so that two sessions do not close a circle together.
///
/// # Errors
///
/// [`KernelError::Invalid`] with the code `circular_reference`, and the session's.
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
        // What is a circle already, because it was written otherwise, ends here.
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

/// Refuses fields that point at what is not there, was deleted, or is not visible to the principal: all of them at once, each
/// with the code `reference`, and without telling which of the three it is. What they point at otherwise stays until the
/// session ends. To be called before the rows are written that refer to it.
///
/// # Errors
///
/// [`KernelError::Invalid`], and the session's.
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

/// Whether the row lives and is visible to the principal; then nobody deletes it until the session ends.
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

/// What follows from the deletion of rows for those that refer to them, in the session that deleted them. For code that
/// deletes many at once; [`Repository::soft_delete`](crate::repository::Repository::soft_delete) calls it by itself.
///
/// # Errors
///
/// [`KernelError::Referenced`], and the database's. The session does not commit then.
pub async fn apply_on_delete<K: IdKind>(
    session: &WriteSession,
    table: &'static str,
    deleted: &[Id<K>],
) -> Result<(), KernelError> {
    apply_on_delete_of(session, table, deleted.iter().map(Id::to_string).collect()).await
}

/// The same where the kind of the ids is not known.
pub(crate) async fn apply_on_delete_of(
    session: &WriteSession,
    table: &'static str,
    ids: Vec<String>,
) -> Result<(), KernelError> {
    let deleted = DeletedRows { table, ids };
    // On the heap: it is large, and every handler that deletes has it inside.
    session.record_failure(Box::pin(session.atomically(apply_rules(session, deleted))).await)
}

/// Rows of a table that were deleted.
struct DeletedRows {
    table: &'static str,
    ids: Vec<String>,
}

impl DeletedRows {
    /// Their ids, as many at a time as a statement takes.
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
            set_null(session, resource.table, column, gone).await?;
        }
    }
    Ok(())
}

/// Deletes what goes with the deleted, and what goes with that: all of it, and the deleted themselves.
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
    table: &'static str,
    column: &'static str,
    gone: &DeletedRows,
) -> Result<(), SessionError> {
    for ids in gone.some() {
        let mut update = change_of_referring(session, table, column, ids);
        update.value(column, Option::<String>::None);
        session.execute(&update).await?;
    }
    Ok(())
}

/// An `UPDATE` of the living rows that refer to one of these, which counts their versions up.
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

/// The living rows that refer to one of these.
fn referring(column: &'static str, ids: &[String]) -> Condition {
    Condition::all().add(Expr::col(column).is_in(ids)).add(Expr::col("deleted_at").is_null())
}
