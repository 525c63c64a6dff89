//! Soft delete and versions, once for all domains.
//!
//! A resource's table has `id`, `version`, `updated_at` and `deleted_at`. A deleted row stays for its grace period and
//! is seen by no query that starts at [`Repository::unscoped`]; every change counts the version up. Id and version together
//! are a [`Revision`], which is the resource's `ETag`.
//!
//! sea-orm's own `find` and `ActiveModel::update` know nothing of this, so repositories use neither.

use std::fmt;
use std::iter;
use std::str::FromStr;

pub use kernel_derive::{Representation, Shown};
use sea_orm::sea_query::{BinOper, Expr, ExprTrait as _, LikeExpr, LockType, ValueType};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, DbErr, EntityName as _, EntityTrait,
    FromQueryResult as _, IdenStatic as _, IntoActiveModel, Iterable as _, ModelTrait, QueryFilter as _,
    QueryResult, QuerySelect as _, Select, UpdateMany,
};

use crate::contact;
use crate::event::{self, Creation, Deletion, Lifecycle, LifecycleStep, PendingEvent};
use crate::id::{Id, IdKind, UserId};
use crate::kernel_error::KernelError;
use crate::page::{self, Order, Page, PageRequest};
use crate::principal::Principal;
use crate::reference::{self, ReferenceField};
use crate::resource::{Reference, Resource};
use crate::session::{Reader, SessionError, WriteSession};
pub use crate::soft_delete::{SoftDelete, live};
use crate::sort::Sort;
use crate::text;

/// Rows whose owner, in this column, is the user of `principal`: none where nobody is signed in, or it acts for no user.
#[must_use]
pub fn owned_by<'a>(principal: impl Into<Option<&'a Principal>>, owner: impl ColumnTrait) -> Expr {
    let user = principal.into().and_then(Principal::user);
    // Not `eq` of an `Option`: without a user that would be `IS NULL`, which rows that belong to nobody fulfil.
    user.map_or_else(|| Expr::val(false), |user| owner.eq(user))
}

/// Rows in which one of the `columns` contains `text`, whatever its spelling. The columns hold the
/// [`folded`](text::folded) form of texts, or addresses as they are [compared](crate::contact::Email::comparable): of those
/// `text` may be the domain in letters beyond ASCII.
#[must_use]
pub fn contains<C: ColumnTrait>(columns: impl IntoIterator<Item = C>, text: &str) -> Condition {
    let spellings = iter::once(text.to_owned()).chain(contact::in_ascii_labels(text));
    let patterns: Vec<String> = spellings.map(|text| text::contains_pattern(&text)).collect();
    let like = |column: C, pattern: &String| column.like(LikeExpr::new(pattern.as_str()).escape('\\'));
    columns.into_iter().fold(Condition::any(), |any, column| {
        patterns.iter().fold(any, |any, pattern| any.add(like(column, pattern)))
    })
}

/// One state of one resource: which it is, and how often it was changed, from 1. Ids are never used twice, so no two states
/// that ever were have the same revision, not even where all data was deleted in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    id: String,
    version: i64,
}

impl Revision {
    /// The state of the resource of that id after so many changes.
    #[must_use]
    pub fn new<K: IdKind>(id: Id<K>, version: i64) -> Self {
        Self { id: id.to_string(), version }
    }

    /// How often the resource was changed, from 1.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }
}

/// The id and the version, with a full stop between them: neither has one.
impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.id, self.version)
    }
}

/// Not the text of a [`Revision`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id and the version of a resource")]
pub struct NotARevision;

impl FromStr for Revision {
    type Err = NotARevision;

    fn from_str(text: &str) -> Result<Self, NotARevision> {
        let (id, version) = text.split_once('.').ok_or(NotARevision)?;
        let revision = Self { id: id.to_owned(), version: version.parse().map_err(|_| NotARevision)? };
        // What is read is what was written: `+3` and `03` are no versions.
        if revision.to_string() == text { Ok(revision) } else { Err(NotARevision) }
    }
}

/// What the API shows of one resource. [Derived](derive@Representation) where there is a field `version` beside the `id`. Nothing is answered with an `ETag` that does not say here which resource it is, so
/// the tag of one can't be taken for another's.
pub trait Representation {
    /// Whether it holds URLs that open something to whoever has them. No cache may keep such a body, and it is always sent
    /// anew, because the URLs in it expire.
    const HOLDS_SIGNED_URLS: bool;

    /// The state that it shows.
    fn revision(&self) -> Revision;
}

/// What the client believes of the row that it changes: the header `If-Match` (RFC 9110, section 13.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// No header: the last write wins.
    #[default]
    None,
    /// The row is in one of these states. Empty when the header names nothing that we ever gave out, which never holds.
    OneOf(Vec<Revision>),
}

impl Precondition {
    /// The versions that the row of that id may have; `None`: any. A state of another resource is none of this one's.
    fn versions<K: IdKind>(&self, id: Id<K>) -> Option<Vec<i64>> {
        let Self::OneOf(revisions) = self else { return None };
        let id = id.to_string();
        let of_this = revisions.iter().filter(|revision| revision.id == id);
        Some(of_this.map(|revision| revision.version).collect())
    }

    /// The rows of `E` that are in one of its states.
    fn holds_for<E: SoftDelete>(&self, id: Id<E::Kind>) -> Condition {
        Condition::all().add_option(self.versions(id).map(|versions| E::VERSION.is_in(versions)))
    }
}

/// The queries that every repository has. A domain's own stand beside them as plain methods; all start at
/// [`unscoped`](Self::unscoped) or, where a principal asks, at [`Scoped::visible`].
pub trait Repository {
    /// The entity whose rows it keeps.
    type Entity: SoftDelete<Model: ModelTrait<Entity = Self::Entity> + IntoActiveModel<Self::Row> + Sync>;
    /// Its active model.
    type Row: ActiveModelTrait<Entity = Self::Entity> + sea_orm::ActiveModelBehavior + Send;

    /// Whether each [`insert`](Self::insert), [`update`](Self::update) and [`soft_delete`](Self::soft_delete) emits its event:
    /// [`Created`](event::Created), [`Updated`](event::Updated), [`Deleted`](event::Deleted).
    const EMITS_EVENTS: bool = false;

    /// The column of the user whose row it is, a [`UserId`], for the events. `None` where rows have no owner.
    const OWNER_ID: Option<<Self::Entity as EntityTrait>::Column> = None;

    /// The columns that refer to other rows, for [`Resource::references`] and for the checks of [`Scoped`]. In requests they have the
    /// same names.
    const REFERENCES: &'static [Reference] = &[];

    /// Whether rows may refer to each other in a circle, where they refer to rows of their own table.
    const ALLOWS_CIRCLES: bool = false;

    /// The orders of a list besides those by time of creation.
    const ORDERS: &'static [Order<Self::Entity>] = &[];

    /// The order of that name; the newest first when nothing is said.
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

    /// The rows that are not deleted, whoever asks.
    #[must_use]
    fn unscoped() -> Select<Self::Entity> {
        live()
    }

    /// The living row of that id, whoever asks.
    fn find_unscoped<R: Reader>(
        session: &R,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, SessionError>> + Send {
        session.one(Self::unscoped().filter(Self::Entity::ID.eq(id)))
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

    /// Adds a row. Its id, its version and its times are set here, as far as `row` leaves them open.
    fn insert(
        session: &WriteSession,
        mut row: Self::Row,
    ) -> impl Future<Output = Result<<Self::Entity as EntityTrait>::Model, SessionError>> + Send {
        async move {
            stamp::<Self>(session, &mut row);
            let row = row.insert(session).await?;
            emit::<Self, Creation>(session, &row).await?;
            Ok(row)
        }
    }

    /// Writes what is set in `changes` into the living row of that id; the row as it is then. `None`: there is none. A row in
    /// which all of it is so already, or of which nothing is set, is left alone: it stays at its version, and there is no event.
    ///
    /// The precondition is part of the one `UPDATE`, so two clients that read the same version cannot both win;
    /// [`KernelError::Stale`] tells the second. So is whether anything would be another than it is, which costs no query where
    /// something is; the engine has to be able to compare the columns (PostgreSQL can't with `json`, but with `jsonb`).
    fn update(
        session: &WriteSession,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
        changes: Self::Row,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send {
        async move {
            if let Some(differs) = differs::<Self::Entity>(&changes) {
                let update = guarded::<Self::Entity>(session, id, precondition).filter(differs).set(changes);
                if let Some(row) = update.exec_with_returning(session).await?.pop() {
                    emit::<Self, event::Update>(session, &row).await?;
                    return Ok(Some(row));
                }
            }
            let holds = precondition.holds_for::<Self::Entity>(id);
            let row = session.one(Self::unscoped().filter(Self::Entity::ID.eq(id)).filter(holds)).await?;
            if row.is_none() {
                refuse_stale::<Self>(session, id, precondition).await?;
            }
            Ok(row)
        }
    }

    /// Deletes the living row of that id; its last state. `None`: there is none. What the living rows that refer to it
    /// said for this case happens to them in the same transaction (see [`crate::reference`]);
    /// [`KernelError::Referenced`] if one of them keeps it.
    fn soft_delete(
        session: &WriteSession,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send {
        session.atomically(async move {
            let update = guarded::<Self::Entity>(session, id, precondition)
                .col_expr(Self::Entity::DELETED_AT, Expr::val(session.now()));
            let deleted = update.exec_with_returning(session).await?.pop();
            if let Some(row) = &deleted {
                reference::apply_on_delete(session, Self::Entity::default().table_name(), &[id]).await?;
                emit::<Self, Deletion>(session, row).await?;
            } else {
                refuse_stale::<Self>(session, id, precondition).await?;
            }
            Ok(deleted)
        })
    }
}

/// Which rows a principal may see, change and refer to: the one rule that lists, reads, changes, deletions and references of other
/// domains take their scope from.
///
/// The conditions are on the columns of the repository's own table. They may say anything that a condition can: that a row is the
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
    /// The rows that `principal` may see; `None`: that everyone may see, signed in or not.
    fn visible_to(principal: Option<&Principal>) -> Condition;

    /// The rows that `principal` may change and delete, of those that it sees: all of them, if nothing else is said.
    #[must_use]
    fn changeable_by(_principal: &Principal) -> Condition {
        Condition::all()
    }

    /// The rows that rows of other domains may refer to, when `principal` writes these: what it sees, if nothing else is said. For
    /// [`Resource::referable`](crate::resource::Resource::referable).
    #[must_use]
    fn referable_by(principal: &Principal) -> Condition {
        Self::visible_to(Some(principal))
    }

    /// The living rows that `principal` may see, for queries of one's own.
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

    /// The living row of that id for a change: nobody else changes it until the session ends, so that what is decided by its state
    /// still holds when it is written. `None`: there is none that `principal` may see.
    ///
    /// # Errors
    ///
    /// [`KernelError::NotOwner`] where `principal` may see it and not change it.
    fn find_for_change(
        session: &WriteSession,
        principal: &Principal,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, KernelError>> + Send {
        let visible = Self::visible(principal).filter(Self::Entity::ID.eq(id));
        // As an `UPDATE` locks it: foreign keys are still checked, and `check_references` waits.
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

    /// Adds a row that `principal` writes: all that it refers to is there, and `principal` may refer to it.
    ///
    /// # Errors
    ///
    /// [`KernelError::Invalid`] with the code `reference`, and the session's.
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
            Ok(Self::insert(session, row).await?)
        }
    }

    /// [Changes](Repository::update) the living row of that id, if `principal` may. `None`: there is none that `principal` may see.
    ///
    /// # Errors
    ///
    /// [`KernelError::NotOwner`], [`KernelError::Stale`]; [`KernelError::Invalid`] with the code `reference` or
    /// `circular_reference`; the session's.
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

    /// The same where some of the changes follow from the row as it is: `complete` writes them into those that are known.
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
            // Before its own row, in the order in which a deletion of what it refers to locks the two.
            check_pointed::<Self>(session, principal, &changes).await?;
            let Some(row) = Self::find_for_change(session, principal, id).await? else { return Ok(None) };
            check_circles::<Self>(session, id, &changes).await?;
            complete(row, &mut changes)?;
            Self::update(session, id, precondition, changes).await
        }
    }

    /// [Deletes](Repository::soft_delete) the living row of that id, if `principal` may. `None`: there is none that `principal` may
    /// see.
    ///
    /// # Errors
    ///
    /// [`KernelError::NotOwner`], [`KernelError::Stale`], [`KernelError::Referenced`], and the session's.
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

/// What the columns of `row` point at that refer to other rows and are set. Not the owner: that is whoever asks.
fn pointed<R: Repository + ?Sized>(row: &R::Row) -> Result<Vec<(&'static Reference, Option<String>)>, DbErr> {
    let mut found = Vec::new();
    for reference in R::REFERENCES {
        let named =
            <R::Entity as EntityTrait>::Column::iter().find(|column| column.as_str() == reference.column);
        let unknown = || DbErr::Type(format!("{} has no column {}", R::Entity::TABLE, reference.column));
        let column = named.ok_or_else(unknown)?;
        if R::OWNER_ID.is_some_and(|owner| owner.as_str() == column.as_str()) {
            continue;
        }
        if let ActiveValue::Set(value) = row.get(column) {
            let id = <Option<String> as ValueType>::try_from(value).map_err(|_| unknown())?;
            found.push((reference, id));
        }
    }
    Ok(found)
}

async fn check_pointed<R: Repository + ?Sized>(
    session: &WriteSession,
    principal: &Principal,
    row: &R::Row,
) -> Result<(), KernelError> {
    let pointed = pointed::<R>(row)?.into_iter();
    let fields: Vec<ReferenceField> = pointed.map(|(to, id)| reference::field_of(to, id)).collect();
    reference::check_references(session, principal, &fields).await
}

async fn check_circles<R: Repository + ?Sized>(
    session: &WriteSession,
    id: Id<<R::Entity as SoftDelete>::Kind>,
    row: &R::Row,
) -> Result<(), KernelError> {
    if R::ALLOWS_CIRCLES {
        return Ok(());
    }
    for (to, target) in pointed::<R>(row)? {
        if let Some(target) = target.filter(|_| to.to == R::Entity::TABLE) {
            reference::check_no_circle(session, to, &id.to_string(), &target).await?;
        }
    }
    Ok(())
}

/// Sets what every new row has, where nothing else is set.
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

/// What other domains may know of the table of a repository, for the list `RESOURCES` of its service.
#[must_use]
pub const fn resource<R: Scoped>() -> Resource {
    Resource {
        table: R::Entity::TABLE,
        referable: R::referable_by,
        active: Condition::all,
        references: R::REFERENCES,
        deletion_event: if R::EMITS_EVENTS { Some(deletion::<R>) } else { None },
    }
}

/// Emits the event of that step, if the repository emits events. Changes of many rows by a query of one's own call it for each.
///
/// # Errors
///
/// The session's.
pub async fn emit<R, S>(
    session: &WriteSession,
    row: &<R::Entity as EntityTrait>::Model,
) -> Result<(), SessionError>
where
    R: Repository + ?Sized,
    S: LifecycleStep,
{
    if R::EMITS_EVENTS {
        session.emit(&lifecycle::<R, S>(row)?).await?;
    }
    Ok(())
}

/// For [`Resource::deletion_event`](crate::resource::Resource::deletion_event): the event [`Deleted`](event::Deleted) of a row.
///
/// # Errors
///
/// The row is not one of the repository's entity.
pub fn deletion<R: Repository>(row: &QueryResult) -> Result<PendingEvent, DbErr> {
    let row = <R::Entity as EntityTrait>::Model::from_query_result(row, "")?;
    let event = lifecycle::<R, Deletion>(&row)?;
    PendingEvent::of(&event).map_err(|error| DbErr::Json(error.to_string()))
}

/// The event of a step in the life of `row`, as the row is after it.
fn lifecycle<R, S>(
    row: &<R::Entity as EntityTrait>::Model,
) -> Result<Lifecycle<<R::Entity as SoftDelete>::Kind, S>, DbErr>
where
    R: Repository + ?Sized,
{
    let owner_id = R::OWNER_ID.map(|column| value::<R::Entity, Option<UserId>>(row, column)).transpose()?;
    let (id, version) =
        (value::<R::Entity, _>(row, R::Entity::ID)?, value::<R::Entity, _>(row, R::Entity::VERSION)?);
    Ok(Lifecycle::new(id, version, owner_id.flatten()))
}

fn value<E, T>(row: &E::Model, column: E::Column) -> Result<T, DbErr>
where
    E: EntityTrait<Model: ModelTrait<Entity = E>>,
    T: ValueType,
{
    let of_another_type =
        |_| DbErr::Type(format!("a column of {} is no {}", E::default().table_name(), T::type_name()));
    T::try_from(row.get(column)).map_err(of_another_type)
}

/// Whether a row would be another with what is set in `changes`; `None`: nothing is set.
fn differs<E: EntityTrait>(changes: &impl ActiveModelTrait<Entity = E>) -> Option<Condition> {
    // Both engines know it, and it compares nulls too (SQL:1999, feature T151).
    let is_another = BinOper::Custom("IS DISTINCT FROM");
    let set = E::Column::iter().filter_map(|column| match changes.get(column) {
        ActiveValue::Set(value) => {
            Some(Expr::col(column).binary(is_another, column.save_as(Expr::val(value))))
        }
        ActiveValue::Unchanged(_) | ActiveValue::NotSet => None,
    });
    set.fold(None, |any, differs| Some(any.unwrap_or_else(Condition::any).add(differs)))
}

/// An `UPDATE` of one living row that counts its version up, if the precondition holds.
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

/// No row was changed although a precondition was given: tells a changed row from a missing one.
async fn refuse_stale<R: Repository + ?Sized>(
    session: &WriteSession,
    id: Id<<R::Entity as SoftDelete>::Kind>,
    precondition: &Precondition,
) -> Result<(), KernelError> {
    if *precondition != Precondition::None && R::find_unscoped(session, id).await?.is_some() {
        return Err(KernelError::Stale);
    }
    Ok(())
}
