//! What others may want to know about uploads.

use serde::{Deserialize, Serialize};
use shared_kernel::event::DomainEvent;
use shared_kernel::id::UserId;

use crate::dto::UploadId;
use crate::model;

/// The bytes of an upload are in the store, checked, and can be downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadCompleted {
    /// Which.
    pub upload_id: UploadId,
    /// Whose.
    pub owner_id: UserId,
    /// Where the bytes are in the store.
    pub object_key: String,
    /// What they are.
    pub content_type: String,
    /// How many they are.
    pub size: i64,
}

impl DomainEvent for UploadCompleted {
    const NAME: &'static str = "upload.completed";

    fn aggregate_id(&self) -> String {
        self.upload_id.to_string()
    }
}

impl From<&model::Model> for UploadCompleted {
    fn from(row: &model::Model) -> Self {
        Self {
            upload_id: row.id,
            owner_id: row.owner_id,
            object_key: row.object_key.clone(),
            content_type: row.content_type.clone(),
            size: row.size,
        }
    }
}

/// An upload was deleted by its owner, went with its owner's account, or was given up because it was never completed. Its
/// object stays in the store until [`purge`](crate::service::purge) removes it: a subscriber has that long to do something
/// with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadDeleted {
    /// Which.
    pub upload_id: UploadId,
    /// Whose.
    pub owner_id: UserId,
    /// Where the bytes are in the store, if they arrived.
    pub object_key: String,
}

impl DomainEvent for UploadDeleted {
    const NAME: &'static str = "upload.deleted";

    fn aggregate_id(&self) -> String {
        self.upload_id.to_string()
    }
}

impl From<&model::Model> for UploadDeleted {
    fn from(row: &model::Model) -> Self {
        Self { upload_id: row.id, owner_id: row.owner_id, object_key: row.object_key.clone() }
    }
}
