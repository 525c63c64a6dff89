//! The schema, one file per change, each with its way back.
//!
//! A migration imports no domain crate: it says what the schema was on its day, whatever the models have become since. A
//! migration that was released is never edited; the next change is a new file.
//!
//! # Adding one
//!
//! A module `mYYYYMMDD_NNNNNN_what_it_does` with a struct `Migration` (the name comes from the file), and its name as the last line of `migrations!` below.
//! `cargo test -p migration` then goes up, down and up again on it and compares the schemas.
//!
//! # Names
//!
//! Tables are plural. A unique index is named after its columns, `<table>_<column>_…_key`: SQLite tells the columns of a
//! violation and PostgreSQL the name, and errors are mapped by name. Others: `<table>_<column>_idx`, `_fkey`, `_check`.

pub use sea_orm_migration::{MigrationStatus, MigratorTrait, SchemaManager};

mod columns;

/// Declares the modules and lists the migrations in the order in which they are applied.
macro_rules! migrations {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        /// Applies and reverts the migrations.
        #[derive(Debug)]
        pub struct Migrator;

        #[sea_orm_migration::async_trait::async_trait]
        impl MigratorTrait for Migrator {
            fn migrations() -> Vec<Box<dyn sea_orm_migration::MigrationTrait>> {
                vec![$(Box::new($name::Migration)),*]
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
}
