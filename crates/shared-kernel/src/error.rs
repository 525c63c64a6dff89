//! Domain errors: what went wrong and what the client can do about it, without an HTTP status code.
//!
//! Each domain has one error enum. Each way to fail is a [`Problem`]: a kind, a stable code, a title, and what to do about it;
//! the server turns it into `application/problem+json` (RFC 9457), serves a page for each code, and lists the codes of each
//! operation in the OpenAPI document. The log has the error itself with its sources, for the operator.
//!
//! # Adding an error
//!
//! A variant with its message (`thiserror`) and its problem, in one place:
//!
//! ```
//! use shared_kernel::error::DomainError;
//! use shared_kernel::kernel_error::KernelError;
//!
//! /// Errors of operations on notes.
//! #[derive(Debug, thiserror::Error, DomainError)]
//! pub enum NoteError {
//!     /// Another note has this title.
//!     #[error("another note has this title")]
//!     #[problem(
//!         kind = Conflict,
//!         code = "note_title_taken",
//!         title = "The title is taken",
//!         help = "Another note has this title. Choose another.",
//!         field = "/title",
//!         unique = "notes_title_key"
//!     )]
//!     TitleTaken,
//!     /// A field breaks a rule, or the database failed.
//!     #[error(transparent)]
//!     #[problem(kernel)]
//!     Kernel(KernelError),
//! }
//!
//! assert_eq!(NoteError::TitleTaken.problem(), NoteError::TITLE_TAKEN);
//! assert_eq!(NoteError::PROBLEMS, [NoteError::TITLE_TAKEN]);
//! assert_eq!(NoteError::TitleTaken.fields()[0].code, "taken");
//! ```
//!
//! [The derive](derive@DomainError) documents all attributes and the generated code. Operations refer to the constant in the OpenAPI
//! document. An error whose problem depends on more than the variant implements the trait by hand, as
//! [`SessionError`](crate::session::SessionError) does.
//!
//! The compiler reports what is missing or wrong, at the variant:
//!
//! ```compile_fail
//! use shared_kernel::error::DomainError;
//! #[derive(Debug, thiserror::Error, DomainError)]
//! pub enum NoteError {
//!     #[error("it is gone")]
//!     #[problem(kind = Gone, title = "Gone", help = "It was deleted.")] // `Gone` has no `code`
//!     Gone,
//! }
//! ```
//!
//! ```compile_fail,E0599
//! use shared_kernel::error::DomainError;
//! #[derive(Debug, thiserror::Error, DomainError)]
//! pub enum NoteError {
//!     #[error("it is gone")]
//!     #[problem(kind = Missing, code = "gone", title = "Gone", help = "It was deleted.")] // no such `Kind`
//!     Gone,
//! }
//! ```
//!
//! ```compile_fail,E0277
//! use shared_kernel::error::DomainError;
//! #[derive(Debug, thiserror::Error, DomainError)]
//! pub enum NoteError {
//!     #[error(transparent)]
//!     Io(std::io::Error), // does not implement `DomainError`
//! }
//! ```

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

pub use kernel_derive::DomainError;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::validation::{Params, ValidationError};

/// Category of an error. Only the server maps it to an HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be parsed.
    Malformed,
    /// The request can be parsed, but its validation failed.
    Invalid,
    /// No credentials were sent, or they are not valid.
    Unauthenticated,
    /// The caller is authenticated and has no permission.
    Forbidden,
    /// The resource does not exist, or the caller may not see it.
    NotFound,
    /// The resource does not support this HTTP method.
    MethodNotAllowed,
    /// The request did not arrive in time.
    RequestTimeout,
    /// The request conflicts with the current state of the data.
    Conflict,
    /// The resource existed and is no longer available.
    Gone,
    /// The precondition of the request (`If-Match`) does not hold.
    PreconditionFailed,
    /// The body is larger than allowed.
    TooLarge,
    /// The URL is longer than allowed.
    UriTooLong,
    /// The media type of the body is not supported.
    UnsupportedMediaType,
    /// Too many requests.
    TooManyRequests,
    /// A dependency is unreachable or overloaded; the same request may work later.
    Unavailable,
    /// An unexpected failure of the server. The client gets the request id and no details.
    Internal,
}

/// A kind of error, as the catalogue of problems and the OpenAPI document list it. Serialised as its code.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// Category of the error.
    pub kind: Kind,
    /// Stable code that clients match on, in `snake_case`.
    pub code: &'static str,
    /// Short summary, the same for every occurrence.
    pub title: &'static str,
    /// Explanation and remedy, for the page behind `type`.
    pub help: &'static str,
    /// Example of a `detail`, for the OpenAPI document.
    pub example: &'static str,
    /// The field that always causes it: its JSON pointer and the code of the field error.
    pub field: Option<(&'static str, &'static str)>,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

/// An error in one field of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field in the body, or `/name` of a query parameter; empty if it is about the whole request.
    #[schema(examples("/email"))]
    pub pointer: String,
    /// Stable code of the validation rule, the same in every operation.
    #[schema(value_type = String, examples("email"))]
    pub code: Cow<'static, str>,
    /// Description of the error, without the sent value.
    #[schema(examples("is not an e-mail address"))]
    pub message: String,
    /// Parameters of the rule, such as a minimum.
    #[serde(skip_serializing_if = "Params::is_empty")]
    #[schema(required = false, schema_with = crate::validation::params_schema)]
    pub params: Params,
}

/// Maximum length of a pointer and a message, in characters. Both may contain names from the request, and a response must not
/// grow with the request.
const MAX_POINTER: usize = 200;
const MAX_MESSAGE: usize = 400;

impl FieldError {
    /// An error in the field at `pointer`. A very long pointer or message is truncated and ends in `…`.
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

    /// The part of `pointer` that an error keeps, and one character more, so that it is recognised as truncated.
    pub(crate) fn kept(pointer: &str) -> &str {
        pointer.char_indices().nth(MAX_POINTER + 1).map_or(pointer, |(end, _)| &pointer[..end])
    }
}

impl ValidationError {
    /// This error, in the field at `pointer`.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> FieldError {
        FieldError { params: self.params, ..FieldError::new(pointer, self.code, self.message) }
    }
}

/// `text`, truncated to at most `length` characters.
fn shortened(mut text: String, length: usize) -> String {
    if text.char_indices().nth(length).is_some() {
        let end = text.char_indices().nth(length - 1).map_or(0, |(end, _)| end);
        text.truncate(end);
        text.push('…');
        // Frees the memory of the whole text.
        text.shrink_to_fit();
    }
    text
}

/// An error of a domain. Its `Display` becomes the `detail` of the response, unless the kind is
/// [`Internal`](Kind::Internal); its sources go to the log only.
pub trait DomainError: Error + Send + Sync + 'static {
    /// The problem of which this error is an occurrence.
    fn problem(&self) -> &'static Problem;

    /// Errors of single fields; empty if the error is not about fields.
    fn fields(&self) -> Vec<FieldError> {
        Vec::new()
    }

    /// Time to wait before a retry, if a retry makes sense.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// For an error that several callers of one operation share.
impl<E: DomainError> DomainError for Arc<E> {
    fn problem(&self) -> &'static Problem {
        E::problem(self)
    }

    fn fields(&self) -> Vec<FieldError> {
        E::fields(self)
    }

    fn retry_after(&self) -> Option<Duration> {
        E::retry_after(self)
    }
}

/// A failed validation: the errors of all fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", summary(.0))]
pub struct Invalid(pub Vec<FieldError>);

impl Invalid {
    /// An error in a single field.
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
        several => format!("{} fields are invalid", several.len()),
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

/// Validation of a field or a query parameter failed; `errors` lists them.
pub static VALIDATION_FAILED: Problem = Problem {
    kind: Kind::Invalid,
    code: "validation_failed",
    title: "Validation failed",
    help: "The request could be read, but a field or a query parameter is invalid: `errors` has one entry for each, with a \
           JSON pointer to it, a stable code and a message. Unknown fields and parameters are refused too. Fix the fields and \
           send the request again.",
    example: "2 fields are invalid",
    field: None,
};

/// The resource was changed since the client read it.
pub static PRECONDITION_FAILED: Problem = Problem {
    kind: Kind::PreconditionFailed,
    code: "precondition_failed",
    title: "The resource has changed",
    help: "The `If-Match` header names a version that is no longer the current one: somebody changed the resource after you \
           read it. Read it again, apply your change to the current version, and send it with the new `ETag`.",
    example: "the resource was changed since you read it",
    field: None,
};

/// Other resources refer to the resource that was to be deleted.
pub static STILL_REFERENCED: Problem = Problem {
    kind: Kind::Conflict,
    code: "still_referenced",
    title: "Other resources still refer to this one",
    help: "The resource, or another one that would be deleted with it, is still in use by a resource that cannot \
           exist without it. Nothing was deleted. Delete that resource first, or change its reference; you may need \
           help from somebody who has access to it.",
    example: "orders still refer to this, or to something that would be deleted with it",
    field: None,
};

/// The operation needs a user, and the credentials are those of a program.
pub static USER_REQUIRED: Problem = Problem {
    kind: Kind::Forbidden,
    code: "user_required",
    title: "Only a user can do this",
    help: "The operation is about resources of a user, and the credentials are those of a service account, which has none \
           of its own. Sign in as a user, or use an API key of a user.",
    example: "only a user can do this, and the credentials are not a user's",
    field: None,
};

/// The caller may see the resource, and only its owner may change it.
pub static NOT_OWNER: Problem = Problem {
    kind: Kind::Forbidden,
    code: "not_owner",
    title: "Only the owner may change this",
    help: "You may see this resource but not change or delete it, because it belongs to another user. Offer the change only to \
           its owner: compare the owner with the user who is signed in.",
    example: "only the owner may change this",
    field: None,
};

/// An unexpected failure of the server.
pub static INTERNAL: Problem = Problem {
    kind: Kind::Internal,
    code: "internal_error",
    title: "Unexpected server error",
    help: "The server failed unexpectedly, and nothing was changed. The cause is in the server's log under \
           the `request_id`: quote it when you report the error.",
    example: "The log has the cause under the request id.",
    field: None,
};

/// A dependency is unreachable or overloaded.
pub static UNAVAILABLE: Problem = Problem {
    kind: Kind::Unavailable,
    code: "service_unavailable",
    title: "The service is temporarily unavailable",
    help: "A dependency of the server, such as the database, is unreachable or overloaded. Try again after \
           the number of seconds in the header `Retry-After`.",
    example: "the database failed",
    field: None,
};

/// The problems of the kernel itself.
pub static PROBLEMS: &[&Problem] = &[
    &VALIDATION_FAILED,
    &PRECONDITION_FAILED,
    &STILL_REFERENCED,
    &NOT_OWNER,
    &USER_REQUIRED,
    &INTERNAL,
    &UNAVAILABLE,
];
