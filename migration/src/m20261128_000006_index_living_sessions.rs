//! The sessions of a user that are not over, the latest used first: a sign-in ends those that are too many.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let living = Index::create()
            .name("sessions_user_id_rotated_at_idx")
            .table("sessions")
            .col("user_id")
            .col("rotated_at")
            .col("id")
            .and_where(Expr::col("ended_at").is_null())
            .to_owned();
        manager.create_index(living).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let living = Index::drop().name("sessions_user_id_rotated_at_idx").table("sessions").to_owned();
        manager.drop_index(living).await
    }
}
