//! Queries with soft delete and versions, the same for all domains.
//!
//! A resource's table has `id`, `version`, `updated_at` and `deleted_at`. A deleted row is kept for its grace period and
//! excluded from all queries that start at [`Repository::unscoped`]; every change increments the version. Id and version together
//! are a [`Revision`], which is the resource's `ETag`.
//!
//! sea-orm's own `find` and `ActiveModel::update` bypass this, so repositories use neither.

use std::fmt;
use std::iter;
use std::str::FromStr;
use std::sync::Arc;

pub use kernel_derive::{Representation, Shown};
use sea_orm::sea_query::{BinOper, Expr, ExprTrait as _, LikeExpr, LockType, ValueType};
use sea_orm::{
    ActiveModelBehavior, ActiveModelTrait, ActiveValue, ColumnTrait, Condition, DbErr, EntityName as _,
    EntityTrait, FromQueryResult as _, IntoActiveModel, Iterable as _, ModelTrait, QueryFilter as _,
    QueryResult, QuerySelect as _, QueryTrait, Select, UpdateMany, Value,
};

use crate::contact;
use crate::event::{self, Creation, Deletion, Lifecycle, LifecycleStep, PendingEvent};
use crate::id::{Id, IdKind, UserId};
use crate::kernel_error::KernelError;
use crate::page::{self, Order, Page, PageRequest};
use crate::principal::Principal;
use crate::reference;
use crate::resource::{Reference, Resource, Within};
use crate::session::recent::RowKey;
use crate::session::{ReadPrimary, ReadSession, Reader, SessionError, WriteSession};
pub use crate::soft_delete::{Keyed, SoftDelete, live};
use crate::sort::Sort;
use crate::text;

mod checks;
mod joined;

use checks::{check_circles, check_pointed, check_within};
use joined::Joined;

/// A row of `E`, and beside it a row that is kept in memory.
type WithRecent<E, F> = (<E as EntityTrait>::Model, Option<Arc<<F as EntityTrait>::Model>>);

/// Condition that the user of `principal` owns the row, by the column `owner`. Holds for no row if nobody is signed in or the
/// principal acts for no user.
#[must_use]
pub fn owned_by<'a>(principal: impl Into<Option<&'a Principal>>, owner: impl ColumnTrait) -> Expr {
    let user = principal.into().and_then(Principal::user);
    // Not `eq` of an `Option`: without a user that would be `IS NULL`, which is true for rows without an owner.
    user.map_or_else(|| Expr::val(false), |user| owner.eq(user))
}

/// Condition that one of the `columns` contains `text`, whatever its spelling. The columns have the
/// [`folded`](text::folded) form of texts, or the [normal form](crate::contact::Email::comparable) of addresses, whose domain may
/// also be searched in letters beyond ASCII.
#[must_use]
pub fn contains<C: ColumnTrait>(columns: impl IntoIterator<Item = C>, text: &str) -> Condition {
    let spellings = iter::once(text.to_owned()).chain(contact::in_ascii_labels(text));
    let patterns: Vec<String> = spellings.map(|text| text::contains_pattern(&text)).collect();
    let like = |column: C, pattern: &String| column.like(LikeExpr::new(pattern.as_str()).escape('\\'));
    columns.into_iter().fold(Condition::any(), |any, column| {
        patterns.iter().fold(any, |any, pattern| any.add(like(column, pattern)))
    })
}

/// Id and version of a resource. Ids are never reused, so a revision identifies one state for ever, even if all data was deleted in
/// between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    id: String,
    version: i64,
}

impl Revision {
    /// The revision of a resource by its id and version.
    #[must_use]
    pub fn new<K: IdKind>(id: Id<K>, version: i64) -> Self {
        Self { id: id.to_string(), version }
    }

    /// The version: 1 at first, incremented by each change.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }
}

/// The id and the version, separated by a full stop, which neither contains.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.version)
    }
}

/// The text is not a valid [`Revision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id and the version of a resource")]
pub struct NotARevision;

impl FromStr for Revision {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        let (id, version) = text.split_once('.').ok_or(NotARevision)?;
        let revision = Self { id: id.to_owned(), version: version.parse().map_err(|_| NotARevision)? };
        // Only the canonical form is accepted: `+3` and `03` are not versions.
        if revision.to_string() == text { Ok(revision) } else { Err(NotARevision) }
    }
}

/// The representation of a resource in the API. [Derived](derive@Representation) for structs with the fields `id` and `version`.
/// The `ETag` of a response is its revision, which contains the id, so tags of different resources are never equal.
pub trait Representation {
    /// Whether it contains signed URLs, which grant access to anyone who has them. No cache may store such a body, and it is always
    /// sent in full, because the URLs expire.
    const HOLDS_SIGNED_URLS: bool;

    /// The revision that it represents.
    fn revision(&self) -> Revision;
}

/// The version that the client expects of the row that it changes: the header `If-Match` (RFC 9110, section 13.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// No header: the last write wins.
    #[default]
    None,
    /// The row has one of these revisions. Empty if the header has no valid tag; then the precondition always fails.
    OneOf(Vec<Revision>),
}

impl Precondition {
    /// The expected versions of the row; `None`: any. Revisions of other resources are ignored.
    fn versions<K: IdKind>(&self, id: Id<K>) -> Option<Vec<i64>> {
        let Self::OneOf(revisions) = self else { return None };
        let id = id.to_string();
        let of_this = revisions.iter().filter(|revision| revision.id == id);
        Some(of_this.map(|revision| revision.version).collect())
    }

    /// The condition that the row has one of the expected versions.
    fn holds_for<E: SoftDelete>(&self, id: Id<E::Kind>) -> Condition {
        Condition::all().add_option(self.versions(id).map(|versions| E::VERSION.is_in(versions)))
    }
}

/// The queries of every repository. A domain adds its own as plain methods, which start at
/// [`unscoped`](Self::unscoped) or, for a principal, at [`Scoped::visible`].
pub trait Repository {
    /// The entity of the table.
    type Entity: SoftDelete<
        Model: ModelTrait<Entity = Self::Entity> + IntoActiveModel<Self::Row> + Send + Sync + 'static,
    >;
    /// The active model of the entity.
    type Row: ActiveModelTrait<Entity = Self::Entity> + ActiveModelBehavior + Send;

    /// Whether each [`insert`](Self::insert), [`update`](Self::update) and [`soft_delete`](Self::soft_delete) emits its event:
    /// [`Created`](event::Created), [`Updated`](event::Updated), [`Deleted`](event::Deleted).
    const EMITS_EVENTS: bool = false;

    /// The column with the owner's [`UserId`], for the events. `None` where rows have no owner.
    const OWNER_ID: Option<<Self::Entity as EntityTrait>::Column> = None;

    /// The columns that refer to other rows, for [`Resource::references`] and for the checks of [`Scoped`]. The fields of requests have
    /// the same names.
    const REFERENCES: &'static [Reference] = &[];

    /// Whether rows that refer to rows of their own table may form circles.
    const ALLOWS_CIRCLES: bool = false;

    /// The columns in which rows agree with the row of this table that they refer to.
    const WITHIN: &'static [Within] = &[];

    /// Whether rows are kept in memory for a second, for [`find_recent`](Self::find_recent). Rows must be changed only by
    /// [`update`](Self::update), [`soft_delete`](Self::soft_delete) and by cascades, which remove them from there.
    const KEEPS_RECENT: bool = false;

    /// Orders of lists besides those by time of creation.
    const ORDERS: &'static [Order<Self::Entity>] = &[];

    /// The requested order; newest first by default.
    #[must_use]
    fn order(sort: Option<&Sort<<Self::Entity as SoftDelete>::Kind>>) -> Order<Self::Entity> {
        let named = |sort: &Sort<_>| Order::all(Self::ORDERS).find(|order| order.name() == sort.name());
        sort.and_then(named).unwrap_or(Order::newest_first())
    }

    /// The names of all orders, for [`Sortable`](crate::sort::Sortable).
    #[must_use]
    fn order_names() -> Vec<&'static str> {
        Order::all(Self::ORDERS).map(|order| order.name()).collect()
    }

    /// The rows that are not deleted, regardless of the principal.
    #[must_use]
    fn unscoped() -> Select<Self::Entity> {
        live()
    }

    /// The living row of that id, regardless of the principal.
    fn find_unscoped<R: Reader>(
        session: &R,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, SessionError>> + Send {
        session.one(Self::unscoped().filter(Self::Entity::ID.eq(id)))
    }

    /// The living row of that id, regardless of the principal, as the database had it at most a second ago; newer
    /// if the session has the token of a write. For reads that are so frequent that not each of them should ask the database:
    /// `KEEPS_RECENT` must be set.
    fn find_recent(
        session: &ReadSession,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
    ) -> impl Future<Output = Result<Option<Arc<<Self::Entity as EntityTrait>::Model>>, SessionError>> + Send
    {
        async move {
            const { assert!(Self::KEEPS_RECENT) };
            let key = RowKey::new(Self::Entity::TABLE, id);
            if let Some(row) = session.recent(key) {
                return Ok(Some(row));
            }
            let reading = session.begin_reading(key);
            // On the heap, and only if the row is not in memory: the future of the query is large.
            let row = Box::pin(Self::find_unscoped(session, id)).await?.map(Arc::new);
            if let Some(row) = &row {
                session.keep(&reading, row);
            }
            Ok(row)
        }
    }

    /// The row of another table that has that key, and the living row of this one that has that id, as the primary has both
    /// now: one statement for a decision that needs both. `None` if there is no such row of the other table. Later calls of
    /// [`find_recent`](Self::find_recent) find the row of this table.
    #[must_use]
    fn find_current_with<E: Keyed>(
        session: &ReadPrimary,
        key: Value,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
    ) -> impl Future<Output = Result<Option<WithRecent<E, Self::Entity>>, SessionError>> + Send {
        async move {
            const { assert!(Self::KEEPS_RECENT) };
            let reading = session.begin_reading(RowKey::new(Self::Entity::TABLE, id));
            let found = joined::find_with::<E, Self::Entity>(session, key, id).await?;
            Ok(found.map(|Joined { row, other }| {
                let other = other.map(Arc::new);
                if let Some(other) = &other {
                    session.keep(&reading, other);
                }
                (row, other)
            }))
        }
    }

    /// A page of `select`, which starts at [`unscoped`](Self::unscoped) or [`Scoped::visible`].
    fn page<R: Reader>(
        session: &R,
        select: Select<Self::Entity>,
        request: &PageRequest,
        order: Order<Self::Entity>,
    ) -> impl Future<Output = Result<Page<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send {
        page::fetch(session, select, request, order)
    }

    /// Inserts a row. Its id, version and timestamps are set here unless `row` has them. On PostgreSQL, the row and its event are one
    /// statement.
    fn insert(
        session: &WriteSession,
        mut row: Self::Row,
    ) -> impl Future<Output = Result<<Self::Entity as EntityTrait>::Model, SessionError>> + Send {
        async move {
            stamp::<Self>(session, &mut row);
            let row = Self::Row::before_save(row, session, true).await?;
            let takes_event = Self::EMITS_EVENTS && session.inserts_with_event();
            let event = if takes_event { Some(creation::<Self>(&row)?) } else { None };
            let mut insert = Self::Entity::insert(row).into_query();
            if let Some(event) = event {
                session.add_event(&mut insert, event);
            }
            // On the heap: the future is large, and so would be that of every caller.
            let row = Box::pin(session.insert_returning::<Self::Entity>(insert)).await?;
            if !takes_event {
                emit::<Self, Creation>(session, &row).await?;
            }
            Ok(Self::Row::after_save(row, session, true).await?)
        }
    }

    /// Writes the set values of `changes` into the living row of that id. Returns the changed row; `None` if there is none. A row
    /// that would not change is left alone: it keeps its version, and no event is emitted.
    ///
    /// The precondition is part of the one `UPDATE`, so of two clients that read the same version the second gets
    /// [`KernelError::Stale`]. The comparison with the current values is part of it too, so it needs no further query where something
    /// changes; the engine must be able to compare the columns (PostgreSQL cannot compare `json`, but `jsonb`).
    fn update(
        session: &WriteSession,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
        changes: Self::Row,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send {
        async move {
            if let Some(differs) = differs::<Self::Entity>(&changes) {
                let update = guarded::<Self::Entity>(session, id, precondition).filter(differs).set(changes);
                if let Some(row) = session.update_returning(update).await?.pop() {
                    forget_recent::<Self>(session, id);
                    emit::<Self, event::Update>(session, &row).await?;
                    return Ok(Some(row));
                }
            }
            let holds = precondition.holds_for::<Self::Entity>(id);
            let row = session.one(Self::unscoped().filter(Self::Entity::ID.eq(id)).filter(holds)).await?;
            if row.is_none() {
                check_version::<Self>(session, id, precondition).await?;
            }
            Ok(row)
        }
    }

    /// Deletes the living row of that id. Returns its last state; `None` if there is none. The `OnDelete` rules of the living rows
    /// that refer to it are applied in the same transaction (see [`crate::reference`]);
    /// [`KernelError::Referenced`] if one of them prevents the deletion.
    fn soft_delete(
        session: &WriteSession,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send {
        session.atomically(async move {
            let update = guarded::<Self::Entity>(session, id, precondition)
                .col_expr(Self::Entity::DELETED_AT, Expr::val(session.now()));
            let deleted = session.update_returning(update).await?.pop();
            if let Some(row) = &deleted {
                forget_recent::<Self>(session, id);
                reference::apply_on_delete(session, Self::Entity::default().table_name(), &[id]).await?;
                emit::<Self, Deletion>(session, row).await?;
            } else {
                check_version::<Self>(session, id, precondition).await?;
            }
            Ok(deleted)
        })
    }
}

/// The scope of rows: which rows a principal may see, change and refer to. Lists, reads, changes, deletions and references of other
/// domains all use this one rule.
///
/// The conditions are on the columns of the repository's own table. Any condition is possible: that a row is the
/// principal's own ([`owned_by`]), that it is published, that its organisation is one of the principal's.
///
/// ```
/// # mod model {
/// #   use sea_orm::entity::prelude::*;
/// #   use shared_kernel::clock::Timestamp;
/// #   use shared_kernel::id::{Id, IdKind, UserId};
/// #   use shared_kernel::repository::SoftDelete;
/// #   #[derive(Debug)]
/// #   pub enum PostKind {}
/// #   impl IdKind for PostKind {
/// #       const PREFIX: &'static str = "pst";
/// #       const NAME: &'static str = "post";
/// #   }
/// #   #[sea_orm::model]
/// #   #[derive(Clone, Debug, PartialEq, DeriveEntityModel, SoftDelete)]
/// #   #[sea_orm(table_name = "posts")]
/// #   pub struct Model {
/// #       #[sea_orm(primary_key, auto_increment = false)]
/// #       pub id: Id<PostKind>,
/// #       pub version: i64,
/// #       pub created_at: Timestamp,
/// #       pub updated_at: Timestamp,
/// #       pub deleted_at: Option<Timestamp>,
/// #       pub author_id: UserId,
/// #       pub published: bool,
/// #   }
/// #   impl ActiveModelBehavior for ActiveModel {}
/// # }
/// # use model::{ActiveModel, Column, Entity};
/// # use sea_orm::{ColumnTrait as _, Condition};
/// # use shared_kernel::principal::Principal;
/// # use shared_kernel::repository::{Repository, Scoped, owned_by};
/// # struct Posts;
/// # impl Repository for Posts {
/// #     type Entity = Entity;
/// #     type Row = ActiveModel;
/// # }
/// impl Scoped for Posts {
///     /// Published ones for everyone, drafts for their authors.
///     fn visible_to(principal: Option<&Principal>) -> Condition {
///         Condition::any().add(Column::Published.eq(true)).add(owned_by(principal, Column::AuthorId))
///     }
///
///     /// Their authors.
///     fn changeable_by(principal: &Principal) -> Condition {
///         Condition::all().add(owned_by(principal, Column::AuthorId))
///     }
/// }
/// ```
pub trait Scoped: Repository {
    /// The rows that `principal` may see. `None` is a caller who is not signed in.
    fn visible_to(principal: Option<&Principal>) -> Condition;

    /// The rows that `principal` may change and delete, of those that it may see: all of them by default.
    #[must_use]
    fn changeable_by(_principal: &Principal) -> Condition {
        Condition::all()
    }

    /// The rows to which rows of other domains may refer if `principal` writes them: those that it may see, by default. For
    /// [`Resource::referable`](crate::resource::Resource::referable).
    #[must_use]
    fn referable_by(principal: &Principal) -> Condition {
        Self::visible_to(Some(principal))
    }

    /// The living rows that `principal` may see, for the domain's own queries.
    #[must_use]
    fn visible<'a>(principal: impl Into<Option<&'a Principal>>) -> Select<Self::Entity> {
        Self::unscoped().filter(Self::visible_to(principal.into()))
    }

    /// The living row of that id, if `principal` may see it.
    fn find<'a, R: Reader>(
        session: &R,
        principal: impl Into<Option<&'a Principal>>,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, SessionError>> + Send {
        session.one(Self::visible(principal).filter(Self::Entity::ID.eq(id)))
    }

    /// The living row of that id, locked until the session ends, so that decisions by its state still hold when it is
    /// written. `None` if there is none that `principal` may see.
    ///
    /// # Errors
    ///
    /// [`KernelError::NotOwner`] if `principal` may see the row but not change it.
    fn find_for_change(
        session: &WriteSession,
        principal: &Principal,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send {
        let visible = Self::visible(principal).filter(Self::Entity::ID.eq(id));
        // The same lock as of an `UPDATE`: checks of foreign keys do not wait for it, `check_references` does.
        let changeable = visible.clone().filter(Self::changeable_by(principal)).lock(LockType::NoKeyUpdate);
        async move {
            let row = session.one(changeable).await?;
            if row.is_none() && session.one(visible).await?.is_some() {
                return Err(KernelError::NotOwner);
            }
            Ok(row)
        }
    }

    /// A page of the living rows that `principal` may see and that fulfil `condition`.
    fn list<'a, R: Reader>(
        session: &R,
        principal: impl Into<Option<&'a Principal>>,
        condition: Condition,
        sort: Option<&Sort<<Self::Entity as SoftDelete>::Kind>>,
        request: &PageRequest,
    ) -> impl Future<Output = Result<Page<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send {
        Self::page(session, Self::visible(principal).filter(condition), request, Self::order(sort))
    }

    /// Inserts a row for `principal`, after checking that the referenced rows exist and that `principal` may refer to them.
    ///
    /// # Errors
    ///
    /// [`KernelError::Invalid`] with the code `reference` or `inconsistent_reference`, and errors of the session.
    fn create(
        session: &WriteSession,
        principal: &Principal,
        row: Self::Row,
    ) -> impl Future<Output = Result<<Self::Entity as EntityTrait>::Model, KernelError>> + Send
    where
        Self::Row: Sync,
    {
        async move {
            check_pointed::<Self>(session, principal, &row).await?;
            check_within::<Self>(session, None, &row).await?;
            Ok(Self::insert(session, row).await?)
        }
    }

    /// [Changes](Repository::update) the living row of that id, if `principal` may. `None` if there is none that `principal` may see.
    ///
    /// # Errors
    ///
    /// [`KernelError::NotOwner`], [`KernelError::Stale`]; [`KernelError::Invalid`] with the code `reference`,
    /// `inconsistent_reference` or `circular_reference`; errors of the session.
    fn change(
        session: &WriteSession,
        principal: &Principal,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
        changes: Self::Row,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send
    where
        Self::Row: Sync,
    {
        Self::change_with(session, principal, id, precondition, changes, |_, _| Ok(()))
    }

    /// [`change`](Self::change) where some changes depend on the current row: `complete` adds them to the others.
    fn change_with(
        session: &WriteSession,
        principal: &Principal,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
        mut changes: Self::Row,
        complete: impl FnOnce(<Self::Entity as EntityTrait>::Model, &mut Self::Row) -> Result<(), KernelError>
        + Send,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send
    where
        Self::Row: Sync,
    {
        async move {
            // Before its own row: a deletion of the referenced row locks the two in the same order.
            check_pointed::<Self>(session, principal, &changes).await?;
            let Some(row) = Self::find_for_change(session, principal, id).await? else { return Ok(None) };
            check_circles::<Self>(session, id, &changes).await?;
            check_within::<Self>(session, Some(&row), &changes).await?;
            complete(row, &mut changes)?;
            Self::update(session, id, precondition, changes).await
        }
    }

    /// [Deletes](Repository::soft_delete) the living row of that id, if `principal` may. `None` if there is none that `principal`
    /// may see.
    ///
    /// # Errors
    ///
    /// [`KernelError::NotOwner`], [`KernelError::Stale`], [`KernelError::Referenced`], and errors of the session.
    fn delete(
        session: &WriteSession,
        principal: &Principal,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send {
        async move {
            if Self::find_for_change(session, principal, id).await?.is_none() {
                return Ok(None);
            }
            Self::soft_delete(session, id, precondition).await
        }
    }
}

/// Removes a changed row from memory, if rows are kept there.
fn forget_recent<R: Repository + ?Sized>(session: &WriteSession, id: Id<<R::Entity as SoftDelete>::Kind>) {
    if R::KEEPS_RECENT {
        session.forget_recent(RowKey::new(R::Entity::TABLE, id));
    }
}

/// Sets the columns of every resource in a new row, unless they are set already.
fn stamp<R: Repository + ?Sized>(session: &WriteSession, row: &mut R::Row) {
    let now = session.now();
    let id = session.new_id::<<R::Entity as SoftDelete>::Kind>();
    for (column, value) in [
        (R::Entity::ID, id.into()),
        (R::Entity::VERSION, 1_i64.into()),
        (R::Entity::CREATED_AT, now.into()),
        (R::Entity::UPDATED_AT, now.into()),
    ] {
        if row.get(column).is_not_set() {
            row.set(column, value);
        }
    }
}

/// The description of the table of a repository, for the list `RESOURCES` of its service.
#[must_use]
pub const fn resource<R: Scoped>() -> Resource {
    Resource {
        table: R::Entity::TABLE,
        referable: R::referable_by,
        active: Condition::all,
        references: R::REFERENCES,
        deletion_event: if R::EMITS_EVENTS { Some(deletion::<R>) } else { None },
        keeps_recent: R::KEEPS_RECENT,
    }
}

/// Emits the lifecycle event of a row, if the repository emits events. Code that changes many rows by its own query calls it for
/// each row.
///
/// # Errors
///
/// Errors of the session.
pub async fn emit<R, S>(
    session: &WriteSession,
    row: &<R::Entity as EntityTrait>::Model,
) -> Result<(), SessionError>
where
    R: Repository + ?Sized,
    S: LifecycleStep,
{
    if R::EMITS_EVENTS {
        session.emit(&lifecycle::<R, S>(|column| Some(row.get(column)))?).await?;
    }
    Ok(())
}

/// For [`Resource::deletion_event`](crate::resource::Resource::deletion_event): the event [`Deleted`](event::Deleted) of a row.
///
/// # Errors
///
/// The row is not of the repository's entity.
pub fn deletion<R: Repository>(row: &QueryResult) -> Result<PendingEvent, DbErr> {
    let row = <R::Entity as EntityTrait>::Model::from_query_result(row, "")?;
    pending(&lifecycle::<R, Deletion>(|column| Some(row.get(column)))?)
}

/// The event [`Created`](event::Created) of a row that has its id and version and is not inserted yet.
fn creation<R: Repository + ?Sized>(row: &R::Row) -> Result<PendingEvent, DbErr> {
    pending(&lifecycle::<R, Creation>(|column| row.get(column).into_value())?)
}

fn pending<K: IdKind, S: LifecycleStep>(event: &Lifecycle<K, S>) -> Result<PendingEvent, DbErr> {
    PendingEvent::of(event).map_err(|error| DbErr::Json(error.to_string()))
}

/// The lifecycle event of the row with these values, which is in the state after the step.
fn lifecycle<R, S>(
    value_of: impl Fn(<R::Entity as EntityTrait>::Column) -> Option<Value>,
) -> Result<Lifecycle<<R::Entity as SoftDelete>::Kind, S>, DbErr>
where
    R: Repository + ?Sized,
{
    let owner_id = R::OWNER_ID.and_then(&value_of).map(typed::<R::Entity, Option<UserId>>).transpose()?;
    let required = |column| value_of(column).ok_or_else(|| DbErr::AttrNotSet(format!("{column:?}")));
    let (id, version) = (required(R::Entity::ID)?, required(R::Entity::VERSION)?);
    let (id, version) = (typed::<R::Entity, _>(id)?, typed::<R::Entity, _>(version)?);
    Ok(Lifecycle::new(id, version, owner_id.flatten()))
}

fn typed<E: EntityTrait, T: ValueType>(value: Value) -> Result<T, DbErr> {
    let of_another_type =
        |_| DbErr::Type(format!("a column of {} is no {}", E::default().table_name(), T::type_name()));
    T::try_from(value).map_err(of_another_type)
}

/// The condition that `changes` would change the row; `None` if nothing is set.
fn differs<E: EntityTrait>(changes: &impl ActiveModelTrait<Entity = E>) -> Option<Condition> {
    // Both engines support it, and it compares nulls too (SQL:1999, feature T151).
    let is_another = BinOper::Custom("IS DISTINCT FROM");
    let set = E::Column::iter().filter_map(|column| match changes.get(column) {
        ActiveValue::Set(value) => {
            Some(Expr::col(column).binary(is_another, column.save_as(Expr::val(value))))
        }
        ActiveValue::Unchanged(_) | ActiveValue::NotSet => None,
    });
    set.fold(None, |any, differs| Some(any.unwrap_or_else(Condition::any).add(differs)))
}

/// An `UPDATE` of one living row that increments its version, if the precondition holds.
fn guarded<E: SoftDelete>(
    session: &WriteSession,
    id: Id<E::Kind>,
    precondition: &Precondition,
) -> UpdateMany<E> {
    E::update_many()
        .filter(E::ID.eq(id))
        .filter(E::DELETED_AT.is_null())
        .filter(precondition.holds_for::<E>(id))
        .col_expr(E::VERSION, Expr::col(E::VERSION).add(1))
        .col_expr(E::UPDATED_AT, Expr::val(session.now()))
}

/// Distinguishes a failed precondition from a missing row, after an `UPDATE` with a precondition changed no row.
async fn check_version<R: Repository + ?Sized>(
    session: &WriteSession,
    id: Id<<R::Entity as SoftDelete>::Kind>,
    precondition: &Precondition,
) -> Result<(), KernelError> {
    if *precondition != Precondition::None && R::find_unscoped(session, id).await?.is_some() {
        return Err(KernelError::Stale);
    }
    Ok(())
}
