//! Serving connections: one listener, a thread for each worker, and an orderly stop.
//!
//! actix-web's own server closes the listener at once when it stops, and drops requests that have arrived on connections that were
//! idle a moment ago. It has no limit for a single address and no deadline for a client that reads nothing. So connections come from
//! [`transport`], and actix only turns them into requests.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol};
use actix_service::map_config;
use actix_web::dev::{AppConfig, Service, ServiceFactory};
use actix_web::middleware::from_fn;
use actix_web::{App, rt, web};
use futures_util::future::join_all;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use transport::{Accepted, Connection, Listener, Timeouts};
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::access_control::access_control;
use crate::deadline::deadline;
use crate::request_log::request_log;
use crate::state::State;
use crate::{cors, docs};

/// How requests are served.
#[derive(Clone, Copy, Debug)]
pub struct Serving {
    /// Threads that answer requests.
    pub workers: usize,
    /// Limits of time for silent clients.
    pub timeouts: Timeouts,
    /// Time for which new connections are still accepted after the stop was announced.
    pub drain_delay: Duration,
    /// Time that requests in progress then have.
    pub grace: Duration,
}

/// The API behind the listener; each worker builds an application of it.
#[derive(Clone)]
pub struct Api {
    /// State of the layers and extractors.
    pub state: web::Data<State>,
    /// Registers the handlers.
    pub routes: Arc<dyn Fn(&mut ServiceConfig<'_>) + Send + Sync>,
    /// Registers the handlers' `web::Data`.
    pub data: Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Serves until `stop` is done. Then the stop is announced (readiness, `Connection: close`), and after
/// [`drain_delay`](Serving::drain_delay) no new connection is accepted; requests that have arrived are answered, for at most
/// [`grace`](Serving::grace). Threads that hang then are abandoned.
///
/// # Errors
///
/// The operating system cannot start a thread.
pub async fn serve(
    listener: Listener,
    serving: Serving,
    api: Api,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let cut = CancellationToken::new();
    let start = |index| Worker::start(index, api.clone(), serving, cut.clone());
    let workers = Workers { all: (0..serving.workers).map(start).collect::<io::Result<_>>()?, next: 0 };
    let outcome = until_stopped(listener, workers, serving, stop).await;
    cut.cancel();
    if timeout(THREAD_TIMEOUT, join_all(outcome?)).await.is_err() {
        tracing::warn!("threads that hang are abandoned to stop in time");
    }
    Ok(())
}

/// Time that threads have to end after their connections. They wait for operations that cannot be cancelled, such as reading a
/// file or resolving a name.
const THREAD_TIMEOUT: Duration = Duration::from_secs(1);

/// The ends of the threads, each of which ends after its connections.
async fn until_stopped(
    listener: Listener,
    mut workers: Workers,
    serving: Serving,
    stop: impl Future<Output = ()>,
) -> io::Result<Vec<Ended>> {
    tokio::select! {
        refused = workers.feed(&listener) => return Err(refused),
        () = stop => tracing::info!("stopping: requests under way are finished first"),
    }
    let connections = listener.stop();
    connections.announce();
    tokio::select! {
        refused = workers.feed(&listener) => return Err(refused),
        () = tokio::time::sleep(serving.drain_delay) => {}
    }
    for accepted in listener.close() {
        workers.give(accepted)?;
    }
    let threads = workers.all.into_iter().map(|worker| worker.ended).collect();
    if timeout(serving.grace, connections.finish()).await.is_err() {
        tracing::warn!(connections = connections.connections(), "connections are cut off to stop in time");
    }
    Ok(threads)
}

struct Workers {
    all: Vec<Worker>,
    next: usize,
}

impl Workers {
    /// Distributes connections, for ever.
    async fn feed(&mut self, listener: &Listener) -> io::Error {
        loop {
            if let Err(error) = self.give(listener.accept().await) {
                return error;
            }
        }
    }

    fn give(&mut self, accepted: Accepted) -> io::Result<()> {
        self.next = (self.next + 1) % self.all.len().max(1);
        let given = self.all.get(self.next).map(|worker| worker.connections.send(accepted));
        // A worker lives as long as the server, whatever its requests do.
        given.filter(Result::is_ok).map(drop).ok_or_else(|| io::Error::other("a worker has ended"))
    }
}

struct Worker {
    /// At most as many are queued as the listener accepts.
    connections: UnboundedSender<Accepted>,
    ended: Ended,
}

/// Resolves when a thread has ended, however it ended: its sender is dropped.
type Ended = oneshot::Receiver<()>;

impl Worker {
    fn start(index: usize, api: Api, serving: Serving, cut: CancellationToken) -> io::Result<Self> {
        let (connections, queue) = unbounded_channel();
        let (running, ended) = oneshot::channel();
        let work = move || {
            // Dropped last, after the runtime.
            let _running: oneshot::Sender<()> = running;
            match rt::Runtime::new() {
                Ok(runtime) => runtime.block_on(async {
                    tokio::select! {
                        () = cut.cancelled() => {}
                        () = work(api, serving.timeouts, queue) => {}
                    }
                }),
                Err(error) => tracing::error!(%error, "a worker cannot start"),
            }
        };
        std::thread::Builder::new().name(format!("http-{index}")).spawn(work)?;
        Ok(Self { connections, ended })
    }
}

/// Serves connections until there are no more.
async fn work(api: Api, timeouts: Timeouts, mut queue: UnboundedReceiver<Accepted>) {
    let Ok(answering) = http_service(&api, timeouts).new_service(()).await else { return };
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = running.join_next() => {}
            accepted = queue.recv() => {
                let Some(accepted) = accepted else { break };
                let peer = accepted.peer();
                match accepted.open(timeouts) {
                    Ok(connection) => {
                        let answered = answering.call((connection, Protocol::Http1, Some(peer)));
                        running.spawn_local(async move {
                            if let Err(error) = answered.await {
                                tracing::debug!(%error, %peer, "a connection ended early");
                            }
                        });
                    }
                    Err(error) => tracing::warn!(%error, "a connection could not be opened"),
                }
            }
        }
    }
    while running.join_next().await.is_some() {}
}

fn http_service(
    api: &Api,
    timeouts: Timeouts,
) -> impl ServiceFactory<
    (Connection, Protocol, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> + use<> {
    let state = &api.state;
    let (app, _) = App::new()
        .app_data(api.state.clone())
        .configure(|config| (api.data)(config))
        .into_utoipa_app()
        .configure(|config| (api.routes)(config))
        .split_for_parts();
    // What is wrapped last runs first.
    let app = app
        .configure(docs::configure)
        .wrap(from_fn(access_control))
        .wrap(from_fn(deadline))
        .wrap(cors::layer(state.origins.clone(), &state.page_headers, state.contract.methods()))
        .wrap(from_fn(request_log));
    HttpService::build()
        .client_request_timeout(timeouts.head)
        // The connection closes itself when it is idle; actix would set a timer of its own after each request.
        .keep_alive(KeepAlive::Os)
        .client_disconnect_timeout(LINGER)
        .on_connect_ext(|connection: &Connection, data| {
            data.insert(connection.state());
        })
        // Its address is not used: links are built from the configuration.
        .finish(map_config(app, |()| AppConfig::default()))
}

/// Time for which a refused client may go on sending, so that it can read the answer.
const LINGER: Duration = Duration::from_secs(1);
