//! Request bodies with timeouts and a minimum rate.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use s3s::StdError;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};
use transport::ConnectionState;

/// Minimum number of bytes per timeout. Single bytes must not count as progress: they would keep a connection for days.
const PACE: u64 = 16 * 1024;

/// The client sent too little for too long.
///
/// s3s wraps body errors in private types, so the only thing that reaches the operation is the text.
#[derive(Debug)]
pub(crate) struct TooSlow;

impl TooSlow {
    pub(crate) const TEXT: &'static str = "the body arrives too slowly";
}

impl fmt::Display for TooSlow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(Self::TEXT)
    }
}

impl std::error::Error for TooSlow {}

/// A request body with a minimum rate. Dropped before its end it goes back to the front, which decides
/// what becomes of the rest.
pub(crate) struct PacedBody {
    inner: Option<Incoming>,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
    /// For all of it; absent where nothing says how much that is.
    deadline: Option<Pin<Box<Sleep>>>,
    since_reset: u64,
    rest: Option<oneshot::Sender<Incoming>>,
    state: Arc<ConnectionState>,
}

impl PacedBody {
    pub(crate) fn new(
        inner: Incoming,
        timeout: Duration,
        rate: u64,
        state: Arc<ConnectionState>,
    ) -> (Self, oneshot::Receiver<Incoming>) {
        let (sender, rest) = oneshot::channel();
        let timer = Box::pin(tokio::time::sleep(timeout));
        let whole = |length: u64| timeout.saturating_add(Duration::from_secs(length / rate.max(1)));
        let deadline = inner.size_hint().exact().map(|length| Box::pin(tokio::time::sleep(whole(length))));
        (
            Self { inner: Some(inner), timeout, timer, deadline, since_reset: 0, rest: Some(sender), state },
            rest,
        )
    }

    fn poll_too_slow(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.deadline.as_mut().is_some_and(|deadline| deadline.poll_unpin(context).is_ready()) {
            return Poll::Ready(());
        }
        self.timer.poll_unpin(context)
    }

    /// Nothing more is to be had of this body.
    fn end(&mut self) {
        self.inner = None;
        self.rest = None;
    }

    fn progress(&mut self, length: usize) {
        self.since_reset = self.since_reset.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if self.since_reset >= PACE {
            self.since_reset = 0;
            self.timer.as_mut().reset(Instant::now() + self.timeout);
        }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StdError>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        let frame = match Pin::new(inner).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                ready!(self.poll_too_slow(context));
                self.end();
                return Poll::Ready(Some(Err(Box::new(TooSlow))));
            }
        };
        match &frame {
            Some(Ok(frame)) => self.progress(frame.data_ref().map_or(0, Bytes::len)),
            Some(Err(_)) => self.end(),
            None => {
                self.state.body_ended();
                self.end();
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(StdError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for PacedBody {
    fn drop(&mut self) {
        if let (Some(inner), Some(rest)) = (self.inner.take(), self.rest.take()) {
            // Nobody waits for it when the connection is gone as well.
            let _ = rest.send(inner);
        }
    }
}
