//! What users uploaded: the facts about each object, which itself lies in the object store.

use sea_orm_migration::prelude::*;

use crate::columns::{by, id, optional_timestamp, refers, resource, timestamp};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let uploads = resource("uploads")
            .col(id("owner_id"))
            .col(ColumnDef::new("object_key").string_len(200).not_null())
            .col(ColumnDef::new("filename").string_len(255).not_null())
            .col(ColumnDef::new("content_type").string_len(100).not_null())
            .col(ColumnDef::new("size").big_integer().not_null())
            .col(ColumnDef::new("checksum_sha256").string_len(44))
            .col(ColumnDef::new("visibility").string_len(10).not_null())
            .col(ColumnDef::new("status").string_len(20).not_null())
            .col(ColumnDef::new("width").integer())
            .col(ColumnDef::new("height").integer())
            .col(timestamp("expires_at"))
            .col(optional_timestamp("completed_at"))
            .check(("uploads_visibility_check", Expr::col("visibility").is_in(["private", "public"])))
            .check(("uploads_status_check", Expr::col("status").is_in(["pending", "completed"])))
            .check(("uploads_size_check", Expr::col("size").gt(0)))
            .foreign_key(&mut refers("uploads", "owner_id", "users", ForeignKeyAction::Restrict))
            .to_owned();
        manager.create_table(uploads).await?;
        manager.create_index(by("uploads_owner_id_idx", "uploads", &["owner_id"])).await?;
        let by_key = Index::create()
            .name("uploads_object_key_key")
            .table("uploads")
            .col("object_key")
            .unique()
            .to_owned();
        manager.create_index(by_key).await?;
        // What is to be cleaned up is few among many.
        let mut deleted = Index::create();
        deleted.name("uploads_deleted_id_idx").table("uploads").col("id");
        deleted.and_where(Expr::col("deleted_at").is_not_null());
        manager.create_index(deleted).await?;
        let mut living = Index::create();
        living.name("uploads_status_expires_at_idx").table("uploads").col("status").col("expires_at");
        living.and_where(Expr::col("deleted_at").is_null());
        manager.create_index(living).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("uploads").to_owned()).await
    }
}
