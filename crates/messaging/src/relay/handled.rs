//! Which subscriber did its work for which event.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::event::EventId;

/// A subscriber did its work for an event.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "handled_events")]
pub(crate) struct Model {
    /// The subscriber's name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subscriber: String,
    /// The event's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: EventId,
    /// When it was noted.
    pub handled_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
