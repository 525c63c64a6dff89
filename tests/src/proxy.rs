//! A way to a TCP server that can break in all the ways that ways break.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What becomes of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// They arrive.
    Open,
    /// They vanish, in both directions, as behind a firewall that drops packets. What was sent meanwhile arrives when the
    /// way is open again, as TCP would send it again. Connections are taken and lead nowhere.
    Silent,
    /// Those of the client arrive, and the server's answers too, until the client says `COMMIT`. From then on they vanish until
    /// the way is open again.
    DeafFromCommit,
    /// The same after the `COMMIT`.
    Deaf,
}

/// A listener in front of a server. Gone when dropped, and its connections with it.
pub struct Proxy {
    address: SocketAddr,
    server: String,
    way: watch::Sender<Way>,
    /// Counted up when all connections are to be reset.
    resets: watch::Sender<u64>,
    task: JoinSet<()>,
}

impl Proxy {
    /// One in front of the server at `address`.
    pub async fn to(server: &str) -> Self {
        let mut proxy = Self {
            address: ([127, 0, 0, 1], 0).into(),
            server: server.to_owned(),
            way: watch::Sender::new(Way::Open),
            resets: watch::Sender::new(0),
            task: JoinSet::new(),
        };
        proxy.open().await;
        proxy
    }

    /// Listens, at the same address as before.
    pub async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let (server, way, resets) = (self.server.clone(), self.way.clone(), self.resets.clone());
        self.task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass(client, server.clone(), way.clone(), resets.subscribe()));
                while connections.try_join_next().is_some() {}
            }
        });
    }

    /// Ends all connections and refuses new ones.
    pub async fn shut(&mut self) {
        self.task.shutdown().await;
    }

    /// One in front of the server of a `postgres://` URL, and the URL of the same database behind it.
    pub async fn to_database(url: &str) -> (Self, String) {
        let mut url = url::Url::parse(url).unwrap();
        let proxy = Self::to(&format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))).await;
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(proxy.address.port())).unwrap();
        // What is said has to be read here.
        url.query_pairs_mut().append_pair("sslmode", "disable");
        (proxy, url.into())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it is like this, for the connections that there are too.
    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Ends all connections that there are, as a restart of the server does.
    pub fn reset(&self) {
        self.resets.send_modify(|count| *count += 1);
    }
}

async fn pass(client: TcpStream, server: String, way: watch::Sender<Way>, mut reset: watch::Receiver<u64>) {
    if way.subscribe().wait_for(|way| *way != Way::Silent).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = copy(from_client, to_server, &way, |way| way != Way::Silent) => {}
        () = copy(from_server, to_client, &way, |way| matches!(way, Way::Open | Way::DeafFromCommit)) => {}
        _ = reset.changed() => {}
    }
}

/// Hands on what comes whenever the way is good for it; ends when either side does.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: &watch::Sender<Way>,
    good: impl Fn(Way) -> bool,
) {
    let mut leads = way.subscribe();
    let mut bytes = vec![0; 16 * 1_024];
    loop {
        let Ok(length @ 1..) = from.read(&mut bytes).await else { return };
        let Some(bytes) = bytes.get(..length) else { return };
        if bytes.windows(6).any(|part| part == b"COMMIT") {
            way.send_if_modified(|way| {
                let is_awaited = *way == Way::DeafFromCommit;
                if is_awaited {
                    *way = Way::Deaf;
                }
                is_awaited
            });
        }
        if leads.wait_for(|way| good(*way)).await.is_err() || to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
