//! Events of uploads.

use serde::{Deserialize, Serialize};
use shared_kernel::event::{Created, Deleted, DomainEvent};
use shared_kernel::id::UserId;

use crate::dto::{UploadId, UploadKind};
use crate::model;

/// An upload was created; its file has not been sent yet.
pub type UploadCreated = Created<UploadKind>;

/// The file of an upload is in the store, was examined, and can be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadCompleted {
    /// Id of the upload.
    pub id: UploadId,
    /// Version of its row after the change.
    pub version: i64,
    /// Owner of the upload.
    pub owner_id: UserId,
    /// Media type of the file, without parameters.
    pub content_type: String,
    /// Size of the file in bytes.
    pub size: i64,
}

impl DomainEvent for UploadCompleted {
    type Aggregate = UploadKind;
    const ACTION: &'static str = "completed";

    fn aggregate_id(&self) -> UploadId {
        self.id
    }

    fn aggregate_version(&self) -> Option<i64> {
        Some(self.version)
    }
}

impl From<&model::Model> for UploadCompleted {
    fn from(row: &model::Model) -> Self {
        Self {
            id: row.id,
            version: row.version,
            owner_id: row.owner_id,
            content_type: row.content_type.clone(),
            size: row.size,
        }
    }
}

/// An upload was deleted by its owner, with its owner's account, or because it was never completed. Its object stays in the store
/// until [`purge`](crate::service::UploadService::purge) removes it, so subscribers can still
/// use it.
pub type UploadDeleted = Deleted<UploadKind>;
