//! What modules receive when the application starts, and what they register.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use app_config::Config;
use futures_util::future::BoxFuture;
use http_kit::authenticator::Authenticator;
use http_kit::cors::Origins;
use messaging::Mailer;
use shared_kernel::crypto::SecretKey;
use shared_kernel::event::Subscriber;
use shared_kernel::session::Databases;
use tokio_util::sync::CancellationToken;
use url::Url;

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
    pub(crate) parts: Parts,
}

/// What modules registered.
#[derive(Default)]
pub(crate) struct Parts {
    pub(crate) data: Vec<Registration>,
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) checks: Vec<Check>,
    pub(crate) addresses: Vec<(&'static str, Url)>,
    pub(crate) connections: usize,
}

/// Registers a `web::Data` of handlers.
pub(crate) type Registration = Box<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;

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
        let data = web::Data::from(state);
        self.parts.data.push(Box::new(move |config| {
            config.app_data(data.clone());
        }));
    }

    /// Registers the authentication of requests. One module does this.
    pub fn authenticate(&mut self, authenticator: Arc<dyn Authenticator>) {
        self.parts.authenticator = Some(authenticator);
    }

    /// Registers a subscriber to events.
    pub fn subscribe(&mut self, subscriber: Subscriber) {
        self.parts.subscribers.push(subscriber);
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
