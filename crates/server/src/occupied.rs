//! Whether a database is another program's. `DATABASE_URL` is a name that many projects use: a start in a shell that has one
//! must not write its tables between theirs.

use migration::record::CONTENTS;
use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use secrecy::ExposeSecret as _;

use crate::cli::CommandError;
use crate::config::{Config, redacted_url};

/// Where sea-orm writes down which migrations ran: other programs that use sea-orm have it too.
const RECORD: &str = "seaql_migrations";

/// How many tables a refusal names.
const NAMED: usize = 5;

/// Refuses a database that has tables, and none of ours.
///
/// # Errors
///
/// The sentence that names the database, where its URL came from, and what to do; and the database's.
pub async fn refuse(config: &Config, primary: &impl ConnectionTrait) -> Result<(), CommandError> {
    let tables = foreign_tables(primary).await?;
    if tables.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = tables.iter().take(NAMED).map(String::as_str).collect();
    let more = if tables.len() > NAMED { ", …" } else { "" };
    Err(CommandError::message(format!(
        "the database {url} (from: {origin}) has {count} table(s) of another program ({named}{more}) and none of {name}: set \
         ASHLAR_DATABASE__URL to a database of its own, or run `ashlar migrate up --yes` to put the tables beside those",
        url = redacted_url(config.database.url.expose_secret()),
        origin = config.provenance.database_url,
        count = tables.len(),
        named = named.join(", "),
        name = config.project_name,
    )))
}

/// The tables in a database in which none of our migrations ever ran.
async fn foreign_tables(primary: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let tables = tables(primary).await?;
    let is_ours = tables.iter().any(|table| table == RECORD) && {
        let applied = names(primary, "SELECT version AS name FROM seaql_migrations").await?;
        Migrator::migrations().iter().any(|migration| applied.iter().any(|name| name == migration.name()))
    };
    // What is left when every migration was taken back.
    let is_record = |table: &String| table == RECORD || table == CONTENTS;
    Ok(if is_ours { Vec::new() } else { tables.into_iter().filter(|table| !is_record(table)).collect() })
}

/// Every table of the schema that we write to. What an extension of PostgreSQL made is nobody's.
async fn tables(primary: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let sql = match primary.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT c.relname::text AS name FROM pg_class c WHERE c.relkind IN ('r', 'p') \
             AND c.relnamespace = current_schema()::regnamespace AND NOT EXISTS \
             (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e') ORDER BY 1"
        }
        _ => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1",
    };
    names(primary, sql).await
}

async fn names(primary: &impl ConnectionTrait, sql: &str) -> Result<Vec<String>, DbErr> {
    let statement = Statement::from_string(primary.get_database_backend(), sql);
    primary.query_all_raw(statement).await?.iter().map(|row| row.try_get("", "name")).collect()
}
