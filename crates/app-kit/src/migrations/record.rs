//! The record of migrations: what ran in a database, compared with this build.
//!
//! sea-orm records the *names* of the migrations that ran. A name can come to mean something else: a file was edited after it
//! ran, or a domain was removed and made again. So the *content* is recorded too, and every start checks
//! [`Migrations::standing`] first. For a database that ran before contents were recorded, the names are believed once.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm_migration::sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm_migration::sea_orm::{
    ConnectionTrait as _, DatabaseExecutor, DbErr, EntityTrait as _, RuntimeErr, Select,
};
use sea_orm_migration::sea_query::{ColumnDef, Expr, ExprTrait as _, OnConflict, Query, Table};
use sea_orm_migration::{MigrationTrait, MigratorTrait, MigratorTraitSelf, SchemaManager, seaql_migrations};

/// Table in which sea-orm records the names of migrations; other programs that use sea-orm have it, too.
pub(crate) const RECORD: &str = "seaql_migrations";

/// Table with the contents of migrations.
pub(crate) const CONTENTS: &str = "migration_contents";

/// The migrations of a product, in the order in which they are applied.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    list: fn() -> Vec<Box<dyn MigrationTrait>>,
    sources: &'static [(&'static str, &'static str)],
}

impl MigratorTraitSelf for Migrations {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        (self.list)()
    }
}

/// Comparison of a database with this build. Names are in the order of the migrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Migrations of this build that did not run.
    pub pending: Vec<String>,
    /// Migrations of this build that ran.
    pub applied: Vec<String>,
    /// Those of `applied` whose content was different when they ran.
    pub changed: Vec<String>,
    /// Migrations that ran and that this build does not have.
    pub unknown: Vec<String>,
}

/// A migration could not be applied or reverted.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The database refused a statement of the migration.
    #[error("the migration {name} cannot be {what}{}", detail(cause))]
    Migration {
        /// Its name.
        name: String,
        /// What was tried: `applied`, for instance.
        what: &'static str,
        /// Error of the database.
        #[source]
        cause: DbErr,
    },
    /// The record cannot be read or written.
    #[error("the record of migrations cannot be read or written")]
    Record(#[from] DbErr),
}

fn failed(name: &str, what: &'static str) -> impl FnOnce(DbErr) -> Failed {
    move |cause| Failed::Migration { name: name.to_owned(), what, cause }
}

/// PostgreSQL's detail about the offending row.
fn detail(error: &DbErr) -> String {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return String::new();
    };
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    error.and_then(PgDatabaseError::detail).map_or_else(String::new, |detail| format!(" ({detail})"))
}

impl Migrations {
    /// No migrations.
    pub const EMPTY: Self = Self { list: Vec::new, sources: &[] };

    /// The migrations of a migrator, with the name and source of each.
    #[must_use]
    pub const fn of<M: MigratorTrait>(sources: &'static [(&'static str, &'static str)]) -> Self {
        Self { list: M::migrations, sources }
    }

    /// Whether a migration of this name is one of them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.sources.iter().any(|(own, _)| *own == name)
    }

    /// Compares the database with this build. Changes nothing, and needs no permission to write.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn standing(&self, database: &DatabaseExecutor<'_>) -> Result<Standing, DbErr> {
        let recorded = recorded_names(database).await?;
        let contents = recorded_contents(database).await?;
        let mut standing = Standing::default();
        for (name, source) in self.sources {
            let name = (*name).to_owned();
            if !recorded.contains(&name) {
                standing.pending.push(name);
                continue;
            }
            if contents.get(&name).is_some_and(|recorded| *recorded != content(source)) {
                standing.changed.push(name.clone());
            }
            standing.applied.push(name);
        }
        let own: BTreeSet<&str> = self.sources.iter().map(|(name, _)| *name).collect();
        standing.unknown = recorded.into_iter().filter(|name| !own.contains(name.as_str())).collect();
        Ok(standing)
    }

    /// The query for the recorded migrations, for [`are_missing_in`](Self::are_missing_in).
    #[must_use]
    pub fn recorded() -> Select<seaql_migrations::Entity> {
        seaql_migrations::Entity::find()
    }

    /// Whether a migration of this build is missing among those that ran. Others may have run: while a new release is rolled out, the
    /// old one continues to work.
    #[must_use]
    pub fn are_missing_in(&self, recorded: &[seaql_migrations::Model]) -> bool {
        let names: BTreeSet<&str> = recorded.iter().map(|model| model.version.as_str()).collect();
        self.sources.iter().any(|(name, _)| !names.contains(name))
    }

    /// Applies pending migrations, and records the content of each. Returns their names, in order.
    ///
    /// # Errors
    ///
    /// The first that fails, by its name; those before it stay applied.
    pub async fn up(&self, database: &DatabaseExecutor<'_>) -> Result<Vec<String>, Failed> {
        make_table(database).await?;
        let standing = self.standing(database).await?;
        for name in &standing.pending {
            MigratorTraitSelf::up(self, shared(database), Some(1)).await.map_err(failed(name, "applied"))?;
            self.remember(database, name).await.map_err(failed(name, "recorded"))?;
        }
        // Whatever ran before contents were recorded.
        let known = recorded_contents(database).await?;
        for name in standing.applied.iter().filter(|name| !known.contains_key(*name)) {
            self.remember(database, name).await.map_err(failed(name, "recorded"))?;
        }
        Ok(standing.pending)
    }

    /// Reverts the last `steps` migrations, or all, the last first. Returns their names, in the order of the migrations.
    ///
    /// # Errors
    ///
    /// The first that fails, by its name; those after it stay reverted.
    pub async fn down(
        &self,
        database: &DatabaseExecutor<'_>,
        steps: Option<u32>,
    ) -> Result<Vec<String>, Failed> {
        make_table(database).await?;
        let applied = self.standing(database).await?.applied;
        let steps = steps.and_then(|steps| usize::try_from(steps).ok()).unwrap_or(usize::MAX);
        let kept = applied.len().saturating_sub(steps);
        for name in applied[kept..].iter().rev() {
            MigratorTraitSelf::down(self, shared(database), Some(1))
                .await
                .map_err(failed(name, "reverted"))?;
            forget(database, CONTENTS, "name", name)
                .await
                .map_err(failed(name, "removed from the record"))?;
        }
        Ok(applied[kept..].to_vec())
    }

    /// Makes the record agree with this build and leaves the tables as they are: removes what it does not have, and accepts what
    /// changed. Returns what was removed and what was accepted.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn repair(&self, database: &DatabaseExecutor<'_>) -> Result<Standing, DbErr> {
        make_table(database).await?;
        let standing = self.standing(database).await?;
        for name in &standing.unknown {
            forget(database, RECORD, "version", name).await?;
            forget(database, CONTENTS, "name", name).await?;
        }
        for name in &standing.changed {
            self.remember(database, name).await?;
        }
        Ok(standing)
    }

    async fn remember(&self, database: &DatabaseExecutor<'_>, name: &str) -> Result<(), DbErr> {
        let Some((_, source)) = self.sources.iter().find(|(own, _)| *own == name) else { return Ok(()) };
        let mut insert = Query::insert();
        insert.into_table(CONTENTS).columns(["name", "content"]);
        insert.values_panic([name.into(), content(source).into()]);
        insert.on_conflict(OnConflict::column("name").update_column("content").to_owned());
        database.execute(&insert).await.map(drop)
    }
}

/// A hash of the content of a migration, without white space and comment lines, so that neither a formatter nor the line ends of a
/// checkout change it. FNV-1a of 64 bits, because it detects mistakes, not attacks.
fn content(source: &str) -> String {
    let lines = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let bytes = lines.flat_map(str::bytes).filter(|byte| !byte.is_ascii_whitespace());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// A copy of the executor, which sea-orm takes by value.
fn shared<'c>(database: &'c DatabaseExecutor<'_>) -> DatabaseExecutor<'c> {
    match database {
        DatabaseExecutor::Connection(connection) => DatabaseExecutor::Connection(connection),
        DatabaseExecutor::Transaction(transaction) => DatabaseExecutor::Transaction(transaction),
        DatabaseExecutor::OwnedTransaction(transaction) => DatabaseExecutor::Transaction(transaction),
    }
}

async fn recorded_names(database: &DatabaseExecutor<'_>) -> Result<BTreeSet<String>, DbErr> {
    if !SchemaManager::new(shared(database)).has_table(RECORD).await? {
        return Ok(BTreeSet::new());
    }
    let rows = Migrations::recorded().all(database).await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}

async fn recorded_contents(database: &DatabaseExecutor<'_>) -> Result<BTreeMap<String, String>, DbErr> {
    if !SchemaManager::new(shared(database)).has_table(CONTENTS).await? {
        return Ok(BTreeMap::new());
    }
    let select = Query::select().columns(["name", "content"]).from(CONTENTS).to_owned();
    let rows = database.query_all(&select).await?;
    rows.iter().map(|row| Ok((row.try_get("", "name")?, row.try_get("", "content")?))).collect()
}

async fn make_table(database: &DatabaseExecutor<'_>) -> Result<(), DbErr> {
    let mut table = Table::create();
    table.table(CONTENTS).if_not_exists();
    table.col(ColumnDef::new("name").string_len(255).not_null().primary_key());
    table.col(ColumnDef::new("content").string_len(16).not_null());
    database.execute(&table).await.map(drop)
}

async fn forget(database: &DatabaseExecutor<'_>, table: &str, column: &str, name: &str) -> Result<(), DbErr> {
    let mut delete = Query::delete();
    delete.from_table(table.to_owned()).and_where(Expr::col(column.to_owned()).eq(name));
    database.execute(&delete).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_is_what_the_text_says() {
        let text = "//! Notes.\n\nfn up() {\n    table(\"notes\") // small\n}\n";
        let same = [
            "fn up() { table(\"notes\") // small\n}",
            &text.replace('\n', "\r\n"),
            &text.replace("Notes", "More"),
        ];
        for same in same {
            assert_eq!(content(text), content(same), "{same}");
        }
        for other in [text.replace("notes", "note"), text.replace("up", "down"), String::new()] {
            assert_ne!(content(text), content(&other), "{other}");
        }
        assert_eq!(content(text).len(), 16);
    }
}
