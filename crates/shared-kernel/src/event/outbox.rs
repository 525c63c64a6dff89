//! The table `outbox_events`, as far as it is written here. What a relay keeps in it beside the envelope belongs to the relay.

use sea_orm::Value;
use sea_orm::sea_query::{Expr, InsertStatement, Query};

use super::{DomainEvent, Envelope, EventId, Origin};
use crate::clock::Timestamp;

/// An event that is ready for the outbox, whatever type it had: what code emits that knows no domain, such as the one that
/// deletes rows of another domain together with what they refer to (see [`crate::reference`]).
#[derive(Clone, Debug, PartialEq)]
pub struct PendingEvent {
    name: String,
    version: i32,
    aggregate_type: &'static str,
    aggregate_id: String,
    aggregate_version: Option<i64>,
    payload: serde_json::Value,
}

impl PendingEvent {
    /// Converts `event`.
    ///
    /// # Errors
    ///
    /// The event cannot be serialized as JSON.
    pub fn of<E: DomainEvent>(event: &E) -> Result<Self, serde_json::Error> {
        use crate::id::IdKind as _;
        Ok(Self {
            name: E::name(),
            version: E::VERSION,
            aggregate_type: E::Aggregate::NAME,
            aggregate_id: event.aggregate_id().to_string(),
            aggregate_version: event.aggregate_version(),
            payload: serde_json::to_value(event)?,
        })
    }

    /// Puts the event into an envelope.
    pub(crate) fn sealed(self, id: EventId, occurred_at: Timestamp, origin: Origin) -> Envelope {
        Envelope {
            id,
            name: self.name,
            version: self.version,
            aggregate_type: self.aggregate_type.to_owned(),
            aggregate_id: self.aggregate_id,
            aggregate_version: self.aggregate_version,
            occurred_at,
            principal: origin.principal,
            traceparent: origin.traceparent,
            payload: self.payload,
        }
    }
}

/// The statement that adds these events, each to be handed on at once. Everything else in a row has its default.
pub(crate) fn insert(envelopes: impl IntoIterator<Item = Envelope>) -> InsertStatement {
    insert_values(envelopes.into_iter().map(values))
}

/// The same of the [values](values()) of events.
pub(crate) fn insert_values<V: IntoIterator<Item = Value>>(
    rows: impl IntoIterator<Item = V>,
) -> InsertStatement {
    let mut insert = Query::insert();
    insert.into_table("outbox_events").columns(Envelope::COLUMNS.into_iter().chain(["available_at"]));
    for row in rows {
        insert.values_panic(row.into_iter().map(Expr::val));
    }
    insert
}

/// In the order of [`Envelope::COLUMNS`], and when the event may be handed on.
pub(crate) fn values(envelope: Envelope) -> [Value; 11] {
    [
        envelope.id.into(),
        envelope.name.into(),
        envelope.version.into(),
        envelope.aggregate_type.into(),
        envelope.aggregate_id.into(),
        envelope.aggregate_version.into(),
        envelope.occurred_at.into(),
        envelope.principal.into(),
        envelope.traceparent.into(),
        envelope.payload.into(),
        envelope.occurred_at.into(),
    ]
}
