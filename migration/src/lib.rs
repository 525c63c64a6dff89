//! The database schema as migrations: one reversible migration per file.
//!
//! A migration imports no domain crate: it describes the schema of its day, independent of later changes of the models. A
//! migration that was released is never edited; the next change is a new file.
//!
//! # Adding one
//!
//! `cargo xtask new-migration what_it_does`, or by hand: a module `mYYYYMMDD_HHMMSS_what_it_does` with a struct `Migration` (the
//! name comes from the file; date and time make it unique), and its name as the last line of
//! `migrations!` below.
//! `cargo test -p migration` then goes up, down and up again on it and compares the schemas.
//!
//! # What ran
//!
//! The [source](SOURCES) of each applied migration is recorded with its name, so that a changed migration is detected at the
//! start.
//!
//! # Names
//!
//! Tables are plural. A unique index is named after its columns, `<table>_<column>_…_key`: SQLite reports the columns of a
//! violation and PostgreSQL the name, and errors are mapped by name. Others: `<table>_<column>_idx`, `_fkey`, `_check`.

use sea_orm_migration::{DbErr, MigrationName, MigrationTrait, async_trait};
pub use sea_orm_migration::{MigrationStatus, MigratorTrait, SchemaManager};

mod columns;

/// A migration that runs in a transaction, on SQLite too, so that a failure leaves no partial change.
struct Whole<M>(M);

impl<M: MigrationTrait> MigrationName for Whole<M> {
    fn name(&self) -> &str {
        self.0.name()
    }
}

#[async_trait::async_trait]
impl<M: MigrationTrait> MigrationTrait for Whole<M> {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.0.up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        self.0.down(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(self.0.use_transaction().unwrap_or(true))
    }
}

/// Declares the modules and lists the migrations in the order in which they are applied.
macro_rules! migrations {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        /// Each migration with its source, in order.
        pub static SOURCES: &[(&str, &str)] = &[
            $((stringify!($name), include_str!(concat!(stringify!($name), ".rs")))),*
        ];

        /// Applies and reverts the migrations.
        #[derive(Debug)]
        pub struct Migrator;

        #[async_trait::async_trait]
        impl MigratorTrait for Migrator {
            fn migrations() -> Vec<Box<dyn MigrationTrait>> {
                vec![$(Box::new(Whole($name::Migration))),*]
            }
        }
    };
}

migrations! {
    m20261121_000001_create_outbox,
    m20261121_000002_create_users,
    m20261121_000003_create_auth,
    m20261121_000004_create_uploads,
    m20261128_000001_add_charset_to_uploads,
    m20261128_000005_fold_names,
    m20261128_000006_index_living_sessions,
    m20261128_000007_describe_events,
    m20261130_000001_create_jobs,
    m20261130_000002_index_outbox,
}
