//! The port for authentication.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use shared_kernel::principal::Principal;

use crate::problem::ApiError;

/// Turns the credentials of a request into a [`Principal`]. The server implements it with the domain that issues them.
pub trait Authenticator: Debug + Send + Sync {
    /// The principal of a bearer token (RFC 6750). `None` stands for a request that has none where one is needed.
    ///
    /// # Errors
    ///
    /// Errors of the domain: of the kind `Unauthenticated` if the credentials are missing, invalid or expired, of another kind if
    /// they cannot be verified now.
    fn authenticate<'a>(&'a self, token: Option<&'a str>) -> BoxFuture<'a, Result<Arc<Principal>, ApiError>>;
}
