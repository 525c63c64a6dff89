//! The application: wiring, serving, and an orderly stop.

use std::collections::BTreeSet;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::InvalidHeaderName;
use actix_web::web;
use app_config::Config;
use futures_util::future::BoxFuture;
use http_kit::asset::{Asset, REVALIDATED};
use http_kit::authenticator::Authenticator;
use http_kit::catalogue::Catalogue;
use http_kit::contract::Contract;
use http_kit::cors::PageHeaders;
use http_kit::serve::{Api, Serving, serve};
use http_kit::state::{self, State};
use http_kit::{docs, etag};
use messaging::{Relay, RelaySettings, Workers};
use shared_kernel::session::Databases;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use transport::{Listener, Stop, Timeouts};
use url::Url;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::claim::{self, Claim};
use crate::console::CommandError;
use crate::databases::make_folder;
use crate::document::document;
use crate::foundation::{Foundation, start_modules};
use crate::health::Checks;
use crate::installation::Installation;
use crate::network::connection_limits;
use crate::product::Product;
use crate::sweep;
use crate::wiring::{Check, Parts, Role, Task, Wiring};
use crate::worker::workers;

/// An application that listens and does not serve yet.
pub struct Application {
    product: &'static Product,
    config: Config,
    state: web::Data<State>,
    data: Data,
    listener: Listener,
    relay: Relay,
    workers: Workers,
    tasks: Vec<Task>,
    connections: usize,
    addresses: Addresses,
    /// Lock of the data folder, kept until everything has stopped.
    claim: Option<Claim>,
}

/// Registers the handlers' `web::Data`.
type Data = Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;

/// Addresses of an application.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// Address that the API listens on.
    pub api: SocketAddr,
    /// Public URL of the API.
    pub public_url: Url,
    /// Public URLs of other listeners, by their display names.
    pub others: Vec<(&'static str, Url)>,
}

impl Addresses {
    /// Public URL of the listener of this name.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<&Url> {
        self.others.iter().find(|(other, _)| *other == name).map(|(_, url)| url)
    }
}

/// Interval of checking the size of SQLite's write-ahead log, which is one look at a file.
const TIDY_INTERVAL: Duration = Duration::from_mins(1);

/// Minimum time that background tasks have to stop, if requests took all of `server.shutdown_grace`.
const LAST_SECONDS: Duration = Duration::from_secs(3);

impl Application {
    /// Claims the data folder, listens, opens the databases, migrates them if so configured, and starts the modules.
    ///
    /// # Errors
    ///
    /// The sentence that says why it cannot start.
    pub async fn build(product: &'static Product, config: Config) -> Result<Self, CommandError> {
        make_folder(&config.data_dir)?;
        let claim = claim_data_dir(product, &config)?;
        let listener = TcpListener::bind(config.server.bind)
            .map_err(|error| busy(&config.variable("server.bind"), config.server.bind, &error))?;
        let api = listener.local_addr()?;
        let listener = Listener::new(listener, connection_limits(&config))?;
        let config = config.bound_to(api.port());
        // On a thread of its own, while the databases are opened: it only needs the configuration.
        let document = tokio::task::spawn_blocking({
            let config = config.clone();
            move || document(product, &config)
        });
        let foundation = Foundation::lay(product, &config).await?;
        let databases = &foundation.databases;
        let mut wiring = foundation.wiring(&config, Role::Server);
        wiring.every(TIDY_INTERVAL, truncate_log(databases));
        start_modules(product, &mut wiring).await?;
        let Parts {
            mut data,
            authenticator,
            subscribers,
            mut jobs,
            tasks,
            checks,
            addresses,
            connections,
            ..
        } = std::mem::take(&mut wiring.parts);
        check_dependencies(product, &checks)?;
        let relay = Relay::new(databases.clone(), subscribers, RelaySettings::default())?;
        sweep::register(&mut jobs, relay.clone())?;
        let workers = workers(&config, databases, jobs)?;
        let checks = web::Data::new(Checks {
            of_modules: checks,
            migrations: product.migrations,
            workers: workers.clone(),
        });
        let admin = web::Data::new(workers.admin());
        let installation = web::Data::new(Installation::new(&config, product.modules)?.asset()?);
        data.push(Box::new(move |config| {
            config.app_data(checks.clone()).app_data(admin.clone()).app_data(installation.clone());
        }));
        let addresses = Addresses { api, public_url: config.server.public_url.clone(), others: addresses };
        let authenticator =
            authenticator.ok_or_else(|| CommandError::message("no domain recognises credentials"))?;
        let document = document.await??;
        let state = http_state(product, &wiring, &document, &addresses, listener.stop(), authenticator)?;
        Ok(Self {
            product,
            connections: config.server.connections + connections,
            state: web::Data::new(state),
            data: Arc::new(move |config| data.iter().for_each(|register| register(config))),
            listener,
            relay,
            workers,
            config,
            tasks,
            addresses,
            claim,
        })
    }

    /// Maximum number of connections of clients.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections
    }

    /// Its addresses.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Its databases, for tests.
    #[must_use]
    pub fn databases(&self) -> &Databases {
        &self.state.databases
    }

    /// The relay of events, for tests.
    #[must_use]
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// What runs jobs, for tests.
    #[must_use]
    pub fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Serves until `stop` completes. Requests that have arrived are finished first, then background tasks are stopped: they have the
    /// rest of `server.shutdown_grace`, and three seconds at least. Tasks that hang longer are abandoned.
    ///
    /// # Errors
    ///
    /// The listener failed.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), CommandError> {
        let shutdown = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for task in self.tasks {
            tasks.spawn(task(shutdown.clone()));
        }
        let (relay, token) = (self.relay, shutdown.clone());
        tasks.spawn(async move { relay.run(token).await });
        // Jobs are not started any more, and stop, while the last requests are answered.
        let jobs = shutdown.child_token();
        let (workers, token, in_server) = (self.workers, jobs.clone(), self.config.jobs.in_server);
        tasks.spawn(async move {
            if in_server { workers.run(token).await } else { workers.announce(token).await }
        });
        let product = self.product;
        let routes = Arc::new(move |config: &mut ServiceConfig<'_>| product.routes(config));
        let api = Api { state: self.state, routes, data: self.data };
        let (serving, mut ends) = (serving(&self.config), Instant::now());
        let stop = async {
            stop.await;
            jobs.cancel();
            ends = Instant::now() + serving.drain_delay + serving.grace;
        };
        let outcome = serve(self.listener, serving, api, stop).await;
        shutdown.cancel();
        let ends = ends.max(Instant::now() + LAST_SECONDS);
        if timeout_at(ends, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(tasks = tasks.len(), "tasks that hang are abandoned to stop in time");
        }
        drop(self.claim);
        Ok(outcome?)
    }
}

/// Claims the data folder before anything else, so that a second server fails at once.
fn claim_data_dir(product: &Product, config: &Config) -> Result<Option<Claim>, CommandError> {
    let mut is_needed = config.database.is_sqlite();
    for module in product.modules {
        is_needed |= (module.claims_data_dir)(config)?;
    }
    is_needed.then(|| claim::claim(config)).transpose()
}

/// Checks that modules register exactly the dependencies that the OpenAPI document names.
fn check_dependencies(product: &Product, checks: &[Check]) -> Result<(), CommandError> {
    let asked: BTreeSet<&str> = checks.iter().map(|check| check.name).collect();
    let named: BTreeSet<&str> = product.dependencies().into_iter().map(|(name, _)| name).collect();
    if asked == named {
        return Ok(());
    }
    Err(CommandError::message(format!("modules name the dependencies {named:?} and register {asked:?}")))
}

/// The state of HTTP.
fn http_state(
    product: &Product,
    wiring: &Wiring<'_>,
    document: &OpenApi,
    addresses: &Addresses,
    stop: Stop,
    authenticator: Arc<dyn Authenticator>,
) -> Result<State, CommandError> {
    let config = wiring.config;
    let sign_in = product.sign_in()?;
    let json = document.to_json()?;
    Ok(State {
        databases: wiring.databases.clone(),
        authenticator,
        contract: Contract::new(document, docs::PAGES)?,
        edition: etag::digest(json.as_bytes()),
        document: Asset::new("application/json", REVALIDATED, json.into()),
        problems: Catalogue::new(product.problems(), document),
        stop,
        origins: wiring.origins.clone(),
        page_headers: page_headers(config)?,
        connect_origins: std::iter::once(&addresses.public_url)
            .chain(addresses.others.iter().map(|(_, url)| url))
            .map(|url| url.origin().ascii_serialization())
            .collect(),
        under_tls: config.server.public_url.scheme() == "https",
        project_name: config.project_name.as_str().into(),
        session_cookie: sign_in.session_cookie,
        no_store_below: sign_in.no_store_below,
        trusted_proxies: config.server.trusted_proxies.clone(),
        limits: state::Limits {
            url_bytes: config.limits.url_bytes,
            json_body_bytes: config.limits.json_body_bytes,
            request_timeout: config.server.request_timeout,
            body_timeout: config.limits.body_seconds,
        },
    })
}

/// The configured header names, as actix's own type.
fn page_headers(config: &Config) -> Result<PageHeaders, InvalidHeaderName> {
    let names = config.cors.headers.iter().map(|name| name.as_str().parse());
    Ok(PageHeaders::new(names.collect::<Result<_, _>>()?))
}

fn serving(config: &Config) -> Serving {
    let server = &config.server;
    let timeouts =
        Timeouts { head: server.client_timeout, idle: server.keep_alive, write: server.write_timeout };
    Serving {
        workers: server.workers,
        timeouts,
        drain_delay: server.drain_delay,
        grace: server.shutdown_grace,
    }
}

/// Truncates the write-ahead log of SQLite.
fn truncate_log(databases: &Databases) -> impl Fn() -> BoxFuture<'static, ()> + Send + 'static {
    let databases = databases.clone();
    move || {
        let databases = databases.clone();
        Box::pin(async move {
            if let Err(error) = databases.truncate_log().await {
                tracing::warn!(
                    ?error,
                    "SQLite's write-ahead log cannot be truncated now; the next run tries again"
                );
            }
        })
    }
}

fn busy(variable: &str, address: SocketAddr, error: &io::Error) -> CommandError {
    CommandError::message(format!(
        "{address} cannot be listened on ({error}): set {variable} to a free address"
    ))
}
