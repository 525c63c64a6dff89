//! Accounts: who there is, apart from how they sign in.

use sea_orm_migration::prelude::*;

use crate::columns::{by, optional_timestamp, resource, unique_among_living};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let users = resource("users")
            .col(ColumnDef::new("email").string_len(254).not_null())
            // The form in which addresses are compared; normalisation can make it longer than the address.
            .col(ColumnDef::new("email_normalized").text().not_null())
            .col(optional_timestamp("email_verified_at"))
            .col(ColumnDef::new("username").string_len(50))
            .col(ColumnDef::new("phone").string_len(16))
            .col(ColumnDef::new("name").string_len(100).not_null())
            // The form in which names are searched and sorted: `lower()` of SQLite knows ASCII only.
            .col(ColumnDef::new("name_normalized").text().not_null())
            .col(ColumnDef::new("status").string_len(20).not_null().default("active"))
            .col(ColumnDef::new("is_admin").boolean().not_null().default(false))
            .check(("users_status_check", Expr::col("status").is_in(["active", "suspended"])))
            .to_owned();
        manager.create_table(users).await?;
        for index in [
            unique_among_living("users_email_normalized_key", "users", &["email_normalized"]),
            unique_among_living("users_username_key", "users", &["username"]),
            unique_among_living("users_phone_key", "users", &["phone"]),
            by("users_name_normalized_id_idx", "users", &["name_normalized"]),
            by("users_email_normalized_id_idx", "users", &["email_normalized"]),
            Index::create()
                .name("users_is_admin_idx")
                .table("users")
                .col("is_admin")
                .and_where(Expr::col("is_admin").eq(true))
                .to_owned(),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("users").to_owned()).await
    }
}
