//! Uploads tell the charset of a text where it is known.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// How much of an object was looked at until then: of what is no longer, all was found to be UTF-8.
const LOOKED_AT: i32 = 262_144;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let charset = ColumnDef::new("charset").string_len(20).to_owned();
        manager.alter_table(Table::alter().table("uploads").add_column(charset).to_owned()).await?;
        let known = Query::update()
            .table("uploads")
            .value("charset", "utf-8")
            .and_where(Expr::col("content_type").like("text/%"))
            .and_where(Expr::col("status").eq("completed"))
            .and_where(Expr::col("size").lte(LOOKED_AT))
            .to_owned();
        manager.execute(known).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("uploads").drop_column("charset").to_owned()).await
    }
}
