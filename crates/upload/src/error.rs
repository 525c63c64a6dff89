//! Every way in which something about uploads can fail.

use std::time::Duration;

use shared_kernel::error::{DomainError, FieldError, INTERNAL, Invalid, Kind, Problem, UNAVAILABLE};
use shared_kernel::kernel_error::KernelError;
use shared_kernel::session::SessionError;

use crate::storage::StorageError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such upload, or not for this user.
    #[error("there is no such upload")]
    NotFound,
    /// The bytes are not there yet, or nobody said that they are.
    #[error("the upload is not completed: send the bytes to its URL, then complete it")]
    Incomplete,
    /// The URL expired and no bytes had come.
    #[error("the URL of this upload has expired and no bytes have come: create another upload")]
    Expired,
    /// What lies in the store is not what was declared.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The user's space is full.
    #[error(
        "{size} bytes do not fit: {used} of your {quota} bytes are in use, by files that were deleted a short time ago too"
    )]
    QuotaExceeded {
        /// What was to be added.
        size: i64,
        /// What is in use.
        used: i64,
        /// What may be in use.
        quota: i64,
    },
    /// The user began too many uploads and did not complete them.
    #[error(
        "{pending} of your uploads are not completed, deleted ones included, and {max_pending} may be: complete them, or \
         wait until they are given up"
    )]
    TooManyPending {
        /// How many there are.
        pending: i64,
        /// How many there may be.
        max_pending: i64,
    },
    /// The object store's.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A field breaks a rule, the row is in another state than the client believes, or the database failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl From<SessionError> for UploadError {
    fn from(error: SessionError) -> Self {
        KernelError::from(error).into()
    }
}

impl From<Invalid> for UploadError {
    fn from(error: Invalid) -> Self {
        KernelError::from(error).into()
    }
}

/// In what an object differs from what was declared of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// In its length.
    #[error("the object has {stored} bytes and not the declared {declared}")]
    Size {
        /// What the client said.
        declared: i64,
        /// What there is.
        stored: i64,
    },
    /// In its SHA-256, or the store does not vouch for one.
    #[error("the object does not have the declared SHA-256")]
    Checksum,
    /// In what its first bytes tell of its type.
    #[error("the content is not {0}, which was declared")]
    ContentType(String),
}

static NOT_FOUND: Problem = Problem {
    kind: Kind::NotFound,
    code: "upload_not_found",
    title: "There is no such upload",
    help: "No upload has this id, it was deleted, or it is not yours. Check the id.",
};
static INCOMPLETE: Problem = Problem {
    kind: Kind::Conflict,
    code: "upload_incomplete",
    title: "The upload is not completed",
    help: "Its bytes have not been sent to the store, or nobody has said that they are there. Send them with the method, URL \
           and headers that creating the upload answered with, then complete the upload.",
};
static EXPIRED: Problem = Problem {
    kind: Kind::Gone,
    code: "upload_expired",
    title: "The upload has expired",
    help: "The URL that the bytes were to be sent to has expired and nothing has come. Create another upload.",
};
static CONTENT_MISMATCH: Problem = Problem {
    kind: Kind::Invalid,
    code: "content_mismatch",
    title: "The content is not what was declared",
    help: "What lies in the store differs from what was declared in size, checksum or type (the first bytes are looked at). It \
           is not published. Bytes are sent once only: delete this upload and create another with the right values.",
};
static QUOTA_EXCEEDED: Problem = Problem {
    kind: Kind::Invalid,
    code: "quota_exceeded",
    title: "Your space is full",
    help: "All your uploads together would have more bytes than you may have, or too many of them are pending. Those that \
           are pending count, and deleted ones until their bytes are removed for good. Delete what you no longer need, \
           complete what you began, and try again when the removal is through.",
};

/// The problems of this domain, for the catalogue.
pub static PROBLEMS: &[&Problem] = &[&NOT_FOUND, &INCOMPLETE, &EXPIRED, &CONTENT_MISMATCH, &QUOTA_EXCEEDED];

/// When a request that the store did not answer is worth another try.
const RETRY_AFTER: Duration = Duration::from_secs(5);

impl DomainError for UploadError {
    fn problem(&self) -> &'static Problem {
        match self {
            Self::NotFound => &NOT_FOUND,
            Self::Incomplete => &INCOMPLETE,
            Self::Expired => &EXPIRED,
            Self::Mismatch(_) => &CONTENT_MISMATCH,
            Self::QuotaExceeded { .. } | Self::TooManyPending { .. } => &QUOTA_EXCEEDED,
            Self::Storage(StorageError::Unavailable(_)) => &UNAVAILABLE,
            Self::Storage(StorageError::Refused(_)) => &INTERNAL,
            Self::Kernel(error) => error.problem(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::QuotaExceeded { .. } => vec![FieldError::new("/size", "quota_exceeded", self.to_string())],
            Self::Kernel(error) => error.fields(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Storage(StorageError::Unavailable(_)) => Some(RETRY_AFTER),
            Self::Kernel(error) => error.retry_after(),
            _ => None,
        }
    }
}
