//! Errors of uploads.

use shared_kernel::error::{DomainError, Problem};
use shared_kernel::kernel_error::KernelError;

use crate::storage::StorageError;

/// An error of an operation on uploads.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum UploadError {
    /// The upload does not exist, or the user may not see it.
    #[error("there is no such upload")]
    #[problem(
        kind = NotFound,
        code = "upload_not_found",
        title = "There is no such upload",
        help = "No upload has this id, it was deleted, or it is not yours. Check the id."
    )]
    NotFound,
    /// The file is not in the store yet, or the upload was not completed.
    #[error("the upload is not completed: send the file to its URL, then complete it")]
    #[problem(
        kind = Conflict,
        code = "upload_incomplete",
        title = "The upload is not completed",
        help = "The file has not been sent to the store, or the upload has not been completed. Send the file with the method, URL and \
                headers in the answer to the creation of the upload, then complete the upload."
    )]
    Incomplete,
    /// The URL expired before the file was sent.
    #[error("the URL of this upload expired before the file was sent: create another upload")]
    #[problem(
        kind = Gone,
        code = "upload_expired",
        title = "The upload has expired",
        help = "The URL expired before the file was sent. Create another upload."
    )]
    Expired,
    /// The object in the store does not match the declaration.
    #[error(transparent)]
    #[problem(
        kind = Invalid,
        code = "content_mismatch",
        title = "The content does not match what was declared",
        help = "The file in the store differs from the declared size, checksum or type (its first bytes are examined). It is \
                not published. A file can be sent only once: delete this upload and create another with the right values.",
        example = "the content is not of the declared type image/png"
    )]
    Mismatch(#[from] Mismatch),
    /// The user's quota is exceeded.
    #[error(
        "{size} bytes do not fit: {used} of your {quota} bytes are in use, by files that were deleted a short time ago too"
    )]
    #[problem(
        kind = Invalid,
        code = "quota_exceeded",
        title = "The upload quota is exceeded",
        help = "With this file your uploads would exceed your quota, or too many of them are pending. Pending uploads count, \
                and deleted ones until their files are removed. Delete uploads that you do not need, complete pending ones, and \
                try again after the removal.",
        example = "48213 bytes do not fit: 1073700000 of your 1073741824 bytes are in use, by files that were deleted a short time ago too",
        field = "/size"
    )]
    QuotaExceeded {
        /// Size of the new file in bytes.
        size: i64,
        /// Bytes in use.
        used: i64,
        /// Quota in bytes.
        quota: i64,
    },
    /// The user has too many pending uploads.
    #[error(
        "{pending} of your uploads are not completed, deleted ones included, and {max_pending} may be: complete them, or \
         wait until they are given up"
    )]
    #[problem(is = Self::QUOTA_EXCEEDED)]
    TooManyPending {
        /// Number of pending uploads.
        pending: i64,
        /// Largest number allowed.
        max_pending: i64,
    },
    /// The object store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A field breaks a rule, the client has another version of the row, or the database failed.
    #[error(transparent)]
    #[problem(kernel)]
    Kernel(KernelError),
}

/// How an object differs from its declaration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Another length.
    #[error("the object has {stored} bytes instead of the declared {declared}")]
    Size {
        /// Declared length in bytes.
        declared: i64,
        /// Stored length in bytes.
        stored: i64,
    },
    /// Another SHA-256, or none that the store confirms.
    #[error("the object does not have the declared SHA-256")]
    Checksum,
    /// Another media type, by its first bytes.
    #[error("the content is not of the declared type {0}")]
    ContentType(String),
}

/// Problems of this domain, for the catalogue.
pub const PROBLEMS: &[&Problem] = UploadError::PROBLEMS;
