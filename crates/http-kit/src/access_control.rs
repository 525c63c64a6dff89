//! Checks every request against the contract before its body is read: path, method, access, query parameters. A request that is
//! refused here has cost no reading of a body and, unless its token is genuine, no query.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method as HttpMethod, Uri};
use actix_web::middleware::Next;
use shared_kernel::clock::Timestamp;
use shared_kernel::error::{FieldError, Invalid, Kind};
use shared_kernel::principal::{Method, Principal, Scope};
use shared_kernel::text;

use crate::contract::{Access, Credential, Requirement, RouteMatch, Rule, matched};
use crate::cookies;
use crate::cors::Origins;
use crate::headers::{SEC_FETCH_SITE, bearer, quoted};
use crate::problem::{
    ADMIN_REQUIRED, ApiError, INSUFFICIENT_SCOPE, MALFORMED, NOT_FOUND, ORIGIN_NOT_ALLOWED,
    REAUTHENTICATION_REQUIRED, URI_TOO_LONG, method_not_allowed,
};
use crate::state::{State, state};

/// Marks a request that came as `HEAD` and is handled as `GET`.
#[derive(Clone, Copy, Debug)]
pub struct AskedForHead;

/// The middleware.
///
/// # Errors
///
/// Errors of the inner layers. A refused request is not an error but an answer.
pub async fn access_control<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    match admit(&request).await {
        Ok(principal) => {
            if let Some(principal) = principal {
                request.extensions_mut().insert(principal);
            }
            // Handlers are registered for GET; actix leaves out the body of an answer to HEAD by itself.
            if request.method() == HttpMethod::HEAD {
                request.extensions_mut().insert(AskedForHead);
                request.head_mut().method = HttpMethod::GET;
            }
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}

/// The principal of the request, if the operation needs one.
async fn admit(request: &ServiceRequest) -> Result<Option<Arc<Principal>>, ApiError> {
    let state = state(request.request())?;
    check_url_length(request.uri(), state.limits.url_bytes)?;
    let rule = match matched(request.request())? {
        RouteMatch::Operation(rule) => rule,
        RouteMatch::OtherMethods { allow, .. } => return Err(method_not_allowed(&allow)),
        RouteMatch::Page(_) => return Ok(None),
        RouteMatch::Nothing => return Err(ApiError::new(&NOT_FOUND, "there is nothing at this path")),
    };
    let principal = identify(state, &rule.access, request.headers()).await?;
    if rule.credentials.contains(&Credential::Cookie) {
        check_origin(state, request.headers())?;
    }
    check_query(&rule, request.query_string())?;
    Ok(principal)
}

/// The principal of the request, after a check of all requirements of the operation; `None` for a public operation.
async fn identify(
    state: &State,
    access: &Access,
    headers: &HeaderMap,
) -> Result<Option<Arc<Principal>>, ApiError> {
    let requirements = match access {
        Access::Public => return Ok(None),
        // A client that sends a token expects to be known by it, so an invalid one is refused here, too.
        Access::Optional if !headers.contains_key(header::AUTHORIZATION) => return Ok(None),
        Access::Optional => &[][..],
        Access::Requires(requirements) => requirements,
    };
    let principal = authenticate(state, headers).await?;
    let now = state.databases.clock().now();
    requirements.iter().try_for_each(|requirement| check(requirement, &principal, now))?;
    Ok(Some(principal))
}

/// Refuses paths and queries that are too long, before they are parsed (RFC 9110, section 15.5.15).
fn check_url_length(url: &Uri, limit: usize) -> Result<(), ApiError> {
    let length = url.path_and_query().map_or(0, |asked| asked.as_str().len());
    if length <= limit {
        return Ok(());
    }
    let detail = format!("path and query have {length} bytes, and may have {limit}");
    Err(ApiError::new(&URI_TOO_LONG, detail))
}

/// Refuses the session cookie from foreign pages: browsers send it whatever page makes the request (OWASP, CSRF Prevention Cheat
/// Sheet).
fn check_origin(state: &State, headers: &HeaderMap) -> Result<(), ApiError> {
    let is_sent = cookies::named(headers, state.session_cookie).next().is_some();
    if !is_sent || is_of_our_page(&state.origins, headers) {
        return Ok(());
    }
    Err(ApiError::new(
        &ORIGIN_NOT_ALLOWED,
        "the request carries the session cookie and the origin of its page is not configured: see `cors.origins`",
    ))
}

/// Browsers name the page in `Origin`, except for plain GETs, and its relation in `Sec-Fetch-Site` (Fetch Metadata Request Headers)
/// for all requests. A client that sends neither is not a browser: a server that renders pages may pass the cookie on.
fn is_of_our_page(origins: &Origins, headers: &HeaderMap) -> bool {
    let mut pages = headers.get_all(header::ORIGIN).peekable();
    if pages.peek().is_some() {
        return pages.all(|origin| origin.to_str().is_ok_and(|origin| origins.allows(origin)));
    }
    let mut sites = headers.get_all(SEC_FETCH_SITE);
    sites.all(|site| matches!(site.as_bytes(), b"same-origin" | b"same-site" | b"none"))
}

/// The principal of the bearer token of a request.
async fn authenticate(state: &State, headers: &HeaderMap) -> Result<Arc<Principal>, ApiError> {
    let token = bearer(headers);
    let authenticated = state.authenticator.authenticate(token).await;
    authenticated.map_err(|error| if token.is_some() { refused_token(error, state) } else { error })
}

/// The error for an access token that was refused (RFC 6750, section 3.1).
#[must_use]
pub fn refused_token(error: ApiError, state: &State) -> ApiError {
    if error.kind() != Kind::Unauthenticated {
        return error;
    }
    let challenge = format!(r#"Bearer realm={}, error="invalid_token""#, quoted(&state.project_name));
    match HeaderValue::try_from(challenge) {
        Ok(challenge) => error.with_header(header::WWW_AUTHENTICATE, challenge),
        Err(_) => error,
    }
}

/// Whether the caller meets a requirement, at that time.
fn check(requirement: &Requirement, principal: &Principal, now: Timestamp) -> Result<(), ApiError> {
    match requirement {
        Requirement::Scope(scope) if principal.may(scope) => Ok(()),
        Requirement::Scope(scope) if *scope == Scope::ADMIN => {
            Err(ApiError::new(&ADMIN_REQUIRED, "only admins may do this"))
        }
        Requirement::Scope(scope) => {
            Err(ApiError::new(&INSUFFICIENT_SCOPE, format!("the credentials lack the scope {scope}")))
        }
        Requirement::Fresh(within) if principal.is_fresh(now, *within) => Ok(()),
        Requirement::Fresh(within) => Err(not_fresh(principal, *within)),
    }
}

fn not_fresh(principal: &Principal, within: Duration) -> ApiError {
    let proof = principal.authentication();
    let methods: Vec<String> =
        proof.into_iter().flat_map(|proof| &proof.methods).map(Method::to_string).collect();
    let detail = format!("sign in again: the last sign-in must be at most {} s ago", within.as_secs());
    ApiError::new(&REAUTHENTICATION_REQUIRED, detail).with_extra(serde_json::json!({ "methods": methods }))
}

/// Whether U+FFFD was really sent, and does not replace bytes that could not be decoded.
fn says_replacement_character(query: &str) -> bool {
    query.to_ascii_uppercase().contains("%EF%BF%BD")
}

/// Refuses unknown and repeated query parameters: a misspelt filter must not mean "no filter".
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

#[cfg(test)]
mod tests {
    use shared_kernel::id::{ApiKeyId, SessionId, UserId};
    use shared_kernel::principal::{Authentication, Scopes};

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_millis(seconds * 1_000).unwrap()
    }

    fn signed_in(is_admin: bool) -> Principal {
        let session_id = SessionId::from_bytes([1; 16]);
        let authentication = Authentication { session_id, at: at(1_000), methods: vec![Method::Password] };
        Principal::signed_in(UserId::from_bytes([2; 16]), authentication, Scopes::of_user(is_admin))
    }

    fn key(scope: &str) -> Principal {
        let scopes = [scope.parse::<Scope>().unwrap()].into_iter().collect();
        Principal::api_key(ApiKeyId::from_bytes([3; 16]), UserId::from_bytes([2; 16]), scopes)
    }

    /// The code of the refusal.
    fn refused(requirement: &Requirement, principal: &Principal, now: u64) -> Option<String> {
        let error = check(requirement, principal, at(now)).err()?;
        assert_eq!(error.kind(), Kind::Forbidden);
        Some(error.body("", "")["code"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_scope_is_had_or_the_refusal_says_which_is_lacking() {
        let admin = Requirement::Scope(Scope::ADMIN);
        assert_eq!(refused(&admin, &signed_in(true), 1_000), None);
        assert_eq!(refused(&admin, &signed_in(false), 1_000).as_deref(), Some("admin_required"));
        let write = Requirement::Scope("orders:write".parse().unwrap());
        assert_eq!(refused(&write, &signed_in(false), 1_000), None, "a session has all that its user may");
        assert_eq!(refused(&write, &key("orders:write"), 1_000), None);
        assert_eq!(refused(&write, &key("orders:read"), 1_000).as_deref(), Some("insufficient_scope"));
    }

    #[test]
    fn a_proof_is_fresh_for_as_long_as_the_operation_says() {
        let fresh = Requirement::Fresh(Duration::from_mins(10));
        assert_eq!(refused(&fresh, &signed_in(false), 1_600), None);
        assert_eq!(refused(&fresh, &signed_in(true), 1_601).as_deref(), Some("reauthentication_required"));
        assert_eq!(refused(&fresh, &key("admin"), 1_000).as_deref(), Some("reauthentication_required"));
        let refusal = check(&fresh, &signed_in(false), at(2_000)).unwrap_err();
        assert_eq!(refusal.body("", "")["methods"], serde_json::json!(["password"]));
    }
}
