//! The queries of this domain. Single-use things are claimed by one guarded `UPDATE` each.

use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait as _, LockBehavior, LockType, OnConflict, Order, Query};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};
use shared_kernel::clock::Timestamp;
use shared_kernel::id::{SessionId, UserId};
use shared_kernel::session::{Reader, SessionError, WriteSession};

use crate::model::session::{EndReason, RefreshClaim};
use crate::model::{password, session, signing_key};

pub(crate) struct Passwords;

impl Passwords {
    pub(crate) async fn find(session: &impl Reader, user: UserId) -> Result<Option<String>, SessionError> {
        let row = session.one(password::Entity::find().filter(password::Column::UserId.eq(user))).await?;
        Ok(row.map(|row| row.hash))
    }

    /// Sets the password of a user, whether there is one or not.
    pub(crate) async fn set(session: &WriteSession, user: UserId, hash: String) -> Result<(), SessionError> {
        let row = password::ActiveModel {
            user_id: Set(user),
            hash: Set(hash),
            created_at: Set(session.now()),
            updated_at: Set(session.now()),
        };
        let replace = OnConflict::column(password::Column::UserId)
            .update_columns([password::Column::Hash, password::Column::UpdatedAt])
            .to_owned();
        password::Entity::insert(row).on_conflict(replace).exec_without_returning(session).await?;
        Ok(())
    }

    /// Whether the hash is still `hash`. If so, it is locked until the transaction ends.
    pub(crate) async fn is_still(
        session: &WriteSession,
        user: UserId,
        hash: &str,
    ) -> Result<bool, SessionError> {
        let select = password::Entity::find().filter(password::Column::UserId.eq(user)).lock_shared();
        Ok(session.one(select).await?.is_some_and(|row| row.hash == hash))
    }

    /// Replaces the hash `old` by another of the same password. `false` if it was changed in the meantime.
    pub(crate) async fn replace(
        session: &WriteSession,
        user: UserId,
        old: &str,
        new: String,
    ) -> Result<bool, SessionError> {
        let replaced = password::Entity::update_many()
            .set(password::ActiveModel {
                hash: Set(new),
                updated_at: Set(session.now()),
                ..Default::default()
            })
            .filter(password::Column::UserId.eq(user))
            .filter(password::Column::Hash.eq(old))
            .exec(session)
            .await?;
        Ok(replaced.rows_affected == 1)
    }
}

pub(crate) struct Sessions;

/// Number of sessions that one sign-in ends at most.
const DISPLACED_AT_ONCE: u64 = 1_000;

impl Sessions {
    pub(crate) async fn find(
        session: &impl Reader,
        id: SessionId,
    ) -> Result<Option<session::Model>, SessionError> {
        session.one(Self::select(id)).await
    }

    /// The session of that id, whether it has ended or not.
    pub(crate) fn select(id: SessionId) -> Select<session::Entity> {
        session::Entity::find().filter(session::Column::Id.eq(id))
    }

    /// The oldest session of the user.
    pub(crate) async fn first_of(
        session: &impl Reader,
        user: UserId,
    ) -> Result<Option<session::Model>, SessionError> {
        let oldest = session::Entity::find()
            .filter(session::Column::UserId.eq(user))
            .order_by_asc(session::Column::Id)
            .limit(1);
        session.one(oldest).await
    }

    pub(crate) async fn insert(
        session: &WriteSession,
        row: session::ActiveModel,
    ) -> Result<session::Model, SessionError> {
        Ok(row.insert(session).await?)
    }

    /// Moves a living session to the next generation, if it is at the claimed one. Of two concurrent calls, one succeeds.
    pub(crate) async fn rotate(
        session: &WriteSession,
        claim: RefreshClaim,
        expires_at: Timestamp,
    ) -> Result<Option<session::Model>, SessionError> {
        let rotated = session::Entity::update_many()
            .filter(session::Column::Id.eq(claim.session_id))
            .filter(session::Column::Generation.eq(i64::from(claim.generation)))
            .filter(session::Column::EndedAt.is_null())
            .filter(session::Column::ExpiresAt.gt(session.now()))
            .col_expr(session::Column::Generation, Expr::col(session::Column::Generation).add(1))
            .col_expr(session::Column::RotatedAt, Expr::val(session.now()))
            .col_expr(session::Column::ExpiresAt, Expr::val(expires_at))
            .exec_with_returning(session)
            .await?;
        Ok(rotated.into_iter().next())
    }

    /// Ends the session, unless it has already ended.
    pub(crate) async fn end(
        session: &WriteSession,
        id: SessionId,
        reason: EndReason,
    ) -> Result<bool, SessionError> {
        let ended = session::Entity::update_many()
            .set(session::ActiveModel {
                ended_at: Set(Some(session.now())),
                end_reason: Set(Some(reason)),
                ..Default::default()
            })
            .filter(session::Column::Id.eq(id))
            .filter(session::Column::EndedAt.is_null())
            .exec(session)
            .await?;
        Ok(ended.rows_affected == 1)
    }

    /// Ends the user's least recently used sessions, so that `keep` are left.
    pub(crate) async fn displace(
        session: &WriteSession,
        user: UserId,
        keep: u64,
    ) -> Result<(), SessionError> {
        let oldest = Query::select()
            .column(session::Column::Id)
            .from(session::Entity)
            .and_where(session::Column::UserId.eq(user))
            .and_where(session::Column::EndedAt.is_null())
            .order_by(session::Column::RotatedAt, Order::Desc)
            .order_by(session::Column::Id, Order::Desc)
            .offset(keep)
            // An earlier configuration may have allowed many more; the next sign-ins end the rest.
            .limit(DISPLACED_AT_ONCE)
            .to_owned();
        session::Entity::update_many()
            .set(session::ActiveModel {
                ended_at: Set(Some(session.now())),
                end_reason: Set(Some(EndReason::Displaced)),
                ..Default::default()
            })
            .filter(session::Column::Id.in_subquery(oldest))
            // Checked again under the row's lock: a session that another ended in the meantime keeps its reason.
            .filter(session::Column::EndedAt.is_null())
            .exec(session)
            .await?;
        Ok(())
    }

    /// Ends all living sessions of the user.
    pub(crate) async fn end_all(
        session: &WriteSession,
        user: UserId,
        reason: EndReason,
    ) -> Result<(), SessionError> {
        session::Entity::update_many()
            .set(session::ActiveModel {
                ended_at: Set(Some(session.now())),
                end_reason: Set(Some(reason)),
                ..Default::default()
            })
            .filter(session::Column::UserId.eq(user))
            .filter(session::Column::EndedAt.is_null())
            .filter(session::Column::ExpiresAt.gt(session.now()))
            .exec(session)
            .await?;
        Ok(())
    }

    /// Deletes at most `limit` sessions that ended or expired before `before`, and returns their number.
    pub(crate) async fn purge(
        session: &WriteSession,
        before: Timestamp,
        limit: u64,
    ) -> Result<u64, SessionError> {
        let over = Condition::any()
            .add(session::Column::EndedAt.lt(before))
            .add(session::Column::ExpiresAt.lt(before));
        let batch = Query::select()
            .column(session::Column::Id)
            .from(session::Entity)
            .cond_where(over)
            .limit(limit)
            // Two instances that purge at once skip each other's rows, rather than deadlock.
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
            .to_owned();
        let deleted = session::Entity::delete_many()
            .filter(session::Column::Id.in_subquery(batch))
            .exec(session)
            .await?;
        Ok(deleted.rows_affected)
    }
}

pub(crate) struct SigningKeys;

impl SigningKeys {
    /// The active key, and those that were retired after `since`.
    pub(crate) async fn usable(
        session: &impl Reader,
        since: Timestamp,
    ) -> Result<Vec<signing_key::Model>, SessionError> {
        let usable = Condition::any()
            .add(signing_key::Column::RetiredAt.is_null())
            .add(signing_key::Column::RetiredAt.gt(since));
        session.all(signing_key::Entity::find().filter(usable).order_by_desc(signing_key::Column::Id)).await
    }

    pub(crate) async fn insert(
        session: &WriteSession,
        row: signing_key::ActiveModel,
    ) -> Result<(), SessionError> {
        row.insert(session).await?;
        Ok(())
    }
}
