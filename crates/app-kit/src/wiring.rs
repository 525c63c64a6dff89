//! What modules receive when the application starts, and what they register.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use app_config::Config;
use futures_util::future::{BoxFuture, LocalBoxFuture};
use http_kit::authenticator::Authenticator;
use http_kit::cors::Origins;
use messaging::{JobRegistry, Mailer};
use shared_kernel::crypto::SecretKey;
use shared_kernel::event_handler::Subscriber;
use shared_kernel::job_handler::JobKind;
use shared_kernel::session::Databases;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::console::CommandError;

/// The parts of the application, for modules at their start.
pub struct Wiring<'a> {
    /// Configuration of the installation.
    pub config: &'a Config,
    /// Databases, with the clock.
    pub databases: &'a Databases,
    /// Secret key of the installation, from which other keys are derived.
    pub secret: &'a SecretKey,
    /// Sender of mail.
    pub mailer: &'a Arc<dyn Mailer>,
    /// Origins of pages that may call from a browser.
    pub origins: &'a Origins,
    /// What this process does.
    pub role: Role,
    pub(crate) parts: Parts,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Answers requests, delivers events, and runs jobs unless the configuration says otherwise.
    Server,
    /// Runs jobs beside servers, or without one. It listens on no address and has no lock of the data folder, so embedded parts that
    /// listen are those of the server.
    Worker,
}

/// What modules registered.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) data: Vec<Registration>,
    states: HashMap<TypeId, Box<dyn Any>>,
    waiting: Vec<Waiting>,
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) jobs: JobRegistry,
    pub(crate) tasks: Vec<Task>,
    pub(crate) checks: Vec<Check>,
    pub(crate) addresses: Vec<(&'static str, Url)>,
    pub(crate) connections: usize,
}

/// Registers a `web::Data` of handlers.
pub(crate) type Registration = Box<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;

/// The outcome of a start.
pub type Started = LocalBoxFuture<'static, Result<(), CommandError>>;

/// Builds a state from another module's.
type Waiting = Box<dyn FnOnce(&mut Wiring<'_>) -> Result<(), CommandError>>;

/// A background task, which runs until the token is cancelled.
pub(crate) type Task = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// A check of a dependency.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) answers: Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>,
}

impl Wiring<'_> {
    /// Registers a state, which handlers take as `web::Data<T>`. `T` may be a port: `web::Data<dyn Files>`.
    pub fn state<T: ?Sized + Send + Sync + 'static>(&mut self, state: Arc<T>) {
        self.parts.states.insert(TypeId::of::<T>(), Box::new(state.clone()));
        let data = web::Data::from(state);
        self.parts.data.push(Box::new(move |config| {
            config.app_data(data.clone());
        }));
    }

    /// Registers a state that needs another module's, whichever of the two starts first:
    /// `wiring.state_with(|files: Arc<dyn Files>| Posts { files })`.
    pub fn state_with<S, T>(&mut self, build: impl FnOnce(Arc<S>) -> T + 'static)
    where
        S: ?Sized + Send + Sync + 'static,
        T: Send + Sync + 'static,
    {
        self.parts.waiting.push(Box::new(|wiring| {
            let state = wiring.parts.states.get(&TypeId::of::<S>());
            let Some(state) = state.and_then(|state| state.downcast_ref::<Arc<S>>()) else {
                return Err(CommandError::message(format!(
                    "{} needs {}, and no module gives it",
                    type_name::<T>(),
                    type_name::<S>()
                )));
            };
            let ready = build(state.clone());
            wiring.state(Arc::new(ready));
            Ok(())
        }));
    }

    /// The whole [start](crate::module::Module::start) of a module that registers a [state](Self::state) and nothing else.
    pub fn starts<T: Send + Sync + 'static>(&mut self, state: T) -> Started {
        self.state(Arc::new(state));
        Box::pin(ready(Ok(())))
    }

    /// The same of a state that [needs another module's](Self::state_with).
    pub fn starts_with<S, T>(&mut self, build: impl FnOnce(Arc<S>) -> T + 'static) -> Started
    where
        S: ?Sized + Send + Sync + 'static,
        T: Send + Sync + 'static,
    {
        self.state_with(build);
        Box::pin(ready(Ok(())))
    }

    /// Makes the states that waited for those of other modules: once all modules have started.
    pub(crate) fn finish(&mut self) -> Result<(), CommandError> {
        std::mem::take(&mut self.parts.waiting).into_iter().try_for_each(|make| make(self))
    }

    /// Registers the authentication of requests. One module does this.
    pub fn authenticate(&mut self, authenticator: Arc<dyn Authenticator>) {
        self.parts.authenticator = Some(authenticator);
    }

    /// Registers a subscriber to events.
    pub fn subscribe(&mut self, subscriber: Subscriber) {
        self.parts.subscribers.push(subscriber);
    }

    /// Registers a kind of job with its handler.
    pub fn job(&mut self, kind: JobKind) {
        self.parts.jobs.kinds.push(kind);
    }

    /// Runs `work` at this interval, from the start on, in every instance of the server. It has to be safe and cheap when several run at
    /// once, and an interrupted run has to be finished by the next.
    pub fn every<W, F>(&mut self, interval: Duration, work: W)
    where
        W: Fn() -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.run(move |shutdown| Box::pin(every(interval, shutdown, work)));
    }

    /// Runs a background task, which ends when its token is cancelled.
    pub fn run(&mut self, task: impl FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send + 'static) {
        self.parts.tasks.push(Box::new(task));
    }

    /// Registers the check of a dependency for readiness, by its name in [`Module::dependencies`](crate::module::Module::dependencies).
    pub fn depend<F>(&mut self, name: &'static str, answers: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.parts.checks.push(Check { name, answers: Box::new(move || Box::pin(answers())) });
    }

    /// Adds to the expected number of connections, each of which is an open file.
    pub fn expect_connections(&mut self, connections: usize) {
        self.parts.connections += connections;
    }

    /// Registers the public URL of another listener: the documentation's pages may send requests there, and the start announces it.
    pub fn serves(&mut self, name: &'static str, url: Url) {
        self.parts.addresses.push((name, url));
    }
}

async fn every<F: Future<Output = ()>>(
    interval: Duration,
    shutdown: CancellationToken,
    work: impl Fn() -> F,
) {
    let mut ticks = tokio::time::interval(interval);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = work() => {}
        }
    }
}
