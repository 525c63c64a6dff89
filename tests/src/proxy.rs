//! A TCP proxy that can stall, drop responses, refuse and reset connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How the proxy treats the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forwards them.
    Forward,
    /// Forwards nothing in either direction, like a firewall that drops packets. Bytes sent meanwhile arrive once the mode is
    /// [`Mode::Forward`] again, as TCP would send them again. New connections are accepted, but not connected to the server.
    Stalled,
    /// Forwards both directions until the client sends `COMMIT`, and changes to [`Mode::DropResponses`] then.
    DropResponsesAfterCommit,
    /// Forwards the bytes of the client, and withholds those of the server until the mode is [`Mode::Forward`] again.
    DropResponses,
}

/// A proxy in front of a server. When it is dropped, it and its connections are closed.
pub struct Proxy {
    address: SocketAddr,
    server: String,
    mode: watch::Sender<Mode>,
    /// Incremented to close all connections.
    resets: watch::Sender<u64>,
    round_trips: Arc<AtomicUsize>,
    task: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy in front of the server at this address.
    pub async fn to(server: &str) -> Self {
        let mut proxy = Self {
            address: ([127, 0, 0, 1], 0).into(),
            server: server.to_owned(),
            mode: watch::Sender::new(Mode::Forward),
            resets: watch::Sender::new(0),
            round_trips: Arc::default(),
            task: JoinSet::new(),
        };
        proxy.listen().await;
        proxy
    }

    /// Listens, at the same address as before a [`Proxy::close`].
    pub async fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let (server, mode, resets) = (self.server.clone(), self.mode.clone(), self.resets.clone());
        let round_trips = Arc::clone(&self.round_trips);
        self.task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let turns = Turns { is_asked: AtomicBool::new(false), count: Arc::clone(&round_trips) };
                connections.spawn(serve(client, server.clone(), mode.clone(), resets.subscribe(), turns));
                while connections.try_join_next().is_some() {}
            }
        });
    }

    /// Closes all connections and refuses new ones.
    pub async fn close(&mut self) {
        self.task.shutdown().await;
    }

    /// Starts a proxy in front of the server of a `postgres://` URL. Returns it and the URL of the same database through it.
    pub async fn to_database(url: &str) -> (Self, String) {
        let mut url = url::Url::parse(url).unwrap();
        let proxy = Self::to(&format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))).await;
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(proxy.address.port())).unwrap();
        // The proxy looks for `COMMIT` in the bytes, so they must not be encrypted.
        url.query_pairs_mut().append_pair("sslmode", "disable");
        (proxy, url.into())
    }

    /// The address at which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the mode, for existing connections too.
    pub fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// How often a client sent something and the server answered.
    pub fn round_trips(&self) -> usize {
        self.round_trips.load(Ordering::SeqCst)
    }

    /// Closes all existing connections, as a restart of the server does.
    pub fn reset_connections(&self) {
        self.resets.send_modify(|count| *count += 1);
    }
}

/// Counts round trips of one connection.
struct Turns {
    is_asked: AtomicBool,
    count: Arc<AtomicUsize>,
}

impl Turns {
    fn sent(&self, by: Side) {
        match by {
            Side::Client => self.is_asked.store(true, Ordering::SeqCst),
            Side::Server if self.is_asked.swap(false, Ordering::SeqCst) => {
                self.count.fetch_add(1, Ordering::SeqCst);
            }
            Side::Server => {}
        }
    }
}

/// The sender of bytes.
#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
}

impl Side {
    /// Whether its bytes are forwarded.
    fn is_forwarded(self, mode: Mode) -> bool {
        match self {
            Self::Client => mode != Mode::Stalled,
            Self::Server => matches!(mode, Mode::Forward | Mode::DropResponsesAfterCommit),
        }
    }
}

async fn serve(
    client: TcpStream,
    server: String,
    mode: watch::Sender<Mode>,
    mut reset: watch::Receiver<u64>,
    turns: Turns,
) {
    if mode.subscribe().wait_for(|mode| *mode != Mode::Stalled).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(Side::Client, from_client, to_server, &mode, &turns) => {}
        () = copy(Side::Server, from_server, to_client, &mode, &turns) => {}
        _ = reset.changed() => {}
    }
}

/// Forwards the bytes of a side while the mode allows it; returns when either side closes the connection.
async fn copy(
    side: Side,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mode: &watch::Sender<Mode>,
    turns: &Turns,
) {
    let mut changes = mode.subscribe();
    let mut bytes = vec![0; 16 * 1_024];
    loop {
        let Ok(length @ 1..) = from.read(&mut bytes).await else { return };
        let Some(bytes) = bytes.get(..length) else { return };
        if bytes.windows(6).any(|part| part == b"COMMIT") {
            mode.send_if_modified(|mode| {
                let is_first = *mode == Mode::DropResponsesAfterCommit;
                if is_first {
                    *mode = Mode::DropResponses;
                }
                is_first
            });
        }
        let forwarded = changes.wait_for(|mode| side.is_forwarded(*mode)).await.is_ok();
        turns.sent(side);
        if !forwarded || to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
