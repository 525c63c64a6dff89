//! The table `handled_events`: which subscribers have handled which events.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::event::EventId;
use shared_kernel::from_columns::FromColumns;

/// A subscriber has handled an event.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, FromColumns)]
#[sea_orm(table_name = "handled_events")]
pub(crate) struct Model {
    /// Name of the subscriber.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subscriber: String,
    /// Id of the event.
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: EventId,
    /// Time at which it was recorded.
    pub handled_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
