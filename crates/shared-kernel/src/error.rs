//! Domain errors: what went wrong, in words that a client can act on, without a status code.
//!
//! Each domain has one error enum. Each way to fail is a [`Problem`]: a kind, a stable code, a title, and what to do about it;
//! the server turns it into `application/problem+json` (RFC 9457), serves a page for each code, and lists the codes of each
//! operation in the OpenAPI document. What the operator reads is the error itself with its sources, in the log.
//!
//! # Adding an error
//!
//! A variant with its message (`thiserror`) and its problem, in one place:
//!
//! ```
//! use shared_kernel::error::DomainError;
//! use shared_kernel::kernel_error::KernelError;
//!
//! /// What can fail about notes.
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
//! [The derive](derive@DomainError) says what else there is, and what it writes. Operations name the constant in the OpenAPI
//! document. An error whose problem depends on more than the variant implements the trait by hand, as
//! [`SessionError`](crate::session::SessionError) does.
//!
//! What is missing or wrong is told by the compiler, at the variant:
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
//!     Io(std::io::Error), // which is no `DomainError`
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

/// The category of a failure. The server alone knows the HTTP status of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request cannot be parsed.
    Malformed,
    /// The request can be parsed and breaks a rule.
    Invalid,
    /// No credentials were sent, or they are not valid.
    Unauthenticated,
    /// The caller is known and has no permission.
    Forbidden,
    /// The resource does not exist, or the caller may not know of it.
    NotFound,
    /// The resource does not have this method.
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
    /// An unexpected failure of the server. The client is told the request id and nothing else.
    Internal,
}

/// One way to fail, as the catalogue of problems and the OpenAPI document show it. In JSON it is its code.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The category of the failure.
    pub kind: Kind,
    /// The stable name that clients match on, in `snake_case`.
    pub code: &'static str,
    /// A short summary that is the same for every occurrence.
    pub title: &'static str,
    /// What it means and what to do, for the page behind `type`.
    pub help: &'static str,
    /// What `detail` may say, for the examples in the OpenAPI document.
    pub example: &'static str,
    /// The field that is always refused with it: its JSON pointer and the code of the refusal.
    pub field: Option<(&'static str, &'static str)>,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
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
    #[schema(required = false, schema_with = crate::validation::params_schema)]
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

impl ValidationError {
    /// The error of the field at `pointer`.
    #[must_use]
    pub fn at(self, pointer: impl Into<String>) -> FieldError {
        FieldError { params: self.params, ..FieldError::new(pointer, self.code, self.message) }
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
    /// The problem that this is an occurrence of.
    fn problem(&self) -> &'static Problem;

    /// The refused fields, if it is about fields.
    fn fields(&self) -> Vec<FieldError> {
        Vec::new()
    }

    /// How long to wait before the next try, if another try makes sense.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// What several callers share is what each of them was told.
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

/// A field or a parameter breaks a rule; `errors` says which.
pub static VALIDATION_FAILED: Problem = Problem {
    kind: Kind::Invalid,
    code: "validation_failed",
    title: "The request breaks a rule",
    help: "The request could be read, but a field or a query parameter breaks a rule: `errors` has one entry for each, with a \
           JSON pointer to it, a stable code and a sentence. Unknown fields and parameters are refused too. Fix the fields and \
           send the request again.",
    example: "2 fields break a rule",
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

/// Other resources refer to what was to be deleted.
pub static STILL_REFERENCED: Problem = Problem {
    kind: Kind::Conflict,
    code: "still_referenced",
    title: "Other resources still refer to this",
    help: "What you want to delete, or something that would be deleted with it, is still in use by another resource that cannot \
           exist without it. Nothing was deleted. Delete that resource first, or make it refer to something else; you may need \
           somebody who has access to it.",
    example: "orders still refer to this, or to something that would be deleted with it",
    field: None,
};

/// The credentials are a program's, and only a user can do this.
pub static USER_REQUIRED: Problem = Problem {
    kind: Kind::Forbidden,
    code: "user_required",
    title: "Only a user can do this",
    help: "The operation is about what belongs to a user, and the credentials are those of a service account, which has nothing \
           of its own. Sign in as a user, or use an API key of a user.",
    example: "only a user can do this, and the credentials are not a user's",
    field: None,
};

/// The row is somebody else's, who lets it be seen.
pub static NOT_OWNER: Problem = Problem {
    kind: Kind::Forbidden,
    code: "not_owner",
    title: "Somebody else's",
    help: "You may see this and not change it, because it is somebody else's. Do not offer the change: compare the owner with who is \
           signed in.",
    example: "this is somebody else's: you may see it and not change it",
    field: None,
};

/// An unexpected failure of the server.
pub static INTERNAL: Problem = Problem {
    kind: Kind::Internal,
    code: "internal_error",
    title: "Unexpected server error",
    help: "The server failed in a way that it did not expect, and nothing was changed. The cause is in the server's log under \
           the `request_id`: quote it when you report the error.",
    example: "The log has the cause under the request id.",
    field: None,
};

/// A dependency is unreachable or overloaded.
pub static UNAVAILABLE: Problem = Problem {
    kind: Kind::Unavailable,
    code: "service_unavailable",
    title: "The service is temporarily unavailable",
    help: "Something that the server depends on (the database, for one) is unreachable or overloaded. Try again after \
           the number of seconds in the header `Retry-After`.",
    example: "the database failed",
    field: None,
};

/// The problems that the kernel itself can answer with.
pub static PROBLEMS: &[&Problem] = &[
    &VALIDATION_FAILED,
    &PRECONDITION_FAILED,
    &STILL_REFERENCED,
    &NOT_OWNER,
    &USER_REQUIRED,
    &INTERNAL,
    &UNAVAILABLE,
];
