//! The HTTP service in front of s3s: CORS, security headers, and requests that must not reach s3s.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPECT, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use s3s::service::S3Service;
use s3s::{Body, S3Error, S3ErrorCode, StdError};
use transport::{BodyLength, ConnectionState, Turn};

use crate::access;
use crate::body::PacedBody;
use crate::config::{CorsOrigins, ObjectStoreTimeouts};
use crate::cors::{self, Grant};
use crate::error::reply;
use crate::s3::explain::Brought;

const CLOSE: HeaderValue = HeaderValue::from_static("close");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Should an object be opened as a page after all, it is a page that may do nothing.
const INERT: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");
/// The rest of a refused body is taken in up to this size: a browser that is still sending when the connection
/// closes reports a network error in place of the answer.
const MAX_DISCARD: u64 = 64 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(30);
/// One that is not sending is waiting for the answer.
const DISCARD_PATIENCE: Duration = Duration::from_secs(2);

/// The body of an answer, with its connection's turn kept until all of it has been taken.
pub(crate) struct Answer {
    body: Body,
    _turn: Turn,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        hyper::body::Body::size_hint(&self.body)
    }
}

pub(crate) struct Front {
    s3: S3Service,
    origins: CorsOrigins,
    timeouts: ObjectStoreTimeouts,
    explain: bool,
}

impl Front {
    pub(crate) fn new(
        s3: S3Service,
        origins: CorsOrigins,
        timeouts: ObjectStoreTimeouts,
        explain: bool,
    ) -> Self {
        Self { s3, origins, timeouts, explain }
    }

    /// `state` is that of the connection of the request.
    pub(crate) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        state: Arc<ConnectionState>,
    ) -> Result<Response<Answer>, Infallible> {
        let length = request.body().size_hint().exact();
        let turn = state.begin(length.map_or(BodyLength::Chunked, BodyLength::Known));
        let mut response = if request.method() == Method::OPTIONS {
            self.preflight(request.headers())
        } else {
            let grant = Grant::of(request.method(), request.headers(), &self.origins);
            let mut response = self.serve(request, state).await;
            grant.apply(response.headers_mut());
            response
        };
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, INERT);
        if turn.is_closing() {
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        Ok(response.map(|body| Answer { body, _turn: turn }))
    }

    fn preflight(&self, headers: &HeaderMap) -> Response<Body> {
        let (status, headers) = cors::preflight(headers, &self.origins);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }

    async fn serve(&self, request: Request<Incoming>, state: Arc<ConnectionState>) -> Response<Body> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let waits = request.headers().contains_key(EXPECT);
        let form = is_form(request.headers());
        let (mut parts, body) = request.into_parts();
        access::forget_unsigned_cache_control(&parts.uri, &mut parts.headers);
        let brought = self.explain.then(|| Brought::by(&parts.uri, &parts.headers));
        let (body, mut rest) =
            PacedBody::new(body, self.timeouts.body, self.timeouts.rate, Arc::clone(&state));
        let response = if form {
            drop(body);
            refuse(reply(S3ErrorCode::NotImplemented, "Uploads by form are not implemented."))
        } else {
            self.call_s3(Request::from_parts(parts, Body::http_body(body))).await
        };
        let mut response = match brought {
            Some(brought) => brought.explain(response).await,
            None => response,
        };
        // The query is left out: it can hold a signature.
        tracing::debug!(%method, path, status = response.status().as_u16(), "object store answered");
        if response.status().is_success() {
            return response;
        }
        let is_at_its_end = match rest.try_recv() {
            Ok(body) if body.is_end_stream() => true,
            // It is still to be asked for, and nobody will.
            Ok(_) if waits => false,
            Ok(body) => discard(body, state).await,
            Err(_) => true,
        };
        if !is_at_its_end {
            // hyper closes it, and the client had better know (RFC 9112, section 9.6).
            response.headers_mut().insert(CONNECTION, CLOSE);
        }
        response
    }

    async fn call_s3(&self, request: Request<Body>) -> Response<Body> {
        self.s3.call(request).await.unwrap_or_else(|error| {
            tracing::error!(?error, "the S3 protocol layer failed");
            refuse(S3Error::new(S3ErrorCode::InternalError))
        })
    }
}

/// s3s collects form uploads in memory, up to gigabytes, **before** it checks who sends them. Nothing here needs
/// them, so they never get that far.
fn is_form(headers: &HeaderMap) -> bool {
    let types = headers.get_all(CONTENT_TYPE).iter();
    types.into_iter().any(|value| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        essence.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data")
    })
}

fn refuse(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Reads what is left of a refused body, within limits; without a known end not at all. Whether it came to its end.
async fn discard(body: Incoming, state: Arc<ConnectionState>) -> bool {
    let length = body.size_hint().exact();
    if length.is_none_or(|length| length > MAX_DISCARD) {
        return false;
    }
    let (mut body, _rest) = PacedBody::new(body, DISCARD_PATIENCE, 1, state);
    let all = async {
        loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => return true,
            }
        }
    };
    tokio::time::timeout(DISCARD_TIME, all).await.unwrap_or(false)
}
