//! What a domain does not have to tell apart.

use super::{DomainError, Invalid};
use crate::session::SessionError;

/// A failure that every domain can have and none looks into: its error has one variant for all of them, marked
/// `#[problem(kernel)]`. A violated unique constraint never gets here: the [derive](derive@DomainError) makes a variant of it.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum KernelError {
    /// Fields of the request break a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database failed, or a row is not in the state that the client believes.
    #[error(transparent)]
    Session(#[from] SessionError),
}
