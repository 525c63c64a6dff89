//! Detection of a database that belongs to another program. Many projects use the name `DATABASE_URL`: a start in a shell that has one
//! must not write its tables among theirs.

use app_config::Config;
use configuration::redacted_url;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use secrecy::ExposeSecret as _;

use crate::console::CommandError;
use crate::migrations::record::{CONTENTS, Migrations, RECORD};

/// Number of tables that the error names.
const NAMED: usize = 5;

/// Fails if the database has tables, and none of ours. With `beside_others` tables of another program are accepted, unless it has its
/// record of migrations where ours would be: one of the two would be lost.
///
/// # Errors
///
/// The database belongs to another program (the message names it, the source of its URL, and what to do), or failed.
pub(crate) async fn refuse(
    migrations: Migrations,
    config: &Config,
    primary: &impl ConnectionTrait,
    beside_others: bool,
) -> Result<(), CommandError> {
    let Some(other) = other_program(migrations, primary).await? else { return Ok(()) };
    if beside_others && !other.has_record {
        return Ok(());
    }
    let named: Vec<&str> = other.tables.iter().take(NAMED).map(String::as_str).collect();
    let more = if other.tables.len() > NAMED { ", …" } else { "" };
    let beside = if other.has_record {
        String::new()
    } else {
        format!(", or run `{} migrate up --yes` to put the tables beside those", config.program)
    };
    Err(CommandError::message(format!(
        "the database {url} (from: {origin}) has {count} table(s) of another program ({named}{more}) and none of {name}: set {variable} to a database of its own{beside}",
        url = redacted_url(config.database.url.expose_secret()),
        origin = config.provenance.database_url,
        count = other.tables.len(),
        variable = config.variable("database.url"),
        named = named.join(", "),
        name = config.project_name,
    )))
}

/// Another program in the database.
struct Other {
    /// Its tables.
    tables: Vec<String>,
    /// Whether it uses sea-orm, too, and its own migrations ran.
    has_record: bool,
}

/// The other program, if there are tables and none of our migrations ran.
async fn other_program(
    migrations: Migrations,
    primary: &impl ConnectionTrait,
) -> Result<Option<Other>, DbErr> {
    let mut tables = tables(primary).await?;
    let applied = if tables.iter().any(|table| table == RECORD) {
        names(primary, &format!("SELECT version AS name FROM {RECORD}")).await?
    } else {
        Vec::new()
    };
    // The tables that are left after all migrations were reverted.
    tables.retain(|table| table != RECORD && table != CONTENTS);
    if tables.is_empty() || applied.iter().any(|name| migrations.has(name)) {
        return Ok(None);
    }
    Ok(Some(Other { tables, has_record: !applied.is_empty() }))
}

/// All tables of the current schema, except those of extensions of PostgreSQL.
async fn tables(primary: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let sql = match primary.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT c.relname::text AS name FROM pg_class c WHERE c.relkind IN ('r', 'p') \
             AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND NOT EXISTS \
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
