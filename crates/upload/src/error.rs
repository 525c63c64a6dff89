//! Every way in which something about uploads can fail.

use shared_kernel::error::{DomainError, Problem};
use shared_kernel::kernel_error::KernelError;

use crate::storage::StorageError;

/// A failure of an operation on uploads.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum UploadError {
    /// There is no such upload, or not for this user.
    #[error("there is no such upload")]
    #[problem(
        kind = NotFound,
        code = "upload_not_found",
        title = "There is no such upload",
        help = "No upload has this id, it was deleted, or it is not yours. Check the id."
    )]
    NotFound,
    /// The bytes are not in the store yet, or the upload was not completed.
    #[error("the upload is not completed: send the bytes to its URL, then complete it")]
    #[problem(
        kind = Conflict,
        code = "upload_incomplete",
        title = "The upload is not completed",
        help = "Its bytes have not been sent to the store, or the upload has not been completed. Send them with the method, URL and \
                headers that creating the upload answered with, then complete the upload."
    )]
    Incomplete,
    /// The URL expired and no bytes had come.
    #[error("the URL of this upload has expired and no bytes have come: create another upload")]
    #[problem(
        kind = Gone,
        code = "upload_expired",
        title = "The upload has expired",
        help = "The URL that the bytes were to be sent to has expired, and no bytes were sent. Create another upload."
    )]
    Expired,
    /// The object in the store is not what was declared.
    #[error(transparent)]
    #[problem(
        kind = Invalid,
        code = "content_mismatch",
        title = "The content is not what was declared",
        help = "The file in the store differs from what was declared in size, checksum or type (its first bytes are examined). It is \
                not published. Bytes can be sent once only: delete this upload and create another with the right values.",
        example = "the content is not image/png, which was declared"
    )]
    Mismatch(#[from] Mismatch),
    /// The user's space is full.
    #[error(
        "{size} bytes do not fit: {used} of your {quota} bytes are in use, by files that were deleted a short time ago too"
    )]
    #[problem(
        kind = Invalid,
        code = "quota_exceeded",
        title = "Your space is full",
        help = "With this file your uploads would have more bytes than you may have, or too many of them are pending. Pending uploads \
                count, and deleted ones until their bytes are removed for good. Delete what you no longer need, complete what you \
                began, and try again after the removal.",
        example = "48213 bytes do not fit: 1073700000 of your 1073741824 bytes are in use, by files that were deleted a short time ago too",
        field = "/size"
    )]
    QuotaExceeded {
        /// The size of the new file, in bytes.
        size: i64,
        /// The bytes in use.
        used: i64,
        /// The bytes that may be in use.
        quota: i64,
    },
    /// The user began too many uploads and did not complete them.
    #[error(
        "{pending} of your uploads are not completed, deleted ones included, and {max_pending} may be: complete them, or \
         wait until they are given up"
    )]
    #[problem(is = Self::QUOTA_EXCEEDED)]
    TooManyPending {
        /// The number of pending uploads.
        pending: i64,
        /// The largest number allowed.
        max_pending: i64,
    },
    /// A failure of the object store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A field breaks a rule, the row is in another state than the client believes, or the database failed.
    #[error(transparent)]
    #[problem(kernel)]
    Kernel(KernelError),
}

/// In what an object differs from what was declared of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Its length.
    #[error("the object has {stored} bytes and not the declared {declared}")]
    Size {
        /// The declared length, in bytes.
        declared: i64,
        /// The stored length, in bytes.
        stored: i64,
    },
    /// Its SHA-256, or the store does not confirm one.
    #[error("the object does not have the declared SHA-256")]
    Checksum,
    /// Its type, as its first bytes tell it.
    #[error("the content is not {0}, which was declared")]
    ContentType(String),
}

/// The problems of this domain, for the catalogue.
pub const PROBLEMS: &[&Problem] = UploadError::PROBLEMS;
