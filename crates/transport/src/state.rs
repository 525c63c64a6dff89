//! The state of a connection, shared by its socket and the application.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

/// Maximum number of bytes that are read and discarded after a response that was sent before the end of the request's body. A
/// client that is still sending when the connection closes reports a broken connection instead of the response.
const MAX_DISCARD: u64 = 4 * 1024 * 1024;
/// A connection that was in use this recently may have a request on its way when the server stops.
const RECENTLY: Duration = Duration::from_millis(250);

/// Timeouts of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For receiving a whole head, from its first byte.
    pub head: Duration,
    /// Between requests.
    pub idle: Duration,
    /// For writing, while the client reads nothing.
    pub write: Duration,
}

/// Shutdown of a listener, as its connections see it.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    draining: AtomicBool,
    finishing: AtomicBool,
}

impl Shutdown {
    /// Whether each response is the last one of its connection.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether idle connections end after a last read.
    pub(crate) fn is_finishing(&self) -> bool {
        self.finishing.load(Ordering::Acquire)
    }

    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    pub(crate) fn finish(&self) {
        self.drain();
        self.finishing.store(true, Ordering::Release);
    }
}

/// Length of the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// A number of bytes, often 0.
    Known(u64),
    /// Its end is in the body itself (chunked transfer coding).
    Chunked,
}

/// The state of one connection, as the application sees it.
#[derive(Debug)]
pub struct ConnectionState {
    pub(crate) shutdown: Arc<Shutdown>,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    phase: Phase,
    /// When it was accepted, or the last answer was over.
    idle_since: Instant,
    /// When the first byte of a head came, or its last one and no application took it.
    head_since: Option<Instant>,
    /// Another connection needs the slot.
    evicted: bool,
    /// A write waits for the client to read.
    stalled: bool,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// For a request, or for the rest of its head.
    Waiting,
    /// A whole head was handed over.
    Handed,
    /// A body comes, of which so many bytes are missing.
    Body(u64),
    /// A body comes whose end only its reader sees.
    Chunks,
    /// Nothing more belongs to this request.
    Answering,
    /// The answer is over, and the body is not: so many bytes more are thrown away.
    Discarding(u64),
}

/// What may be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing: the waker is called when that changes.
    Nothing,
    /// A head and no more.
    Head,
    /// So many bytes.
    Bytes(u64),
    /// Whatever comes, a bit at a time, and so many bytes at most.
    Pieces(u64),
    /// Nothing ever again.
    End,
}

impl ConnectionState {
    pub(crate) fn new(shutdown: Arc<Shutdown>) -> Self {
        let progress = Progress {
            phase: Phase::Waiting,
            idle_since: Instant::now(),
            head_since: None,
            evicted: false,
            stalled: false,
            waker: None,
        };
        Self { shutdown, progress: Mutex::new(progress) }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has begun. The returned value must be kept until its response is complete.
    #[must_use]
    pub fn begin(self: &Arc<Self>, body: BodyLength) -> Turn {
        let phase = match body {
            BodyLength::Known(0) => Phase::Answering,
            BodyLength::Known(length) => Phase::Body(length),
            BodyLength::Chunked => Phase::Chunks,
        };
        self.change(|progress| (progress.phase, progress.head_since) = (phase, None));
        Turn(Arc::clone(self))
    }

    /// Whether the response must be the last one (`Connection: close`): the server is about to stop, or another
    /// connection needs the slot.
    fn is_closing(&self) -> bool {
        self.shutdown.is_draining() || self.progress().evicted
    }

    /// Reports that the body was read to its end.
    pub fn body_ended(&self) {
        self.change(|progress| {
            if matches!(progress.phase, Phase::Body(_) | Phase::Chunks) {
                progress.phase = Phase::Answering;
            }
        });
    }

    /// Time since which the connection is idle; `None` if a request is in progress. An incomplete head does not count as a request,
    /// and neither does the rest of a body. A response that the client has not read yet does.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let progress = self.progress();
        let is_idle = matches!(progress.phase, Phase::Waiting | Phase::Handed | Phase::Discarding(_));
        (is_idle && !progress.evicted && !progress.stalled).then_some(progress.idle_since)
    }

    /// Whether the client has stopped taking what is written.
    pub(crate) fn set_stalled(&self, stalled: bool) {
        self.progress().stalled = stalled;
    }

    /// Asks the connection to end, unless a request comes first.
    pub(crate) fn evict(&self) {
        self.change(|progress| progress.evicted = true);
    }

    /// Wakes the socket.
    pub(crate) fn wake(&self) {
        self.change(|_| {});
    }

    fn change(&self, how: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress();
        how(&mut progress);
        let waker = progress.waker.take();
        drop(progress);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn expected(&self, waker: &Waker) -> Expected {
        let mut progress = self.progress();
        if progress.waker.as_ref().is_none_or(|known| !known.will_wake(waker)) {
            progress.waker = Some(waker.clone());
        }
        match progress.phase {
            Phase::Waiting => Expected::Head,
            Phase::Handed | Phase::Answering | Phase::Body(0) => Expected::Nothing,
            Phase::Body(missing) => Expected::Bytes(missing),
            Phase::Chunks => Expected::Pieces(u64::MAX),
            Phase::Discarding(0) => Expected::End,
            Phase::Discarding(left) => Expected::Pieces(left),
        }
    }

    /// So many bytes were handed over, with the end of a head as the last of them or not.
    pub(crate) fn handed(&self, length: usize, ends_head: bool) {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        let mut progress = self.progress();
        match &mut progress.phase {
            Phase::Waiting => {
                if progress.head_since.is_none() || ends_head {
                    progress.head_since = Some(Instant::now());
                }
                if ends_head {
                    progress.phase = Phase::Handed;
                }
            }
            Phase::Body(left) | Phase::Discarding(left) => *left = left.saturating_sub(length),
            Phase::Handed | Phase::Chunks | Phase::Answering => {}
        }
    }

    /// Time at which a silent connection is closed.
    pub(crate) fn deadline(&self, timeouts: &Timeouts) -> Option<Instant> {
        let progress = self.progress();
        match (progress.phase, progress.head_since) {
            // Evicted, a client that takes its time with a head has had it.
            (Phase::Waiting | Phase::Discarding(_), _) if progress.evicted => Some(progress.idle_since),
            (Phase::Waiting | Phase::Handed, Some(since)) => Some(since + timeouts.head),
            (Phase::Waiting, None) if self.shutdown.is_finishing() => Some(progress.idle_since + RECENTLY),
            (Phase::Waiting, None) => Some(progress.idle_since + timeouts.idle),
            // The body may have been over, and the next head begun unseen.
            (Phase::Discarding(_), _) => {
                let finishing = self.shutdown.is_finishing();
                Some(progress.idle_since + if finishing { RECENTLY } else { timeouts.head })
            }
            _ => None,
        }
    }
}

/// A request in progress. Dropped when its response is complete.
#[derive(Debug)]
pub struct Turn(Arc<ConnectionState>);

impl Turn {
    /// Reports that the body was read to its end.
    pub fn body_ended(&self) {
        self.0.body_ended();
    }

    /// Whether the response must be the last one on this connection.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.change(|progress| {
            progress.phase = match progress.phase {
                Phase::Body(1..) | Phase::Chunks => Phase::Discarding(MAX_DISCARD),
                _ => Phase::Waiting,
            };
            progress.idle_since = Instant::now();
        });
    }
}
