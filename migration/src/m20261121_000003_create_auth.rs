//! How users sign in: passwords, signed-in devices, and the keys that access tokens are signed with.

use sea_orm_migration::prelude::*;

use crate::columns::{by, create, id, optional_timestamp, refers, timestamp};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let passwords = Table::create()
            .table("passwords")
            .col(id("user_id").primary_key())
            .col(ColumnDef::new("hash").text().not_null())
            .col(timestamp("created_at"))
            .col(timestamp("updated_at"))
            .foreign_key(&mut refers("passwords", "user_id", "users", ForeignKeyAction::Cascade))
            .to_owned();
        manager.create_table(passwords).await?;
        let sessions = Table::create()
            .table("sessions")
            .col(id("id").primary_key())
            .col(id("user_id"))
            .col(ColumnDef::new("generation").big_integer().not_null())
            .col(timestamp("rotated_at"))
            .col(timestamp("created_at"))
            .col(timestamp("expires_at"))
            .col(optional_timestamp("ended_at"))
            .col(ColumnDef::new("end_reason").string_len(20))
            .col(ColumnDef::new("user_agent").string_len(300))
            .col(ColumnDef::new("address").string_len(45))
            .foreign_key(&mut refers("sessions", "user_id", "users", ForeignKeyAction::Cascade))
            .to_owned();
        create(manager, sessions, [by("sessions_user_id_idx", "sessions", &["user_id"])]).await?;
        let keys = Table::create()
            .table("signing_keys")
            .col(id("id").primary_key())
            .col(ColumnDef::new("algorithm").string_len(10).not_null())
            .col(ColumnDef::new("key_id").string_len(64).not_null())
            .col(ColumnDef::new("public_jwk").json_binary().not_null())
            .col(ColumnDef::new("sealed_private_key").binary().not_null())
            .col(timestamp("created_at"))
            .col(optional_timestamp("retired_at"))
            .to_owned();
        manager.create_table(keys).await?;
        // At most one key signs: two instances that start at once on an empty database make one key between them.
        let active = Index::create()
            .name("signing_keys_algorithm_key")
            .table("signing_keys")
            .col("algorithm")
            .unique()
            .and_where(Expr::col("retired_at").is_null())
            .to_owned();
        manager.create_index(active).await?;
        let by_kid = Index::create()
            .name("signing_keys_key_id_key")
            .table("signing_keys")
            .col("key_id")
            .unique()
            .to_owned();
        manager.create_index(by_kid).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["signing_keys", "sessions", "passwords"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
