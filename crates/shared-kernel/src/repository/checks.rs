//! What is checked of the references of a row before it is written.

use sea_orm::sea_query::ValueType;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue, DbErr, EntityTrait, IdenStatic as _, Iterable as _, ModelTrait as _,
    Value,
};

use super::{Keyed as _, Repository, SoftDelete};
use crate::error::Invalid;
use crate::id::Id;
use crate::kernel_error::KernelError;
use crate::principal::Principal;
use crate::reference::{self, ReferenceField};
use crate::resource::{Reference, Within};
use crate::session::WriteSession;

/// The references to other rows that are set in `row`, without the owner, who is the principal.
fn pointed<R: Repository + ?Sized>(row: &R::Row) -> Result<Vec<(&'static Reference, Option<String>)>, DbErr> {
    let mut found = Vec::new();
    for reference in R::REFERENCES {
        let column = column::<R>(reference.column)?;
        if R::OWNER_ID.is_some_and(|owner| owner.as_str() == column.as_str()) {
            continue;
        }
        if let ActiveValue::Set(value) = row.get(column) {
            found.push((reference, id_in::<R>(column, value)?));
        }
    }
    Ok(found)
}

type Columns<R> = <<R as Repository>::Entity as EntityTrait>::Column;

fn column<R: Repository + ?Sized>(name: &str) -> Result<Columns<R>, DbErr> {
    let named = Columns::<R>::iter().find(|column| column.as_str() == name);
    named.ok_or_else(|| DbErr::Type(format!("{} has no column {name}", R::Entity::TABLE)))
}

/// The id in a column of a reference.
fn id_in<R: Repository + ?Sized>(column: Columns<R>, value: Value) -> Result<Option<String>, DbErr> {
    let text = <Option<String> as ValueType>::try_from(value);
    text.map_err(|_| DbErr::Type(format!("{}.{} holds no ids", R::Entity::TABLE, column.as_str())))
}

pub(super) async fn check_pointed<R: Repository + ?Sized>(
    session: &WriteSession,
    principal: &Principal,
    row: &R::Row,
) -> Result<(), KernelError> {
    let pointed = pointed::<R>(row)?.into_iter();
    let fields: Vec<ReferenceField> = pointed.map(|(to, id)| reference::field_of(to, id)).collect();
    reference::check_references(session, principal, &fields).await
}

pub(super) async fn check_circles<R: Repository + ?Sized>(
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

/// The code of a reference to a row that belongs elsewhere.
const INCONSISTENT: &str = "inconsistent_reference";

/// Refuses a row that would not agree with the row that it refers to, or with those that refer to it.
pub(super) async fn check_within<R: Repository + ?Sized>(
    session: &WriteSession,
    current: Option<&<R::Entity as EntityTrait>::Model>,
    changes: &R::Row,
) -> Result<(), KernelError> {
    for within in R::WITHIN {
        let (pointing, shared) = (column::<R>(within.reference)?, column::<R>(within.column)?);
        let points_anew = changes.get(pointing).is_set();
        if !points_anew && !changes.get(shared).is_set() {
            continue;
        }
        let id_after = |column| match (changes.get(column), current) {
            (ActiveValue::Set(value) | ActiveValue::Unchanged(value), _) => id_in::<R>(column, value),
            (ActiveValue::NotSet, Some(row)) => id_in::<R>(column, row.get(column)),
            (ActiveValue::NotSet, None) => Ok(None),
        };
        let (target, own) = (id_after(pointing)?, id_after(shared)?);
        let table = R::Entity::TABLE;
        if let Some(target) = target
            && !reference::agrees(session, (table, within.column), &target, own.as_deref()).await?
        {
            return Err(disagrees(within, points_anew));
        }
        if let Some(row) = current
            && id_in::<R>(shared, row.get(shared))? != own
            && let Some(id) = id_in::<R>(R::Entity::ID, row.get(R::Entity::ID))?
            && reference::is_referred_to(session, (table, within.reference), &id).await?
        {
            let message =
                format!("can't change, because other rows refer to this one by `{}`", within.reference);
            return Err(Invalid::field(format!("/{}", within.column), INCONSISTENT, message).into());
        }
    }
    Ok(())
}

/// The error at the field that the request sets.
fn disagrees(within: &Within, points_anew: bool) -> KernelError {
    let (at, other, rule) = if points_anew {
        (within.reference, within.column, "must be the id of a row with the same")
    } else {
        (within.column, within.reference, "must be that of the row in")
    };
    Invalid::field(format!("/{at}"), INCONSISTENT, format!("{rule} `{other}`")).into()
}
