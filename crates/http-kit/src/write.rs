//! The one way in which a handler that writes ends: the answer is made first, then the write is committed, then the hooks run that
//! follow a commit.
//!
//! [`Write`] is a transaction that begins at its first statement. A handler passes it to services as the
//! [`WriteSession`] that it is, and ends it with one of its methods, each of which makes a type of answer that nothing else can
//! make. So a forgotten commit does not compile:
//!
//! ```compile_fail,E0308
//! use http_kit::problem::ApiError;
//! use http_kit::write::{Created, Write};
//!
//! async fn create(db: Write) -> Result<Created<&'static str>, ApiError> {
//!     Ok("created") // expected `Created<&str>`, found `&str`
//! }
//! ```
//!
//! An answer cannot be made by hand, and a session cannot be used after its end:
//!
//! ```compile_fail,E0423
//! let forged = http_kit::write::NoContent(());
//! ```
//!
//! ```compile_fail,E0382
//! use http_kit::problem::ApiError;
//! use http_kit::write::{NoContent, Write};
//!
//! async fn twice(db: Write) -> Result<NoContent, ApiError> {
//!     db.no_content().await?;
//!     db.no_content().await // use of moved value
//! }
//! ```
//!
//! The answer exists before the commit, because a record of it for repeated requests has to be written in the same transaction, and
//! because nothing may fail after the commit.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::error::HttpError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, TryIntoHeaderPair};
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest, HttpResponse, Responder};
use serde::Serialize;
use shared_kernel::event::{Origin, Traceparent};
use shared_kernel::principal::Principal;
use shared_kernel::repository::Representation;
use shared_kernel::session::{Committed, WriteSession};

use crate::etag::Tag;
use crate::headers::{CONSISTENCY_TOKEN, TRACEPARENT};
use crate::media;
use crate::problem::ApiError;
use crate::state::{State, state};

/// A transaction and its end. For every handler that is not a GET.
#[derive(Debug)]
pub struct Write {
    session: WriteSession,
    state: web::Data<State>,
}

impl FromRequest for Write {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(state(request).map(|state| {
            let session = state.databases.write();
            session.set_origin(origin(request));
            Self { session, state: state.clone() }
        }))
    }
}

/// The principal of the request, and its trace context.
fn origin(request: &HttpRequest) -> Origin {
    let principal = request.extensions().get::<Arc<Principal>>().map(ToString::to_string);
    Origin { principal, traceparent: traceparent(request.headers()) }
}

/// The header `traceparent`; `None` if it is invalid or sent twice (W3C Trace Context, section 3.2).
fn traceparent(headers: &HeaderMap) -> Option<Traceparent> {
    let mut values = headers.get_all(TRACEPARENT);
    let (value, None) = (values.next()?, values.next()) else { return None };
    value.to_str().ok()?.parse().ok()
}

impl Deref for Write {
    type Target = WriteSession;
    fn deref(&self) -> &WriteSession {
        &self.session
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut WriteSession {
        &mut self.session
    }
}

impl Write {
    /// The same, whose statements are [planned anew](WriteSession::with_fresh_plans).
    #[must_use]
    pub fn with_fresh_plans(self) -> Self {
        Self { session: self.session.with_fresh_plans(), ..self }
    }

    /// 201 with the new resource, its `ETag`, and its path in `Location`.
    ///
    /// # Errors
    ///
    /// The commit failed; then nothing was written.
    pub async fn created<T: Serialize + Representation>(
        self,
        location: String,
        made: T,
    ) -> Result<Created<T>, ApiError> {
        let answer = self.shown(StatusCode::CREATED, &made)?.with((header::LOCATION, location))?;
        Ok(Created(self.finish(answer).await?, PhantomData))
    }

    /// 200 with the changed resource and its new `ETag`.
    ///
    /// # Errors
    ///
    /// The commit failed; then nothing was written.
    pub async fn updated<T: Serialize + Representation>(self, changed: T) -> Result<Updated<T>, ApiError> {
        let answer = self.shown(StatusCode::OK, &changed)?;
        Ok(Updated(self.finish(answer).await?, PhantomData))
    }

    /// 200 with a result that is not a resource.
    ///
    /// # Errors
    ///
    /// The commit failed; then nothing was written.
    pub async fn result<T: Serialize>(self, result: T) -> Result<Outcome<T>, ApiError> {
        let answer = Answer::json(StatusCode::OK, &result)?;
        Ok(Outcome(self.finish(answer).await?, PhantomData))
    }

    /// 204.
    ///
    /// # Errors
    ///
    /// The commit failed; then nothing was written.
    pub async fn no_content(self) -> Result<NoContent, ApiError> {
        Ok(NoContent(self.finish(Answer::new(StatusCode::NO_CONTENT)).await?))
    }

    /// Any other answer, such as one with a cookie.
    ///
    /// # Errors
    ///
    /// The commit failed; then nothing was written.
    pub async fn finish(self, answer: Answer) -> Result<Finished, ApiError> {
        Ok(Finished(self.session.commit(answer).await?))
    }

    /// Commits although the request is refused, for example to end a session. Returns `refusal`, or the error of the commit.
    pub async fn refused<E: From<ApiError>>(self, refusal: E) -> E {
        match self.session.commit(refusal).await {
            Ok(committed) => committed.into_value(),
            Err(failed) => ApiError::from(failed).into(),
        }
    }

    /// The tag of a resource in the answer.
    #[must_use]
    pub fn tag(&self, resource: &impl Representation) -> Tag {
        Tag::of(&resource.revision(), &self.state.edition)
    }

    fn shown<T: Serialize + Representation>(
        &self,
        status: StatusCode,
        resource: &T,
    ) -> Result<Answer, ApiError> {
        let answer = Answer::json(status, resource)?.with(self.tag(resource).header())?;
        // Signed URLs give access to files, so no cache may store them.
        if T::HOLDS_SIGNED_URLS { answer.with((header::CACHE_CONTROL, "no-store")) } else { Ok(answer) }
    }
}

/// A complete answer that has not been sent.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// An answer with a JSON body.
    ///
    /// # Errors
    ///
    /// The value cannot be written as JSON, which is a bug.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, ApiError> {
        let body = serde_json::to_vec(body).map_err(ApiError::internal)?;
        Self { status, headers: HeaderMap::new(), body: body.into() }
            .with((header::CONTENT_TYPE, media::JSON))
    }

    /// Adds a header field.
    ///
    /// # Errors
    ///
    /// The value is not valid in a header, which is a bug.
    pub fn with(mut self, header: impl TryIntoHeaderPair) -> Result<Self, ApiError> {
        let invalid = |error: HttpError| ApiError::internal(error);
        let (name, value) = header.try_into_pair().map_err(|error| invalid(error.into()))?;
        self.headers.append(name, value);
        Ok(self)
    }
}

/// An answer to a committed write.
#[derive(Debug)]
pub struct Finished(Committed<Answer>);

impl Responder for Finished {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let (answer, seen) = self.0.into_parts();
        let mut response = HttpResponse::build(answer.status);
        for header in &answer.headers {
            response.append_header(header);
        }
        if let Some(seen) = seen {
            response.insert_header((CONSISTENCY_TOKEN, seen.to_string()));
        }
        if answer.status == StatusCode::NO_CONTENT { response.finish() } else { response.body(answer.body) }
    }
}

/// 201 with a new resource: see [`Write::created`].
#[derive(Debug)]
pub struct Created<T>(Finished, PhantomData<fn() -> T>);

impl<T> Responder for Created<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.0.respond_to(request)
    }
}

/// 200 with a changed resource: see [`Write::updated`].
#[derive(Debug)]
pub struct Updated<T>(Finished, PhantomData<fn() -> T>);

impl<T> Responder for Updated<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.0.respond_to(request)
    }
}

/// 200 with the result of a write: see [`Write::result`].
#[derive(Debug)]
pub struct Outcome<T>(Finished, PhantomData<fn() -> T>);

impl<T> Responder for Outcome<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.0.respond_to(request)
    }
}

/// 204 after a write: see [`Write::no_content`].
#[derive(Debug)]
pub struct NoContent(Finished);

impl Responder for NoContent {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        self.0.respond_to(request)
    }
}
