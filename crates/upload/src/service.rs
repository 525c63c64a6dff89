//! The rules of uploads.

use sea_orm::ActiveValue::Set;
use shared_kernel::error::Invalid;
use shared_kernel::event::Origin;
use shared_kernel::field::{no_choice, too_large};
use shared_kernel::page::{Page, PageRequest};
use shared_kernel::principal::Principal;
use shared_kernel::random;
use shared_kernel::repository::{self, Precondition, Repository as _, Scoped as _};
use shared_kernel::resource::{OnDelete, Reference, Resource};
use shared_kernel::session::{Databases, ReadPrimary, Reader, WriteSession};

use crate::content::{self, Head};
use crate::dto::{
    CreateUpload, CreatedUpload, Disposition, Download, ShownUpload, Upload, UploadFilter, UploadId,
    UploadStatus,
};
use crate::error::{Mismatch, UploadError};
use crate::event::UploadCompleted;
use crate::fields::Sha256Checksum;
use crate::media;
use crate::model::{ActiveModel, Model};
use crate::repository::{Cutoff, Findings, Uploads};
use crate::settings::UploadSettings;
use crate::storage::{GetOptions, PutOptions, Reading, Storage, StorageError, StoredObject};

/// Tables that other domains may refer to: by whom, and that uploads are deleted with their owner's account.
pub static RESOURCES: &[Resource] = &[Resource {
    referable: Uploads::referable_by,
    references: &[Reference { column: "owner_id", to: "users", on_delete: OnDelete::Cascade }],
    deletion_event: Some(repository::deletion::<Uploads>),
    ..Resource::visible_to_all("uploads")
}];

/// The state of uploads. One for each process.
#[derive(Clone, Debug)]
pub struct UploadService {
    /// Object store.
    pub storage: Storage,
    /// Limits and periods.
    pub settings: UploadSettings,
}

impl UploadService {
    /// Creates a pending upload, with the request that sends its file to the store.
    ///
    /// # Errors
    ///
    /// A type or size that this installation does not accept, [`UploadError::QuotaExceeded`],
    /// [`UploadError::TooManyPending`].
    pub async fn create(
        &self,
        session: &WriteSession,
        principal: &Principal,
        new: CreateUpload,
    ) -> Result<CreatedUpload, UploadError> {
        let owner_id = principal.require_user()?;
        let content_type = self.fit(&new)?;
        // Signed before the first statement, so no transaction is open yet.
        let key = new_object_key();
        let declared = PutOptions {
            key: &key,
            size: new.size.get(),
            content_type: &content_type,
            checksum_sha256: new.checksum_sha256.as_ref().map(Sha256Checksum::as_str),
        };
        let presigned = self.storage.presign_put(declared, self.settings.url_ttl)?;
        let used = Uploads::lock_used_space(session, owner_id).await?;
        if used.bytes.saturating_add(new.size.get()) > self.settings.quota {
            return Err(UploadError::QuotaExceeded {
                size: new.size.get(),
                used: used.bytes,
                quota: self.settings.quota,
            });
        }
        if used.pending >= self.settings.max_pending {
            return Err(UploadError::TooManyPending {
                pending: used.pending,
                max_pending: self.settings.max_pending,
            });
        }
        let row = ActiveModel {
            owner_id: Set(owner_id),
            object_key: Set(key),
            filename: Set(new.filename.into_string()),
            content_type: Set(content_type),
            size: Set(new.size.get()),
            checksum_sha256: Set(new.checksum_sha256.map(Sha256Checksum::into_string)),
            charset: Set(None),
            visibility: Set(new.visibility),
            status: Set(UploadStatus::Pending),
            width: Set(None),
            height: Set(None),
            expires_at: Set(presigned.expires_at),
            completed_at: Set(None),
            ..ActiveModel::default()
        };
        let upload = Uploads::insert(session, row).await?.into();
        Ok(CreatedUpload { upload, request: presigned.request, expires_at: presigned.expires_at })
    }

    /// Completes an upload whose file is in the store and matches the declaration. Repeating it returns the same answer.
    ///
    /// The store is asked before the row is written, so no transaction waits for the store. An object that arrived in time can be
    /// completed later, until [`purge`](Self::purge) abandons it.
    ///
    /// # Errors
    ///
    /// [`UploadError::NotFound`]; [`UploadError::Incomplete`] if the store has no file yet, or [`UploadError::Expired`] if none can be
    /// sent any more; [`UploadError::Mismatch`], after which the upload stays pending; and errors of the store.
    pub async fn complete(
        &self,
        reader: &ReadPrimary,
        session: &WriteSession,
        principal: &Principal,
        id: UploadId,
    ) -> Result<Upload, UploadError> {
        let row = Uploads::find(reader, principal, id).await?.ok_or(UploadError::NotFound)?;
        match row.status {
            UploadStatus::Completed => Ok(row.into()),
            UploadStatus::Pending => {
                // Boxed: futures of the SDK are large, and this one is part of a handler's.
                let findings = match Box::pin(self.inspect(&row)).await {
                    Err(UploadError::Incomplete) if row.expires_at <= session.now() => {
                        Err(UploadError::Expired)
                    }
                    inspected => inspected,
                }?;
                finish(session, principal, id, findings).await
            }
        }
    }

    /// An upload: all fields for its owner, fewer for anyone else if it is public.
    ///
    /// With a session on the primary, an upload that is no longer public is refused at once.
    ///
    /// # Errors
    ///
    /// [`UploadError::NotFound`].
    pub async fn get(
        &self,
        session: &impl Reader,
        principal: Option<&Principal>,
        id: UploadId,
    ) -> Result<ShownUpload, UploadError> {
        let row = readable(session, principal, id).await?;
        let is_own = principal.is_some_and(|principal| principal.owns(row.owner_id));
        Ok(if is_own { ShownUpload::Own(row.into()) } else { ShownUpload::Public(row.into()) })
    }

    /// The principal's own uploads, newest first.
    ///
    /// # Errors
    ///
    /// The cursor is invalid, or the database failed.
    pub async fn list(
        &self,
        session: &impl Reader,
        principal: &Principal,
        filter: &UploadFilter,
        request: &PageRequest,
    ) -> Result<Page<Upload>, UploadError> {
        Ok(Uploads::list(session, principal, filter, request).await?.map(Upload::from))
    }

    /// A short-lived URL of an upload's file, for its owner, and for anyone if it is public. Files that a browser could execute are
    /// always attachments. A URL works until it expires, whatever happens to the upload.
    ///
    /// # Errors
    ///
    /// [`UploadError::NotFound`], [`UploadError::Incomplete`].
    pub async fn download(
        &self,
        session: &impl Reader,
        principal: Option<&Principal>,
        id: UploadId,
        (reading, disposition): (Reading, Disposition),
    ) -> Result<Download, UploadError> {
        let row = readable(session, principal, id).await?;
        if row.status == UploadStatus::Pending {
            return Err(UploadError::Incomplete);
        }
        let wanted = GetOptions {
            key: &row.object_key,
            disposition: media::safe(disposition, &row.content_type),
            filename: &media::saved_as(&row.filename, &row.content_type),
            content_type: &media::served_as(&row.content_type, row.charset.as_deref()),
        };
        let presigned = self.storage.presign_read(reading, wanted, self.settings.url_ttl)?;
        Ok(Download { url: presigned.request.url, expires_at: presigned.expires_at })
    }

    /// Deletes an upload. Its object is removed by [`purge`](Self::purge) after the grace period, and only then is its space free.
    ///
    /// # Errors
    ///
    /// [`UploadError::NotFound`], a failed precondition, or a resource that refers to it and cannot exist without it.
    pub async fn delete(
        &self,
        session: &WriteSession,
        principal: &Principal,
        id: UploadId,
        precondition: &Precondition,
    ) -> Result<(), UploadError> {
        Uploads::find_for_change(session, principal, id).await?.ok_or(UploadError::NotFound)?;
        Uploads::soft_delete(session, id, precondition).await?.ok_or(UploadError::NotFound)?;
        Ok(())
    }

    /// Deletes uploads that were not completed long after their URL expired, and removes objects and rows of those that were deleted
    /// long ago. To be called regularly. Several may run at once, and an interrupted one is finished by the next.
    ///
    /// # Errors
    ///
    /// The database failed, or the store did not answer; work that was done before stays done.
    pub async fn purge(&self, databases: &Databases) -> Result<Purged, UploadError> {
        let now = databases.clock().now();
        let cutoff =
            Cutoff { expired: now - self.settings.pending_grace, deleted: now - self.settings.deleted_grace };
        let limit = self.settings.purge_batch.max(1);
        let mut purged = Purged::default();
        loop {
            let abandoned = expire_pending(databases, cutoff, limit).await?;
            purged.abandoned += abandoned;
            if abandoned == 0 {
                break;
            }
        }
        let mut after = None;
        loop {
            let purgeable = Uploads::purgeable(&databases.read_primary(), cutoff, after, limit).await?;
            let Some(last) = purgeable.last() else { return Ok(purged) };
            after = Some(last.id);
            let removed = self.remove(databases, &purgeable).await?;
            purged.removed += removed;
            purged.failed += purgeable.len() - removed;
        }
    }

    /// Objects before rows: a row without an object is removed by the next run, an object without a row would stay for ever.
    async fn remove(&self, databases: &Databases, purgeable: &[Model]) -> Result<usize, UploadError> {
        let mut gone = Vec::new();
        let mut unreachable = None;
        for row in purgeable {
            match self.storage.delete(&row.object_key).await {
                Ok(()) => gone.push(row.id),
                Err(error @ StorageError::Unavailable(_)) => {
                    unreachable = Some(error);
                    break;
                }
                Err(error) => {
                    tracing::warn!(upload = %row.id, ?error, "the object of a deleted upload cannot be removed");
                }
            }
        }
        let session = databases.write();
        let kept = Uploads::erase(&session, &gone).await?;
        let removed = session.commit(gone.len() - kept).await?.into_value();
        unreachable.map_or(Ok(removed), |error| Err(error.into()))
    }

    /// The canonical name of the declared type, or all errors of type and size together.
    fn fit(&self, new: &CreateUpload) -> Result<String, Invalid> {
        let mut refused = Vec::new();
        let declared = media::canonical_of(&new.content_type, &new.filename);
        let is_declared = |allowed: &String| declared.is_some() && media::canonical(allowed) == declared;
        if !self.settings.allowed_types.iter().any(is_declared) {
            refused.push(no_choice(&self.settings.allowed_types.join(", ")).at("/content_type"));
        }
        if new.size.get() > self.settings.max_size {
            refused.push(too_large(self.settings.max_size).at("/size"));
        }
        if refused.is_empty() { Ok(declared.unwrap_or_default()) } else { Err(Invalid(refused)) }
    }

    /// Asks the store for the object of a pending upload. It cannot be replaced before `finish`, because its URL accepts one PUT only.
    async fn inspect(&self, row: &Model) -> Result<Findings, UploadError> {
        let stored = self.storage.head(&row.object_key).await?.ok_or(UploadError::Incomplete)?;
        let checksum_sha256 = agreed_checksum(row, stored)?;
        let bytes = self
            .storage
            .read_start(&row.object_key, content::SNIFF_LEN)
            .await?
            .ok_or(UploadError::Incomplete)?;
        let whole = usize::try_from(row.size).is_ok_and(|size| size <= bytes.len());
        let found = content::sniff(&row.content_type, Head { bytes: &bytes, whole })?;
        Ok(Findings { checksum_sha256, found })
    }
}

/// Result of [`UploadService::purge`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Number of uploads that were never completed and are deleted now.
    pub abandoned: usize,
    /// Number of deleted uploads whose object and row were removed.
    pub removed: usize,
    /// Number of deleted uploads whose object the store refused to remove, or whose row a foreign key of a deleted row keeps; the next
    /// run tries again.
    pub failed: usize,
}

/// Nothing refers to what it deletes: only what is completed is visible to those who refer.
async fn expire_pending(databases: &Databases, cutoff: Cutoff, limit: u64) -> Result<usize, UploadError> {
    let session = databases.write();
    session.set_origin(Origin::system("uploads-purge"));
    let abandoned = Uploads::expire_pending(&session, cutoff, limit).await?;
    Ok(session.commit(abandoned.len()).await?.into_value())
}

async fn readable(
    session: &impl Reader,
    principal: Option<&Principal>,
    id: UploadId,
) -> Result<Model, UploadError> {
    Uploads::find_readable(session, principal, id).await?.ok_or(UploadError::NotFound)
}

/// A key of 128 random bits, which cannot be derived from an upload's id, its name or another key.
fn new_object_key() -> String {
    format!("uploads/{:032x}", u128::from_be_bytes(random::bytes()))
}

/// The SHA-256 of the object: the declared one, if the store confirms it; otherwise the store's, if it has one.
fn agreed_checksum(row: &Model, stored: StoredObject) -> Result<Option<String>, Mismatch> {
    if stored.size != row.size {
        return Err(Mismatch::Size { declared: row.size, stored: stored.size });
    }
    if row.checksum_sha256.is_some() && stored.checksum_sha256 != row.checksum_sha256 {
        return Err(Mismatch::Checksum);
    }
    Ok(stored.checksum_sha256)
}

/// Completes the upload, unless a concurrent request did: then its result is the answer, and its event is the only one.
async fn finish(
    session: &WriteSession,
    principal: &Principal,
    id: UploadId,
    findings: Findings,
) -> Result<Upload, UploadError> {
    let Some(completed) = Uploads::complete(session, id, findings).await? else {
        let row = Uploads::find(session, principal, id).await?.ok_or(UploadError::NotFound)?;
        return Ok(row.into());
    };
    session.emit(&UploadCompleted::from(&completed)).await?;
    Ok(completed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_not_guessable_and_never_the_same() {
        let (a, b) = (new_object_key(), new_object_key());
        assert_ne!(a, b);
        assert_eq!(a.len(), "uploads/".len() + 32);
    }
}
