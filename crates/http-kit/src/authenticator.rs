//! The port to whoever knows what credentials are worth.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use shared_kernel::principal::Principal;

use crate::problem::ApiError;

/// Makes a [`Principal`] of the credentials of a request. The server implements it with the domain that issues them.
pub trait Authenticator: Debug + Send + Sync {
    /// The principal of a bearer token (RFC 6750). `None` stands for a request that has none where one is needed.
    ///
    /// # Errors
    ///
    /// The domain's: of the kind `Unauthenticated` where the credentials are missing, invalid or expired; any other where
    /// that cannot be found out now.
    fn authenticate<'a>(&'a self, token: Option<&'a str>) -> BoxFuture<'a, Result<Arc<Principal>, ApiError>>;
}
