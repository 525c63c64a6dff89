//! The connection: a socket with timeouts, between the operating system and an HTTP parser.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::head::HeadEnd;
use crate::registry::Slot;
use crate::state::{ConnectionState, Expected, Timeouts};

/// Timeout of a shutdown for a client that reads nothing.
const FINAL_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection with a client.
///
/// - A write fails if the client reads nothing for [`Timeouts::write`]: neither actix-http nor hyper has a deadline for
///   that, and a client that stops reading would keep its connection, and its response, for ever.
/// - Nothing is read while a write waits, or beyond the current request.
/// - A read ends (as if the client had closed) when the client is silent for too long, when its slot is needed, or when
///   the server stops and a last look found nothing.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    slot: Slot,
    timeouts: Timeouts,
    /// Bytes that were read and may not be passed on yet: a body behind its head, or a later request.
    held: BytesMut,
    head: HeadEnd,
    /// A head may have been handed over among pieces: look whether an application has taken it first.
    pause: bool,
    reading: Timer,
    stalled: Option<Stall>,
}

#[derive(Debug)]
struct Stall {
    since: Instant,
    timer: Timer,
    /// A read was postponed meanwhile.
    owes_read: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, slot: Slot, timeouts: Timeouts) -> Self {
        Self {
            stream,
            slot,
            timeouts,
            held: BytesMut::new(),
            head: HeadEnd::default(),
            pause: false,
            reading: Timer::default(),
            stalled: None,
        }
    }

    /// The state of this connection, for the application.
    #[must_use]
    pub fn state(&self) -> Arc<ConnectionState> {
        Arc::clone(&self.slot.state)
    }

    /// Passes on bytes of the current request: none after a timeout, or if the client has closed.
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        expected: Expected,
    ) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            return self.poll_fill(context, buffer, expected);
        }
        let held = self.held.get(..buffer.remaining()).unwrap_or(&self.held);
        let (length, ends_head) = within(&mut self.head, held, expected);
        buffer.put_slice(&self.held.split_to(length));
        if self.held.is_empty() {
            self.held = BytesMut::new();
        }
        self.passed_on(length, ends_head, expected);
        Poll::Ready(Ok(()))
    }

    /// The same, of bytes that are read now. They are read into the buffer of the application, which has room for most heads; what may
    /// not be passed on yet is held.
    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        expected: Expected,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.stream).poll_read(context, buffer) {
            Poll::Pending => {
                ready!(self.poll_timeouts(context));
                // The runtime wakes this task for bytes that it has not seen yet.
                return if self.has_arrived() { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            Poll::Ready(read) => read?,
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            let (length, ends_head) = within(&mut self.head, read, expected);
            self.held.extend_from_slice(read.get(length..).unwrap_or_default());
            buffer.set_filled(before + length);
            self.passed_on(length, ends_head, expected);
        }
        Poll::Ready(Ok(()))
    }

    fn passed_on(&mut self, length: usize, ends_head: bool, expected: Expected) {
        self.pause = ends_head && matches!(expected, Expected::Pieces(_));
        self.slot.state.handed(length, ends_head);
    }

    /// Whether there are bytes to read, asked of the operating system: the runtime looks for them only after its tasks have had their
    /// turn, and a busy one had not seen requests that were there when their connections were closed.
    fn has_arrived(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        SockRef::from(&self.stream).peek(&mut byte).is_ok_and(|length| length > 0)
    }

    /// Ready after a timeout.
    fn poll_timeouts(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.slot.state.deadline(&self.timeouts) {
            Some(deadline) => self.reading.poll(context, deadline),
            None => Poll::Pending,
        }
    }

    /// Passes the result of a write on, or an error if the client read nothing for too long.
    fn watch<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            if let Some(stall) = self.stalled.take() {
                self.slot.state.set_stalled(false);
                if stall.owes_read {
                    context.waker().wake_by_ref();
                }
            }
            return poll;
        }
        let now = Instant::now;
        if self.stalled.is_none() {
            self.slot.state.set_stalled(true);
        }
        let stall = self.stalled.get_or_insert_with(|| Stall {
            since: now(),
            timer: Timer::default(),
            owes_read: false,
        });
        let finishing = self.slot.state.shutdown.is_finishing();
        let timeout =
            if finishing { self.timeouts.write.min(FINAL_WRITE_TIMEOUT) } else { self.timeouts.write };
        stall.timer.poll(context, stall.since + timeout).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let expected = this.slot.state.expected(context.waker());
        if let Some(stall) = &mut this.stalled {
            stall.owes_read = true;
            return Poll::Pending;
        }
        if std::mem::take(&mut this.pause) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match expected {
            Expected::Nothing => this.poll_timeouts(context).map(Ok),
            Expected::End => Poll::Ready(Ok(())),
            Expected::Head | Expected::Bytes(_) | Expected::Pieces(_) => {
                this.poll_next(context, buffer, expected)
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Number of the first of `bytes` that belong to the current request, and whether a head ends with them.
fn within(head: &mut HeadEnd, bytes: &[u8], expected: Expected) -> (usize, bool) {
    let (Expected::Bytes(most) | Expected::Pieces(most)) = expected else {
        let end = head.find(bytes);
        return (end.unwrap_or(bytes.len()), end.is_some());
    };
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(bytes.len());
    let of_this = bytes.get(..most).unwrap_or_default();
    let end = if matches!(expected, Expected::Bytes(_)) { None } else { head.find(of_this) };
    (end.unwrap_or(most), end.is_some())
}

/// A deadline that may change.
#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Ready after `deadline`. A later deadline than the one that is set is only looked at when that fires, because a connection in use
    /// moves its deadline with each request; an earlier one is set at once.
    fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() >= deadline {
                break;
            }
            sleep.as_mut().reset(deadline);
        }
        self.0 = None;
        Poll::Ready(())
    }
}
