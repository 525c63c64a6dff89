//! Migrations, at the start and by command. On PostgreSQL one instance migrates and the others wait for it.

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend};
use secrecy::ExposeSecret as _;

use crate::cli::CommandError;
use crate::config::Config;
use crate::occupied;

/// The key of the advisory lock: "ashlar" in ASCII.
const LOCK: i64 = 0x6173_686c_6172;

/// Applies what is missing, if the configuration says so; else refuses to start on a schema that is not this binary's.
///
/// # Errors
///
/// The database's, or the sentence that says what to do.
pub async fn at_start(config: &Config, primary: &DatabaseConnection) -> Result<(), CommandError> {
    if config.database.auto_migrate {
        let up = async {
            occupied::refuse(config, primary).await?;
            Ok(Migrator::up(primary, None).await?)
        };
        return locked(config, primary, up).await;
    }
    let pending = pending(primary).await?;
    match pending.first() {
        None => Ok(()),
        Some(first) => Err(CommandError::message(format!(
            "the database lacks {} migration(s), the first of them {first}: run `ashlar migrate up`",
            pending.len()
        ))),
    }
}

/// The names of the migrations that are not applied.
///
/// # Errors
///
/// The database's.
pub async fn pending(primary: &DatabaseConnection) -> Result<Vec<String>, CommandError> {
    let pending = Migrator::get_pending_migrations_read_only(primary).await?;
    Ok(pending.iter().map(|migration| migration.name().to_owned()).collect())
}

/// Does `work` while no other instance does such work. SQLite has one machine and one writer anyway.
///
/// # Errors
///
/// Those of `work`, and the database's.
pub async fn locked<T>(
    config: &Config,
    primary: &DatabaseConnection,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    if primary.get_database_backend() != DbBackend::Postgres {
        return work.await;
    }
    // A connection of its own: the lock belongs to it, and goes with it if the process dies.
    let mut options = ConnectOptions::new(config.database.url.expose_secret());
    options.max_connections(1).sqlx_logging(false);
    let lock = Database::connect(options).await?;
    lock.execute_unprepared(&format!("SELECT pg_advisory_lock({LOCK})")).await?;
    let outcome = work.await;
    lock.close().await?;
    outcome
}
