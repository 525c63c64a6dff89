//! What every process opens before its modules start: the server, and a worker.

use std::sync::Arc;

use app_config::Config;
use http_kit::cors::Origins;
use messaging::{FileMailer, Mailbox, Mailer};
use shared_kernel::clock::SystemClock;
use shared_kernel::crypto::SecretKey;
use shared_kernel::session::Databases;

use crate::console::CommandError;
use crate::databases::open_databases;
use crate::migrations::apply;
use crate::network::origins;
use crate::product::Product;
use crate::wiring::{Parts, Role, Wiring};

/// The parts that modules are given.
pub(crate) struct Foundation {
    pub(crate) databases: Databases,
    secret: SecretKey,
    mailer: Arc<dyn Mailer>,
    pub(crate) origins: Origins,
}

impl Foundation {
    /// Opens the databases, and migrates them if so configured.
    ///
    /// # Errors
    ///
    /// The sentence that says why the process cannot start.
    pub(crate) async fn lay(product: &Product, config: &Config) -> Result<Self, CommandError> {
        let (clock, secret) = (SystemClock::shared(), SecretKey::new(&config.secret_key)?);
        let databases = open_databases(config, clock, &secret, product.resources()).await?;
        apply::at_start(product.migrations, config, databases.primary()).await?;
        let mailer = mailer(config, &databases)?;
        Ok(Self { databases, secret, mailer, origins: origins(config) })
    }

    /// The parts, as modules receive them.
    pub(crate) fn wiring<'a>(&'a self, config: &'a Config, role: Role) -> Wiring<'a> {
        Wiring {
            config,
            databases: &self.databases,
            secret: &self.secret,
            mailer: &self.mailer,
            origins: &self.origins,
            role,
            parts: Parts::default(),
        }
    }
}

fn mailer(config: &Config, databases: &Databases) -> Result<Arc<dyn Mailer>, CommandError> {
    let from: Mailbox = config.mail.from.parse()?;
    Ok(Arc::new(FileMailer::new(config.data_dir.join("mail"), from, databases.clock().clone())))
}

/// Starts the modules.
pub(crate) async fn start_modules(product: &Product, wiring: &mut Wiring<'_>) -> Result<(), CommandError> {
    for module in product.modules {
        let jobs = &mut wiring.parts.jobs;
        jobs.kinds.extend((module.jobs)());
        jobs.schedules.extend((module.schedules)()?);
        (module.start)(wiring).await?;
    }
    wiring.finish()
}
