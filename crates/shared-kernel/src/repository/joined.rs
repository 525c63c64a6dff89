//! A row of one table with a row of another one, by one statement.

use sea_orm::sea_query::SelectStatement;
use sea_orm::{
    ColumnTrait as _, Condition, DbErr, EntityTrait, IdenStatic as _, Iterable as _, QueryFilter as _,
    QueryResult, QueryTrait as _, SelectA, SelectB, Value, Values,
};

use super::{Keyed, SoftDelete};
use crate::from_columns::Place;
use crate::id::Id;
use crate::session::{ReadPrimary, SessionError};

/// A row, and the living row of `F` beside it.
pub(super) struct Joined<E: EntityTrait, F: EntityTrait> {
    pub(super) row: E::Model,
    pub(super) other: Option<F::Model>,
}

/// The row of `E` with that key, and the living row of `F` that has that id. `None` if there is no row of `E`.
pub(super) async fn find_with<E: Keyed, F: SoftDelete>(
    session: &ReadPrimary,
    key: Value,
    id: Id<F::Kind>,
) -> Result<Option<Joined<E, F>>, SessionError> {
    let values = Values(vec![id.into(), key.clone(), LIMIT.into()]);
    let rows = session.fetch_shape::<(E, F)>(values, || select::<E, F>(key, id)).await?;
    Ok(rows.first().map(read).transpose()?)
}

/// Both keys are unique.
const LIMIT: u64 = 1;

fn select<E: Keyed, F: SoftDelete>(key: Value, id: Id<F::Kind>) -> SelectStatement {
    let is_other = Condition::all().add(F::ID.eq(id)).add(F::DELETED_AT.is_null());
    let mut both = E::find().filter(E::ID.eq(key)).select_also(F::default()).into_query();
    both.left_join(F::TABLE, is_other).limit(LIMIT);
    both
}

fn read<E: Keyed, F: SoftDelete>(row: &QueryResult) -> Result<Joined<E, F>, DbErr> {
    let (first, second) = (SelectA.as_str(), SelectB.as_str());
    // Not by a failure to read it, which would hide a row that cannot be read.
    let is_there = row.try_get::<Option<Id<F::Kind>>>(second, F::ID.as_str())?.is_some();
    let other = || Place::find::<F>(row, second, E::Column::iter().count()).read(row);
    Ok(Joined { row: Place::find::<E>(row, first, 0).read(row)?, other: is_there.then(other).transpose()? })
}
