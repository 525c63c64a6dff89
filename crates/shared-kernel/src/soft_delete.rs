//! Soft-deleted and versioned rows: the columns that the table of every resource has.

pub use kernel_derive::SoftDelete;
use sea_orm::{ColumnTrait as _, EntityTrait, QueryFilter as _, Select};

use crate::from_columns::FromColumns;
use crate::id::IdKind;

/// An entity whose primary key is an [`Id`](crate::id::Id): its rows can be listed in [pages](crate::page).
pub trait Keyed: EntityTrait<Model: FromColumns> {
    /// The primary key.
    const ID: Self::Column;
}

/// An entity with soft-deleted and versioned rows. [Derived](derive@SoftDelete) on the model, whose fields have the names of
/// the columns.
pub trait SoftDelete: Keyed {
    /// The kind of its ids.
    type Kind: IdKind;
    /// The name of the table.
    const TABLE: &'static str;
    /// Version of the row: 1 at first, incremented by each change.
    const VERSION: Self::Column;
    /// Time of creation.
    const CREATED_AT: Self::Column;
    /// Time of the last change.
    const UPDATED_AT: Self::Column;
    /// Time of deletion; null in living rows.
    const DELETED_AT: Self::Column;
}

/// The rows of `E` that are not deleted.
#[must_use]
pub fn live<E: SoftDelete>() -> Select<E> {
    E::find().filter(E::DELETED_AT.is_null())
}
