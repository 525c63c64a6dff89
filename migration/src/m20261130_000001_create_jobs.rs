//! Durable jobs, the workers that run them, and the schedules that enqueue them.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::columns::{create, id, optional_timestamp, timestamp};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// A text that is compared byte by byte: by default on SQLite, and not on PostgreSQL.
fn key(name: &'static str, length: u32, backend: DbBackend) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.string_len(length);
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

fn jobs(backend: DbBackend) -> TableCreateStatement {
    Table::create()
        .table("jobs")
        .col(id("id").primary_key())
        .col(ColumnDef::new("kind").string_len(100).not_null())
        .col(ColumnDef::new("version").integer().not_null())
        .col(ColumnDef::new("payload").json_binary().not_null())
        .col(ColumnDef::new("queue").string_len(40).not_null())
        .col(ColumnDef::new("priority").small_integer().not_null())
        // One job of a serial key runs at a time.
        .col(key("serial_key", 100, backend))
        // The unique key as it was given.
        .col(key("dedup_key", 240, backend))
        // The same while the job waits, else null.
        .col(key("unique_key", 240, backend))
        .col(ColumnDef::new("state").string_len(12).not_null())
        // Where it stands in the index, and since when or from when on.
        .col(key("lane", 160, backend).not_null())
        .col(timestamp("lane_at"))
        // Number of claims, which identifies the latest.
        .col(ColumnDef::new("claim").integer().not_null().default(0))
        // Number of failures since the last committed step.
        .col(ColumnDef::new("failures").integer().not_null().default(0))
        .col(ColumnDef::new("worker_id").string_len(30))
        .col(optional_timestamp("cancel_asked_at"))
        .col(ColumnDef::new("step").integer().not_null().default(0))
        .col(ColumnDef::new("step_cursor").json_binary())
        .col(ColumnDef::new("done_count").big_integer())
        .col(ColumnDef::new("total_count").big_integer())
        .col(ColumnDef::new("principal").string_len(100))
        .col(ColumnDef::new("traceparent").string_len(55))
        .col(timestamp("created_at"))
        .col(timestamp("due_at"))
        .col(optional_timestamp("started_at"))
        .col(optional_timestamp("finished_at"))
        .col(ColumnDef::new("last_error").text())
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let by_unique_key =
            Index::create().name("jobs_unique_key_key").table("jobs").col("unique_key").unique().to_owned();
        let by_lane = Index::create()
            .name("jobs_lane_idx")
            .table("jobs")
            .col("lane")
            .col("lane_at")
            .col("id")
            .to_owned();
        // For lists.
        let by_state = Index::create().name("jobs_state_idx").table("jobs").col("state").col("id").to_owned();
        create(manager, jobs(backend), [by_unique_key, by_lane, by_state]).await?;
        if backend == DbBackend::Postgres {
            // Each row is changed twice at least, and all of them within the time that they are kept.
            let storage = "ALTER TABLE jobs SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)";
            manager.get_connection().execute_unprepared(storage).await?;
        }
        // One row for each serial key that a job holds or waits for.
        let turns = Table::create()
            .table("job_turns")
            .col(key("serial_key", 100, backend).not_null().primary_key())
            .col(id("job_id"))
            // Null while the job holds it.
            .col(optional_timestamp("vacated_at"))
            .to_owned();
        let vacant =
            Index::create().name("job_turns_vacated_at_idx").table("job_turns").col("vacated_at").to_owned();
        create(manager, turns, [vacant]).await?;
        // One row for each process that runs jobs.
        let workers = Table::create()
            .table("job_workers")
            .col(id("id").primary_key())
            .col(ColumnDef::new("host").string_len(255).not_null())
            // Number of jobs of each queue that it runs at the same time.
            .col(ColumnDef::new("queues").json_binary().not_null())
            .col(timestamp("started_at"))
            .col(ColumnDef::new("beat").big_integer().not_null().default(0))
            .col(timestamp("beat_at"))
            // Set by another worker that has seen no beat for long.
            .col(optional_timestamp("silent_since"))
            .to_owned();
        manager.create_table(workers).await?;
        let queues = Table::create()
            .table("job_queues")
            .col(ColumnDef::new("name").string_len(40).not_null().primary_key())
            .col(optional_timestamp("paused_at"))
            .to_owned();
        manager.create_table(queues).await?;
        let schedules = Table::create()
            .table("job_schedules")
            .col(ColumnDef::new("name").string_len(100).not_null().primary_key())
            .col(timestamp("last_tick"))
            .col(timestamp("next_tick"))
            .col(ColumnDef::new("last_job_id").string_len(30))
            .to_owned();
        manager.create_table(schedules).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["job_schedules", "job_queues", "job_workers", "job_turns", "jobs"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}
