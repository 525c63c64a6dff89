//! The only place that knows status codes: domain errors become `application/problem+json` (RFC 9457).
//!
//! A handler fails with an [`ApiError`]. It stays inside the response until [`request_log`](crate::request_log) renders it, which
//! has the request's id and path. Errors of other layers (actix's own 404, a refused preflight) are rendered there too, by status.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use shared_kernel::error::{DomainError, FieldError, INTERNAL, Kind, Problem};
use utoipa::ToSchema;

use crate::headers::quoted;
use crate::media;

/// The media type of every error.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Default of `Retry-After` for a request that found a dependency unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An error on its way to the client.
#[derive(Clone)]
pub struct ApiError(Box<Occurrence>);

#[derive(Clone)]
struct Occurrence {
    problem: &'static Problem,
    detail: String,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    headers: Vec<(HeaderName, HeaderValue)>,
    extra: Option<serde_json::Value>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// Text for the log: the sentence, or the codes of the refused fields. Names of fields are left out, because the client may have
    /// invented them.
    #[must_use]
    pub fn logged(&self) -> String {
        let Self(occurrence) = self;
        let codes: BTreeSet<&str> = occurrence.fields.iter().map(|field| field.code.as_ref()).collect();
        if codes.is_empty() {
            return occurrence.detail.clone();
        }
        format!("{}: {}", occurrence.problem.code, Vec::from_iter(codes).join(", "))
    }

    /// An occurrence of `problem`, with a sentence about this occurrence.
    pub fn new(problem: &'static Problem, detail: impl Into<String>) -> Self {
        Self(Box::new(Occurrence {
            problem,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
            extra: None,
            cause: None,
        }))
    }

    /// An unexpected failure of the server.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        let mut error = Self::new(&INTERNAL, cause.to_string());
        error.0.cause = Some(Arc::new(cause));
        error
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// Adds an extension member (RFC 9457, section 3.2).
    #[must_use]
    pub fn with_extra(mut self, members: serde_json::Value) -> Self {
        self.0.extra = Some(members);
        self
    }

    /// Adds refused fields.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = FieldError>) -> Self {
        self.0.fields.extend(fields);
        self
    }

    /// The kind of the problem.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.problem.kind
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        status_of(self.0.problem.kind)
    }

    /// Description of the error with its sources, for the log.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        let mut error: &dyn Error = self.0.cause.as_deref()?;
        let mut text = error.to_string();
        while let Some(source) = error.source() {
            error = source;
            text.push_str(": ");
            text.push_str(&error.to_string());
        }
        Some(text)
    }

    /// The answer's body.
    #[must_use]
    pub fn body(&self, request_id: &str, instance: &str) -> serde_json::Value {
        let internal = self.0.problem.kind == Kind::Internal;
        let body = ProblemDocument {
            r#type: format!("/problems/{}", self.0.problem.code),
            title: self.0.problem.title.to_owned(),
            status: self.status().as_u16(),
            detail: if internal {
                "The log has the cause under the request id.".into()
            } else {
                self.0.detail.clone()
            },
            instance: instance.to_owned(),
            code: self.0.problem.code.to_owned(),
            request_id: request_id.to_owned(),
            errors: self.0.fields.clone(),
        };
        let mut body = serde_json::to_value(body).unwrap_or_default();
        if let (Some(body), Some(serde_json::Value::Object(extra))) =
            (body.as_object_mut(), self.0.extra.clone())
        {
            body.extend(extra);
        }
        body
    }

    /// The headers of the answer besides the content type. `realm` is what a challenge names (RFC 9110, section 11.5).
    #[must_use]
    pub fn headers(&self, realm: &str) -> Vec<(HeaderName, HeaderValue)> {
        let mut headers = self.0.headers.clone();
        // The contract promises this header with every 503, so there is a default.
        let unknown = (self.0.problem.kind == Kind::Unavailable).then_some(RETRY_AFTER);
        if let Some(after) = self.0.retry_after.or(unknown) {
            // Whole seconds, rounded up (RFC 9110, section 10.2.3).
            headers.push((
                header::RETRY_AFTER,
                HeaderValue::from(after.as_secs() + u64::from(after.subsec_nanos() > 0)),
            ));
        }
        if self.0.problem.kind == Kind::Unauthenticated
            && !headers.iter().any(|(name, _)| name == header::WWW_AUTHENTICATE)
        {
            let challenge = HeaderValue::try_from(format!("Bearer realm={}", quoted(realm)));
            headers.extend(challenge.ok().map(|challenge| (header::WWW_AUTHENTICATE, challenge)));
        }
        headers
    }
}

impl<E: DomainError> From<E> for ApiError {
    fn from(error: E) -> Self {
        let mut answer = Self::new(error.problem(), error.to_string());
        answer.0.fields = error.fields();
        answer.0.retry_after = error.retry_after();
        answer.0.cause = Some(Arc::new(Shown(error.to_string(), sources(&error))));
        answer
    }
}

/// Texts of an error and of its sources, copied because errors need not be `Clone`.
#[derive(Debug)]
struct Shown(String, Option<Box<Shown>>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Shown {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|shown| shown as &(dyn Error + 'static))
    }
}

fn sources(error: &dyn Error) -> Option<Box<Shown>> {
    error.source().map(|source| Box::new(Shown(source.to_string(), sources(source))))
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("code", &self.0.problem.code)
            .field("detail", &self.0.detail)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status());
        response.extensions_mut().insert(self.clone());
        response
    }
}

fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Gone => StatusCode::GONE,
        Kind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UriTooLong => StatusCode::URI_TOO_LONG,
        Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a method that a path does not have.
#[must_use]
pub fn method_not_allowed(allow: &str) -> ApiError {
    let mut error = ApiError::new(&METHOD_NOT_ALLOWED, format!("the path has these methods: {allow}"));
    if let Ok(allow) = HeaderValue::from_str(allow) {
        error = error.with_header(header::ALLOW, allow);
    }
    // RFC 5789, section 3.1: an answer that lists the methods also lists the media types of patches.
    let takes_patches = allow.split(", ").any(|method| method == Method::PATCH.as_str());
    match media::accepted(&Method::PATCH, media::json(&Method::PATCH)).filter(|_| takes_patches) {
        Some((name, value)) => error.with_header(name, value),
        None => error,
    }
}

/// The problem for an error of another layer, of which only the status is known.
#[must_use]
pub fn of_status(status: StatusCode) -> ApiError {
    let known = PROBLEMS
        .iter()
        .chain(shared_kernel::error::PROBLEMS)
        .find(|problem| status_of(problem.kind) == status);
    let problem = match known {
        Some(problem) => problem,
        None if status.is_server_error() => &INTERNAL,
        None => &MALFORMED,
    };
    ApiError::new(problem, problem.title)
}

/// An error as the API answers it (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument {
    /// URL of a page that explains the code and what to do.
    #[schema(examples("/problems/validation_failed"))]
    r#type: String,
    /// Summary of the problem, the same for every occurrence.
    #[schema(examples("Validation failed"))]
    title: String,
    /// HTTP status code.
    #[schema(minimum = 400, maximum = 599, examples(422))]
    status: u16,
    /// Explanation of this occurrence.
    #[schema(examples("/email: is not an e-mail address"))]
    detail: String,
    /// Path of the request.
    #[schema(examples("/api/v1/auth/signup"))]
    instance: String,
    /// Stable code of the problem.
    #[schema(value_type = ProblemCode)]
    code: String,
    /// Id of the request, as in the header `X-Request-Id` and in the log.
    #[schema(examples("req_01J9ZC3V8T5Q4X2M7N6P0R1S2T"))]
    request_id: String,
    /// Fields that were refused; empty if the problem is not about fields.
    errors: Vec<FieldError>,
}

/// Stable code of a problem; the page at `type` explains it.
// Its values are the codes of the catalogue, which `answers` writes into the document.
#[derive(Debug, ToSchema)]
#[schema(examples("validation_failed"))]
#[expect(dead_code, reason = "only its shape is used, by the document")]
pub(crate) struct ProblemCode(String);

/// The body, the path or the query cannot be read.
pub static MALFORMED: Problem = Problem {
    kind: Kind::Malformed,
    code: "malformed_request",
    title: "The request cannot be read",
    help: "The body is not JSON in UTF-8, or the query string is not percent-encoded UTF-8. `detail` says where reading failed.",
    example: "the query string is not UTF-8",
    field: None,
};
/// No such path.
pub static NOT_FOUND: Problem = Problem {
    kind: Kind::NotFound,
    code: "not_found",
    title: "Nothing was found at this path",
    help: "No operation has this path, or the id in it is malformed. `/docs` lists all operations. A path has no slash at its end.",
    example: "nothing has this id",
    field: None,
};
/// The path has other methods.
pub static METHOD_NOT_ALLOWED: Problem = Problem {
    kind: Kind::MethodNotAllowed,
    code: "method_not_allowed",
    title: "The path does not have this method",
    help: "The path exists with other methods: the header `Allow` lists them.",
    example: "the path has these methods: GET, HEAD",
    field: None,
};
/// The caller is signed in, but not as an admin.
pub static ADMIN_REQUIRED: Problem = Problem {
    kind: Kind::Forbidden,
    code: "admin_required",
    title: "Only admins may do this",
    help: "You are signed in, but not as an admin. An admin can make you one; the first admin is made with the command \
           `admin create`.",
    example: "only admins may do this",
    field: None,
};
/// The credentials lack a scope (RFC 6750, section 3.1).
pub static INSUFFICIENT_SCOPE: Problem = Problem {
    kind: Kind::Forbidden,
    code: "insufficient_scope",
    title: "The credentials lack a scope",
    help: "The credentials are genuine, but the operation needs a scope that they do not have; `detail` names it. Use \
           credentials that were given this scope.",
    example: "the credentials lack the scope orders:write",
    field: None,
};
/// The last sign-in is too long ago.
pub static REAUTHENTICATION_REQUIRED: Problem = Problem {
    kind: Kind::Forbidden,
    code: "reauthentication_required",
    title: "A recent sign-in is required",
    help: "The operation needs a recent sign-in, and yours is older, or the credentials belong to a program. Sign in again; \
           `methods` names the ways.",
    example: "sign in again: the last sign-in must be at most 600 s ago",
    field: None,
};
/// A browser sent the session cookie from a page of an unknown origin.
pub static ORIGIN_NOT_ALLOWED: Problem = Problem {
    kind: Kind::Forbidden,
    code: "origin_not_allowed",
    title: "The origin of the page is not allowed",
    help: "The request is a CORS preflight, or carries the session cookie to an operation that reads it, and comes from a page \
           whose origin is not configured: add the origin to the setting `cors.origins`. Or the preflight asks for a request header \
           that pages may not send: add it to the setting `cors.headers`. `detail` and the log say which.",
    example: "the request carries the session cookie and the origin of its page is not configured: see `cors.origins`",
    field: None,
};
/// The body took too long.
pub static REQUEST_TIMEOUT: Problem = Problem {
    kind: Kind::RequestTimeout,
    code: "request_timeout",
    title: "The body did not arrive in time",
    help: "The body did not arrive within the configured time. Send the request again on a better connection.",
    example: "the body did not arrive in time",
    field: None,
};
/// The body is too large.
pub static TOO_LARGE: Problem = Problem {
    kind: Kind::TooLarge,
    code: "body_too_large",
    title: "The body is too large",
    help: "The body is larger than this installation accepts (1 MiB unless configured otherwise). Where an \
           operation is about a file, it says where the bytes go instead.",
    example: "the body may have at most 1048576 bytes",
    field: None,
};
/// The URL is too long.
pub static URI_TOO_LONG: Problem = Problem {
    kind: Kind::UriTooLong,
    code: "uri_too_long",
    title: "The URL is too long",
    help: "Path and query together are longer than this installation accepts (`limits.url_bytes`, 16 KiB unless configured \
           otherwise). Send a `cursor` as it was given out, and long values in a body.",
    example: "path and query have 20000 bytes, and may have 16384",
    field: None,
};
/// The body is of another type.
pub static UNSUPPORTED_MEDIA_TYPE: Problem = Problem {
    kind: Kind::UnsupportedMediaType,
    code: "unsupported_media_type",
    title: "The media type of the body is not supported",
    help: "Send JSON with `Content-Type: application/json`, uncompressed. A patch may also be called \
           `application/merge-patch+json`.",
    example: "the body must be application/json, uncompressed",
    field: None,
};

/// The problems of HTTP itself, for the catalogue.
pub static PROBLEMS: &[&Problem] = &[
    &MALFORMED,
    &NOT_FOUND,
    &METHOD_NOT_ALLOWED,
    &ADMIN_REQUIRED,
    &INSUFFICIENT_SCOPE,
    &REAUTHENTICATION_REQUIRED,
    &ORIGIN_NOT_ALLOWED,
    &REQUEST_TIMEOUT,
    &TOO_LARGE,
    &URI_TOO_LONG,
    &UNSUPPORTED_MEDIA_TYPE,
];
