//! The files of uploads, for other domains: what is behind the port.

use std::time::Duration;

use sea_orm::sea_query::SelectStatement;
use upload_port::{Files, FilesError, StoredFile, UploadId};

use crate::dto::Disposition;
use crate::media;
use crate::repository::Uploads;
use crate::storage::{Storage, Wanted};

/// The files of uploads, at presigned URLs. What a browser shows without running any of it is shown, the rest is saved.
#[derive(Clone, Debug)]
pub struct SignedFiles {
    storage: Storage,
    ttl: Duration,
}

impl SignedFiles {
    /// Those in `storage`, at URLs that work for `ttl`: at most a week.
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
        let wanted = Wanted {
            key: &file.object_key,
            disposition: media::safe(Disposition::Inline, &file.content_type),
            filename: &media::saved_as(&file.filename, &file.content_type),
            content_type: &media::served_as(&file.content_type, file.charset.as_deref()),
        };
        let presigned = self.storage.presign_get(wanted, self.ttl);
        presigned.map(|presigned| presigned.request.url).map_err(|error| FilesError(error.into()))
    }
}
