//! A row of one table with a row of another one, by one statement.

use sea_orm::{
    ColumnTrait as _, Condition, DbErr, EntityTrait, FromQueryResult, IdenStatic as _, QueryResult,
    QueryTrait as _, Select, SelectA, SelectB,
};

use super::SoftDelete;
use crate::id::Id;
use crate::session::{Reader, SessionError};

/// A row, and the living row of `F` beside it.
pub(super) struct Joined<E: EntityTrait, F: EntityTrait> {
    pub(super) row: E::Model,
    pub(super) other: Option<F::Model>,
}

/// The first row of `select` with the living row of `F` that has that id. `None` if `select` finds none.
pub(super) async fn find_with<E: EntityTrait, F: SoftDelete>(
    session: &impl Reader,
    select: Select<E>,
    id: Id<F::Kind>,
) -> Result<Option<Joined<E, F>>, SessionError> {
    let is_other = Condition::all().add(F::ID.eq(id)).add(F::DELETED_AT.is_null());
    let mut both = select.select_also(F::default()).into_query();
    both.left_join(F::TABLE, is_other).limit(1);
    Ok(session.rows(&both).await?.pop())
}

impl<E: EntityTrait, F: SoftDelete> FromQueryResult for Joined<E, F> {
    fn from_query_result(row: &QueryResult, _: &str) -> Result<Self, DbErr> {
        let (first, second) = (SelectA.as_str(), SelectB.as_str());
        // Not by a failure to read it, which would hide a row that cannot be read.
        let is_there = row.try_get::<Option<Id<F::Kind>>>(second, F::ID.as_str())?.is_some();
        Ok(Self {
            row: E::Model::from_query_result(row, first)?,
            other: is_there.then(|| F::Model::from_query_result(row, second)).transpose()?,
        })
    }
}
