//! Rows that refer to rows of other domains: `post_id`, `cover_upload_id`. Domains do not know each other, so what they
//! need of each other's tables is data: a [`Resource`] for each table, which its domain lists in `service::RESOURCES` and
//! the server gives to the [`Databases`](crate::session::Databases) as [`Resources`].
//!
//! Two things are kept, on both engines and whatever happens at once: **no living row refers to a deleted one**, and nobody
//! refers to what they may not see.
//!
//! - [`refuse_dangling`], before a row is written, asks whether what it points at lives and is visible to the actor, and
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
//! circle. PostgreSQL ends one of them then, whose client is told to try again ([`SessionError::is_passing`]).
//!
//! # Adding a reference
//!
//! A [`Reference`] in the [`Resource`] of the table that has the column, an index on the column, and a call of
//! [`refuse_dangling`] where the service writes it.
//!
//! [`Cascade`]: OnDelete::Cascade
//! [`Restrict`]: OnDelete::Restrict
//! [`SetNull`]: OnDelete::SetNull

use std::sync::Arc;

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, UpdateStatement};
use sea_orm::{Condition, ConnectionTrait as _, DbErr, QueryResult};

use crate::actor::Actor;
use crate::error::{FieldError, Invalid};
use crate::event::PendingEvent;
use crate::id::{Id, IdKind};
use crate::session::{Reader as _, SessionError, WriteSession};

/// What other domains may know of a table. It has the columns of every resource: `id`, `version`, `updated_at` and
/// `deleted_at`.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// Its name.
    pub table: &'static str,
    /// Which of its living rows an actor may see: a condition on its columns, by which its own domain filters too.
    pub visible: fn(&Actor) -> Condition,
    /// Which of its living rows are in use: a condition on its columns. What belongs to one that is not, such as a suspended
    /// account, is no longer shown to everyone: [`Resources::in_use`].
    pub active: fn() -> Condition,
    /// What its rows refer to.
    pub references: &'static [Reference],
    /// The event of the deletion of a row, from the row as it is then: [`repository::deletion`](crate::repository::deletion). It
    /// is emitted when the row goes with another; where the domain deletes the row itself, its repository emits it.
    pub deleted: Option<DeletionEvent>,
}

impl Resource {
    /// A table whose living rows are all in use and everybody may see, whose rows refer to nothing, and whose deletions nobody
    /// wants to know of.
    #[must_use]
    pub const fn visible_to_all(table: &'static str) -> Self {
        Self { table, visible: |_| Condition::all(), active: Condition::all, references: &[], deleted: None }
    }
}

/// Makes the event of the deletion of a row, from the row as it is then.
pub type DeletionEvent = fn(&QueryResult) -> Result<PendingEvent, DbErr>;

/// A column that holds the ids of rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The column.
    pub column: &'static str,
    /// The table that it refers to.
    pub to: &'static str,
    /// What happens to a row when what it refers to is deleted.
    pub on_delete: OnDelete,
}

/// What happens to a living row when what it refers to is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// It is deleted too.
    Cascade,
    /// The deletion is refused with [`SessionError::Referenced`], unless the row goes with it for another reason.
    Restrict,
    /// It forgets what it referred to. The column can be null.
    SetNull,
}

/// The tables of an installation that may be known to others. Cheap to clone.
///
/// What is not in it is visible to nobody, and nothing happens to it when another row is deleted.
#[derive(Clone, Debug, Default)]
pub struct Resources(Arc<[Resource]>);

impl Resources {
    /// What may be known of a table.
    #[must_use]
    pub fn find(&self, table: &str) -> Option<&Resource> {
        self.iter().find(|resource| resource.table == table)
    }

    /// The row of `table` whose id stands in `column` lives and is in use. A table that is not in here has no such rows.
    ///
    /// ```
    /// # use sea_orm::sea_query::Expr;
    /// # use shared_kernel::reference::Resources;
    /// # fn shown(resources: &Resources) -> sea_orm::Condition {
    /// resources.in_use("users", Expr::col(("uploads", "owner_id")))
    /// # }
    /// ```
    #[must_use]
    pub fn in_use(&self, table: &'static str, column: Expr) -> Condition {
        let Some(resource) = self.find(table) else { return Condition::all().add(Expr::val(false)) };
        let row = Query::select()
            .expr(Expr::val(1))
            .from(table)
            .and_where(Expr::col((table, "id")).eq(column))
            .and_where(Expr::col((table, "deleted_at")).is_null())
            .cond_where((resource.active)())
            .to_owned();
        Condition::all().add(Expr::exists(row))
    }

    /// All of them: each after those that its rows refer to, as far as there is such an order.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }

    /// The columns that refer to a table in this way, with their own tables.
    fn referring(&self, table: &str, on_delete: OnDelete) -> impl Iterator<Item = (&Resource, &'static str)> {
        self.iter().flat_map(move |resource| {
            let such = move |it: &&Reference| it.to == table && it.on_delete == on_delete;
            resource.references.iter().filter(such).map(move |reference| (resource, reference.column))
        })
    }

    /// The place of a table in the order in which rows are locked. It is that of deletions, which go from a row to those
    /// that refer to it, so that two sessions seldom wait for each other.
    fn place(&self, table: &str) -> usize {
        self.iter().position(|resource| resource.table == table).unwrap_or(usize::MAX)
    }
}

impl<'a> FromIterator<&'a Resource> for Resources {
    fn from_iter<I: IntoIterator<Item = &'a Resource>>(resources: I) -> Self {
        let mut rest: Vec<Resource> = resources.into_iter().copied().collect();
        rest.sort_by_key(|resource| resource.table);
        let mut sorted = Vec::new();
        while !rest.is_empty() {
            let is_free = |resource: &Resource| {
                let awaited =
                    |it: &Reference| it.to != resource.table && rest.iter().any(|other| other.table == it.to);
                !resource.references.iter().any(awaited)
            };
            // A circle has no first table, so its first name is taken.
            let next = rest.iter().position(is_free).unwrap_or(0);
            sorted.push(rest.remove(next));
        }
        Self(sorted.into())
    }
}

/// A field of a request that points at a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointed {
    pointer: &'static str,
    table: &'static str,
    id: Option<String>,
}

impl Pointed {
    /// The field at `pointer` (RFC 6901) points at that row of `table`; `None`: at nothing, which is always right.
    #[must_use]
    pub fn new<K: IdKind>(pointer: &'static str, table: &'static str, id: Option<Id<K>>) -> Self {
        Self { pointer, table, id: id.map(|id| id.to_string()) }
    }
}

/// Refuses fields that point at what is not there, was deleted, or is not visible to the actor: all of them at once, each
/// with the code `reference`, and without telling which of the three it is. What they point at otherwise stays until the
/// session ends. To be called before the rows are written that refer to it.
///
/// # Errors
///
/// [`Invalid`], and the session's.
pub async fn refuse_dangling<E>(session: &WriteSession, actor: &Actor, pointed: &[Pointed]) -> Result<(), E>
where
    E: From<SessionError> + From<Invalid>,
{
    let refused = dangling(session, actor, pointed).await?;
    if refused.is_empty() { Ok(()) } else { Err(Invalid(refused).into()) }
}

async fn dangling(
    session: &WriteSession,
    actor: &Actor,
    pointed: &[Pointed],
) -> Result<Vec<FieldError>, SessionError> {
    let resources = session.resources();
    let mut checks: Vec<_> = pointed
        .iter()
        .enumerate()
        .filter_map(|(field, to)| Some((resources.place(to.table), to.id.as_deref()?, field)))
        .collect();
    checks.sort_unstable();
    let mut refused = Vec::new();
    for (_, id, field) in checks {
        if !hold(session, actor, pointed[field].table, id).await? {
            refused.push(field);
        }
    }
    refused.sort_unstable();
    let message = "there is nothing with this id, or it is not visible to you";
    let refusal = |field: usize| FieldError::new(pointed[field].pointer, "reference", message);
    Ok(refused.into_iter().map(refusal).collect())
}

/// Whether the row lives and is visible to the actor; then nobody deletes it until the session ends.
async fn hold(
    session: &WriteSession,
    actor: &Actor,
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
        .cond_where((resource.visible)(actor))
        .lock_shared()
        .to_owned();
    Ok(session.query_one(&select).await?.is_some())
}

/// What follows from the deletion of rows for those that refer to them, in the session that deleted them. For code that
/// deletes many at once; [`Repository::soft_delete`](crate::repository::Repository::soft_delete) calls it by itself.
///
/// # Errors
///
/// [`SessionError::Referenced`], and the database's. The session does not commit then.
pub async fn follow<K: IdKind>(
    session: &WriteSession,
    table: &'static str,
    deleted: &[Id<K>],
) -> Result<(), SessionError> {
    let deleted = Gone { table, ids: deleted.iter().map(Id::to_string).collect() };
    // On the heap: it is large, and every handler that deletes has it inside.
    session.watch(Box::pin(session.as_one(spread(session, deleted))).await)
}

/// Rows of a table that were deleted.
struct Gone {
    table: &'static str,
    ids: Vec<String>,
}

impl Gone {
    /// Their ids, as many at a time as a statement takes.
    fn some(&self) -> impl Iterator<Item = &[String]> {
        self.ids.chunks(IDS_AT_ONCE)
    }
}

const IDS_AT_ONCE: usize = 500;

async fn spread(session: &WriteSession, deleted: Gone) -> Result<(), SessionError> {
    let resources = session.resources();
    let all = sweep(session, deleted).await?;
    for gone in &all {
        for (resource, column) in resources.referring(gone.table, OnDelete::Restrict) {
            refuse_referenced(session, resource.table, column, gone).await?;
        }
    }
    for gone in &all {
        for (resource, column) in resources.referring(gone.table, OnDelete::SetNull) {
            forget(session, resource.table, column, gone).await?;
        }
    }
    Ok(())
}

/// Deletes what goes with the deleted, and what goes with that: all of it, and the deleted themselves.
async fn sweep(session: &WriteSession, deleted: Gone) -> Result<Vec<Gone>, SessionError> {
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
    gone: &Gone,
) -> Result<Gone, SessionError> {
    let mut deleted = Gone { table: resource.table, ids: Vec::new() };
    for ids in gone.some() {
        let mut update = change_of_referring(session, resource.table, column, ids);
        update.value("deleted_at", session.now());
        match resource.deleted {
            Some(_) => update.returning_all(),
            None => update.returning_col("id"),
        };
        let rows = session.query_all(&update).await?;
        for row in &rows {
            deleted.ids.push(row.try_get("", "id")?);
        }
        if let Some(tell) = resource.deleted {
            session.emit_all(rows.iter().map(tell).collect::<Result<_, DbErr>>()?).await?;
        }
    }
    Ok(deleted)
}

async fn refuse_referenced(
    session: &WriteSession,
    table: &'static str,
    column: &'static str,
    gone: &Gone,
) -> Result<(), SessionError> {
    for ids in gone.some() {
        let referring =
            Query::select().column("id").from(table).cond_where(referring(column, ids)).limit(1).to_owned();
        if session.query_one(&referring).await?.is_some() {
            return Err(SessionError::Referenced { by: table });
        }
    }
    Ok(())
}

async fn forget(
    session: &WriteSession,
    table: &'static str,
    column: &'static str,
    gone: &Gone,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(resources: &[Resource]) -> Vec<&'static str> {
        resources.iter().collect::<Resources>().iter().map(|resource| resource.table).collect()
    }

    const fn referring(table: &'static str, references: &'static [Reference]) -> Resource {
        Resource { references, ..Resource::visible_to_all(table) }
    }

    const fn to(table: &'static str) -> Reference {
        Reference { column: "x_id", to: table, on_delete: OnDelete::Cascade }
    }

    #[test]
    fn a_table_comes_after_those_that_it_refers_to() {
        const ALL: [Resource; 4] = [
            referring("comments", &[to("posts"), to("users"), to("comments"), to("elsewhere")]),
            referring("posts", &[to("users")]),
            referring("a_last_one", &[to("comments")]),
            referring("users", &[]),
        ];
        assert_eq!(tables(&ALL), ["users", "posts", "comments", "a_last_one"]);
    }

    #[test]
    fn a_circle_is_cut_at_its_first_name() {
        const ALL: [Resource; 3] =
            [referring("b", &[to("a")]), referring("a", &[to("b")]), referring("c", &[to("c")])];
        assert_eq!(tables(&ALL), ["c", "a", "b"]);
    }
}
