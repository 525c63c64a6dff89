//! The listener: bind, serve, drain.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::access::{OneKey, SignedOnly};
use crate::config::{ObjectStoreConfig, ObjectStoreTimeouts};
use crate::error::ObjectStoreError;
use crate::front::Front;
use crate::s3::Protocol;
use crate::store::Store;

/// More wait in the operating system's queue.
const MAX_CONNECTIONS: usize = 1024;
/// Per connection: the request head, and pieces of a body on their way to the disk.
const MAX_BUFFER: usize = 128 * 1024;
/// The largest XML body: the list of 10,000 parts.
const MAX_XML: usize = 4 * 1024 * 1024;
/// Accepting fails when the process runs out of file descriptors; trying at once would only burn the processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An S3 endpoint over a directory, bound and not yet serving.
pub struct ObjectStore {
    listener: TcpListener,
    address: SocketAddr,
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
    /// When the bucket name breaks the rules of S3, the directory can't be written or the address can't be had.
    pub async fn bind(config: ObjectStoreConfig, address: SocketAddr) -> Result<Self, ObjectStoreError> {
        if !s3s::path::check_bucket_name(&config.bucket) {
            return Err(ObjectStoreError::InvalidBucketName(config.bucket));
        }
        let store = open(&config).await?;
        let listen = |source| ObjectStoreError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (timeouts, origins) = (config.timeouts, config.cors_origins.clone());
        let front = Arc::new(Front::new(service(config, store), origins, timeouts.body));
        Ok(Self { listener, address, front, timeouts })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until cancelled, then gives running requests a few seconds
    /// ([`ObjectStoreTimeouts::drain`]) to finish. An upload cut off by that leaves nothing behind.
    pub async fn run(self, shutdown: CancellationToken) {
        let graceful = GracefulShutdown::new();
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut connections = JoinSet::new();
        tracing::info!(address = %self.address, "object store listening");
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => {}
                accepted = accept(&self.listener, &permits) => match accepted {
                    Ok((stream, permit)) => self.spawn(&mut connections, &graceful, stream, permit),
                    Err(error) => {
                        tracing::warn!(%error, "the object store could not accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        if tokio::time::timeout(self.timeouts.drain, graceful.shutdown()).await.is_err() {
            tracing::warn!(
                connections = connections.len(),
                "the object store cuts requests off to stop in time"
            );
        }
        connections.shutdown().await;
        tracing::info!("object store stopped");
    }

    fn spawn(
        &self,
        connections: &mut JoinSet<()>,
        graceful: &GracefulShutdown,
        stream: TcpStream,
        permit: OwnedSemaphorePermit,
    ) {
        // Small answers must not wait for the client's acknowledgement of the last one.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(StallGuard::new(stream, self.timeouts.write));
        let front = Arc::clone(&self.front);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.timeouts.header)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(io, service_fn(move |request| Arc::clone(&front).answer(request)));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the object store ended early");
            }
        });
    }
}

async fn open(config: &ObjectStoreConfig) -> Result<Store, ObjectStoreError> {
    let (directory, bucket) = (config.directory.clone(), config.bucket.clone());
    let opened = tokio::task::spawn_blocking(move || Store::open(&directory, &bucket)).await;
    opened
        .map_err(io::Error::other)
        .flatten()
        .map_err(|source| ObjectStoreError::Directory { directory: config.directory.clone(), source })
}

fn service(config: ObjectStoreConfig, store: Store) -> S3Service {
    let protocol = Protocol::new(store, config.bucket, config.region, config.max_object_size);
    let mut limits = S3Config::default();
    limits.xml_max_body_size = MAX_XML;
    // Form uploads are refused in front; these limits are the second wall.
    limits.post_object_max_file_size = 0;
    limits.form_max_fields_size = 0;
    let mut builder = S3ServiceBuilder::new(protocol);
    builder.set_auth(OneKey::new(config.access_key, config.secret_key));
    builder.set_access(SignedOnly);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
    builder.build()
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

/// A socket that fails when the other side reads nothing for too long: hyper has no timeout for writing, and a
/// client that stops reading a download would hold its connection and file for ever.
struct StallGuard {
    stream: TcpStream,
    limit: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl StallGuard {
    fn new(stream: TcpStream, limit: Duration) -> Self {
        Self { stream, limit, stalled: None }
    }

    fn watch<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let limit = self.limit;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        timer.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for StallGuard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for StallGuard {
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
