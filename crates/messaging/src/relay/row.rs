//! The table `outbox_events`, with the columns of the relay besides the envelope. It is private to the relay.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::event::{EventId, Traceparent};
use shared_kernel::from_columns::FromColumns;

/// An event in the outbox.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, FromColumns)]
#[sea_orm(table_name = "outbox_events")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: EventId,
    pub name: String,
    pub version: i32,
    pub aggregate_type: String,
    pub aggregate_id: String,
    pub aggregate_version: Option<i64>,
    pub occurred_at: Timestamp,
    pub principal: Option<String>,
    pub traceparent: Option<Traceparent>,
    pub payload: Json,
    /// Position of the event among all committed ones. Null until a sequencer assigns it.
    pub position: Option<i64>,
    /// Number of failed attempts.
    pub attempts: i32,
    /// Time before which it is not delivered: a relay has claimed it, or it waits after a failure.
    pub available_at: Timestamp,
    /// Time at which all subscribers had handled it.
    pub delivered_at: Option<Timestamp>,
    /// Text of the last failure.
    pub last_error: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
