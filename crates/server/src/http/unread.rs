//! Ends connections whose client keeps sending a body that nobody reads.
//!
//! After an answer, actix reads the rest of a chunked body to keep the connection, without any bound, if the body's reader is
//! gone by then: a refused request could send for ever (measured: gigabytes in seconds, on one connection). If the
//! reader still exists when the answer has been sent, actix closes instead. So the reader is kept until then.

use std::cell::RefCell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures_util::Stream;

/// The reader of a body, shared by whoever reads and the answer.
#[derive(Clone)]
pub struct Reader(Rc<RefCell<Payload>>);

impl Reader {
    /// Takes the body of `request` and gives it a share. `None` where the length is known: actix closes then by itself.
    pub fn share(request: &mut ServiceRequest) -> Option<Self> {
        if !request.headers().contains_key(header::TRANSFER_ENCODING) {
            return None;
        }
        let reader = Self(Rc::new(RefCell::new(request.take_payload())));
        request.set_payload(Payload::Stream { payload: Box::pin(reader.clone()) });
        Some(reader)
    }

    /// `body`, with this reader kept until it has been sent.
    #[must_use]
    pub fn until_sent(self, body: BoxBody) -> BoxBody {
        BoxBody::new(Answer { body, _reader: self })
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Stream for Reader {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.0.try_borrow_mut() {
            Ok(mut payload) => Pin::new(&mut *payload).poll_next(context),
            // One thread, and nobody polls while polling.
            Err(_) => Poll::Ready(None),
        }
    }
}

struct Answer {
    body: BoxBody,
    _reader: Reader,
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
        Pin::new(&mut self.body).poll_next(context)
    }
}
