//! Which pages may call the API from a browser (Fetch standard, CORS protocol): exact origins from the configuration, with
//! credentials, never `*`.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName};

use crate::config::AllowedOrigin;

/// The configured origins and the API's own.
#[derive(Clone, Debug)]
pub struct Origins {
    own: String,
    allowed: Vec<AllowedOrigin>,
}

impl Origins {
    /// `own` is the origin of the API itself, for the documentation's "Try it out".
    #[must_use]
    pub fn new(own: String, allowed: Vec<AllowedOrigin>) -> Self {
        Self { own, allowed }
    }

    /// Whether a page of this origin may call.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        origin == self.own || self.allowed.iter().any(|allowed| allowed.allows(origin))
    }
}

const MAX_AGE_SECONDS: usize = 600;

/// Header names that the API's own contract brings.
pub mod names {
    use super::HeaderName;

    /// What a write answers and a read may send back: see `shared_kernel::session::ConsistencyToken`.
    pub const CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
    /// Makes a POST repeatable.
    pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    /// W3C Trace Context.
    pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
    /// IETF draft `ratelimit-headers`.
    pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
    /// The same.
    pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
}

/// The layer that answers preflights and marks answers.
pub fn layer(origins: Origins) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |origin, _| origin.to_str().is_ok_and(|origin| origins.allows(origin)))
        .allowed_methods([Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE])
        .allowed_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            names::IDEMPOTENCY_KEY,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            names::CONSISTENCY_TOKEN,
            super::observe::REQUEST_ID,
            names::TRACEPARENT,
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::LINK,
            header::RETRY_AFTER,
            names::RATE_LIMIT,
            names::RATE_LIMIT_POLICY,
            names::CONSISTENCY_TOKEN,
            super::observe::REQUEST_ID,
        ])
        .supports_credentials()
        .max_age(MAX_AGE_SECONDS)
}
