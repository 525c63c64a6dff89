//! Soft delete and versions, once for all domains.
//!
//! A resource's table has `id`, `version`, `updated_at` and `deleted_at`. A deleted row stays for its grace period and
//! is seen by no query that starts at [`Repository::live`]; every change counts the version up. Id and version together
//! are a [`Revision`], which is the resource's `ETag`.
//!
//! sea-orm's own `find` and `ActiveModel::update` know nothing of this, so repositories use neither.

use std::fmt;
use std::iter;
use std::str::FromStr;

pub use kernel_derive::SoftDelete;
use sea_orm::sea_query::{BinOper, Expr, ExprTrait as _, LikeExpr};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, EntityName as _, EntityTrait, IntoActiveModel,
    Iterable as _, ModelTrait, QueryFilter as _, Select, UpdateMany,
};

use crate::contact;
use crate::id::{Id, Prefixed};
use crate::page::{Order, Page, PageRequest};
use crate::reference;
use crate::session::{Reader, SessionError, WriteSession};
use crate::text;

/// An entity whose rows are deleted softly and versioned. [Derived](derive@SoftDelete) on the model, whose fields have the names of
/// the columns.
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
    pub fn new<K: Prefixed>(id: Id<K>, version: i64) -> Self {
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

/// What the API shows of one resource. Nothing is answered with an `ETag` that does not say here which resource it is, so
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
    fn versions<K: Prefixed>(&self, id: Id<K>) -> Option<Vec<i64>> {
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

/// What [`Repository::update`] did, with the row as it is now.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update<M> {
    /// Something is another than it was: the row has a new version, and whoever wants to know of changes is to be told.
    Changed(M),
    /// All that was to be set was so already: there is no new version and nothing to tell.
    Unchanged(M),
}

impl<M> Update<M> {
    /// The row, if it was changed: what an event tells of.
    pub fn changed(&self) -> Option<&M> {
        match self {
            Self::Changed(row) => Some(row),
            Self::Unchanged(_) => None,
        }
    }

    /// The row, changed or not.
    pub fn into_row(self) -> M {
        match self {
            Self::Changed(row) | Self::Unchanged(row) => row,
        }
    }
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

    /// Writes what is set in `changes` into the living row of that id. `None`: there is none. A row in which all of it is so
    /// already, or of which nothing is set, is left alone: it stays at its version.
    ///
    /// The precondition is part of the one `UPDATE`, so two clients that read the same version cannot both win;
    /// [`SessionError::Stale`] tells the second. So is whether anything would be another than it is, which costs no query where
    /// something is; the engine has to be able to compare the columns (PostgreSQL can't with `json`, but with `jsonb`).
    fn update(
        session: &WriteSession,
        id: Id<<Self::Entity as SoftDelete>::Kind>,
        precondition: &Precondition,
        changes: Self::Row,
    ) -> impl Future<Output = Result<Option<Update<<Self::Entity as EntityTrait>::Model>>, SessionError>> + Send
    {
        async move {
            if let Some(differs) = differs::<Self::Entity>(&changes) {
                let update = guarded::<Self::Entity>(session, id, precondition).filter(differs).set(changes);
                if let Some(row) = update.exec_with_returning(session).await?.pop() {
                    return Ok(Some(Update::Changed(row)));
                }
            }
            let holds = precondition.holds_for::<Self::Entity>(id);
            let row = session.one(Self::live().filter(Self::Entity::ID.eq(id)).filter(holds)).await?;
            if row.is_none() {
                refuse_stale::<Self>(session, id, precondition).await?;
            }
            Ok(row.map(Update::Unchanged))
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
) -> Result<(), SessionError> {
    if *precondition != Precondition::None && R::find(session, id).await?.is_some() {
        return Err(SessionError::Stale);
    }
    Ok(())
}
