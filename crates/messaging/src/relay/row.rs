//! The table `outbox_events`, with what the relay keeps in it beside the envelope. Nobody else sees it.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::event::{EventId, Traceparent};

/// An event on its way.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
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
    /// The place of the event among all that were committed. Null until a sequencer gives it.
    pub position: Option<i64>,
    /// How often it was handed on in vain.
    pub attempts: i32,
    /// Not to be handed on before this: a relay has it, or it waits after a failure.
    pub available_at: Timestamp,
    /// When every subscriber had done its work.
    pub delivered_at: Option<Timestamp>,
    /// What the last failure was.
    pub last_error: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}
