//! Migrations, at the start and by command. One process migrates, and the others wait for it.
//!
//! On PostgreSQL it holds an advisory lock, and each migration is a transaction. On SQLite all of them are one transaction,
//! whose lock on the file excludes others: so a change that fails half-way, for example on a full disk, leaves nothing
//! behind.

use std::time::Duration;

use app_config::Config;
use configuration::{Environment, redacted_url};
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DatabaseExecutor, DbBackend, SqliteTransactionMode,
    TransactionOptions, TransactionTrait as _,
};
use secrecy::ExposeSecret as _;
use shared_kernel::frozen::MIGRATION_LOCK;

use crate::console::CommandError;
use crate::migrations::occupied;
use crate::migrations::record::{Migrations, Standing};

/// Applies pending migrations if so configured; otherwise fails if the schema is not that of this binary.
///
/// # Errors
///
/// The database failed, or the schema does not fit; the message says what to do.
pub(crate) async fn at_start(
    migrations: Migrations,
    config: &Config,
    primary: &DatabaseConnection,
) -> Result<(), CommandError> {
    if config.database.auto_migrate {
        let up = async |database: &DatabaseExecutor<'_>| {
            occupied::refuse(migrations, config, database, false).await?;
            up(migrations, config, database).await
        };
        return locked(config, primary, up).await.map(drop);
    }
    occupied::refuse(migrations, config, primary, false).await?;
    let standing = migrations.standing(&primary.into()).await?;
    ensure_own(config, &standing)?;
    match standing.pending.first() {
        None => Ok(()),
        Some(first) => Err(CommandError::message(format!(
            "the database lacks {} migration(s), the first of them {first}: run `{} migrate up`",
            standing.pending.len(),
            config.program
        ))),
    }
}

/// Applies pending migrations, unless other migrations ran in this database than this build has.
///
/// # Errors
///
/// A migration failed, which is named, or the schema does not fit; the message says what to do.
pub(crate) async fn up(
    migrations: Migrations,
    config: &Config,
    database: &DatabaseExecutor<'_>,
) -> Result<Vec<String>, CommandError> {
    ensure_own(config, &migrations.standing(database).await?)?;
    Ok(migrations.up(database).await?)
}

/// Reverts the last `steps` migrations, or all.
///
/// # Errors
///
/// A migration failed, which is named, or the schema does not fit; the message says what to do.
pub(crate) async fn down(
    migrations: Migrations,
    config: &Config,
    database: &DatabaseExecutor<'_>,
    steps: Option<u32>,
) -> Result<Vec<String>, CommandError> {
    occupied::refuse(migrations, config, database, false).await?;
    ensure_known(config, &migrations.standing(database).await?)?;
    Ok(migrations.down(database, steps).await?)
}

fn ensure_own(config: &Config, standing: &Standing) -> Result<(), CommandError> {
    ensure_known(config, standing)?;
    ensure_unchanged(config, standing)
}

/// Fails if migrations ran that this build does not have.
fn ensure_known(config: &Config, standing: &Standing) -> Result<(), CommandError> {
    let Some(first) = standing.unknown.first() else { return Ok(()) };
    let program = config.program;
    let count = standing.unknown.len();
    let what = match config.environment {
        Environment::Development => format!(
            "it is a removed domain's, or another branch's. {}; or go back to the code that has it and run `{program} migrate down` there; or, \
             if its tables may stay, run `{program} migrate repair`, which removes it from the record {FROM_SOURCES}",
            start_over(config)
        ),
        Environment::Staging | Environment::Production => format!(
            "it is a later release's. Run that release; or revert the migration with it (`{program} migrate down`, by which its data \
             is lost); or, if this release works on the schema as it is, run `{program} migrate repair`, which removes it from the record"
        ),
    };
    Err(CommandError::message(format!(
        "{count} migration(s) ran in this database that this build does not have, the first of them {first}: {what}"
    )))
}

/// Fails if a migration has changed since it ran.
fn ensure_unchanged(config: &Config, standing: &Standing) -> Result<(), CommandError> {
    let Some(first) = standing.changed.first() else { return Ok(()) };
    let steps = standing.applied.iter().skip_while(|name| *name != first).count();
    let program = config.program;
    let repair =
        format!("or, if the schema is right as it is, run `{program} migrate repair`, which records that");
    let what = match config.environment {
        Environment::Development => format!(
            "{}; or run `{program} migrate down --steps {steps} --yes`, which reverts it and what came later and loses their data; \
             {repair} {FROM_SOURCES}",
            start_over(config)
        ),
        Environment::Staging | Environment::Production => format!(
            "What was released is never edited: bring its file back as it was, and put the change into a new migration; {repair}"
        ),
    };
    Err(CommandError::message(format!(
        "the migration {first} was another when it ran in this database: it was edited, or removed and made again, since. {what}"
    )))
}

/// Makes the record of migrations agree with this build.
///
/// # Errors
///
/// The database failed, or belongs to another program.
pub(crate) async fn repair(
    migrations: Migrations,
    config: &Config,
    database: &DatabaseExecutor<'_>,
) -> Result<Standing, CommandError> {
    occupied::refuse(migrations, config, database, false).await?;
    Ok(migrations.repair(database).await?)
}

/// Developers do not have the binary on their path.
const FROM_SOURCES: &str = "(from the sources: `cargo run -- migrate …`)";

/// Advice for developers on starting over with an empty database.
fn start_over(config: &Config) -> String {
    if config.database.is_sqlite() {
        format!("To start over, delete {}", sqlite_file(config))
    } else {
        "To start over, drop the database and make an empty one".to_owned()
    }
}

/// What a developer deletes to start over: the data folder, unless the database is elsewhere.
fn sqlite_file(config: &Config) -> String {
    let data = config.data_dir.display().to_string();
    let url = redacted_url(config.database.url.expose_secret());
    if url.contains(&data) { format!("the data folder {data}") } else { format!("the file of {url}") }
}

/// Runs `work` under a lock that excludes other processes, for which it waits.
///
/// # Errors
///
/// Errors of `work`, a failure of the database, or waiting and work together took longer than
/// [`migration_timeout`](app_config::Database::migration_timeout).
pub(crate) async fn locked<T>(
    config: &Config,
    primary: &DatabaseConnection,
    work: impl AsyncFnOnce(&DatabaseExecutor<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let limit = config.database.migration_timeout;
    // The database server has limits for statements, which do not help if it does not answer at all.
    let outcome = tokio::time::timeout(limit, async {
        match primary.get_database_backend() {
            DbBackend::Postgres => locked_on_postgres(primary, limit, work).await,
            _ => locked_on_sqlite(config, work).await,
        }
    });
    outcome.await.unwrap_or_else(|_| Err(too_long(config, limit)))
}

/// The lock belongs to a transaction, and is released if the process dies. (The lock of a session would stay if a pooler gives the
/// session's connection to another client.)
async fn locked_on_postgres<T>(
    primary: &DatabaseConnection,
    patience: Duration,
    work: impl AsyncFnOnce(&DatabaseExecutor<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let lock = primary.begin().await?;
    lock.execute_unprepared(&format!(
        "SET LOCAL lock_timeout = {}; SET LOCAL idle_in_transaction_session_timeout = 0",
        patience.as_millis()
    ))
    .await?;
    lock.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")).await?;
    let outcome = work(&primary.into()).await;
    if let Err(error) = lock.rollback().await {
        tracing::warn!(%error, "the lock of the migrations could not be released");
    }
    outcome
}

/// The lock is that of the file. The connection is used for nothing else, so no state is left on a reused one.
async fn locked_on_sqlite<T>(
    config: &Config,
    work: impl AsyncFnOnce(&DatabaseExecutor<'_>) -> Result<T, CommandError>,
) -> Result<T, CommandError> {
    let alone = config.database.settings().connect_alone().await?;
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    let transaction = alone.begin_with_options(options).await?;
    let outcome = work(&(&transaction).into()).await?;
    transaction.commit().await?;
    alone.close().await?;
    Ok(outcome)
}

fn too_long(config: &Config, limit: Duration) -> CommandError {
    CommandError::message(format!(
        "the migrations, or waiting for another process that migrates, took longer than the {} s of {}; \
         `{} migrate status` lists what was applied",
        limit.as_secs(),
        config.variable("database.migration_timeout"),
        config.program
    ))
}
