//! Holds every request against the contract before anything of it is read: path, method, who may, which query
//! parameters. A refusal here costs no body and, unless the token is genuine, no query.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, web};
use auth::error::AuthError;
use shared_kernel::actor::Actor;
use shared_kernel::error::{FieldError, Invalid};
use shared_kernel::text;

use super::contract::{Access, Credential, Found, Rule};
use super::cors::Origins;
use super::media;
use super::problem::{
    ADMIN_REQUIRED, ApiError, MALFORMED, METHOD_NOT_ALLOWED, NOT_FOUND, ORIGIN_NOT_ALLOWED, URI_TOO_LONG,
};
use crate::context::Context;
use crate::http::extract::context;
use crate::routers::auth::refresh_cookies;

/// The path template of a request, for the log.
#[derive(Clone, Debug)]
pub struct Route(pub String);

/// Marks a request that came as `HEAD` and is handled as `GET`.
#[derive(Clone, Copy, Debug)]
pub struct AskedForHead;

/// The middleware.
///
/// # Errors
///
/// Those of what lies behind; a refusal is an answer.
pub async fn gate<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    match admit(&request).await {
        Ok(actor) => {
            if let Some(actor) = actor {
                request.extensions_mut().insert(actor);
            }
            // Handlers are registered for GET; actix leaves the body of an answer to HEAD out by itself.
            if request.method() == Method::HEAD {
                request.extensions_mut().insert(AskedForHead);
                request.head_mut().method = Method::GET;
            }
            let relay = notified(&request);
            let response = next.call(request).await?.map_into_boxed_body();
            if let Some(relay) = relay {
                relay.notify();
            }
            Ok(response)
        }
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

/// The relay to notify after the request, if it may have left events behind.
fn notified(request: &ServiceRequest) -> Option<messaging::RelayNotifier> {
    let writes = request.method() != Method::GET;
    request.app_data::<web::Data<Context>>().filter(|_| writes).map(|context| context.relay.clone())
}

/// Who sent the request, if it matters.
async fn admit(request: &ServiceRequest) -> Result<Option<Arc<Actor>>, ApiError> {
    let context = context(request.request())?;
    refuse_long_url(request.uri(), context.url_bytes)?;
    // The path as the router sees it: `/%61pi` is `/api` there, so it must be here.
    let rule = match context.contract.find(request.method(), request.match_info().as_str()) {
        Found::Rule(rule) => rule,
        Found::OtherMethods(allow) => return Err(method_not_allowed(&allow)),
        Found::Page => return Ok(None),
        Found::Nothing => return Err(ApiError::new(&NOT_FOUND, "there is nothing at this path")),
    };
    request.extensions_mut().insert(Route(rule.template.clone()));
    let actor = match rule.access {
        Access::Public => None,
        // Who sends a token wants to be known by it: one that is worth nothing is told, as anywhere else.
        Access::Optional if !request.headers().contains_key(header::AUTHORIZATION) => None,
        Access::Optional | Access::SignedIn | Access::Admin => {
            Some(authenticate(context, request.headers()).await?)
        }
    };
    if rule.access == Access::Admin && !actor.as_ref().is_some_and(|actor| actor.is_admin) {
        return Err(ApiError::new(&ADMIN_REQUIRED, "only admins may do this"));
    }
    if rule.credentials.contains(&Credential::Cookie) {
        refuse_foreign_page(context, request.headers())?;
    }
    check_query(rule, request.query_string())?;
    Ok(actor)
}

/// Before anybody reads it: a query of kilobytes is no question (RFC 9110, section 15.5.15).
fn refuse_long_url(url: &Uri, limit: usize) -> Result<(), ApiError> {
    let length = url.path_and_query().map_or(0, |asked| asked.as_str().len());
    if length <= limit {
        return Ok(());
    }
    let detail = format!("path and query have {length} bytes, and may have {limit}");
    Err(ApiError::new(&URI_TOO_LONG, detail))
}

/// The answer to a method that a path does not have.
#[must_use]
pub fn method_not_allowed(allow: &str) -> ApiError {
    let mut error = ApiError::new(&METHOD_NOT_ALLOWED, format!("the path has these methods: {allow}"));
    if let Ok(allow) = HeaderValue::from_str(allow) {
        error = error.with_header(header::ALLOW, allow);
    }
    // RFC 5789, section 3.1: whoever asks what the path takes learns in which form it takes a patch.
    let takes_patches = allow.split(", ").any(|method| method == Method::PATCH.as_str());
    match media::accepted(&Method::PATCH, media::json(&Method::PATCH)).filter(|_| takes_patches) {
        Some((name, value)) => error.with_header(name, value),
        None => error,
    }
}

/// A browser sends the cookie along whatever page asked: only our own pages may (OWASP, CSRF Prevention Cheat Sheet).
fn refuse_foreign_page(context: &Context, headers: &HeaderMap) -> Result<(), ApiError> {
    if refresh_cookies(headers).next().is_none() || is_of_our_page(&context.origins, headers) {
        return Ok(());
    }
    Err(ApiError::new(
        &ORIGIN_NOT_ALLOWED,
        "the request carries the session cookie and comes from a page of no configured origin: see ASHLAR_CORS__ORIGINS",
    ))
}

/// Browsers say which page asked in `Origin` with whatever is not a plain GET, and in `Sec-Fetch-Site` (Fetch Metadata Request
/// Headers) with everything. What says neither is no browser: a server that renders pages sends the cookie on.
fn is_of_our_page(origins: &Origins, headers: &HeaderMap) -> bool {
    let mut pages = headers.get_all(header::ORIGIN).peekable();
    if pages.peek().is_some() {
        return pages.all(|origin| origin.to_str().is_ok_and(|origin| origins.allows(origin)));
    }
    let mut sites = headers.get_all(SEC_FETCH_SITE);
    sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"same-site" | b"none"))
}

/// Where the page that asked stands to what it asks.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

async fn authenticate(context: &Context, headers: &HeaderMap) -> Result<Arc<Actor>, ApiError> {
    let Some(token) = bearer(headers) else {
        return Err(AuthError::InvalidToken.into());
    };
    auth::service::authenticate(&context.auth, token).await.map_err(refused_token)
}

/// The refusal of an access token that was sent.
#[must_use]
pub fn refused_token(error: AuthError) -> ApiError {
    let invalid = matches!(error, AuthError::InvalidToken);
    let error = ApiError::from(error);
    // RFC 6750, section 3.1: a token was sent, and it is worth nothing.
    let challenge = HeaderValue::from_static(r#"Bearer realm="ashlar", error="invalid_token""#);
    if invalid { error.with_header(header::WWW_AUTHENTICATE, challenge) } else { error }
}

/// The token of the one `Authorization: Bearer` header (RFC 6750, section 2.1). Two headers are nobody's.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION);
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// Whether U+FFFD was really sent, and does not stand for what could not be decoded.
fn says_replacement_character(query: &str) -> bool {
    query.to_ascii_uppercase().contains("%EF%BF%BD")
}

/// Refuses parameters that the operation does not have, or has once: a typo must not pass for "no filter".
fn check_query(rule: &Rule, query: &str) -> Result<(), ApiError> {
    if query.is_empty() {
        return Ok(());
    }
    let pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = serde_urlencoded::from_str(query)
        .map_err(|_| ApiError::new(&MALFORMED, "the query string is not percent-encoded UTF-8"))?;
    let mut refused = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, value) in &pairs {
        let is_lossy = value.contains('\u{fffd}') || name.contains('\u{fffd}');
        if is_lossy && !says_replacement_character(query) {
            return Err(ApiError::new(&MALFORMED, "the query string is not UTF-8"));
        }
        let pointer = format!("/{}", name.replace(text::is_refused, "\u{fffd}"));
        if !rule.query.contains(name.as_ref()) {
            refused.push(FieldError::new(
                pointer,
                "unknown_parameter",
                "is not a parameter of this operation",
            ));
        } else if !seen.insert(name) {
            refused.push(FieldError::new(pointer, "duplicate_parameter", "is given twice"));
        } else if value.contains(text::is_refused) {
            refused.push(FieldError::new(
                pointer,
                "control_characters",
                "must not contain control characters",
            ));
        }
    }
    refused.truncate(20);
    if refused.is_empty() { Ok(()) } else { Err(Invalid(refused).into()) }
}
