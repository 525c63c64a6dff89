//! Every way in which signing in can fail.

use std::time::Duration;

use shared_kernel::crypto::CannotOpen;
use shared_kernel::error::{DomainError, FieldError, INTERNAL, Invalid, Kind, Problem, UNAVAILABLE};
use shared_kernel::session::SessionError;
use user::error::UserError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No such account, a wrong password, or an account that may not be used: the client cannot tell which.
    #[error("the identifier or the password is wrong")]
    InvalidCredentials,
    /// The access token is missing, forged, expired, or its session is over.
    #[error("the access token is missing, invalid or expired")]
    InvalidToken,
    /// The refresh token is unknown, expired, or its session is over.
    #[error("the refresh token is invalid or expired")]
    InvalidRefreshToken,
    /// The refresh token had been used before; its session is over now.
    #[error("this refresh token was used before, so its session was ended")]
    RefreshTokenReused,
    /// More sign-ins wait than the installation wants to.
    #[error("too many sign-ins are waiting")]
    Busy,
    /// A field breaks a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The account's.
    #[error(transparent)]
    User(#[from] UserError),
    /// The session's.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A signing key in the database was sealed with another secret key.
    #[error(
        "the signing keys in the database were sealed with another secret key: restore ASHLAR_SECRET_KEY"
    )]
    SealedWithAnotherKey(#[from] CannotOpen),
    /// Hashing or signing failed, which the parameters should have made impossible.
    #[error("{0}")]
    Crypto(String),
    /// What several requests waited for together failed.
    #[error("{0}")]
    Shared(#[source] std::sync::Arc<AuthError>),
}

static INVALID_CREDENTIALS: Problem = Problem {
    kind: Kind::Unauthenticated,
    code: "invalid_credentials",
    title: "The identifier or the password is wrong",
    help: "No active account has this identifier and this password. Nothing tells which of them is wrong: try again.",
};
static INVALID_TOKEN: Problem = Problem {
    kind: Kind::Unauthenticated,
    code: "invalid_token",
    title: "Sign in first",
    help: "The request needs an access token in the header `Authorization: Bearer …`, and has none, or one that is forged, \
           expired, or of a session that is over. Refresh it with the refresh token, or sign in again.",
};
static INVALID_REFRESH_TOKEN: Problem = Problem {
    kind: Kind::Unauthenticated,
    code: "invalid_refresh_token",
    title: "The refresh token is worthless",
    help: "The refresh token is unknown or expired, or its session is over. Sign in again.",
};
static REFRESH_TOKEN_REUSED: Problem = Problem {
    kind: Kind::Unauthenticated,
    code: "refresh_token_reused",
    title: "The refresh token was used before",
    help: "A refresh token is good for one use. This one came back after its successor was used, so somebody has a copy: the \
           session was ended for both. Sign in again.",
};

/// The problems of this domain, for the catalogue.
pub static PROBLEMS: &[&Problem] =
    &[&INVALID_CREDENTIALS, &INVALID_TOKEN, &INVALID_REFRESH_TOKEN, &REFRESH_TOKEN_REUSED];

impl DomainError for AuthError {
    fn problem(&self) -> &'static Problem {
        match self {
            Self::InvalidCredentials => &INVALID_CREDENTIALS,
            Self::InvalidToken => &INVALID_TOKEN,
            Self::InvalidRefreshToken => &INVALID_REFRESH_TOKEN,
            Self::RefreshTokenReused => &REFRESH_TOKEN_REUSED,
            Self::Busy => &UNAVAILABLE,
            Self::Invalid(error) => error.problem(),
            Self::User(error) => error.problem(),
            Self::Session(error) => error.problem(),
            Self::SealedWithAnotherKey(_) | Self::Crypto(_) => &INTERNAL,
            Self::Shared(error) => error.problem(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(error) => error.fields(),
            Self::User(error) => error.fields(),
            Self::Session(error) => error.fields(),
            Self::Shared(error) => error.fields(),
            _ => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy => Some(Duration::from_secs(1)),
            Self::User(error) => error.retry_after(),
            Self::Session(error) => error.retry_after(),
            Self::Shared(error) => error.retry_after(),
            _ => None,
        }
    }
}
