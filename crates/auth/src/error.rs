//! Errors of sign-in.

use std::sync::Arc;

use shared_kernel::crypto::CannotOpen;
use shared_kernel::error::{DomainError, INTERNAL, Problem, UNAVAILABLE};
use shared_kernel::kernel_error::KernelError;
use user::error::UserError;

/// An error of sign-up, sign-in or sign-out.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum AuthError {
    /// Unknown account, wrong password, or suspended account: clients cannot tell which.
    #[error("the identifier or the password is wrong")]
    #[problem(
        kind = Unauthenticated,
        code = "invalid_credentials",
        title = "The identifier or the password is wrong",
        help = "No active account has this identifier and this password. The answer does not say which of them is wrong: try again."
    )]
    InvalidCredentials,
    /// The access token is missing, forged or expired, or its session has ended.
    #[error("the access token is missing, invalid or expired")]
    #[problem(
        kind = Unauthenticated,
        code = "invalid_token",
        title = "Sign in first",
        help = "The request needs an access token in the header `Authorization: Bearer …`, which is missing, forged or \
                expired, or whose session has ended. Refresh it with the refresh token, or sign in again."
    )]
    InvalidToken,
    /// The refresh token is unknown or expired, or its session has ended.
    #[error("the refresh token is invalid or expired")]
    #[problem(
        kind = Unauthenticated,
        code = "invalid_refresh_token",
        title = "The refresh token is invalid",
        help = "The refresh token is unknown or expired, or its session has ended. Sign in again."
    )]
    InvalidRefreshToken,
    /// The refresh token was used before; its session has been ended.
    #[error("this refresh token was used before, so its session was ended")]
    #[problem(
        kind = Unauthenticated,
        code = "refresh_token_reused",
        title = "The refresh token was used before",
        help = "A refresh token can be used once. This one was sent again after its successor had been used, so somebody may have a \
                copy of it: the session was ended for both. Sign in again."
    )]
    RefreshTokenReused,
    /// More sign-ins are waiting than the installation allows.
    #[error("too many sign-ins are waiting")]
    #[problem(is = UNAVAILABLE, retry_after = 1)]
    Busy,
    /// An error of the account.
    #[error(transparent)]
    User(#[from] UserError),
    /// A signing key in the database was sealed with another secret key.
    #[error(
        "the signing keys in the database were sealed with another secret key: restore ASHLAR_SECRET_KEY"
    )]
    #[problem(is = INTERNAL)]
    SealedWithAnotherKey(#[from] CannotOpen),
    /// Hashing or signing failed, which valid parameters make impossible.
    #[error("{0}")]
    #[problem(is = INTERNAL)]
    Crypto(String),
    /// The error of work that several requests were waiting for.
    #[error("{0}")]
    #[problem(delegate)]
    Shared(#[source] Arc<AuthError>),
    /// A field breaks a rule, or the database failed.
    #[error(transparent)]
    #[problem(kernel)]
    Kernel(KernelError),
}

/// Problems of this domain, for the catalogue.
pub const PROBLEMS: &[&Problem] = AuthError::PROBLEMS;
