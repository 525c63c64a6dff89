//! The application: everything wired, listening, and stopped in order.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use auth::Auth;
use http_kit::asset::{Asset, REVALIDATED};
use http_kit::contract::Contract;
use http_kit::cors::{Origins, PageHeaders};
use http_kit::serve::{Api, Serving, serve};
use http_kit::state::{self, State};
use http_kit::{docs, etag};
use messaging::{FileMailer, Mailbox, Mailer, Relay, RelaySettings};
use object_store::{
    CorsOrigins, ObjectStore, ObjectStoreConfig, ObjectStoreError, ObjectStoreLimits, ObjectStoreTimeouts,
};
use secrecy::ExposeSecret as _;
use shared_kernel::clock::{SharedClock, SystemClock};
use shared_kernel::crypto::SecretKey;
use shared_kernel::event::Subscriber;
use shared_kernel::frozen::OBJECT_SEAL;
use shared_kernel::session::{ConnectError, DatabaseSettings, Databases};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use transport::{Limits, Listener, Patience, Stop};
use upload::files::SignedFiles;
use upload::settings::StorageSettings;
use upload::storage::Storage;
use url::Url;

use crate::claim::{self, Claim};
use crate::cli::CommandError;
use crate::config::{self, Config, without_slash};
use crate::context::Context;
use crate::document::document;
use crate::logging;
use crate::migrate;
use crate::routers;
use crate::routers::auth::{REFRESH_COOKIE, Recognition};
use crate::routers::installation::{self, Installation};
use crate::subscribers::Welcome;

/// The whole product, listening and not yet serving.
pub struct Application {
    config: Config,
    state: web::Data<State>,
    context: web::Data<Context>,
    listener: Listener,
    store: Option<ObjectStore>,
    relay: Relay,
    addresses: Addresses,
    /// Of the data folder, kept until everything has stopped.
    claim: Option<Claim>,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// What the API listens on.
    pub api: SocketAddr,
    /// How browsers reach the API.
    pub public_url: Url,
    /// How browsers reach the object store.
    pub storage: Url,
}

/// How often it is looked whether the database needs tidying, which is one look at a file.
const TIDY_INTERVAL: Duration = Duration::from_mins(1);

/// How long what requests need has to stop, where they took all of `server.shutdown_grace`.
const LAST_SECONDS: Duration = Duration::from_secs(3);

/// How often deleted uploads and ended sessions are looked for.
const PURGE_INTERVAL: Duration = Duration::from_hours(1);

impl Application {
    /// Opens the databases, migrates them if that is wanted, reads the keys, and listens. Whatever is missing is told here.
    ///
    /// # Errors
    ///
    /// The sentence that says why it cannot start.
    pub async fn build(config: Config) -> Result<Self, CommandError> {
        make_folder(&config.data_dir)?;
        let claim = claim::claim(&config)?;
        let listener = TcpListener::bind(config.server.bind)
            .map_err(|error| busy("ASHLAR_SERVER__BIND", config.server.bind, &error))?;
        let api = listener.local_addr()?;
        let listener = Listener::new(listener, connection_limits(&config))?;
        let config = config.bound_to(api.port());
        let clock = SystemClock::shared();
        let secret = SecretKey::new(&config.secret_key)?;
        let origins = origins(&config);
        let (store, endpoints) = open_store(&config, &origins).await?;
        let databases = open_databases(&config, clock.clone(), &secret).await?;
        migrate::at_start(&config, databases.primary()).await?;
        let auth = Auth::open(config.auth.clone(), databases.clone(), &secret).await?;
        let relay =
            Relay::new(databases.clone(), subscribers(&config, &databases)?, RelaySettings::default())?;
        let storage = Storage::new(&endpoints.settings(&config.storage), clock);
        if store.is_none() && config.environment == config::Environment::Development {
            make_bucket(&storage).await;
        }
        let auth = Arc::new(auth);
        let state = http_state(&config, &endpoints, origins, &databases, listener.stop(), auth.clone())?;
        let uploads = config.uploads.clone();
        let context = Context {
            auth,
            files: Arc::new(SignedFiles::new(storage.clone(), uploads.url_ttl)),
            storage,
            uploads,
            installation: Asset::new(
                "application/json",
                installation::CACHE_CONTROL,
                serde_json::to_string(&Installation::new(&config))?.into(),
            ),
            session_lifetime: config.auth.session_lifetime,
        };
        let addresses =
            Addresses { api, public_url: config.server.public_url.clone(), storage: endpoints.public };
        let (state, context) = (web::Data::new(state), web::Data::new(context));
        Ok(Self { config, state, context, listener, store, relay, addresses, claim })
    }

    /// Where everything is.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Its databases, for tests that break them.
    #[must_use]
    pub fn databases(&self) -> &Databases {
        &self.state.databases
    }

    /// The relay of events, for tests that want to see their effects.
    #[must_use]
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Serves until `stop` is done. Then the requests that have arrived are finished, and only then does stop what they
    /// need. That has what is left of `server.shutdown_grace`, and three seconds at least; what hangs longer is left
    /// behind.
    ///
    /// # Errors
    ///
    /// The listener's.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), CommandError> {
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if let Some(store) = self.store {
            tasks.spawn(store.run(shutdown.clone()));
        }
        let (relay, token) = (self.relay, shutdown.clone());
        tasks.spawn(async move { relay.run(token).await });
        let (context, databases) = (self.context.clone(), self.state.databases.clone());
        let tidied = databases.clone();
        tasks.spawn(every(PURGE_INTERVAL, shutdown.clone(), async move || purge(&databases, &context).await));
        tasks.spawn(every(TIDY_INTERVAL, shutdown.clone(), async move || tidy(&tidied).await));
        let context = self.context;
        let api = Api {
            state: self.state,
            routes: routers::configure,
            data: Arc::new(move |config| {
                config.app_data(context.clone());
            }),
        };
        let (serving, mut ends) = (serving(&self.config), Instant::now());
        let stop = async {
            stop.await;
            ends = Instant::now() + serving.drain_delay + serving.grace;
        };
        let outcome = serve(self.listener, serving, api, stop).await;
        shutdown.cancel();
        let ends = ends.max(Instant::now() + LAST_SECONDS);
        if timeout_at(ends, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(tasks = tasks.len(), "what hangs is left behind to stop in time");
        }
        drop(self.claim);
        Ok(outcome?)
    }
}

fn origins(config: &Config) -> Origins {
    let allowed = config.cors.origins.clone();
    Origins::new(config.server.public_url.origin().ascii_serialization(), move |origin| {
        allowed.iter().any(|allowed| allowed.allows(origin))
    })
}

/// What HTTP needs to know.
fn http_state(
    config: &Config,
    endpoints: &Endpoints,
    origins: Origins,
    databases: &Databases,
    stop: Stop,
    auth: Arc<Auth>,
) -> Result<State, CommandError> {
    let contract = document(config);
    let document = contract.to_json()?;
    Ok(State {
        databases: databases.clone(),
        authenticator: Arc::new(Recognition(auth)),
        contract: Contract::new(&contract, docs::PAGES)?,
        edition: etag::digest(document.as_bytes()),
        document: Asset::new("application/json", REVALIDATED, document.into()),
        problems: routers::problems().collect(),
        stop,
        origins,
        page_headers: PageHeaders::new(config.cors.headers.clone()),
        connect_origins: [&config.server.public_url, &endpoints.public]
            .map(|url| url.origin().ascii_serialization())
            .to_vec(),
        under_tls: config.server.public_url.scheme() == "https",
        project_name: config.project_name.clone(),
        session_cookie: REFRESH_COOKIE,
        no_store_below: "/api/v1/auth/",
        trusted_proxies: config.server.trusted_proxies.clone(),
        limits: state::Limits {
            url_bytes: config.limits.url_bytes,
            json_body_bytes: config.limits.json_body_bytes,
            request_timeout: config.server.request_timeout,
            body_timeout: config.limits.body_seconds,
        },
    })
}

fn connection_limits(config: &Config) -> Limits {
    let server = &config.server;
    Limits {
        in_all: server.connections,
        // A load test comes from one machine.
        per_address: if config.limits.enabled { server.connections_per_address } else { usize::MAX },
        exempt: server.trusted_proxies.clone(),
    }
}

fn serving(config: &Config) -> Serving {
    let server = &config.server;
    let patience =
        Patience { head: server.client_timeout, idle: server.keep_alive, write: server.write_timeout };
    Serving {
        workers: server.workers,
        patience,
        drain_delay: server.drain_delay,
        grace: server.shutdown_grace,
    }
}

/// Does `work` now and then. Every instance does: it is safe and cheap.
async fn every(interval: Duration, shutdown: CancellationToken, work: impl AsyncFn()) {
    let mut ticks = tokio::time::interval(interval);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        // Cut off, it leaves nothing undone for good.
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = work() => {}
        }
    }
}

async fn tidy(databases: &Databases) {
    if let Err(error) = databases.tidy().await {
        tracing::warn!(?error, "SQLite's write-ahead log cannot be cut off now; the next run tries again");
    }
}

/// Removes what was deleted, given up or ended long ago.
async fn purge(databases: &Databases, context: &Context) {
    if let Err(error) = upload::service::purge(databases, &context.storage, &context.uploads).await {
        tracing::warn!(?error, "deleted uploads cannot be removed now; the next run tries again");
    }
    if let Err(error) = auth::service::purge_sessions(&context.auth).await {
        tracing::warn!(?error, "ended sessions cannot be removed now; the next run tries again");
    }
}

/// For a store that a developer just started. Readiness tells if this did not work.
async fn make_bucket(storage: &Storage) {
    if let Err(error) = storage.ensure_bucket().await {
        tracing::warn!(?error, "the bucket cannot be made; uploads fail until it is there");
    }
}

/// How the server and how browsers reach the object store.
struct Endpoints {
    own: Url,
    public: Url,
}

impl Endpoints {
    /// The settings of this store, embedded or not.
    fn settings(&self, configured: &StorageSettings) -> StorageSettings {
        StorageSettings {
            endpoint: Some(self.own.clone()),
            public_endpoint: Some(self.public.clone()),
            ..configured.clone()
        }
    }
}

/// The embedded store, unless another is configured.
async fn open_store(
    config: &Config,
    origins: &Origins,
) -> Result<(Option<ObjectStore>, Endpoints), CommandError> {
    if let Some(own) = config.storage.endpoint.clone() {
        let public = config.storage.public_endpoint.clone().unwrap_or_else(|| own.clone());
        return Ok((None, Endpoints { own, public }));
    }
    let origins = origins.clone();
    let settings = ObjectStoreConfig {
        directory: config.data_dir.join("objects"),
        bucket: config.storage.bucket.clone(),
        seal: OBJECT_SEAL,
        region: config.storage.region.clone(),
        access_key: config.storage.access_key.expose_secret().to_owned(),
        secret_key: config.storage.secret_key.clone(),
        cors_origins: CorsOrigins::new(move |origin| origins.allows(origin)),
        max_object_size: config.uploads.max_size.unsigned_abs(),
        limits: ObjectStoreLimits {
            connections: Limits { in_all: config.embedded_store.connections, ..connection_limits(config) },
            unfinished: config.embedded_store.unfinished_bytes,
        },
        explain: config.environment == config::Environment::Development,
        timeouts: ObjectStoreTimeouts { rate: config.embedded_store.rate, ..ObjectStoreTimeouts::default() },
    };
    let store = ObjectStore::bind(settings, config.embedded_store.bind).await.map_err(|error| {
        let is_about_the_address = matches!(error, ObjectStoreError::Listen { .. });
        let reason = CommandError::from(error);
        if !is_about_the_address {
            return reason;
        }
        CommandError::message(format!("{reason}: set ASHLAR_STORAGE__EMBEDDED_BIND to a free address"))
    })?;
    let own = Url::parse(&format!("http://{}", store.own_address()))?;
    let address = Url::parse(&format!("http://{}", reachable(store.address())))?;
    if config.environment != config::Environment::Development && config.storage.public_endpoint.is_none() {
        tracing::warn!(
            "the embedded object store is reached at {address} only: set ASHLAR_STORAGE__PUBLIC_ENDPOINT to where browsers reach it, \
             or ASHLAR_STORAGE__ENDPOINT to an S3 service"
        );
    }
    let public = config.storage.public_endpoint.clone().unwrap_or(address);
    Ok((Some(store), Endpoints { own, public }))
}

/// Where a listener that listens everywhere is reached from this machine.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => ([127, 0, 0, 1], v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

fn subscribers(config: &Config, databases: &Databases) -> Result<Vec<Subscriber>, CommandError> {
    let from: Mailbox = config.mail.from.parse()?;
    let folder = config.data_dir.join("mail");
    let mailer: Arc<dyn Mailer> = Arc::new(FileMailer::new(folder, from, databases.clock().clone()));
    let welcome = Welcome {
        databases: databases.clone(),
        project_name: config.project_name.clone(),
        sign_in_page: (config.auth.link_base != config.server.public_url)
            .then(|| without_slash(&config.auth.link_base).to_owned()),
        mailer,
    };
    Ok(vec![welcome.subscriber()])
}

/// The databases of the configuration, with what domains may know of each other's tables, or the sentence that says which setting to look at.
pub(crate) async fn open_databases(
    config: &Config,
    clock: SharedClock,
    secret: &SecretKey,
) -> Result<Databases, CommandError> {
    let settings = DatabaseSettings {
        resources: routers::resources(),
        log_statements: logging::shows_sql(&config.log_level),
        ..config.database.settings()
    };
    Databases::connect(&settings, clock, secret).await.map_err(|error| {
        // The others say themselves what to do.
        let is_about_the_url = matches!(error, ConnectError::Database(_));
        let reason = CommandError::from(error);
        if !is_about_the_url {
            return reason;
        }
        CommandError::message(format!(
            "{reason} (does ASHLAR_DATABASE__URL or DATABASE_URL name a database that answers, and a user that it lets in?)"
        ))
    })
}

/// The data folder, which nobody else may look into.
pub(crate) fn make_folder(folder: &std::path::Path) -> Result<(), CommandError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| {
        CommandError::message(format!("the data folder {} cannot be made: {error}", folder.display()))
    })
}

fn busy(variable: &str, address: SocketAddr, error: &io::Error) -> CommandError {
    CommandError::message(format!(
        "{address} cannot be listened on ({error}): set {variable} to a free address"
    ))
}
