//! Rows that are read by the positions of their columns.
//!
//! sea-orm reads each column by its name, which costs more than everything else that is done with a row: a name is made, and looked up
//! twice. Here the names of the columns are compared once for each result. Where they are not those of the entity, in its order,
//! or where a column cannot be read, the rows are read by sea-orm, whose errors have the names.

use std::iter;

pub use kernel_derive::FromColumns;
use sea_orm::sqlx::{Column as _, Row as _};
use sea_orm::{DbErr, EntityTrait, FromQueryResult, IdenStatic as _, Iterable as _, QueryResult};

/// A model that can be read by the positions of its columns. [Derived](derive@FromColumns), also by
/// [`SoftDelete`](derive@crate::soft_delete::SoftDelete).
pub trait FromColumns: FromQueryResult {
    /// Reads the model from adjacent columns, which begin with the column of that position.
    ///
    /// # Errors
    ///
    /// A value cannot be read as the type of its field.
    fn from_columns(row: &QueryResult, first: usize) -> Result<Self, DbErr>;
}

/// Where the columns of an entity are in a result, and the prefix of their names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    prefix: &'static str,
    /// `None`: not adjacent and in the order of the entity.
    first: Option<usize>,
}

impl Place {
    /// Finds the columns of `E` in the result of which `row` is a row, if they begin at `first`.
    pub(crate) fn find<E: EntityTrait>(row: &QueryResult, prefix: &'static str, first: usize) -> Self {
        let is_there = |(position, column): (usize, E::Column)| {
            let name = name_at(row, first + position).and_then(|name| name.strip_prefix(prefix));
            name == Some(column.as_str())
        };
        let are_there = iter::zip(0.., E::Column::iter()).all(is_there);
        Self { prefix, first: are_there.then_some(first) }
    }

    /// The model in a row of that result.
    pub(crate) fn read<M: FromColumns>(self, row: &QueryResult) -> Result<M, DbErr> {
        let by_position = self.first.and_then(|first| M::from_columns(row, first).ok());
        by_position.map_or_else(|| M::from_query_result(row, self.prefix), Ok)
    }
}

/// The models in all rows of a result.
pub(crate) fn models<E: EntityTrait<Model: FromColumns>>(
    rows: &[QueryResult],
) -> Result<Vec<E::Model>, DbErr> {
    let Some(place) = rows.first().map(|row| Place::find::<E>(row, "", 0)) else { return Ok(Vec::new()) };
    rows.iter().map(|row| place.read(row)).collect()
}

fn name_at(row: &QueryResult, position: usize) -> Option<&str> {
    if let Some(row) = row.try_as_pg_row() {
        return Some(row.columns().get(position)?.name());
    }
    Some(row.try_as_sqlite_row()?.columns().get(position)?.name())
}
