//! What a domain does not have to tell apart.

use std::error::Error;
use std::time::Duration;

use crate::error::{
    DomainError, FieldError, INTERNAL, Invalid, NOT_OWNER, PRECONDITION_FAILED, Problem, STILL_REFERENCED,
    USER_REQUIRED, VALIDATION_FAILED,
};
use crate::principal::UserRequired;
use crate::session::SessionError;

/// A failure that every domain can have and none looks into: its error has one variant for all of them, marked `#[problem(kernel)]`. A
/// violated unique constraint seldom gets there: the [derive](derive@DomainError) makes a variant of those that it is told of.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// Fields of the request break a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The cursor was not made by this installation for this list and order.
    #[error("the cursor is not one that this list gave out")]
    Cursor,
    /// The row has another version than the client believes.
    #[error("the resource was changed since you read it")]
    Stale,
    /// Living rows refer to what was to be deleted and keep it from that; nothing is committed.
    #[error("{by} still refer to this, or to something that would be deleted with it")]
    Referenced {
        /// The table of those rows.
        by: &'static str,
    },
    /// The principal may see the row and not change it.
    #[error("this is somebody else's: you may see it and not change it")]
    NotOwner,
    /// The principal acts for no user, and only a user has rows of their own.
    #[error(transparent)]
    UserRequired(#[from] UserRequired),
    /// What another domain was asked for, by a port that it implements, cannot be had.
    #[error(transparent)]
    Port(Box<dyn Error + Send + Sync>),
}

impl KernelError {
    /// The name of the constraint that a row would have broken, if that is what went wrong.
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
