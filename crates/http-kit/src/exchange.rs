//! What a request owns until its answer has been sent, and how answers are sent.
//!
//! - **The body's reader.** After an answer, actix reads the rest of a chunked body to keep the connection, without any
//!   bound, if the body's reader is gone by then: a refused request could send for ever (measured: gigabytes in seconds, on
//!   one connection). If the reader still exists when the answer has been sent, actix closes instead.
//! - **The connection's turn.** [`transport`] reads the next request when this one's answer is out of our hands.
//! - **Pieces.** actix copies what a body yields into its own buffer, whole. So bodies yield a bit at a time, and only when
//!   the bit before it is on its way: a client that does not read costs a bit, not a copy of the answer.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::web::Bytes;
use futures_util::Stream;
use transport::{BodyLength, ConnectionState, Turn};

/// Number of bytes that actix buffers before it writes.
const PIECE: usize = 32 * 1024;

/// A request in progress, from its head to the end of its answer.
#[derive(Clone)]
pub struct Exchange {
    /// `None` in tests that call the application without a connection.
    turn: Option<Rc<Turn>>,
    /// Only if the length of the body is unknown; otherwise actix closes the connection by itself.
    _reader: Option<Reader>,
}

impl Exchange {
    /// Begins with a request, and shares its body.
    pub fn begin(request: &mut ServiceRequest) -> Self {
        let length = body_length(request.headers());
        let turn = request.conn_data::<Arc<ConnectionState>>().map(|state| Rc::new(state.begin(length)));
        let reader = (length == BodyLength::Chunked).then(|| Reader::share(request, turn.clone()));
        Self { turn, _reader: reader }
    }

    /// Whether the answer is the last one of its connection, because the server is about to stop.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.is_closing())
    }

    /// Splits `body` into pieces, and keeps `self` until the last one has been sent.
    #[must_use]
    pub fn until_sent(self, body: BoxBody) -> BoxBody {
        BoxBody::new(Answer { body, rest: Bytes::new(), _exchange: self })
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

fn body_length(headers: &HeaderMap) -> BodyLength {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return BodyLength::Chunked;
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    BodyLength::Known(length.and_then(|length| length.parse().ok()).unwrap_or_default())
}

/// The reader of a body, shared by the handler and the answer.
#[derive(Clone)]
struct Reader {
    payload: Rc<RefCell<Payload>>,
    turn: Option<Rc<Turn>>,
}

impl Reader {
    fn share(request: &mut ServiceRequest, turn: Option<Rc<Turn>>) -> Self {
        let reader = Self { payload: Rc::new(RefCell::new(request.take_payload())), turn };
        request.set_payload(Payload::Stream { payload: Box::pin(reader.clone()) });
        reader
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // One thread, and nobody polls while polling.
        let Ok(mut payload) = self.payload.try_borrow_mut() else { return Poll::Ready(None) };
        let next = ready!(Pin::new(&mut *payload).poll_next(context));
        if let (None, Some(turn)) = (&next, &self.turn) {
            turn.body_ended();
        }
        Poll::Ready(next)
    }
}

struct Answer {
    body: BoxBody,
    rest: Bytes,
    _exchange: Exchange,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                Some(Ok(bytes)) => self.rest = bytes,
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}
