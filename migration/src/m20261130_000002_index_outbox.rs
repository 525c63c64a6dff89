//! One index for the events that are not delivered, by aggregate, and for the age of the others. A partial index does the same on SQLite
//! and PostgreSQL only.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let both = Index::create()
            .name("outbox_events_delivered_at_aggregate_id_idx")
            .table("outbox_events")
            .col("delivered_at")
            .col("aggregate_id")
            .col("id")
            .to_owned();
        manager.create_index(both).await?;
        for name in ["outbox_events_aggregate_id_idx", "outbox_events_delivered_at_idx"] {
            manager.drop_index(Index::drop().name(name).table("outbox_events").to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let undelivered = Index::create()
            .name("outbox_events_aggregate_id_idx")
            .table("outbox_events")
            .col("aggregate_id")
            .col("id")
            .and_where(Expr::col("delivered_at").is_null())
            .to_owned();
        let delivered = Index::create()
            .name("outbox_events_delivered_at_idx")
            .table("outbox_events")
            .col("delivered_at")
            .to_owned();
        manager.create_index(undelivered).await?;
        manager.create_index(delivered).await?;
        let both = Index::drop()
            .name("outbox_events_delivered_at_aggregate_id_idx")
            .table("outbox_events")
            .to_owned();
        manager.drop_index(both).await
    }
}
