//! Errors of the store, and their S3 error codes.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use s3s::{S3Error, S3ErrorCode};

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectStoreError {
    /// The bucket name breaks the rules of S3.
    #[error(
        "`{0}` is not a bucket name: 3 to 63 lower case letters, digits, dots and hyphens, \
         starting and ending with a letter or digit"
    )]
    InvalidBucketName(String),
    /// The directory cannot be used.
    #[error("the object store's directory {} can't be used", directory.display())]
    Directory {
        /// The configured directory.
        directory: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The address can't be listened on.
    #[error("the object store can't listen on {address}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// Errors of the filesystem layer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("no such object")]
    NoSuchKey,
    #[error("no such multipart upload")]
    NoSuchUpload,
    #[error("the object exists already")]
    Exists,
    #[error("part {0} was not uploaded, or it is another one")]
    InvalidPart(u32),
    #[error("part {0} is too small")]
    PartTooSmall(u32),
    #[error("the object would be too large")]
    TooLarge,
    #[error("the parts are not as large as was said")]
    OtherSize,
    #[error("the parts have another digest than was said")]
    OtherDigest,
    #[error("a newer upload of the same key has taken over")]
    Displaced,
    #[error("unfinished uploads take all the room there is")]
    Busy,
    #[error("{0} is damaged")]
    Corrupt(PathBuf),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<StoreError> for S3Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchKey => reply(S3ErrorCode::NoSuchKey, "The specified key does not exist."),
            StoreError::NoSuchUpload => {
                reply(S3ErrorCode::NoSuchUpload, "The specified upload does not exist.")
            }
            StoreError::Exists => reply(S3ErrorCode::PreconditionFailed, "The key exists already."),
            StoreError::InvalidPart(number) => Self::with_message(
                S3ErrorCode::InvalidPart,
                format!("Part {number} was not uploaded with this ETag."),
            ),
            StoreError::PartTooSmall(number) => Self::with_message(
                S3ErrorCode::EntityTooSmall,
                format!("Part {number} is smaller than 5 MiB."),
            ),
            StoreError::TooLarge => too_large(),
            StoreError::OtherSize => {
                reply(S3ErrorCode::InvalidRequest, "The parts do not add up to x-amz-mp-object-size.")
            }
            StoreError::OtherDigest => {
                reply(S3ErrorCode::BadDigest, "The checksum does not match that of the parts.")
            }
            StoreError::Displaced => reply(
                S3ErrorCode::OperationAborted,
                "A newer upload of the same key has taken the place of this one.",
            ),
            StoreError::Busy => {
                reply(S3ErrorCode::SlowDown, "Too much is being uploaded at once: please come back.")
            }
            StoreError::Corrupt(_) | StoreError::Io(_) => internal(&error),
        }
    }
}

/// An S3 error with a message for the client.
pub(crate) fn reply(code: S3ErrorCode, message: &'static str) -> S3Error {
    S3Error::with_message(code, message)
}

pub(crate) fn too_large() -> S3Error {
    reply(S3ErrorCode::EntityTooLarge, "Your proposed upload exceeds the maximum allowed size.")
}

/// Logs the cause. The client gets no details, which could contain paths.
fn internal(error: &StoreError) -> S3Error {
    if let StoreError::Io(io) = error
        && matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    {
        tracing::error!(%error, "the object store's disk is full");
        return reply(S3ErrorCode::ServiceUnavailable, "The storage is full.");
    }
    tracing::error!(%error, "the object store failed");
    reply(S3ErrorCode::InternalError, "We encountered an internal error. Please try again.")
}
