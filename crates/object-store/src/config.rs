//! What the operator decides about the store.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use transport::Limits;

/// Everything [`ObjectStore::bind`](crate::ObjectStore::bind) needs to know.
#[derive(Clone, Debug)]
pub struct ObjectStoreConfig {
    /// Where objects live. Created when missing; several processes may share it.
    pub directory: PathBuf,
    /// The one bucket there is. It exists from the start.
    pub bucket: String,
    /// How each file ends, by which the store knows its own: with another one it reads none of those that are there.
    pub seal: [u8; 8],
    /// The region requests must be signed for.
    pub region: String,
    /// The access key requests must be signed with.
    pub access_key: String,
    /// The secret that belongs to the access key.
    pub secret_key: SecretString,
    /// Which pages may PUT from a browser.
    pub cors_origins: CorsOrigins,
    /// The largest object, in bytes; also the limit of a single part.
    pub max_object_size: u64,
    /// How much of everything there is at once.
    pub limits: ObjectStoreLimits,
    /// Whether a refused signature is answered with what came under it: for developers.
    pub explain: bool,
    /// How long the store waits for a client.
    pub timeouts: ObjectStoreTimeouts,
}

/// How much of everything there is at once.
#[derive(Clone, Debug)]
pub struct ObjectStoreLimits {
    /// Connections of clients. The server that the store is embedded in has others.
    pub connections: Limits,
    /// What unfinished uploads may take on the disk, in bytes. Further ones are told to come back.
    pub unfinished: u64,
}

impl Default for ObjectStoreLimits {
    fn default() -> Self {
        Self {
            connections: Limits { in_all: 1024, per_address: 512, exempt: Vec::new() },
            unfinished: 4 << 30,
        }
    }
}

/// How long the store waits for a client before it gives the connection up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectStoreTimeouts {
    /// For a whole request head; also how long an idle connection is kept.
    pub header: Duration,
    /// For the next 16 KiB of a body (or its end): a trickle does not keep a connection alive.
    pub body: Duration,
    /// What a whole body has to bring on average, in bytes per second, beyond one `body` for a start. Without it a client
    /// that does just enough keeps a connection and a file for hours.
    pub rate: u64,
    /// For a client that reads nothing of its answer.
    pub write: Duration,
    /// For running requests when the store is told to stop.
    pub drain: Duration,
}

impl Default for ObjectStoreTimeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(30),
            body: Duration::from_secs(30),
            rate: 16 * 1024,
            write: Duration::from_secs(30),
            drain: Duration::from_secs(5),
        }
    }
}

/// Decides whether a page of an origin (`https://app.example.com`) may PUT.
///
/// A function and not a list, so that the API and the store share one rule (`http://localhost:*`).
#[derive(Clone)]
pub struct CorsOrigins(Arc<dyn Fn(&str) -> bool + Send + Sync>);

impl CorsOrigins {
    /// Origins for which `allows` is true.
    pub fn new(allows: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allows))
    }

    /// No page of any origin.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|_| false)
    }

    pub(crate) fn allow(&self, origin: &str) -> bool {
        (self.0)(origin)
    }
}

impl fmt::Debug for CorsOrigins {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CorsOrigins(..)")
    }
}
