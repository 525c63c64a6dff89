//! The databases of a configuration.

use std::path::Path;

use app_config::Config;
use shared_kernel::clock::{SharedClock, SystemClock};
use shared_kernel::crypto::SecretKey;
use shared_kernel::resource::Resources;
use shared_kernel::session::{ConnectError, DatabaseSettings, Databases};

use crate::console::CommandError;
use crate::logging;

/// Opens the databases, for a command.
pub(crate) async fn connect(config: &Config, resources: Resources) -> Result<Databases, CommandError> {
    let secret = SecretKey::new(&config.secret_key)?;
    make_folder(&config.data_dir)?;
    open_databases(config, SystemClock::shared(), &secret, resources).await
}

/// Opens the databases of a configuration, with the tables that domains may refer to. The error names the setting to check.
pub(crate) async fn open_databases(
    config: &Config,
    clock: SharedClock,
    secret: &SecretKey,
    resources: Resources,
) -> Result<Databases, CommandError> {
    let settings = DatabaseSettings {
        resources,
        log_statements: logging::shows_sql(&config.log_level),
        ..config.database.settings()
    };
    Databases::connect(&settings, clock, secret).await.map_err(|error| {
        // Other errors say themselves what to do.
        let is_about_the_url = matches!(error, ConnectError::Database(_));
        let reason = CommandError::from(error);
        if !is_about_the_url {
            return reason;
        }
        CommandError::message(format!(
            "{reason} (does {} or DATABASE_URL name a database that answers, and a user that it lets in?)",
            config.variable("database.url")
        ))
    })
}

/// Creates the data folder, which only the user of this process may read.
pub(crate) fn make_folder(folder: &Path) -> Result<(), CommandError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| {
        CommandError::message(format!("the data folder {} cannot be made: {error}", folder.display()))
    })
}
