//! The table `uploads`.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::id::UserId;
use shared_kernel::repository::SoftDelete;

use crate::dto::{PublicUpload, Upload, UploadId, UploadStatus, UploadVisibility};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, SoftDelete)]
#[sea_orm(table_name = "uploads")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UploadId,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub owner_id: UserId,
    pub object_key: String,
    pub filename: String,
    pub content_type: String,
    /// Charset of a text, if all of it was verified.
    pub charset: Option<String>,
    pub size: i64,
    pub checksum_sha256: Option<String>,
    pub visibility: UploadVisibility,
    pub status: UploadStatus,
    pub width: Option<i32>,
    pub height: Option<i32>,
    /// Time at which the presigned PUT expires.
    pub expires_at: Timestamp,
    pub completed_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for Upload {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            filename: row.filename,
            content_type: row.content_type,
            size: row.size,
            checksum_sha256: row.checksum_sha256,
            visibility: row.visibility,
            status: row.status,
            width: row.width,
            height: row.height,
            placeholder: None,
            created_at: row.created_at,
            completed_at: row.completed_at,
            version: row.version,
        }
    }
}

impl From<Model> for PublicUpload {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            filename: row.filename,
            content_type: row.content_type,
            size: row.size,
            visibility: row.visibility,
            width: row.width,
            height: row.height,
            created_at: row.created_at,
        }
    }
}
