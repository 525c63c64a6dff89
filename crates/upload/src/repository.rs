//! The queries on `uploads`.

use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Func, SelectStatement};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait as _, DbBackend, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, QueryTrait as _,
};
use shared_kernel::clock::Timestamp;
use shared_kernel::event::Deletion;
use shared_kernel::id::UserId;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::page::{Order, Page, PageRequest};
use shared_kernel::principal::Principal;
use shared_kernel::repository::{self, Repository, Scoped, owned_by};
use shared_kernel::session::{Reader, SessionError, WriteSession};

use crate::content::Found;
use crate::dto::{UploadFilter, UploadId, UploadStatus, UploadVisibility};
use crate::media;
use crate::model::{ActiveModel, Column, Entity, Model};

pub(crate) struct Uploads;

impl Repository for Uploads {
    type Entity = Entity;
    type Row = ActiveModel;
    const EMITS_EVENTS: bool = true;
    const OWNER_ID: Option<Column> = Some(Column::OwnerId);
}

/// Space that an owner's uploads use, including deleted ones that are not purged yet: every row may have an object, and the URL of a
/// deleted upload still accepts one.
#[derive(Clone, Copy, Debug, Default, FromQueryResult)]
pub(crate) struct Used {
    pub(crate) bytes: i64,
    /// Number of those that were never completed.
    pub(crate) pending: i64,
}

/// Properties of a verified object.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    pub(crate) checksum_sha256: Option<String>,
    pub(crate) found: Found,
}

/// Times before which something must have happened for an upload to be purged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutoff {
    /// The URL expired.
    pub(crate) expired: Timestamp,
    /// It was deleted.
    pub(crate) deleted: Timestamp,
}

/// Uploads of a declared type by any of its names, including rows from before there was a canonical name.
fn is_of_type(declared: &str) -> Condition {
    let name = media::canonical(declared);
    let names: Vec<&str> = name.iter().flat_map(|name| media::names(name)).collect();
    Condition::all().add(Column::ContentType.is_in(names))
}

impl Scoped for Uploads {
    /// The principal's own uploads. Public ones of others are found by [`Uploads::find_readable`], which depends on the owners' accounts.
    fn visible_to(principal: Option<&Principal>) -> Condition {
        Condition::all().add(owned_by(principal, Column::OwnerId))
    }

    /// The principal's own completed uploads.
    fn referable_by(principal: &Principal) -> Condition {
        Self::visible_to(Some(principal)).add(Column::Status.eq(UploadStatus::Completed))
    }
}

impl Uploads {
    pub(crate) async fn list(
        session: &impl Reader,
        principal: &Principal,
        filter: &UploadFilter,
        request: &PageRequest,
    ) -> Result<Page<Model>, KernelError> {
        let conditions = Condition::all()
            .add_option(filter.status.map(|status| Column::Status.eq(status)))
            .add_option(filter.content_type.as_deref().map(is_of_type));
        Self::page(session, Self::visible(principal).filter(conditions), request, Order::newest_first()).await
    }

    /// Space that the owner's uploads use. Nobody adds one until the transaction ends, or two concurrent requests could count on the same
    /// free space.
    pub(crate) async fn lock_used_space(session: &WriteSession, owner: UserId) -> Result<Used, SessionError> {
        // SQLite has one writer; there the transaction itself is the lock.
        if session.get_database_backend() == DbBackend::Postgres {
            let name =
                Func::cust(Alias::new("hashtextextended")).arg(format!("uploads of {owner}")).arg(0_i64);
            let lock = Func::cust(Alias::new("pg_advisory_xact_lock")).arg(name);
            session.execute(&SelectStatement::new().expr(lock).to_owned()).await?;
        }
        // A sum of BIGINT is NUMERIC in PostgreSQL.
        let total = |sum| Expr::expr(Func::coalesce([sum, Expr::val(0)])).cast_as("bigint");
        let pending = Expr::expr(Expr::case(Column::Status.eq(UploadStatus::Pending), 1).finally(0)).sum();
        let used = Entity::find()
            .filter(Column::OwnerId.eq(owner))
            .select_only()
            .expr_as(total(Column::Size.sum()), "bytes")
            .expr_as(total(pending), "pending")
            .into_query();
        Ok(session.rows::<Used>(&used).await?.pop().unwrap_or_default())
    }

    /// Completes a pending upload. `None` if it is no longer pending.
    pub(crate) async fn complete(
        session: &WriteSession,
        id: UploadId,
        findings: Findings,
    ) -> Result<Option<Model>, SessionError> {
        let Found { dimensions, charset } = findings.found;
        let update = Entity::update_many()
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .col_expr(Column::UpdatedAt, Expr::val(session.now()))
            .col_expr(Column::Status, Column::Status.save_as(Expr::val(UploadStatus::Completed)))
            .col_expr(Column::CompletedAt, Expr::val(session.now()))
            .col_expr(Column::ChecksumSha256, Expr::val(findings.checksum_sha256))
            .col_expr(Column::Charset, Expr::val(charset))
            .col_expr(Column::Width, Expr::val(dimensions.map(|dimensions| dimensions.width)))
            .col_expr(Column::Height, Expr::val(dimensions.map(|dimensions| dimensions.height)))
            .filter(Column::Id.eq(id))
            .filter(Column::DeletedAt.is_null())
            .filter(Column::Status.eq(UploadStatus::Pending));
        Ok(update.exec_with_returning(session).await?.pop())
    }

    /// Deletes a batch of pending uploads whose URL expired long ago, and returns their last states.
    pub(crate) async fn expire_pending(
        session: &WriteSession,
        cutoff: Cutoff,
        limit: u64,
    ) -> Result<Vec<Model>, SessionError> {
        let pending = Column::Status.eq(UploadStatus::Pending);
        let stale = Self::unscoped()
            .filter(pending.clone())
            .filter(Column::ExpiresAt.lte(cutoff.expired))
            .order_by_asc(Column::ExpiresAt)
            .limit(limit);
        let ids: Vec<UploadId> = session.all(stale).await?.into_iter().map(|row| row.id).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let update = Entity::update_many()
            .col_expr(Column::Version, Expr::col(Column::Version).add(1))
            .col_expr(Column::UpdatedAt, Expr::val(session.now()))
            .col_expr(Column::DeletedAt, Expr::val(session.now()))
            .filter(Column::Id.is_in(ids))
            .filter(Column::DeletedAt.is_null())
            .filter(pending);
        let abandoned = update.exec_with_returning(session).await?;
        for row in &abandoned {
            repository::emit::<Self, Deletion>(session, row).await?;
        }
        Ok(abandoned)
    }

    /// Metadata of the files among `ids`, for other domains.
    pub(crate) fn files(ids: &[UploadId]) -> SelectStatement {
        Self::unscoped()
            .select_only()
            .columns([
                Column::Id,
                Column::ObjectKey,
                Column::Filename,
                Column::ContentType,
                Column::Charset,
                Column::Size,
                Column::Width,
                Column::Height,
            ])
            .filter(Column::Status.eq(UploadStatus::Completed))
            .filter(Column::Id.is_in(ids.iter().copied()))
            .into_query()
    }

    /// Uploads that `principal` may read and download: their own, and completed public ones, as long as the owner's account is
    /// active.
    pub(crate) async fn find_readable(
        session: &impl Reader,
        principal: Option<&Principal>,
        id: UploadId,
    ) -> Result<Option<Model>, SessionError> {
        let public = session
            .resources()
            .in_use("users", Expr::col((Entity, Column::OwnerId)))
            .add(Column::Visibility.eq(UploadVisibility::Public))
            .add(Column::Status.eq(UploadStatus::Completed));
        let readable = Condition::any().add(public).add(Self::visible_to(principal));
        session.one(Self::unscoped().filter(Column::Id.eq(id)).filter(readable)).await
    }

    /// A batch of deleted uploads, after one, whose objects can be removed: no URL accepts an object any more, and either nobody could
    /// ever download it or the grace period is over.
    pub(crate) async fn purgeable(
        session: &impl Reader,
        cutoff: Cutoff,
        after: Option<UploadId>,
        limit: u64,
    ) -> Result<Vec<Model>, SessionError> {
        let over = Condition::any()
            .add(Column::Status.eq(UploadStatus::Pending))
            .add(Column::DeletedAt.lte(cutoff.deleted));
        let conditions = Condition::all()
            .add(Column::DeletedAt.is_not_null())
            .add(Column::ExpiresAt.lte(cutoff.expired))
            .add(over)
            .add_option(after.map(|after| Column::Id.gt(after)));
        session.all(Entity::find().filter(conditions).order_by_asc(Column::Id).limit(limit)).await
    }

    /// Removes deleted rows, and returns the number of those that have to stay because a deleted row of another table still refers to
    /// them by a foreign key.
    pub(crate) async fn erase(session: &WriteSession, ids: &[UploadId]) -> Result<usize, SessionError> {
        if Self::erase_all(session, ids).await? {
            return Ok(0);
        }
        let mut kept = 0;
        for id in ids {
            if !Self::erase_all(session, std::slice::from_ref(id)).await? {
                kept += 1;
            }
        }
        Ok(kept)
    }

    /// Removes all or none. `false` if a foreign key keeps one of them.
    async fn erase_all(session: &WriteSession, ids: &[UploadId]) -> Result<bool, SessionError> {
        let delete = Entity::delete_many()
            .filter(Column::Id.is_in(ids.iter().copied()))
            .filter(Column::DeletedAt.is_not_null());
        let work = async { Ok(delete.exec(session).await.map(drop)?) };
        match session.savepoint(work).await? {
            Err(error) if SessionError::violated_foreign_key(&error) => Ok(false),
            done => done.map(|()| true),
        }
    }
}
