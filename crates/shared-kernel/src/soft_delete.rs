//! Rows that are deleted softly and versioned: what is known of every resource's table.

pub use kernel_derive::SoftDelete;
use sea_orm::{ColumnTrait as _, EntityTrait, QueryFilter as _, Select};

use crate::id::IdKind;

/// An entity whose rows are deleted softly and versioned. [Derived](derive@SoftDelete) on the model, whose fields have the names of
/// the columns.
pub trait SoftDelete: EntityTrait {
    /// What its ids are ids of.
    type Kind: IdKind;
    /// The name of the table.
    const TABLE: &'static str;
    /// The primary key: an [`Id`](crate::id::Id).
    const ID: Self::Column;
    /// Counts the changes of the row, from 1.
    const VERSION: Self::Column;
    /// When the row was made.
    const CREATED_AT: Self::Column;
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
