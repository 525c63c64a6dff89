//! Answers each request in time: with 503 if a dependency does not answer.
//!
//! The deadline is that of the [contract](crate::contract), or the configured one. The clock stops while the client sends its
//! body, for which there is [a limit of its own](crate::extract).

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use actix_web::HttpMessage as _;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use futures_util::Stream;
use shared_kernel::error::UNAVAILABLE;
use tokio::time::{Instant, sleep_until};

use crate::contract::matched;
use crate::problem::ApiError;
use crate::state::state;

/// The middleware.
///
/// # Errors
///
/// Errors of the inner layers, and the missed deadline. It is an error, because the handler still owns the request.
pub async fn deadline<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let state = state(request.request())?.clone();
    let declared = matched(request.request())?.rule().and_then(|rule| rule.deadline);
    // Operations declare longer times only.
    let time = Time::new(declared.unwrap_or_default().max(state.limits.request_timeout));
    time.stands_still_for(&mut request);
    tokio::select! {
        // A finished answer is sent, however late it is.
        biased;
        answer = next.call(request) => Ok(answer?.map_into_boxed_body()),
        () = time.passes() => {
            Err(ApiError::new(&UNAVAILABLE, "a dependency did not answer in time").into())
        }
    }
}

/// The clock of one request, which one thread handles.
#[derive(Clone)]
struct Time(Rc<Clock>);

struct Clock {
    /// The deadline, if the clock is not stopped again.
    ends: Cell<Instant>,
    /// Since when the clock is stopped, if it is.
    stopped: Cell<Option<Instant>>,
}

/// Precision of the deadline of a request whose clock is stopped.
const RESOLUTION: Duration = Duration::from_millis(50);

impl Time {
    fn new(length: Duration) -> Self {
        Self(Rc::new(Clock { ends: Cell::new(Instant::now() + length), stopped: Cell::new(None) }))
    }

    /// Stops the clock while more of the body is awaited.
    fn stands_still_for(&self, request: &mut ServiceRequest) {
        let payload = request.take_payload();
        request.set_payload(match payload {
            Payload::None => Payload::None,
            payload => Payload::Stream { payload: Box::pin(Body { payload, time: self.clone() }) },
        });
    }

    fn stop(&self) {
        if self.0.stopped.get().is_none() {
            self.0.stopped.set(Some(Instant::now()));
        }
    }

    fn go_on(&self) {
        if let Some(since) = self.0.stopped.take() {
            self.0.ends.set(self.0.ends.get() + since.elapsed());
        }
    }

    async fn passes(&self) {
        loop {
            let stood = self.0.stopped.get().map_or(Duration::ZERO, |since| since.elapsed());
            let (now, ends) = (Instant::now(), self.0.ends.get() + stood);
            if ends <= now {
                return;
            }
            sleep_until(ends.max(now + RESOLUTION)).await;
        }
    }
}

/// A body, during whose arrival the clock is stopped.
struct Body {
    payload: Payload,
    time: Time,
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Option<Self::Item>> {
        self.time.stop();
        let item = ready!(Pin::new(&mut self.payload).poll_next(task));
        self.time.go_on();
        Poll::Ready(item)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.time.go_on();
    }
}
