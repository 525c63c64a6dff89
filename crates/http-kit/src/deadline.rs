//! Answers each request in time: with 503, if what it waits for does not come.
//!
//! The time is that of the [contract](crate::contract), or the configured one. It stands still while the client is to send
//! more of its body, for which [there is a time of its own](crate::extract).

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

use crate::problem::ApiError;
use crate::state::state;

/// The middleware.
///
/// # Errors
///
/// Those of what lies behind, and that it took too long: who handles the request has it, so there is none to answer to.
pub async fn deadline<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let state = state(request.request())?.clone();
    let declared = state.contract.deadline(request.method(), request.match_info().as_str());
    // What is declared is a longer time, not a shorter one.
    let time = Time::new(declared.unwrap_or_default().max(state.limits.request_timeout));
    time.stands_still_for(&mut request);
    tokio::select! {
        // An answer that is there counts, however late.
        biased;
        answer = next.call(request) => Ok(answer?.map_into_boxed_body()),
        () = time.passes() => {
            Err(ApiError::new(&UNAVAILABLE, "what the answer needs did not come in time").into())
        }
    }
}

/// The time of one request. One thread handles it.
#[derive(Clone)]
struct Time(Rc<Clock>);

struct Clock {
    /// When it ends, if it does not stand still from here on.
    ends: Cell<Instant>,
    /// Since when it stands still, if it does.
    stopped: Cell<Option<Instant>>,
}

/// How exactly the end is met by a request whose time stands still.
const RESOLUTION: Duration = Duration::from_millis(50);

impl Time {
    fn new(length: Duration) -> Self {
        Self(Rc::new(Clock { ends: Cell::new(Instant::now() + length), stopped: Cell::new(None) }))
    }

    /// Stands still whenever somebody waits for more of the body.
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

/// A body that is waited for at the client's cost.
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
