//! Which pages may call the API from a browser (Fetch standard, CORS protocol): exact origins from the configuration, with
//! credentials, never `*`.

use actix_cors::Cors;
use actix_web::http::header::{self, HeaderMap, HeaderName};

use super::contract::Contract;
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

/// The request headers that pages may send: those that the API knows, and the configured ones.
#[derive(Clone, Debug)]
pub struct PageHeaders(Vec<HeaderName>);

impl PageHeaders {
    /// The API's own, and these.
    #[must_use]
    pub fn new(configured: Vec<HeaderName>) -> Self {
        let own = [
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            names::IDEMPOTENCY_KEY,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            names::CONSISTENCY_TOKEN,
            super::observe::REQUEST_ID,
            names::TRACEPARENT,
        ];
        Self(own.into_iter().chain(configured).collect())
    }

    fn allow(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.as_str().eq_ignore_ascii_case(name))
    }
}

/// The layer that answers preflights and marks answers. Pages may use the methods of the contract.
pub fn layer(origins: Origins, headers: &PageHeaders, contract: &Contract) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |origin, _| origin.to_str().is_ok_and(|origin| origins.allows(origin)))
        .allowed_methods(contract.methods())
        .allowed_headers(headers.0.clone())
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

/// Why the [layer](layer()) refuses a preflight: all that it does not allow, and where it could be allowed. A browser shows its
/// page nothing of it, so the log has it too.
#[must_use]
pub fn refusal(
    origins: &Origins,
    headers: &PageHeaders,
    contract: &Contract,
    preflight: &HeaderMap,
) -> String {
    let sent =
        |name: HeaderName| preflight.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut reasons = Vec::new();
    let origin = sent(header::ORIGIN);
    if !origins.allows(origin) {
        reasons.push(format!("the origin \"{}\": see ASHLAR_CORS__ORIGINS", shown(origin)));
    }
    let method = sent(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !contract.methods().any(|known| known == method) {
        reasons.push(format!("the method \"{}\", which the API does not have", shown(method)));
    }
    let names = sent(header::ACCESS_CONTROL_REQUEST_HEADERS).split(',').map(str::trim);
    let unknown: Vec<&str> = names.filter(|name| !name.is_empty() && !headers.allow(name)).collect();
    if !unknown.is_empty() {
        reasons
            .push(format!("the request header \"{}\": see ASHLAR_CORS__HEADERS", shown(&unknown.join(", "))));
    }
    if reasons.is_empty() {
        reasons.push("a preflight that cannot be read".to_owned());
    }
    format!("the CORS configuration does not allow {}", reasons.join("; nor "))
}

/// What was sent, as far as a sentence can hold it. A header's value that is text has no control characters.
fn shown(sent: &str) -> &str {
    sent.get(..200).unwrap_or(sent)
}
