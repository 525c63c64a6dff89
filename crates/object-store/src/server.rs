//! The listener: bind, serve, drain.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use transport::{Accepted, Limits, Listener, Timeouts};

use crate::access::{OneKey, SignedOnly};
use crate::config::{ObjectStoreConfig, ObjectStoreTimeouts};
use crate::error::ObjectStoreError;
use crate::front::Front;
use crate::s3::Protocol;
use crate::store::Store;

/// Buffer of a connection in bytes: for the head of a request, and pieces of a body.
const MAX_BUFFER: usize = 128 * 1024;
/// Size of the largest XML body in bytes: a list of 10,000 parts.
const MAX_XML: usize = 4 * 1024 * 1024;
/// Number of connections of the embedding server, whose client needs few.
const OWN_CONNECTIONS: usize = 1024;

/// An S3 endpoint over a directory, bound and not yet serving.
///
/// It has two listeners: one for clients, and one on a separate port for the embedding server, whose requests must not queue behind
/// those of users.
pub struct ObjectStore {
    listener: Listener,
    address: SocketAddr,
    own: Listener,
    own_address: SocketAddr,
    front: Arc<Front>,
    timeouts: ObjectStoreTimeouts,
}

impl std::fmt::Debug for ObjectStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ObjectStore").field("address", &self.address).finish_non_exhaustive()
    }
}

impl ObjectStore {
    /// Opens the directory (cleaning up after processes that died) and listens. Port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// The bucket name is invalid in S3, the directory cannot be written, or the address cannot be bound.
    pub async fn bind(config: ObjectStoreConfig, address: SocketAddr) -> Result<Self, ObjectStoreError> {
        if !s3s::path::check_bucket_name(&config.bucket) {
            return Err(ObjectStoreError::InvalidBucketName(config.bucket));
        }
        let store = open(&config).await?;
        let (listener, address) = listen(address, config.limits.connections.clone())?;
        let limits = Limits { in_all: OWN_CONNECTIONS, per_address: OWN_CONNECTIONS, exempt: Vec::new() };
        let (own, own_address) = listen((Ipv4Addr::LOCALHOST, 0).into(), limits)?;
        let (timeouts, origins, explain) = (config.timeouts, config.cors_origins.clone(), config.explain);
        let front = Arc::new(Front::new(service(config, store), origins, timeouts, explain));
        Ok(Self { listener, address, own, own_address, front, timeouts })
    }

    /// Address for clients.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loopback address for the embedding server.
    #[must_use]
    pub fn own_address(&self) -> SocketAddr {
        self.own_address
    }

    /// Serves until cancelled. Running requests then have [`ObjectStoreTimeouts::drain`] to finish. An upload that is cut off leaves
    /// nothing behind.
    pub async fn run(self, shutdown: CancellationToken) {
        tracing::info!(address = %self.address, "object store listening");
        let serve = |listener| {
            Serving { front: Arc::clone(&self.front), timeouts: self.timeouts }.run(listener, &shutdown)
        };
        tokio::join!(serve(self.listener), serve(self.own));
        tracing::info!("object store stopped");
    }
}

fn listen(address: SocketAddr, limits: Limits) -> Result<(Listener, SocketAddr), ObjectStoreError> {
    let listener = std::net::TcpListener::bind(address).and_then(|socket| Listener::new(socket, limits));
    let bound = listener.and_then(|listener| Ok((listener.address()?, listener)));
    let (address, listener) = bound.map_err(|source| ObjectStoreError::Listen { address, source })?;
    Ok((listener, address))
}

/// One of the two listeners, serving.
struct Serving {
    front: Arc<Front>,
    timeouts: ObjectStoreTimeouts,
}

impl Serving {
    async fn run(self, listener: Listener, shutdown: &CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => self.spawn(&mut connections, accepted),
            }
        }
        let stop = listener.stop();
        stop.announce();
        for accepted in listener.close() {
            self.spawn(&mut connections, accepted);
        }
        if tokio::time::timeout(self.timeouts.drain, stop.finish()).await.is_err() {
            let connections = stop.connections();
            tracing::warn!(connections, "the object store cuts requests off to stop in time");
        }
        connections.shutdown().await;
    }

    fn spawn(&self, connections: &mut JoinSet<()>, accepted: Accepted) {
        let ObjectStoreTimeouts { header, write, .. } = self.timeouts;
        let connection = match accepted.open(Timeouts { head: header, idle: header, write }) {
            Ok(connection) => connection,
            Err(error) => return tracing::warn!(%error, "a connection could not be opened"),
        };
        let (front, state) = (Arc::clone(&self.front), connection.state());
        let service = service_fn(move |request| Arc::clone(&front).answer(request, Arc::clone(&state)));
        // `Connection` has timeouts of its own.
        let served = http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(connection), service);
        connections.spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%error, "a connection to the object store ended early");
            }
        });
    }
}

async fn open(config: &ObjectStoreConfig) -> Result<Store, ObjectStoreError> {
    let settings = config.clone();
    let opened = tokio::task::spawn_blocking(move || Store::open(&settings)).await;
    opened
        .map_err(io::Error::other)
        .flatten()
        .map_err(|source| ObjectStoreError::Directory { directory: config.directory.clone(), source })
}

fn service(config: ObjectStoreConfig, store: Store) -> S3Service {
    let protocol = Protocol::new(store, config.bucket, config.region, config.max_object_size);
    let mut limits = S3Config::default();
    limits.xml_max_body_size = MAX_XML;
    // Form uploads are refused before they get here; these limits are a second defence.
    limits.post_object_max_file_size = 0;
    limits.form_max_fields_size = 0;
    let mut builder = S3ServiceBuilder::new(protocol);
    builder.set_auth(OneKey::new(config.access_key, config.secret_key));
    builder.set_access(SignedOnly);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
    builder.build()
}
