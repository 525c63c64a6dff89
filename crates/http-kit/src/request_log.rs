//! The outermost layer: gives each request an id, logs it, renders every problem, survives a panic, and sets the headers that
//! every answer has.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_http::ConnectionType;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, ResponseError, web};
use futures_util::FutureExt as _;
use shared_kernel::clock::Stopwatch;
use shared_kernel::error::INTERNAL;
use shared_kernel::id::{Id, IdKind};
use shared_kernel::principal::Principal;
use tracing::Instrument as _;

use crate::contract::{Credential, RouteMatch};
use crate::cors::{self, Origins};
use crate::exchange::Exchange;
use crate::headers::REQUEST_ID;
use crate::problem::{self, ApiError, ORIGIN_NOT_ALLOWED};
use crate::state::{State, state};

/// Kind of ids of requests.
#[derive(Debug)]
pub enum RequestKind {}

impl IdKind for RequestKind {
    const PREFIX: &'static str = "req";
    const NAME: &'static str = "request";
}

/// Marks an error response whose body the handler made, such as that of the token endpoint (RFC 6749). It is sent unchanged.
#[derive(Clone, Copy, Debug)]
pub struct CustomErrorBody;

/// Facts about a request that are kept for its answer.
struct Observed {
    request_id: String,
    path: String,
    no_store: bool,
    is_preflight: bool,
    under_tls: bool,
    realm: Arc<str>,
    /// Origin of the requesting page, if it is allowed: a panic skips the CORS layer.
    origin: Option<HeaderValue>,
    /// What the contract says about the request.
    matched: RouteMatch,
    stopwatch: Stopwatch,
}

/// The middleware.
///
/// # Errors
///
/// [`PrebuiltResponse`] after a panic, when there is no response to write into.
pub async fn request_log<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let state = request.app_data::<web::Data<State>>().cloned();
    let state = state.as_ref().map(web::Data::get_ref);
    let matched = state.map_or(RouteMatch::Nothing, |state| look_up(state, &request));
    let observed = Observed {
        request_id: request_id(state, request.headers()),
        path: disclosed_path(state, &matched, &request),
        no_store: state.is_some_and(|state| request.match_info().as_str().starts_with(state.no_store_below)),
        is_preflight: request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD),
        under_tls: state.is_some_and(|state| state.under_tls),
        realm: state.map(|state| state.project_name.clone()).unwrap_or_default(),
        origin: state.and_then(|state| allowed_origin(&state.origins, request.headers())),
        matched: matched.clone(),
        stopwatch: Stopwatch::start(),
    };
    request.extensions_mut().insert(matched);
    let exchange = Exchange::begin(&mut request);
    let method = request.method().clone();
    let span =
        tracing::info_span!("request", request_id = %observed.request_id, %method, path = %observed.path);
    // A panic in a handler is a bug; its request is answered with 500 and the others go on.
    let handled = AssertUnwindSafe(next.call(request)).catch_unwind().instrument(span.clone()).await;
    let _in_span = span.enter();
    match handled {
        Ok(Ok(response)) => {
            let mut response = observed.finish(response.map_into_boxed_body());
            if exchange.is_last() {
                response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
            }
            Ok(response.map_body(|_, body| exchange.until_sent(body)))
        }
        Ok(Err(error)) => {
            let failed = observed.fail(&error.as_response_error().error_response(), &error.to_string());
            Err(PrebuiltResponse { exchange: Some(exchange), ..failed }.into())
        }
        Err(panic) => {
            let cause = format!("a handler panicked: {}", panic_text(&*panic));
            let failed = observed.fail(&HttpResponse::InternalServerError().finish(), &cause);
            Err(PrebuiltResponse { exchange: Some(exchange), ..failed }.into())
        }
    }
}

impl Observed {
    fn finish(&self, mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let mut failure = failure_of(response.response());
        // The CORS layer refuses with a bare 400.
        if self.is_preflight && failure.is_some() {
            failure = Some(refused_preflight(response.request()));
        }
        if let Some(error) = &failure {
            let rendered = self.render(error, response.headers());
            response = response.into_response(rendered);
        }
        self.set_headers(response.headers_mut());
        self.log(response.request(), response.status(), failure.as_ref());
        response
    }

    /// For errors of a middleware and panics, which have no response of a handler.
    fn fail(&self, response: &HttpResponse, cause: &str) -> PrebuiltResponse {
        let error = failure_of(response).unwrap_or_else(|| ApiError::new(&INTERNAL, cause));
        let status = error.status();
        let (code, duration_ms) = (status.as_u16(), self.milliseconds());
        if code == 503 {
            tracing::warn!(status = code, duration_ms, cause, "request put off");
        } else {
            tracing::error!(status = code, duration_ms, cause, "request failed");
        }
        let mut headers = HeaderMap::new();
        for (name, value) in error.headers(&self.realm) {
            headers.insert(name, value);
        }
        if let Some(origin) = &self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            let exposed = HeaderValue::from_static("retry-after, x-request-id");
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
            headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        }
        self.set_headers(&mut headers);
        let body = error.body(&self.request_id, &self.path).to_string();
        PrebuiltResponse { status, headers, body, exchange: None }
    }

    /// The problem document, with the headers that inner layers have set (those of CORS).
    fn render(&self, error: &ApiError, set_before: &HeaderMap) -> HttpResponse {
        let mut response = HttpResponse::build(error.status());
        for (name, value) in set_before {
            if !matches!(*name, header::CONTENT_TYPE | header::CONTENT_LENGTH | header::CONTENT_ENCODING) {
                response.append_header((name.clone(), value.clone()));
            }
        }
        for (name, value) in error.headers(&self.realm) {
            response.insert_header((name, value));
        }
        response
            .content_type(problem::CONTENT_TYPE)
            .body(error.body(&self.request_id, &self.path).to_string())
    }

    /// Headers of the OWASP Secure Headers Project. Pages of the documentation have set their own already.
    fn set_headers(&self, headers: &mut HeaderMap) {
        // Errors included: a refusal is personal, too.
        vary_by(headers, self.matched.rule().map_or(&[], |rule| &rule.credentials));
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        let cache = if self.no_store { "no-store" } else { "private, no-cache" };
        let hsts = self
            .under_tls
            .then_some((header::STRICT_TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"));
        let defaults = [
            (header::CACHE_CONTROL, cache),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
        ];
        for (name, value) in defaults.into_iter().chain(hsts) {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
    }

    fn log(&self, request: &HttpRequest, status: StatusCode, failure: Option<&ApiError>) {
        let extensions = request.extensions();
        let route = self.matched.template().unwrap_or("-");
        let user_id = extensions.get::<Arc<Principal>>().and_then(|principal| principal.user());
        let user_id = user_id.map(tracing::field::display);
        let (status, duration_ms) = (status.as_u16(), self.milliseconds());
        let cause = failure.and_then(ApiError::cause);
        if status == 503 {
            // Outages are expected, and the layer that noticed it logs more.
            tracing::warn!(route, status, duration_ms, user_id, cause, "request put off");
        } else if status >= 500 {
            tracing::error!(route, status, duration_ms, user_id, cause, "request failed");
        } else if let Some(failure) = failure {
            tracing::info!(route, status, duration_ms, user_id, detail = failure.logged(), "request refused");
        } else if self.matched.is_routine() {
            tracing::debug!(route, status, duration_ms, "request handled");
        } else {
            tracing::info!(route, status, duration_ms, user_id, "request handled");
        }
    }

    /// Milliseconds with three decimal places.
    fn milliseconds(&self) -> f64 {
        (self.stopwatch.elapsed().as_secs_f64() * 1_000_000.0).round() / 1_000.0
    }
}

/// The error in a response, if this layer renders it.
fn failure_of(response: &HttpResponse) -> Option<ApiError> {
    if let Some(error) = response.extensions().get::<ApiError>() {
        return Some(error.clone());
    }
    let is_error = response.status().is_client_error() || response.status().is_server_error();
    (is_error && response.extensions().get::<CustomErrorBody>().is_none())
        .then(|| problem::of_status(response.status()))
}

/// The reason why the CORS layer refused a preflight.
fn refused_preflight(request: &HttpRequest) -> ApiError {
    match state(request) {
        Ok(state) => {
            let (methods, headers) = (state.contract.methods(), request.headers());
            let refusal = cors::refusal(&state.origins, &state.page_headers, methods, headers);
            ApiError::new(&ORIGIN_NOT_ALLOWED, refusal)
        }
        Err(missing) => missing,
    }
}

/// The path of the request, reduced to names of routes and ids.
fn disclosed_path(state: Option<&State>, matched: &RouteMatch, request: &ServiceRequest) -> String {
    state.map_or_else(
        || request.path().to_owned(),
        |state| state.contract.disclosed(matched, request.match_info().as_str()),
    )
}

/// The id that the client or a proxy gave the request, if it can be logged safely; otherwise a new one.
fn request_id(state: Option<&State>, headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let fit = |id: &&str| {
        (1..=100).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    match (given.filter(fit), state) {
        (Some(id), _) => id.to_owned(),
        (None, Some(state)) => Id::<RequestKind>::new(state.databases.clock().now()).to_string(),
        (None, None) => String::new(),
    }
}

/// The path as the router decodes it: `/%61pi` is `/api` there, so it has to be here, too.
fn look_up(state: &State, request: &ServiceRequest) -> RouteMatch {
    state.contract.find(request.method(), request.match_info().as_str())
}

/// Adds names to `Vary` (RFC 9110, section 12.5.5), which stays one header line.
fn vary_by(headers: &mut HeaderMap, credentials: &[Credential]) {
    let present: Vec<&str> = headers.get_all(header::VARY).filter_map(|names| names.to_str().ok()).collect();
    let names = present.into_iter().chain(credentials.iter().map(|credential| credential.header()));
    let names = names.collect::<Vec<_>>().join(", ");
    if let (false, Ok(names)) = (names.is_empty(), HeaderValue::from_str(&names)) {
        headers.insert(header::VARY, names);
    }
}

fn allowed_origin(origins: &Origins, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    origins.allows(origin.to_str().ok()?).then(|| origin.clone())
}

/// The message of a panic for the log. A formatted message may contain data of a client, so it is left out; the panic hook of the
/// binary logs the place in the code.
#[must_use]
pub fn panic_text(panic: &(dyn std::any::Any + Send)) -> &'static str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("(a text with values, which are not logged)")
}

/// An answer that was built before actix makes a response of it.
#[derive(Debug)]
pub struct PrebuiltResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
    /// Kept until the answer has been sent.
    exchange: Option<Exchange>,
}

impl std::fmt::Display for PrebuiltResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "answered with {}", self.status)
    }
}

impl ResponseError for PrebuiltResponse {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for (name, value) in &self.headers {
            response.insert_header((name.clone(), value.clone()));
        }
        let Some(exchange) = self.exchange.clone() else {
            return response.content_type(problem::CONTENT_TYPE).body(self.body.clone());
        };
        if exchange.is_last() {
            response.force_close();
        }
        let response = response.content_type(problem::CONTENT_TYPE).body(self.body.clone());
        response.map_body(|_, body| exchange.until_sent(body))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract::{Access, OperationKey, Rule};

    /// The headers of the answer after a panic, to a page of this origin.
    fn after_a_panic(origin: &'static str) -> HeaderMap {
        let allowed = |origin: &str| origin == "https://app.example.com";
        let origins = Origins::new("https://api.example.com".to_owned(), allowed);
        let mut sent = HeaderMap::new();
        sent.insert(header::ORIGIN, HeaderValue::from_static(origin));
        let rule = Rule {
            key: OperationKey::new("/panics", "GET"),
            template: "/panics".to_owned(),
            access: Access::Requires(Vec::new()),
            credentials: vec![Credential::Authorization],
            query: BTreeSet::new(),
            deadline: None,
        };
        let observed = Observed {
            request_id: "the-panic".to_owned(),
            path: "/panics".to_owned(),
            no_store: false,
            is_preflight: false,
            under_tls: true,
            realm: "Test".into(),
            origin: allowed_origin(&origins, &sent),
            matched: RouteMatch::Operation(Arc::new(rule)),
            stopwatch: Stopwatch::start(),
        };
        let failed = observed.fail(&HttpResponse::InternalServerError().finish(), "a handler panicked");
        failed.error_response().headers().clone()
    }

    #[test]
    fn a_page_that_may_call_can_read_that_a_handler_panicked() {
        for origin in ["https://app.example.com", "https://api.example.com"] {
            let headers = after_a_panic(origin);
            assert_eq!(headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), origin);
            assert_eq!(headers.get(header::ACCESS_CONTROL_ALLOW_CREDENTIALS).unwrap(), "true");
            assert_eq!(headers.get(header::VARY).unwrap(), "Origin, Authorization");
        }
        for origin in ["https://evil.example.com", "https://app.example.com.evil.example", "null", "*"] {
            let headers = after_a_panic(origin);
            assert!(headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none(), "{origin}: {headers:?}");
            assert!(headers.get(header::ACCESS_CONTROL_ALLOW_CREDENTIALS).is_none(), "{origin}: {headers:?}");
        }
    }
}
