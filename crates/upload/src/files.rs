//! Files of uploads for other domains: the implementation of the port.

use std::time::Duration;

use sea_orm::sea_query::SelectStatement;
use upload_port::{Files, FilesError, StoredFile, UploadId};

use crate::dto::Disposition;
use crate::media;
use crate::repository::Uploads;
use crate::storage::{GetOptions, Storage};

/// Files of uploads at presigned URLs. Browsers show files that they cannot execute, and save the others.
#[derive(Clone, Debug)]
pub struct SignedFiles {
    storage: Storage,
    ttl: Duration,
}

impl SignedFiles {
    /// Files in `storage`, at URLs that work for `ttl`, which is at most a week.
    #[must_use]
    pub fn new(storage: Storage, ttl: Duration) -> Self {
        Self { storage, ttl }
    }
}

impl Files for SignedFiles {
    fn select(&self, ids: &[UploadId]) -> SelectStatement {
        Uploads::files(ids)
    }

    fn url(&self, file: &StoredFile) -> Result<String, FilesError> {
        let wanted = GetOptions {
            key: &file.object_key,
            disposition: media::safe(Disposition::Inline, &file.content_type),
            filename: &media::saved_as(&file.filename, &file.content_type),
            content_type: &media::served_as(&file.content_type, file.charset.as_deref()),
        };
        let presigned = self.storage.presign_get(wanted, self.ttl);
        presigned.map(|presigned| presigned.request.url).map_err(|error| FilesError(error.into()))
    }
}
