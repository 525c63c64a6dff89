//! What the operator decides about uploads.

use std::time::Duration;

/// Limits and periods. Sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadSettings {
    /// The largest file that is sent with a single PUT.
    pub max_size: i64,
    /// How much all uploads of one user may have together. Deleted ones count until [`purge`](crate::service::purge)
    /// has removed their objects: till then they take up space, and a URL handed out before still puts.
    pub quota: i64,
    /// How many uploads of one user may be pending at a time; deleted ones count as for the quota.
    pub max_pending: i64,
    /// The content types that are taken, without parameters, each by any of its names.
    pub allowed_types: Vec<String>,
    /// How long a presigned URL works. At most a week: S3 signs no longer.
    pub url_ttl: Duration,
    /// An upload that was not completed so long after its URL expired is given up. Longer than the slowest PUT takes.
    pub pending_grace: Duration,
    /// A deleted upload's object stays for so long.
    pub deleted_grace: Duration,
    /// How many uploads [`purge`](crate::service::purge) takes on in one transaction.
    pub purge_batch: u64,
}

const MIB: i64 = 1024 * 1024;
const HOUR: Duration = Duration::from_hours(1);

const ALLOWED_TYPES: [&str; 12] = [
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/avif",
    "application/pdf",
    "video/mp4",
    "video/webm",
    "audio/mpeg",
    "text/plain",
    "text/csv",
    "application/zip",
];

impl Default for UploadSettings {
    /// 64 MiB in one file, 10 GiB in all, 100 pending at a time, URLs for a quarter of an hour; a day for what is pending, a week for what was
    /// deleted.
    fn default() -> Self {
        Self {
            max_size: 64 * MIB,
            quota: 10 * 1024 * MIB,
            max_pending: 100,
            allowed_types: ALLOWED_TYPES.map(str::to_owned).into(),
            url_ttl: HOUR / 4,
            pending_grace: 24 * HOUR,
            deleted_grace: 7 * 24 * HOUR,
            purge_batch: 100,
        }
    }
}
