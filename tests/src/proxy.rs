//! A TCP proxy that can stall, drop responses, refuse and reset connections.

use std::net::SocketAddr;

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
        self.task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(serve(client, server.clone(), mode.clone(), resets.subscribe()));
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

    /// Closes all existing connections, as a restart of the server does.
    pub fn reset_connections(&self) {
        self.resets.send_modify(|count| *count += 1);
    }
}

async fn serve(
    client: TcpStream,
    server: String,
    mode: watch::Sender<Mode>,
    mut reset: watch::Receiver<u64>,
) {
    if mode.subscribe().wait_for(|mode| *mode != Mode::Stalled).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, &mode, |mode| mode != Mode::Stalled) => {}
        () = copy(from_server, to_client, &mode, |mode| matches!(mode, Mode::Forward | Mode::DropResponsesAfterCommit)) => {}
        _ = reset.changed() => {}
    }
}

/// Forwards the bytes while `forwards` is true for the mode; returns when either side closes the connection.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mode: &watch::Sender<Mode>,
    forwards: impl Fn(Mode) -> bool,
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
        if changes.wait_for(|mode| forwards(*mode)).await.is_err() || to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
