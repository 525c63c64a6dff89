//! Domain errors: what went wrong, in words that a client can act on, without a status code.
//!
//! Each domain has one error enum (`thiserror`) that implements [`DomainError`]. Each way to fail is a [`Problem`]: a kind,
//! a stable code, a title, and what to do about it; the server turns it into `application/problem+json` (RFC 9457) and
//! serves a page for each code. What the operator reads is the error itself with its sources, in the log.
//!
//! # Adding an error
//!
//! A variant with a message, a `static` [`Problem`], a line in `problem()`, and the `static` in the domain's list of
//! problems: a code that is not listed has no page, and a test says so.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use crate::field::Params;

/// What sort of failure it is. The server knows which status each has; nobody else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be read at all.
    Malformed,
    /// The request can be read and breaks a rule.
    Invalid,
    /// Nobody is signed in, or the proof is worthless.
    Unauthenticated,
    /// Somebody is signed in who may not.
    Forbidden,
    /// There is no such thing, or not for this user.
    NotFound,
    /// The method is not one that the resource has.
    MethodNotAllowed,
    /// The request did not arrive in time.
    RequestTimeout,
    /// It contradicts what is there.
    Conflict,
    /// It was there.
    Gone,
    /// The precondition of the request (`If-Match`) does not hold.
    PreconditionFailed,
    /// The body is larger than allowed.
    TooLarge,
    /// The URL is longer than allowed.
    UriTooLong,
    /// The body is of a type that is not read here.
    UnsupportedMediaType,
    /// Too many requests.
    TooManyRequests,
    /// Something that the answer needs is away or busy; the same request may work later.
    Unavailable,
    /// Our own fault. The client learns nothing but the request id.
    Internal,
}

/// One way to fail, as the catalogue of problems shows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// What sort of failure it is.
    pub kind: Kind,
    /// The stable name that clients match on, in `snake_case`.
    pub code: &'static str,
    /// A short summary that is the same for every occurrence.
    pub title: &'static str,
    /// What it means and what to do, for the page behind `type`.
    pub help: &'static str,
}

/// A field that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: a JSON pointer (RFC 6901) into the body, or `/name` of a query parameter; empty for the whole.
    #[schema(examples("/email"))]
    pub pointer: String,
    /// The rule that it breaks: a stable name, the same for one rule wherever it is broken.
    #[schema(value_type = String, examples("email"))]
    pub code: Cow<'static, str>,
    /// The rule in words.
    #[schema(examples("is not an e-mail address"))]
    pub message: String,
    /// The rule's parameters, such as a bound.
    #[serde(skip_serializing_if = "Params::is_empty")]
    #[schema(required = false, schema_with = crate::field::params_schema)]
    pub params: Params,
}

/// The longest pointer and message, in characters: names in them are the client's, and no answer grows with its body.
const MAX_POINTER: usize = 200;
const MAX_MESSAGE: usize = 400;

impl FieldError {
    /// A refusal of the field at `pointer`. A pointer or a message that is very long is cut and ends in `…`.
    pub fn new(
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            pointer: shortened(pointer.into(), MAX_POINTER),
            code: code.into(),
            message: shortened(message.into(), MAX_MESSAGE),
            params: Params::new(),
        }
    }

    /// As much of `pointer` as a refusal keeps, and a little more, so that it is seen to be cut.
    pub(crate) fn kept(pointer: &str) -> &str {
        pointer.char_indices().nth(MAX_POINTER + 1).map_or(pointer, |(end, _)| &pointer[..end])
    }
}

/// `text`, of which at most so many characters are kept.
fn shortened(mut text: String, length: usize) -> String {
    if text.char_indices().nth(length).is_some() {
        let end = text.char_indices().nth(length - 1).map_or(0, |(end, _)| end);
        text.truncate(end);
        text.push('…');
        // The room that the whole text took.
        text.shrink_to_fit();
    }
    text
}

/// An error of a domain. Its `Display` is what the client reads as `detail`, unless the kind is
/// [`Internal`](Kind::Internal); its sources are for the log alone.
pub trait DomainError: Error + Send + Sync + 'static {
    /// Which way to fail this is.
    fn problem(&self) -> &'static Problem;

    /// The fields that were refused, if it is about fields.
    fn fields(&self) -> Vec<FieldError> {
        Vec::new()
    }

    /// When it makes sense to try again, if it does.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// The request breaks rules, field by field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", summary(.0))]
pub struct Invalid(pub Vec<FieldError>);

impl Invalid {
    /// A single refused field.
    pub fn field(
        pointer: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self(vec![FieldError::new(pointer, code, message)])
    }
}

fn summary(fields: &[FieldError]) -> String {
    match fields {
        [only] if only.pointer.is_empty() => only.message.clone(),
        [only] => format!("{}: {}", only.pointer, only.message),
        several => format!("{} fields break a rule", several.len()),
    }
}

impl DomainError for Invalid {
    fn problem(&self) -> &'static Problem {
        &VALIDATION_FAILED
    }

    fn fields(&self) -> Vec<FieldError> {
        self.0.clone()
    }
}

/// A rule is broken; `errors` says which.
pub static VALIDATION_FAILED: Problem = Problem {
    kind: Kind::Invalid,
    code: "validation_failed",
    title: "The request breaks a rule",
    help: "The request could be read, but a field or a query parameter breaks a rule: `errors` has one entry for each, with a \
           JSON pointer to it, a stable code and a sentence. Unknown fields and parameters are refused too. Mend the \
           fields and send it again.",
};

/// The row was changed since the client read it.
pub static PRECONDITION_FAILED: Problem = Problem {
    kind: Kind::PreconditionFailed,
    code: "precondition_failed",
    title: "The resource has changed",
    help: "The `If-Match` header names a version that is no longer the current one: somebody changed the resource after you \
           read it. Read it again, apply your change to what is there now, and send it with the new `ETag`.",
};

/// Something refers to what was to be deleted.
pub static STILL_REFERENCED: Problem = Problem {
    kind: Kind::Conflict,
    code: "still_referenced",
    title: "Something still refers to this",
    help: "What you want to delete, or something that would be deleted with it, is still in use: something else refers to it \
           and may not lose it. Nothing was deleted. Delete what refers to it first, or make it refer to something else; \
           that may need somebody who may see it.",
};

/// Our own fault.
pub static INTERNAL: Problem = Problem {
    kind: Kind::Internal,
    code: "internal_error",
    title: "Something went wrong on our side",
    help: "The server failed in a way that it did not foresee. Nothing was changed. The log has the cause under the \
           `request_id`: quote it when you report this.",
};

/// A dependency is away or busy.
pub static UNAVAILABLE: Problem = Problem {
    kind: Kind::Unavailable,
    code: "service_unavailable",
    title: "The service cannot answer right now",
    help: "Something that the answer needs (the database, the object store) is away or busy. Try again after the seconds \
           that `Retry-After` names.",
};

/// The problems that the kernel itself can answer with.
pub static PROBLEMS: &[&Problem] =
    &[&VALIDATION_FAILED, &PRECONDITION_FAILED, &STILL_REFERENCED, &INTERNAL, &UNAVAILABLE];
