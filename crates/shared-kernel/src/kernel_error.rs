//! Errors that domains do not have to distinguish.

use std::error::Error;
use std::time::Duration;

use crate::error::{
    DomainError, FieldError, INTERNAL, Invalid, NOT_OWNER, PRECONDITION_FAILED, Problem, STILL_REFERENCED,
    USER_REQUIRED, VALIDATION_FAILED,
};
use crate::principal::UserRequired;
use crate::session::SessionError;

/// An error that any domain can have and none inspects: its error type has one variant for all of them, marked `#[problem(kernel)]`.
/// Violated unique constraints are the exception: the [derive](derive@DomainError) turns declared ones into variants.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Validation of the request failed.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The cursor was not made by this installation for this list and order.
    #[error("the cursor is not valid for this list and order")]
    Cursor,
    /// The row has another version than the one in the client's precondition.
    #[error("the resource was changed since you read it")]
    Stale,
    /// Existing rows refer to the row that was to be deleted and prevent the deletion; nothing is committed.
    #[error("{by} still refer to this, or to something that would be deleted with it")]
    Referenced {
        /// The table of the referring rows.
        by: &'static str,
    },
    /// The principal may see the row but not change it.
    #[error("only the owner may change this")]
    NotOwner,
    /// The principal acts for no user, and only a user has rows of their own.
    #[error(transparent)]
    UserRequired(#[from] UserRequired),
    /// Another domain, called through a port that it implements, failed.
    #[error(transparent)]
    Port(Box<dyn Error + Send + Sync>),
}

impl KernelError {
    /// Name of the violated unique constraint, if that is the cause.
    #[must_use]
    pub fn violated_unique(&self) -> Option<String> {
        let Self::Session(error) = self else { return None };
        error.violated_unique()
    }
}

impl From<sea_orm::DbErr> for KernelError {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Session(error.into())
    }
}

impl DomainError for KernelError {
    fn problem(&self) -> &'static Problem {
        match self {
            Self::Invalid(error) => error.problem(),
            Self::Session(error) => error.problem(),
            Self::Cursor => &VALIDATION_FAILED,
            Self::Stale => &PRECONDITION_FAILED,
            Self::Referenced { .. } => &STILL_REFERENCED,
            Self::NotOwner => &NOT_OWNER,
            Self::UserRequired(error) => error.problem(),
            Self::Port(_) => &INTERNAL,
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(error) => error.fields(),
            Self::Cursor => vec![FieldError::new("/cursor", "cursor", self.to_string())],
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        let Self::Session(error) = self else { return None };
        error.retry_after()
    }
}

impl DomainError for UserRequired {
    fn problem(&self) -> &'static Problem {
        &USER_REQUIRED
    }
}
