//! The embedded object store, and its own keys of the section `storage`. The keys of every store are in [`upload::settings`].

use std::net::{Ipv4Addr, SocketAddr};

use app_config::{Config, NoSuchSection};
use app_kit::console::CommandError;
use app_kit::network::{connection_limits, reachable};
use app_kit::wiring::Wiring;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use configuration::{Environment, Keys, Section, address as listener, bytes, key, whole};
use object_store::{
    CorsOrigins, ObjectStore, ObjectStoreConfig, ObjectStoreError, ObjectStoreLimits, ObjectStoreTimeouts,
};
use secrecy::{ExposeSecret as _, SecretString};
use shared_kernel::crypto::SecretKey;
use shared_kernel::frozen::{EMBEDDED_STORE_KEY, OBJECT_SEAL};
use transport::Limits;
use upload::settings::{StorageSettings, UploadSettings};
use url::Url;

/// Settings of the embedded object store.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedStore {
    /// Address that it listens on for clients; port 0 picks a free one.
    pub bind: SocketAddr,
    /// Maximum number of connections of clients.
    pub connections: usize,
    /// Space for unfinished uploads in bytes.
    pub unfinished_bytes: u64,
    /// Minimum average speed of an upload in bytes per second.
    pub rate: u64,
}

impl Section for EmbeddedStore {
    const NAME: &'static str = "storage";
    type Given<'a> = ();

    fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
        let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 9000));
        let limits = ObjectStoreLimits::default();
        Some(Self {
            bind: keys.read(key(
                "embedded_bind",
                listener(usual),
                usual,
                "Address that the embedded store listens on; port 0 picks a free one. For the server itself it listens on a port \
                 of its own too, on this machine only.",
            ))?,
            connections: keys.read(key(
                "embedded_connections",
                whole(16..=1_000_000, "connections"),
                limits.connections.in_all,
                "Number of connections of clients to the embedded store at once. The next one waits until the longest idle one \
                 is closed. `server.connections_per_address` holds too.",
            ))?,
            unfinished_bytes: keys.read(key(
                "embedded_unfinished_bytes",
                bytes(1 << 20..=1 << 50),
                limits.unfinished,
                "Space on the disk for unfinished uploads to the embedded store, all together; further ones are answered \
                 with 503 `SlowDown`.",
            ))?,
            rate: keys.read(key(
                "embedded_rate",
                whole(1..=1 << 30, "bytes per second"),
                ObjectStoreTimeouts::default().rate,
                "Minimum average speed of an upload to the embedded store, with an allowance of 30 s; slower ones are aborted.",
            ))?,
        })
    }
}

/// Opens the store, runs it in the background, and returns settings with its address.
pub(super) async fn open(
    wiring: &mut Wiring<'_>,
    configured: StorageSettings,
) -> Result<StorageSettings, CommandError> {
    let config = wiring.config;
    let embedded = *config.section::<EmbeddedStore>()?;
    let settings = with_keys(configured, wiring.secret);
    let largest = config.section::<UploadSettings>()?.max_size.unsigned_abs();
    let store = ObjectStore::bind(store_config(wiring, embedded, &settings, largest), embedded.bind)
        .await
        .map_err(not_bound)?;
    let own = Url::parse(&format!("http://{}", store.own_address()))?;
    let address = Url::parse(&format!("http://{}", reachable(store.address())))?;
    if config.environment != Environment::Development && settings.public_endpoint.is_none() {
        tracing::warn!(
            "the embedded object store is reached at {address} only: set ASHLAR_STORAGE__PUBLIC_ENDPOINT to where browsers reach it, \
             or ASHLAR_STORAGE__ENDPOINT to an S3 service"
        );
    }
    wiring.expect_connections(embedded.connections);
    wiring.run(move |shutdown| Box::pin(store.run(shutdown)));
    let public_endpoint = Some(settings.public_endpoint.unwrap_or(address));
    Ok(StorageSettings { endpoint: Some(own), public_endpoint, ..settings })
}

/// Settings with the address of the store that the server of this installation runs.
pub(super) fn of_the_server(
    wiring: &Wiring<'_>,
    configured: StorageSettings,
) -> Result<StorageSettings, CommandError> {
    let settings = with_keys(configured, wiring.secret);
    let address = Url::parse(&format!("http://{}", address(wiring.config)?))?;
    Ok(StorageSettings { endpoint: Some(address), ..settings })
}

fn store_config(
    wiring: &Wiring<'_>,
    embedded: EmbeddedStore,
    settings: &StorageSettings,
    largest: u64,
) -> ObjectStoreConfig {
    let (config, origins) = (wiring.config, wiring.origins.clone());
    ObjectStoreConfig {
        seal: OBJECT_SEAL,
        directory: config.data_dir.join("objects"),
        bucket: settings.bucket.clone(),
        region: settings.region.clone(),
        access_key: settings.access_key.expose_secret().to_owned(),
        secret_key: settings.secret_key.clone(),
        cors_origins: CorsOrigins::new(move |origin| origins.allows(origin)),
        max_object_size: largest,
        limits: ObjectStoreLimits {
            connections: Limits { in_all: embedded.connections, ..connection_limits(config) },
            unfinished: embedded.unfinished_bytes,
        },
        explain: config.environment == Environment::Development,
        timeouts: ObjectStoreTimeouts { rate: embedded.rate, ..ObjectStoreTimeouts::default() },
    }
}

fn not_bound(error: ObjectStoreError) -> CommandError {
    let is_about_the_address = matches!(error, ObjectStoreError::Listen { .. });
    let reason = CommandError::from(error);
    if !is_about_the_address {
        return reason;
    }
    CommandError::message(format!("{reason}: set ASHLAR_STORAGE__EMBEDDED_BIND to a free address"))
}

/// Adds keys to the settings if the embedded store is used and none are set. They are derived from the secret key, so that every
/// process of the installation knows them and they are stored nowhere.
#[must_use]
pub fn with_keys(settings: StorageSettings, secret: &SecretKey) -> StorageSettings {
    if settings.endpoint.is_some() || !settings.access_key.expose_secret().is_empty() {
        return settings;
    }
    let key = secret.mac_key(EMBEDDED_STORE_KEY);
    let text = |purpose: &[u8], length: usize| {
        SecretString::from(URL_SAFE_NO_PAD.encode(&key.sign(purpose)[..length]))
    };
    StorageSettings { access_key: text(b"access key", 15), secret_key: text(b"secret key", 32), ..settings }
}

/// Address at which this machine reaches the store.
pub(super) fn address(config: &Config) -> Result<SocketAddr, NoSuchSection> {
    Ok(reachable(config.section::<EmbeddedStore>()?.bind))
}
