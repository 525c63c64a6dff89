//! Which pages may call the API from a browser (Fetch standard, CORS protocol): exact origins from the configuration, with
//! credentials, never `*`.

use std::fmt;
use std::sync::Arc;

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName};

use crate::headers::{
    CONSISTENCY_TOKEN, IDEMPOTENCY_KEY, RATE_LIMIT, RATE_LIMIT_POLICY, REQUEST_ID, TRACEPARENT,
};

/// The configured origins and the API's own.
#[derive(Clone)]
pub struct Origins {
    own: String,
    allowed: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origins").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Origins {
    /// `own` is the origin of the API itself, for the documentation's "Try it out"; `allowed` decides about any other.
    #[must_use]
    pub fn new(own: String, allowed: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { own, allowed: Arc::new(allowed) }
    }

    /// Whether a page of this origin may call.
    #[must_use]
    pub fn allows(&self, origin: &str) -> bool {
        origin == self.own || (self.allowed)(origin)
    }
}

const MAX_AGE_SECONDS: usize = 600;

/// Request headers that pages may send: those that the API knows, and configured ones.
#[derive(Clone, Debug)]
pub struct PageHeaders(Vec<HeaderName>);

impl PageHeaders {
    /// Those of the API, and `configured` ones.
    #[must_use]
    pub fn new(configured: Vec<HeaderName>) -> Self {
        let own = [
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            IDEMPOTENCY_KEY,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            CONSISTENCY_TOKEN,
            REQUEST_ID,
            TRACEPARENT,
        ];
        Self(own.into_iter().chain(configured).collect())
    }

    fn allow(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.as_str().eq_ignore_ascii_case(name))
    }
}

/// The layer that answers preflights and adds the CORS headers to answers. Pages may use the `methods` of the contract.
pub fn layer(origins: Origins, headers: &PageHeaders, methods: impl Iterator<Item = Method>) -> Cors {
    Cors::default()
        .allowed_origin_fn(move |origin, _| origin.to_str().is_ok_and(|origin| origins.allows(origin)))
        .allowed_methods(methods)
        .allowed_headers(headers.0.clone())
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::LINK,
            header::RETRY_AFTER,
            RATE_LIMIT,
            RATE_LIMIT_POLICY,
            CONSISTENCY_TOKEN,
            REQUEST_ID,
        ])
        .supports_credentials()
        .max_age(MAX_AGE_SECONDS)
}

/// Why the [layer](layer()) refuses a preflight: everything that is not allowed, and the setting that could allow it. Browsers do
/// not show it to the page, so it is logged, too.
#[must_use]
pub fn refusal(
    origins: &Origins,
    headers: &PageHeaders,
    mut methods: impl Iterator<Item = Method>,
    preflight: &HeaderMap,
) -> String {
    let sent =
        |name: HeaderName| preflight.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut reasons = Vec::new();
    let origin = sent(header::ORIGIN);
    if !origins.allows(origin) {
        reasons.push(format!("the origin \"{}\": see `cors.origins`", shown(origin)));
    }
    let method = sent(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !methods.any(|known| known.as_str() == method) {
        reasons.push(format!("the method \"{}\", which the API does not have", shown(method)));
    }
    let names = sent(header::ACCESS_CONTROL_REQUEST_HEADERS).split(',').map(str::trim);
    let unknown: Vec<&str> = names.filter(|name| !name.is_empty() && !headers.allow(name)).collect();
    if !unknown.is_empty() {
        reasons.push(format!("the request header \"{}\": see `cors.headers`", shown(&unknown.join(", "))));
    }
    if reasons.is_empty() {
        reasons.push("a preflight that cannot be read".to_owned());
    }
    format!("the CORS configuration does not allow {}", reasons.join("; nor "))
}

/// A value that was sent, shortened to what fits into a sentence. The text of a header has no control characters.
fn shown(sent: &str) -> &str {
    sent.get(..200).unwrap_or(sent)
}
