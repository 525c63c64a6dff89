//! Events say what they are about, who caused them and in which trace, and have room for their place among all events.
//!
//! The event of a new account named its address and its name. It names the account now, also in the rows that there are.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The columns, in order.
fn columns() -> [ColumnDef; 6] {
    [
        // Of the payload's schema.
        ColumnDef::new("version").integer().not_null().default(1).to_owned(),
        ColumnDef::new("aggregate_type").string_len(100).not_null().default("").to_owned(),
        ColumnDef::new("aggregate_version").big_integer().to_owned(),
        ColumnDef::new("principal").string_len(100).to_owned(),
        ColumnDef::new("traceparent").string_len(55).to_owned(),
        // Null until a sequencer numbers what was committed.
        ColumnDef::new("position").big_integer().to_owned(),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // One at a time: SQLite adds no two in one statement.
        for mut column in columns() {
            manager
                .alter_table(Table::alter().table("outbox_events").add_column(&mut column).to_owned())
                .await?;
        }
        let by_position = Index::create()
            .name("outbox_events_position_key")
            .table("outbox_events")
            .col("position")
            .unique()
            .to_owned();
        manager.create_index(by_position).await?;
        let [name_type, as_json] = match manager.get_database_backend() {
            DbBackend::Postgres => {
                ["split_part(name, '.', 1)", "jsonb_build_object('id', aggregate_id, 'version', 1)"]
            }
            _ => ["substr(name, 1, instr(name, '.') - 1)", "json_object('id', aggregate_id, 'version', 1)"],
        };
        let mut registered = Query::update();
        registered.table("outbox_events").value("name", "user.created").value("payload", Expr::cust(as_json));
        registered.value("aggregate_version", 1).and_where(Expr::col("name").eq("user.registered"));
        manager.execute(registered).await?;
        let typed =
            Query::update().table("outbox_events").value("aggregate_type", Expr::cust(name_type)).to_owned();
        manager.execute(typed).await
    }

    /// What was taken out of the payloads does not come back: a welcome mail that was not sent by then is not sent.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(Index::drop().name("outbox_events_position_key").table("outbox_events").to_owned())
            .await?;
        for column in
            ["position", "traceparent", "principal", "aggregate_version", "aggregate_type", "version"]
        {
            manager.alter_table(Table::alter().table("outbox_events").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}
