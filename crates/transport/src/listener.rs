//! The listening socket, and its shutdown.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::connection::Connection;
use crate::registry::{Limits, Registry, Slot};
use crate::state::Timeouts;

/// Pause after a failed accept: it fails if the process runs out of file descriptors, and an immediate retry would only use CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    registry: Arc<Registry>,
}

impl Listener {
    /// Accepts the connections of a listening socket.
    ///
    /// # Errors
    ///
    /// Errors of the operating system.
    pub fn new(socket: std::net::TcpListener, limits: Limits) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket: TcpListener::from_std(socket)?, registry: Arc::new(Registry::new(limits)) })
    }

    /// The address on which it listens.
    ///
    /// # Errors
    ///
    /// Errors of the operating system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts the next connection for which there is a slot.
    pub async fn accept(&self) -> Accepted {
        loop {
            self.registry.room().await;
            let taken = self.socket.accept().await.and_then(|(stream, peer)| Ok((stream.into_std()?, peer)));
            match taken {
                Ok((stream, peer)) => {
                    if let Some(slot) = self.registry.admit(peer.ip()) {
                        return Accepted { stream, peer, slot };
                    }
                    tracing::debug!(%peer, "a connection is refused: its address has too many");
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// The handle that stops its connections.
    #[must_use]
    pub fn stop(&self) -> Stop {
        Stop(Arc::clone(&self.registry))
    }

    /// Stops listening. Returns the established connections that were not accepted yet:
    /// their requests may have arrived.
    #[must_use]
    pub fn close(self) -> Vec<Accepted> {
        let mut last = Vec::new();
        let Ok(socket) = self.socket.into_std() else { return last };
        loop {
            match socket.accept() {
                Ok((stream, peer)) => {
                    if stream.set_nonblocking(true).is_ok()
                        && let Some(slot) = self.registry.admit(peer.ip())
                    {
                        last.push(Accepted { stream, peer, slot });
                    }
                }
                // Of one connection; there may be others behind it.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(_) => return last,
            }
        }
    }
}

/// Stops the connections of a [`Listener`], in two steps.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Registry>);

impl Stop {
    /// From now on each response is the last one of its connection (`Connection: close`). New connections are still accepted.
    pub fn announce(&self) {
        self.0.drain();
    }

    /// Whether the stop was announced.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        self.0.is_draining()
    }

    /// Closes idle connections, after a last read, and those whose client reads nothing. Returns when no connection is left.
    pub async fn finish(&self) {
        self.0.finish();
        self.0.empty().await;
    }

    /// Number of connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.len()
    }
}

/// An accepted connection that is not open yet.
#[derive(Debug)]
pub struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    slot: Slot,
}

impl Accepted {
    /// The address of the client.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Registers the socket with the current event loop.
    ///
    /// # Errors
    ///
    /// The operating system's.
    pub fn open(self, timeouts: Timeouts) -> io::Result<Connection> {
        // Small answers must not wait for the client's acknowledgement of the last one.
        let _ = self.stream.set_nodelay(true);
        Ok(Connection::new(TcpStream::from_std(self.stream)?, self.slot, timeouts))
    }
}
