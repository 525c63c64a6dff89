//! Extractors for handlers. [`access_control`](crate::access_control) has accepted the request before they run.

use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{self, Header as _, HeaderValue, IfMatch as IfMatchHeader};
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use garde::Validate;
use serde::de::DeserializeOwned;
use shared_kernel::error::{FieldError, INTERNAL, Invalid};
use shared_kernel::id::{Id, IdKind};
use shared_kernel::json::{self, JsonError};
use shared_kernel::page::{PageQuery, PageRequest};
use shared_kernel::principal::Principal;
use shared_kernel::repository::Precondition;
use shared_kernel::session;

use crate::etag::revision_of;
use crate::headers::CONSISTENCY_TOKEN;
use crate::media;
use crate::problem::{
    ADMIN_REQUIRED, ApiError, MALFORMED, NOT_FOUND, REQUEST_TIMEOUT, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE,
};
use crate::state::{State, state};

macro_rules! from_request_now {
    ($type:ty, $extract:expr) => {
        impl FromRequest for $type {
            type Error = ApiError;
            type Future = Ready<Result<Self, ApiError>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let extract: fn(&HttpRequest) -> Result<Self, ApiError> = $extract;
                ready(extract(request))
            }
        }
    };
}

/// A read session, on a replica if one has replayed the position in the header `Consistency-Token`. For GET handlers.
pub struct Read(pub session::ReadSession);

from_request_now!(Read, |request| {
    let seen = match request.headers().get(CONSISTENCY_TOKEN) {
        None => None,
        Some(token) => Some(token.to_str().unwrap_or_default().parse().map_err(|_| {
            Invalid::field(
                "",
                "consistency_token",
                "the header Consistency-Token has a value that this API did not issue",
            )
        })?),
    };
    Ok(Self(state(request)?.databases.read(seen)))
});

/// A read session on the primary.
pub struct ReadPrimary(pub session::ReadPrimary);

from_request_now!(ReadPrimary, |request| Ok(Self(state(request)?.databases.read_primary())));

/// The principal of the request. The operation must not be public.
pub struct CurrentUser(pub Arc<Principal>);

from_request_now!(CurrentUser, |request| Ok(Self(principal(request)?)));

/// Access control guarantees a principal; a handler that is reached in another way fails.
fn principal(request: &HttpRequest) -> Result<Arc<Principal>, ApiError> {
    let principal = request.extensions().get::<Arc<Principal>>().cloned();
    principal
        .ok_or_else(|| ApiError::new(&INTERNAL, "the handler takes a principal, and its operation is public"))
}

/// The principal of the request, if it has credentials; for public operations
/// (`security((), ("bearer" = []), ("oauth2" = []))`).
pub struct MaybeUser(pub Option<Arc<Principal>>);

from_request_now!(MaybeUser, |request| Ok(Self(request.extensions().get::<Arc<Principal>>().cloned())));

/// An admin. For every handler below `/api/v1/admin/`: a second check after access control.
pub struct Admin(pub Arc<Principal>);

from_request_now!(Admin, |request| {
    let principal = principal(request)?;
    if principal.is_admin() {
        Ok(Self(principal))
    } else {
        Err(ApiError::new(&ADMIN_REQUIRED, "only admins may do this"))
    }
});

/// The header `If-Match` (RFC 9110, section 13.1.1). A weak tag never matches.
pub struct IfMatch(pub Precondition);

from_request_now!(IfMatch, |request| {
    if !request.headers().contains_key(header::IF_MATCH) {
        return Ok(Self(Precondition::None));
    }
    let header = IfMatchHeader::parse(request);
    let header = header.map_err(|_| Invalid::field("", "if_match", "the header If-Match cannot be read"))?;
    Ok(Self(match header {
        // `*` matches any state, and the query finds living rows only.
        IfMatchHeader::Any => Precondition::None,
        IfMatchHeader::Items(tags) => Precondition::OneOf(tags.iter().filter_map(revision_of).collect()),
    }))
});

/// The client that sent a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientInfo {
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The IP address, behind trusted proxies.
    pub ip: Option<String>,
}

from_request_now!(ClientInfo, |request| {
    let user_agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let ip = client_address(state(request)?, request);
    Ok(Self { user_agent: user_agent.map(str::to_owned), ip })
});

/// The address of the client: the peer's or, if that is a trusted proxy, the last address in `X-Forwarded-For` that is not one.
fn client_address(state: &State, request: &HttpRequest) -> Option<String> {
    let peer = request.peer_addr()?.ip().to_canonical();
    if !state.trusts(&peer) {
        return Some(peer.to_string());
    }
    let listed: Vec<u8> = request
        .headers()
        .get_all(header::X_FORWARDED_FOR)
        .map(HeaderValue::as_bytes)
        .collect::<Vec<_>>()
        .join(&b',');
    let client =
        listed.rsplit(|byte| *byte == b',').map_while(forwarded).find(|address| !state.trusts(address));
    Some(client.unwrap_or(peer).to_string())
}

/// An entry of `X-Forwarded-For`: an address, with a port from some proxies. Entries before one that is neither are not trusted.
fn forwarded(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

/// The id in a path with one parameter. A malformed id is answered with 404, as an unknown one.
pub struct PathId<K>(pub Id<K>);

impl<K: IdKind> FromRequest for PathId<K> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut segments = request.match_info().iter().map(|(_, segment)| segment);
        let (Some(segment), None) = (segments.next(), segments.next()) else {
            let reason = "the path has several parameters, or none: several are taken by `PathIds`";
            return ready(Err(ApiError::new(&INTERNAL, reason)));
        };
        ready(segment.parse().map(Self).map_err(|_| no_such_id()))
    }
}

/// Several ids in a path: a struct with the names of the parameters, or a tuple in their order.
pub struct PathIds<T>(pub T);

impl<T: DeserializeOwned> FromRequest for PathIds<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let ids = web::Path::<T>::from_request(request, payload).into_inner();
        ready(ids.map(|ids| Self(ids.into_inner())).map_err(|_| no_such_id()))
    }
}

fn no_such_id() -> ApiError {
    ApiError::new(&NOT_FOUND, "nothing has this id")
}

/// A JSON body, read after access control, and validated.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + Validate<Context = ()> + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read(&request, payload, media::json(request.method())).await?;
            Ok(Self(parse(&bytes)?))
        })
    }
}

fn parse<T: DeserializeOwned + Validate<Context = ()>>(bytes: &[u8]) -> Result<T, ApiError> {
    json::parse(bytes).map_err(|error| match error {
        JsonError::Malformed(reason) => ApiError::new(&MALFORMED, reason),
        JsonError::Invalid(invalid) => invalid.into(),
    })
}

/// An optional JSON body: no body, or `null`, is the default.
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default + Validate<Context = ()> + 'static> FromRequest for OptionalBody<T> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let headers = request.headers();
        let says_none = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0");
        if says_none && !headers.contains_key(header::TRANSFER_ENCODING) {
            return Box::pin(ready(Ok(Self(T::default()))));
        }
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = read(&request, payload, media::json(request.method())).await?;
            if bytes.trim_ascii() == b"null" { Ok(Self(T::default())) } else { Ok(Self(parse(&bytes)?)) }
        })
    }
}

/// The bytes of a form body (`application/x-www-form-urlencoded`); only the token endpoint has one.
pub struct FormBytes(pub Bytes);

impl FromRequest for FormBytes {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { Ok(Self(read(&request, payload, &[media::FORM]).await?)) })
    }
}

/// The whole body, if it has one of those media types, is not compressed, and stays within the limits of size and time.
async fn read(request: &HttpRequest, payload: Payload, types: &[&str]) -> Result<Bytes, ApiError> {
    let limits = state(request)?.limits;
    let limit = limits.json_body_bytes;
    let too_large = || ApiError::new(&TOO_LARGE, format!("the body may have at most {limit} bytes"));
    let declared =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > limit) {
        return Err(too_large());
    }
    let is_of_type = types.iter().any(|name| request.content_type().eq_ignore_ascii_case(name));
    if !is_of_type || !media::is_uncoded(request.headers()) {
        let detail = format!("the body must be {}, uncompressed", types.join(" or "));
        let refusal = ApiError::new(&UNSUPPORTED_MEDIA_TYPE, detail);
        return Err(match media::accepted(request.method(), types) {
            Some((name, value)) => refusal.with_header(name, value),
            None => refusal,
        });
    }
    let collect = async {
        let mut payload = payload;
        let mut bytes = BytesMut::with_capacity(declared.unwrap_or(0));
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| ApiError::new(&MALFORMED, "the body broke off"))?;
            if bytes.len() + chunk.len() > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    };
    let late = |_| ApiError::new(&REQUEST_TIMEOUT, "the body did not arrive in time");
    tokio::time::timeout(limits.body_timeout, collect).await.map_err(late)?
}

/// Filters, order and page of a list.
pub struct ListQuery<F> {
    /// The filters and the order.
    pub filter: F,
    /// The page.
    pub page: PageRequest,
}

impl<F: DeserializeOwned + Validate<Context = ()>> FromRequest for ListQuery<F> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse_list(request.query_string()).map_err(ApiError::from))
    }
}

/// Separates the query parameters of a page from the others. Errors of both are reported together.
fn parse_list<F: DeserializeOwned + Validate<Context = ()>>(query: &str) -> Result<ListQuery<F>, Invalid> {
    let (page, filter): (Vec<_>, Vec<_>) =
        pairs(query).into_iter().partition(|(name, _)| PageQuery::NAMES.contains(&name.as_str()));
    let filter = json::parse_query(&filter);
    match (json::parse_query::<PageQuery>(&page).and_then(PageRequest::try_from), filter) {
        (Ok(page), Ok(filter)) => Ok(ListQuery { filter, page }),
        (Err(Invalid(mut refused)), Err(Invalid(others))) => {
            refused.extend(others);
            refused.truncate(json::MAX_REFUSALS);
            Err(Invalid(refused))
        }
        (Err(refused), Ok(_)) | (Ok(_), Err(refused)) => Err(refused),
    }
}

/// The parameters of a query string that access control has checked.
fn pairs(query: &str) -> Vec<(String, String)> {
    serde_urlencoded::from_str(query).unwrap_or_default()
}

/// Query parameters as a struct, validated.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Validate<Context = ()>> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(json::parse_query(&pairs(request.query_string())).map(Self).map_err(ApiError::from))
    }
}

/// An error of a field that a router itself found.
#[must_use]
pub fn refuse(pointer: &str, code: &'static str, message: &str) -> ApiError {
    Invalid(vec![FieldError::new(pointer, code, message)]).into()
}
