//! The relay's queries on `outbox_events` and `handled_events`. Each is a transaction of its own, and short.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::Duration;

use sea_orm::sea_query::{
    Expr, ExprTrait as _, Func, OnConflict, Order, OverStatement as _, Query, SelectStatement,
    UpdateStatement, WindowStatement,
};
use sea_orm::{
    ActiveValue, ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QueryResult,
};
use shared_kernel::clock::Timestamp;
use shared_kernel::event::{Envelope, EventId};
use shared_kernel::event_handler::Subscriber;
use shared_kernel::session::{Databases, Reader, SessionError, WriteSession};

use super::handled;
use super::row::{Column, Entity};
use super::settings::RelaySettings;
use crate::rows::{self, padded};

/// Number of due events that one statement looks up.
const SEEN_AT_ONCE: u64 = 500;

/// Number of events without a subscriber that one statement settles.
const SETTLED_AT_ONCE: u64 = 500;

/// Number of rows that one transaction deletes.
const SWEPT_AT_ONCE: u64 = 500;

/// The outbox, as one relay uses it.
pub(super) struct Outbox {
    databases: Databases,
    /// Names of this relay's subscribers.
    subscribers: Vec<&'static str>,
    /// Names of the events that they handle.
    wanted: BTreeSet<String>,
    max_attempts: i32,
    lease: Duration,
    retention: Duration,
}

/// An event that this relay has claimed until its lease ends.
pub(super) struct Claimed {
    pub(super) event: Taken,
    /// Subscribers that handled it at an earlier attempt.
    pub(super) handled: HashSet<String>,
}

/// An event with the number of this attempt, from 1.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) envelope: Envelope,
    pub(super) attempts: i32,
}

impl FromQueryResult for Taken {
    fn from_query_result(row: &QueryResult, prefix: &str) -> Result<Self, DbErr> {
        let envelope = Envelope::from_query_result(row, prefix)?;
        Ok(Self { envelope, attempts: row.try_get(prefix, "attempts")? })
    }
}

/// Outcome of a claimed event.
pub(super) enum Outcome {
    /// All subscribers have handled it.
    Delivered,
    /// Some failed; it is tried again after the pause.
    Failed { error: String, pause: Duration },
    /// Some failed, and it is not tried again.
    Dead { error: String },
}

/// Events that are due.
#[derive(Default)]
pub(super) struct Due {
    /// Ids of those to claim.
    pub(super) ids: VecDeque<String>,
    /// Whether there are others, which [`settle_unwanted`](Outbox::settle_unwanted) settles.
    pub(super) has_unwanted: bool,
}

/// An id as text: a row that cannot be read must not block the others.
#[derive(FromQueryResult)]
struct DueRow {
    id: String,
    name: String,
    attempts: i32,
}

/// The key of a record of who handled an event.
#[derive(FromQueryResult)]
struct RecordKey {
    subscriber: String,
    event_id: String,
}

/// The existence of a row.
#[derive(FromQueryResult)]
struct Exists {}

impl Outbox {
    pub(super) fn new(databases: Databases, subscribers: &[Subscriber], settings: &RelaySettings) -> Self {
        Self {
            databases,
            subscribers: subscribers.iter().map(Subscriber::name).collect(),
            wanted: subscribers.iter().flat_map(Subscriber::events).map(str::to_owned).collect(),
            max_attempts: settings.max_attempts.into(),
            lease: settings.lease(),
            retention: settings.retention,
        }
    }

    /// The events that are due, oldest first: not dead, not waiting, and the first of their aggregate. This is the only statement of an
    /// idle poll, and not on SQLite's only writer.
    pub(super) async fn due(&self) -> Result<Due, SessionError> {
        let due = self.select_due(self.databases.clock().now());
        let rows = self.databases.read_primary().rows::<DueRow>(&due).await?;
        let looked_up = rows.len();
        let claimed = rows.into_iter().filter(|row| row.attempts > 0 || self.wanted.contains(&row.name));
        let ids: VecDeque<_> = claimed.map(|row| row.id).collect();
        Ok(Due { has_unwanted: ids.len() < looked_up, ids })
    }

    /// Marks events as delivered that no subscriber of this relay handles, and returns their number. There is nobody to wait for, so they
    /// need no claim, and not the order of their aggregate. Only those that no relay has claimed before: one of another release may have a
    /// subscriber for them.
    pub(super) async fn settle_unwanted(&self) -> Result<usize, SessionError> {
        let session = self.databases.write();
        let unwanted = Query::select()
            .column(Column::Id)
            .from(Entity)
            .and_where(Expr::col(Column::Name).is_not_in(&self.wanted))
            .and_where(Expr::col(Column::DeliveredAt).is_null())
            .and_where(Expr::col(Column::Attempts).eq(0))
            .and_where(waits(session.now()).not())
            .order_by(Column::Id, Order::Asc)
            .limit(SETTLED_AT_ONCE)
            .to_owned();
        let ids = rows::take_ids(&session, unwanted).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let settle = Query::update()
            .table(Entity)
            .value(Column::DeliveredAt, session.now())
            .and_where(Expr::col(Column::Id).is_in(padded(&ids)))
            .to_owned();
        let settled = session.execute(&settle).await?.rows_affected();
        let settled = session.commit(settled).await?.into_value();
        Ok(usize::try_from(settled).unwrap_or(usize::MAX))
    }

    /// Claims the events of `ids`, which were due, that no other relay has claimed since. The attempt counts from here on, so an event
    /// that kills the process dies, too.
    ///
    /// It is not checked again whether an event is the first of its aggregate: earlier ones are done for good.
    pub(super) async fn claim(&self, ids: &[String]) -> Result<Vec<Claimed>, SessionError> {
        let session = self.databases.write();
        let free = Query::select()
            .columns(Envelope::COLUMNS)
            .column(Column::Attempts)
            .from(Entity)
            .and_where(Expr::col(Column::Id).is_in(padded(ids)))
            .and_where(Expr::col(Column::DeliveredAt).is_null())
            .and_where(self.is_alive())
            .and_where(waits(session.now()).not())
            .order_by(Column::Id, Order::Asc)
            .to_owned();
        let rows = session.query_all(&rows::locked(free)).await?;
        let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<String>, _>>()?;
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let claim = Query::update()
            .table(Entity)
            .value(Column::AvailableAt, session.now() + self.lease)
            .value(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .and_where(Expr::col(Column::Id).is_in(padded(&ids)))
            .to_owned();
        session.execute(&claim).await?;
        let mut events: Vec<_> = rows.iter().filter_map(readable).collect();
        for event in &mut events {
            event.attempts += 1;
        }
        let handled = self.handled(&session, &events).await?;
        session.commit(()).await?.into_value();
        Ok(events.into_iter().map(|event| claimed(event, &handled)).collect())
    }

    /// Ends a claim. `false` if the lease has ended and another relay has claimed the event.
    pub(super) async fn settle(&self, event: &Taken, outcome: Outcome) -> Result<bool, SessionError> {
        let session = self.databases.write();
        let settled = session.execute(&settlement(event, outcome, session.now())).await?.rows_affected();
        Ok(session.commit(settled == 1).await?.into_value())
    }

    /// Deletes events that were delivered longer ago than the retention, and the records of who handled them. Returns the number of
    /// rows.
    pub(super) async fn sweep(&self) -> Result<u64, SessionError> {
        let before = self.databases.clock().now() - self.retention;
        let mut deleted = 0;
        loop {
            let batch = self.sweep_events(before).await?;
            deleted += batch;
            if batch < SWEPT_AT_ONCE {
                break;
            }
        }
        loop {
            let batch = self.sweep_records(before).await?;
            deleted += batch;
            if batch < SWEPT_AT_ONCE {
                return Ok(deleted);
            }
        }
    }

    async fn sweep_events(&self, before: Timestamp) -> Result<u64, SessionError> {
        let old = Query::select()
            .column(Column::Id)
            .from(Entity)
            .and_where(Expr::col(Column::DeliveredAt).lt(before))
            .order_by(Column::DeliveredAt, Order::Asc)
            .limit(SWEPT_AT_ONCE)
            .to_owned();
        if !self.is_any(old.clone()).await? {
            return Ok(0);
        }
        let session = self.databases.write();
        let ids = rows::take_ids(&session, old).await?;
        if ids.is_empty() {
            return Ok(0);
        }
        let delete = Query::delete()
            .from_table(Entity)
            .and_where(Expr::col(Column::Id).is_in(padded(&ids)))
            .to_owned();
        let deleted = session.execute(&delete).await?.rows_affected();
        Ok(session.commit(deleted).await?.into_value())
    }

    /// A record lives as long as its event: without it, a replay would repeat the work.
    async fn sweep_records(&self, before: Timestamp) -> Result<u64, SessionError> {
        let event = Query::select()
            .expr(Expr::val(1))
            .from(Entity)
            .and_where(Expr::col((Entity, Column::Id)).equals((handled::Entity, handled::Column::EventId)))
            .to_owned();
        let old = Query::select()
            .columns([handled::Column::Subscriber, handled::Column::EventId])
            .from(handled::Entity)
            .and_where(Expr::col(handled::Column::HandledAt).lt(before))
            .and_where(Expr::not_exists(event))
            .order_by(handled::Column::HandledAt, Order::Asc)
            .limit(SWEPT_AT_ONCE)
            .to_owned();
        if !self.is_any(old.clone()).await? {
            return Ok(0);
        }
        let session = self.databases.write();
        let keys = rows::take::<RecordKey>(&session, old).await?;
        if keys.is_empty() {
            return Ok(0);
        }
        let keys: Vec<_> = keys.into_iter().map(|key| (key.subscriber, key.event_id)).collect();
        let key = Expr::tuple([Expr::col(handled::Column::Subscriber), Expr::col(handled::Column::EventId)]);
        let delete =
            Query::delete().from_table(handled::Entity).and_where(key.in_tuples(padded(&keys))).to_owned();
        let deleted = session.execute(&delete).await?.rows_affected();
        Ok(session.commit(deleted).await?.into_value())
    }

    /// Whether `select` finds a row; on SQLite not on the writing connection.
    async fn is_any(&self, mut select: SelectStatement) -> Result<bool, SessionError> {
        let one = select.clear_selects().expr(Expr::val(1)).limit(1).to_owned();
        Ok(!self.databases.read_primary().rows::<Exists>(&one).await?.is_empty())
    }

    /// One pass over the undelivered events, whatever the statistics say. `NOT EXISTS (an earlier one)` is quadratic on PostgreSQL when
    /// many events come at once, because the planner's statistics say that there are none.
    fn select_due(&self, now: Timestamp) -> SelectStatement {
        // `delivered_at` is null in all of them: it is there so that PostgreSQL reads the index in the order of the partitions, and sorts
        // nothing.
        let first = WindowStatement::new()
            .partition_by_columns([Column::DeliveredAt, Column::AggregateId])
            .order_by(Column::Id, Order::Asc)
            .to_owned();
        let in_line = Query::select()
            .columns([Column::Id, Column::Name, Column::Attempts, Column::AvailableAt])
            .expr_window_as(Func::cust("ROW_NUMBER"), first, "place")
            .from(Entity)
            .and_where(Expr::col(Column::DeliveredAt).is_null())
            // An event at its last attempt blocks later ones until it is dead.
            .and_where(self.is_alive().or(waits(now)))
            .to_owned();
        Query::select()
            .columns([Column::Id, Column::Name, Column::Attempts])
            .from_subquery(in_line, "in_line")
            .and_where(Expr::col("place").eq(1))
            .and_where(self.is_alive())
            .and_where(waits(now).not())
            .order_by(Column::Id, Order::Asc)
            .limit(SEEN_AT_ONCE)
            .to_owned()
    }

    fn is_alive(&self) -> Expr {
        Expr::col(Column::Attempts).lt(self.max_attempts)
    }

    /// Subscribers that handled these events at earlier attempts.
    async fn handled(
        &self,
        session: &WriteSession,
        events: &[Taken],
    ) -> Result<Vec<handled::Model>, SessionError> {
        if events.is_empty() || self.subscribers.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<_> = events.iter().map(|event| event.envelope.id).collect();
        let handled = handled::Entity::find()
            .filter(handled::Column::Subscriber.is_in(self.subscribers.iter().copied()))
            .filter(handled::Column::EventId.is_in(padded(&ids)));
        session.all(handled).await
    }
}

/// Claimed by another relay, or waiting after a failure.
fn waits(now: Timestamp) -> Expr {
    Expr::col(Column::AvailableAt).gt(now)
}

/// The event of a row, if it can be read. A row that cannot must not block the others; its attempts run out.
fn readable(row: &QueryResult) -> Option<Taken> {
    Taken::from_query_result(row, "")
        .inspect_err(|error| {
            tracing::error!(error = error as &dyn std::error::Error, "a row of the outbox cannot be read");
        })
        .ok()
}

fn claimed(event: Taken, handled: &[handled::Model]) -> Claimed {
    let of_this = handled.iter().filter(|row| row.event_id == event.envelope.id);
    Claimed { handled: of_this.map(|row| row.subscriber.clone()).collect(), event }
}

/// Notes that `subscriber` has handled the event, and commits its work with that. If it is noted already, another relay has done the
/// work meanwhile, and this one's is rolled back.
pub(super) async fn note(
    session: WriteSession,
    event: EventId,
    subscriber: &'static str,
) -> Result<(), SessionError> {
    let row = handled::ActiveModel {
        subscriber: ActiveValue::Set(subscriber.to_owned()),
        event_id: ActiveValue::Set(event),
        handled_at: ActiveValue::Set(session.now()),
    };
    let insert = handled::Entity::insert(row).on_conflict(OnConflict::new().do_nothing().to_owned());
    if insert.exec_without_returning(&session).await? == 0 {
        return Ok(());
    }
    session.commit(()).await?.into_value();
    Ok(())
}

/// Records the outcome, if the claim is still valid: each claim increments the number of attempts, which identifies it.
fn settlement(event: &Taken, outcome: Outcome, now: Timestamp) -> UpdateStatement {
    let mut update = Query::update();
    match outcome {
        Outcome::Delivered => update.value(Column::DeliveredAt, now),
        Outcome::Failed { error, pause } => {
            update.value(Column::LastError, error).value(Column::AvailableAt, now + pause)
        }
        Outcome::Dead { error } => update.value(Column::LastError, error).value(Column::AvailableAt, now),
    };
    update
        .table(Entity)
        .and_where(Expr::col(Column::Id).eq(event.envelope.id))
        .and_where(Expr::col(Column::Attempts).eq(event.attempts))
        .and_where(Expr::col(Column::DeliveredAt).is_null())
        .to_owned()
}
