//! Events on their way, and which subscriber has done its work for which.

use sea_orm_migration::prelude::*;

use crate::columns::{id, optional_timestamp, timestamp};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let outbox = Table::create()
            .table("outbox_events")
            .col(id("id").primary_key())
            .col(ColumnDef::new("name").string_len(100).not_null())
            .col(ColumnDef::new("aggregate_id").string_len(100).not_null())
            .col(ColumnDef::new("payload").json_binary().not_null())
            .col(timestamp("occurred_at"))
            .col(ColumnDef::new("attempts").integer().not_null().default(0))
            .col(timestamp("available_at"))
            .col(optional_timestamp("delivered_at"))
            .col(ColumnDef::new("last_error").text())
            .to_owned();
        manager.create_table(outbox).await?;
        let undelivered = Index::create()
            .name("outbox_events_aggregate_id_idx")
            .table("outbox_events")
            .col("aggregate_id")
            .col("id")
            .and_where(Expr::col("delivered_at").is_null())
            .to_owned();
        manager.create_index(undelivered).await?;
        let delivered = Index::create()
            .name("outbox_events_delivered_at_idx")
            .table("outbox_events")
            .col("delivered_at")
            .to_owned();
        manager.create_index(delivered).await?;
        let handled = Table::create()
            .table("handled_events")
            .col(ColumnDef::new("subscriber").string_len(100).not_null())
            .col(id("event_id"))
            .col(timestamp("handled_at"))
            .primary_key(Index::create().name("handled_events_pkey").col("subscriber").col("event_id"))
            .to_owned();
        manager.create_table(handled).await?;
        let by_age = Index::create()
            .name("handled_events_handled_at_idx")
            .table("handled_events")
            .col("handled_at")
            .to_owned();
        manager.create_index(by_age).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("handled_events").to_owned()).await?;
        manager.drop_table(Table::drop().table("outbox_events").to_owned()).await
    }
}
