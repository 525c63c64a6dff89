//! Soft delete and versions, once for all domains.
//!
//! A resource's table has `id`, `version`, `updated_at` and `deleted_at`. A deleted row stays for its grace period and
//! is seen by no query that starts at [`Repository::live`]; every change counts the version up, which is the resource's
//! `ETag`.
//!
//! sea-orm's own `find` and `ActiveModel::update` know nothing of this, so repositories use neither.

use sea_orm::sea_query::{Expr, ExprTrait as _, LikeExpr};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, EntityName as _, EntityTrait, IntoActiveModel, ModelTrait,
    QueryFilter as _, Select, UpdateMany,
};

use crate::id::{Id, Prefixed};
use crate::page::{Order, Page, PageRequest};
use crate::reference;
use crate::session::{Reader, SessionError, WriteSession};
use crate::text;

/// An entity whose rows are deleted softly and versioned.
pub trait SoftDelete: EntityTrait {
    /// What its ids are ids of.
    type Kind: Prefixed;
    /// The primary key: an [`Id`].
    const ID: Self::Column;
    /// Counts the changes of the row, from 1.
    const VERSION: Self::Column;
    /// When the row was last changed.
    const UPDATED_AT: Self::Column;
    /// When the row was deleted; null while it lives.
    const DELETED_AT: Self::Column;
}

/// The rows of `E` that are not deleted.
#[must_use]
pub fn live<E: SoftDelete>() -> Select<E> {
    E::find().filter(E::DELETED_AT.is_null())
}

/// Rows in which one of the `columns` contains `text`, whatever its spelling. The columns hold the
/// [`comparable`](text::comparable) form of texts.
#[must_use]
pub fn contains<C: ColumnTrait>(columns: impl IntoIterator<Item = C>, text: &str) -> Condition {
    let pattern = text::contains_pattern(text);
    let like = |column: C| column.like(LikeExpr::new(pattern.as_str()).escape('\\'));
    columns.into_iter().fold(Condition::any(), |any, column| any.add(like(column)))
}

/// A resource whose row counts its changes: the number is its `ETag`.
pub trait Versioned {
    /// How often it was changed, from 1.
    fn version(&self) -> i64;
}

/// What the client believes of the row that it changes: the header `If-Match` (RFC 9110, section 13.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// No header: the last write wins.
    #[default]
    None,
    /// One of these versions is the current one. Empty when the header names nothing that we ever gave out, which never
    /// matches.
    Versions(Vec<i64>),
}

/// The queries that every repository has. A domain's own stand beside them as plain methods; all start at
/// [`live`](Self::live).
pub trait Repository {
    /// The entity whose rows it keeps.
    type Entity: SoftDelete<Model: ModelTrait<Entity = Self::Entity> + IntoActiveModel<Self::Row>>;
    /// Its active model.
    type Row: ActiveModelTrait<Entity = Self::Entity> + sea_orm::ActiveModelBehavior + Send;

    /// The rows that are not deleted.
    #[must_use]
    fn live() -> Select<Self::Entity> {
        live()
    }

    /// The living row of that id.
    fn find<R: Reader>(
        session: &R,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, SessionError>> + Send {
        session.one(Self::live().filter(Self::Entity::ID.eq(id)))
    }

    /// A page of `select`, which starts at [`live`](Self::live).
    fn page<R: Reader>(
        session: &R,
        select: Select<Self::Entity>,
        request: &PageRequest,
        order: Order<Self::Entity>,
    ) -> impl Future<Output = Result<Page<<Self::Entity as EntityTrait>::Model>, SessionError>> + Send {
        session.page(select, request, order)
    }

    /// Adds a row.
    fn insert(
        session: &WriteSession,
        row: Self::Row,
    ) -> impl Future<Output = Result<<Self::Entity as EntityTrait>::Model, SessionError>> + Send {
        async move { Ok(row.insert(session).await?) }
    }

    /// Writes what is set in `changes` into the living row of that id. `None`: there is none. If nothing is set, nothing is
    /// written: the row stays at its version.
    ///
    /// The precondition is part of the one `UPDATE`, so two clients that read the same version cannot both win;
    /// [`SessionError::Stale`] tells the second.
    fn update(
        session: &WriteSession,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
        changes: Self::Row,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, SessionError>> + Send {
        async move {
            let changed = if changes.is_changed() {
                let update = guarded::<Self::Entity>(session, id, precondition).set(changes);
                update.exec_with_returning(session).await?.pop()
            } else {
                let row = Self::live().filter(Self::Entity::ID.eq(id));
                let row = match precondition {
                    Precondition::None => row,
                    Precondition::Versions(versions) => {
                        row.filter(Self::Entity::VERSION.is_in(versions.iter().copied()))
                    }
                };
                session.one(row).await?
            };
            if changed.is_none() {
                refuse_stale::<Self>(session, id, precondition).await?;
            }
            Ok(changed)
        }
    }

    /// Deletes the living row of that id; its last state. `None`: there is none. What the living rows that refer to it
    /// said for this case happens to them in the same transaction (see [`crate::reference`]);
    /// [`SessionError::Referenced`] if one of them keeps it.
    fn soft_delete(
        session: &WriteSession,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
    ) -> impl Future<Output = Result<Option<<Self::Entity as EntityTrait>::Model>, SessionError>> + Send {
        session.as_one(async move {
            let update = guarded::<Self::Entity>(session, id, precondition)
                .col_expr(Self::Entity::DELETED_AT, Expr::val(session.now()));
            let deleted = update.exec_with_returning(session).await?.pop();
            if deleted.is_some() {
                reference::follow(session, Self::Entity::default().table_name(), &[id]).await?;
            } else {
                refuse_stale::<Self>(session, id, precondition).await?;
            }
            Ok(deleted)
        })
    }
}

/// An `UPDATE` of one living row that counts its version up, if the precondition holds.
fn guarded<E: SoftDelete>(
    session: &WriteSession,
    id: Id<E::Kind>,
    precondition: &Precondition,
) -> UpdateMany<E> {
    let update = E::update_many()
        .filter(E::ID.eq(id))
        .filter(E::DELETED_AT.is_null())
        .col_expr(E::VERSION, Expr::col(E::VERSION).add(1))
        .col_expr(E::UPDATED_AT, Expr::val(session.now()));
    match precondition {
        Precondition::None => update,
        Precondition::Versions(versions) => update.filter(E::VERSION.is_in(versions.iter().copied())),
    }
}

/// No row was changed although a precondition was given: tells a changed row from a missing one.
async fn refuse_stale<R: Repository + ?Sized>(
    session: &WriteSession,
    id: Id<<R::Entity as SoftDelete>::Kind>,
    precondition: &Precondition,
) -> Result<(), SessionError> {
    if *precondition != Precondition::None && R::find(session, id).await?.is_some() {
        return Err(SessionError::Stale);
    }
    Ok(())
}
