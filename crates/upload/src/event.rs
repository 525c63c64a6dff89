//! What others may want to know about uploads.

use serde::{Deserialize, Serialize};
use shared_kernel::event::{Created, Deleted, DomainEvent};
use shared_kernel::id::UserId;

use crate::dto::{UploadId, UploadKind};
use crate::model;

/// An upload was announced; its bytes are to come.
pub type UploadCreated = Created<UploadKind>;

/// The bytes of an upload are in the store, checked, and can be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadCompleted {
    /// The upload.
    pub id: UploadId,
    /// The version of its row after this.
    pub version: i64,
    /// The user whose upload it is.
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

/// An upload was deleted by its owner, went with its owner's account, or was given up because it was never completed. Its
/// object stays in the store until [`purge`](crate::service::UploadService::purge) removes it: a subscriber has that long to do something
/// with it.
pub type UploadDeleted = Deleted<UploadKind>;
