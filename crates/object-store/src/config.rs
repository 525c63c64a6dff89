//! Settings of the store.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use transport::Limits;

/// Everything [`ObjectStore::bind`](crate::ObjectStore::bind) needs to know.
#[derive(Clone, Debug)]
pub struct ObjectStoreConfig {
    /// Directory of the objects. Created if missing; several processes may share it.
    pub directory: PathBuf,
    /// Name of the only bucket. It exists from the start.
    pub bucket: String,
    /// Last bytes of each file, by which the store recognises its own: with another value it cannot read existing files.
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
    /// Limits of the store.
    pub limits: ObjectStoreLimits,
    /// Whether the response to a wrong signature shows the signed request: for developers.
    pub explain: bool,
    /// Timeouts of the store.
    pub timeouts: ObjectStoreTimeouts,
}

/// Limits of the store.
#[derive(Clone, Debug)]
pub struct ObjectStoreLimits {
    /// Connections of clients. The server that the store is embedded in has others.
    pub connections: Limits,
    /// Maximum size of all unfinished uploads on the disk, in bytes. Further ones get a 503.
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

/// Timeouts of the store for its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectStoreTimeouts {
    /// For a whole request head; also for an idle connection.
    pub header: Duration,
    /// For the next 16 KiB of a body (or its end), so that a slow trickle does not keep a connection alive.
    pub body: Duration,
    /// Minimum average rate of a whole body, in bytes per second, after a first period of `body`. Without it a client
    /// that is just fast enough could keep a connection and a file for hours.
    pub rate: u64,
    /// For writing, while the client reads nothing.
    pub write: Duration,
    /// For running requests at shutdown.
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
