//! The statements on the table of jobs. Each transaction is short, and only [`finish`](Store::finish) stands in the session of a handler.
//! Why each costs the same however many jobs there are is in `docs/adr/`, "Durable jobs are rows that stand in lanes".

use sea_orm::sea_query::{Expr, ExprTrait as _, Order, Query, UnionType, UpdateStatement};
use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use serde_json::Value as Json;
use shared_kernel::clock::Timestamp;
use shared_kernel::job::{Lane, Wake};
use shared_kernel::job_handler::Progress;
use shared_kernel::session::{Databases, ReadPrimary, Reader as _, SessionError, WriteSession};

use super::row::WorkerId;
use super::row::{Claim, Claimed};
use crate::rows::{self, padded};

/// Number of rows that one transaction removes, or moves for another reason than that they run.
pub(super) const ROWS_AT_ONCE: u64 = 500;

/// The table of jobs, as one process uses it.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) databases: Databases,
}

/// How a claim ends. Everything but [`Done`](Self::Done) is recorded in a transaction of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum End {
    /// It succeeded.
    Done,
    /// It failed, and is tried again at that time.
    Failed { error: String, again: Timestamp },
    /// It failed, and is not tried again.
    Dead { error: String },
    /// It is not needed any more.
    Cancelled { reason: String },
    /// Not yet: it runs again at that time. It counts as no failure, and keeps its turn among those of its serial key.
    Later { again: Timestamp },
    /// This worker does not know its kind or its version.
    Unknown,
}

/// When the first job of a lane is due.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) lane: Lane,
    /// `None` if there is no job.
    pub(super) at: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct DueRow {
    place: i32,
    lane_at: Timestamp,
}

/// A job that runs, in whatever process.
#[derive(FromQueryResult)]
pub(super) struct RunningRow {
    #[sea_orm(nested)]
    pub(super) claim: Claim,
    pub(super) worker_id: Option<String>,
    pub(super) cancel_asked_at: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct InLane {
    id: String,
    serial_key: Option<String>,
    lane_at: Timestamp,
}

#[derive(FromQueryResult)]
struct AskedRow {
    cancel_asked_at: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct LaneRow {
    lane: String,
}

#[derive(FromQueryResult)]
struct Exists {}

/// Condition that a claim is still valid.
fn guard(update: &mut UpdateStatement, claim: &Claim) -> UpdateStatement {
    update
        .table("jobs")
        .and_where(Expr::col("id").eq(claim.id.as_str()))
        .and_where(Expr::col("claim").eq(claim.number))
        .and_where(Expr::col("state").eq(Lane::Running.state()))
        .to_owned()
}

impl Store {
    /// A session whose statements are planned anew: the table grows from nothing to millions of rows and back.
    pub(super) fn write(&self) -> WriteSession {
        self.databases.write().with_fresh_plans()
    }

    pub(super) fn read(&self) -> ReadPrimary {
        self.databases.read_primary().with_fresh_plans()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.databases.clock().now()
    }

    /// When the first job of each lane is due, looking from a time on. On SQLite not on the writing connection.
    pub(super) async fn peek(&self, lanes: &[(Lane, Option<Timestamp>)]) -> Result<Vec<Due>, SessionError> {
        let first = |(place, (lane, floor)): (usize, &(Lane, Option<Timestamp>))| {
            let rows = Query::select()
                .expr_as(Expr::val(i32::try_from(place).unwrap_or(i32::MAX)), "place")
                .column("lane_at")
                .from("jobs")
                .and_where(Expr::col("lane").eq(lane.to_string()))
                .and_where_option(floor.map(|floor| Expr::col("lane_at").gte(floor)))
                .order_by("lane_at", Order::Asc)
                .limit(1)
                .to_owned();
            // SQLite wants a limit of a part in a query of its own.
            Query::select().columns(["place", "lane_at"]).from_subquery(rows, "first").to_owned()
        };
        let mut firsts = lanes.iter().enumerate().map(first);
        let Some(mut select) = firsts.next() else { return Ok(Vec::new()) };
        for other in firsts {
            select.union(UnionType::All, other);
        }
        let mut due: Vec<Due> = lanes.iter().map(|(lane, _)| Due { lane: lane.clone(), at: None }).collect();
        for row in self.read().rows::<DueRow>(&select).await? {
            if let Some(due) = usize::try_from(row.place).ok().and_then(|place| due.get_mut(place)) {
                due.at = Some(row.lane_at);
            }
        }
        Ok(due)
    }

    /// Claims the first jobs of a lane that are due. `None`: this worker was declared dead.
    ///
    /// `expect` is told the claims before they are committed, so that nobody takes them for lost.
    pub(super) async fn claim(
        &self,
        lane: &Lane,
        floor: Option<Timestamp>,
        count: usize,
        worker: WorkerId,
        expect: impl FnOnce(&[Claimed]) + Send,
    ) -> Result<Option<Vec<Claimed>>, SessionError> {
        let session = self.write();
        let due = Query::select()
            .columns(Claim::COLUMNS)
            .columns(super::row::Content::COLUMNS)
            .column("lane_at")
            .from("jobs")
            .and_where(Expr::col("lane").eq(lane.to_string()))
            .and_where_option(floor.map(|floor| Expr::col("lane_at").gte(floor)))
            .and_where(Expr::col("lane_at").lte(session.now()))
            .order_by("lane_at", Order::Asc)
            .order_by("id", Order::Asc)
            .limit(u64::try_from(count).unwrap_or(ROWS_AT_ONCE))
            .to_owned();
        let mut claimed: Vec<Claimed> = rows::take(&session, due).await?;
        if claimed.is_empty() {
            return Ok(Some(claimed));
        }
        let ids: Vec<_> = claimed.iter().map(|claimed| claimed.claim.id.clone()).collect();
        let lives = Query::select()
            .expr(Expr::val(1))
            .from("job_workers")
            .and_where(Expr::col("id").eq(worker))
            .and_where(Expr::col("silent_since").is_null())
            .to_owned();
        let claim = Query::update()
            .table("jobs")
            .value("state", Lane::Running.state())
            .value("lane", Lane::Running.to_string())
            .value("lane_at", session.now())
            .value("started_at", session.now())
            .value("claim", Expr::col("claim").add(1))
            .value("worker_id", worker)
            .value("unique_key", Expr::val(Value::String(None)))
            .and_where(Expr::col("id").is_in(padded(&ids)))
            .and_where(Expr::exists(lives))
            .to_owned();
        if session.execute(&claim).await?.rows_affected() == 0 {
            return Ok(None);
        }
        for claimed in &mut claimed {
            claimed.claim.number += 1;
        }
        expect(&claimed);
        session.commit(()).await?.into_value();
        Ok(Some(claimed))
    }

    /// Ends a job that succeeded, in the session of its effect. `false`: the claim is not valid any more, so the session must not be
    /// committed.
    pub(super) async fn finish(&self, session: &WriteSession, claim: &Claim) -> Result<bool, SessionError> {
        // Not the time of the session, which began before the handler.
        let mut end = ended(claim, &Lane::Done, self.now());
        end.value("last_error", Expr::val(Value::String(None)));
        if session.execute(&end).await?.rows_affected() == 0 {
            return Ok(false);
        }
        vacate(session, claim, self.now()).await?;
        Ok(true)
    }

    /// Records a step in the session of its effect. `false` as in [`finish`](Self::finish).
    pub(super) async fn advance(
        &self,
        session: &WriteSession,
        claim: &Claim,
        cursor: &Json,
        progress: Option<Progress>,
    ) -> Result<bool, SessionError> {
        let mut update = Query::update();
        update
            .value("step", Expr::col("step").add(1))
            .value("step_cursor", cursor.clone())
            .value("failures", 0);
        if let Some(Progress { done, total }) = progress {
            update.value("done_count", done).value("total_count", total);
        }
        Ok(session.execute(&guard(&mut update, claim)).await?.rows_affected() == 1)
    }

    /// Records how a claim ended. `false`: it is not valid any more.
    pub(super) async fn end(&self, claim: &Claim, end: &End) -> Result<bool, SessionError> {
        match self.try_end(claim, end).await {
            // The unique key was taken after this session had looked: look again.
            Err(error) if error.violated_unique().is_some() => self.try_end(claim, end).await,
            ended => ended,
        }
    }

    async fn try_end(&self, claim: &Claim, end: &End) -> Result<bool, SessionError> {
        let session = self.write();
        let (mut lane, mut lane_at) = match end {
            End::Done => (Lane::Done, session.now()),
            End::Failed { again, .. } => (claim.waiting(), *again),
            End::Dead { .. } => (Lane::Dead, session.now()),
            End::Cancelled { .. } => (Lane::Cancelled, session.now()),
            End::Later { again } => (claim.ready(), *again),
            End::Unknown => (claim.odd(), session.now()),
        };
        if !lane.is_end() {
            if self.is_cancelled(&session, claim).await? {
                (lane, lane_at) = (Lane::Cancelled, session.now());
            } else if self.supersedes(&session, claim, lane_at).await? {
                (lane, lane_at) = (Lane::Superseded, session.now());
            }
        }
        let mut update =
            if lane.is_end() { ended(claim, &lane, lane_at) } else { waiting(claim, &lane, lane_at) };
        match end {
            End::Failed { error, .. } | End::Dead { error } => {
                update.value("failures", Expr::col("failures").add(1)).value("last_error", error.as_str());
            }
            End::Cancelled { reason } => {
                update.value("last_error", reason.as_str());
            }
            End::Done => {
                update.value("last_error", Expr::val(Value::String(None)));
            }
            End::Later { .. } | End::Unknown => {}
        }
        if session.execute(&update).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let keeps_turn = matches!(lane, Lane::Ready(..) | Lane::Odd { .. });
        if !keeps_turn {
            vacate(&session, claim, session.now()).await?;
        }
        session.commit(()).await?.into_value();
        self.databases.jobs().send(Wake::new(lane, lane_at));
        self.wake_next(claim);
        Ok(true)
    }

    /// Tells the workers that the next job of its serial key may run.
    pub(super) fn wake_next(&self, claim: &Claim) {
        if claim.serial_key.is_some() {
            self.databases.jobs().send(Wake::new(Lane::Line, self.now()));
        }
    }

    /// Whether it was cancelled while it ran. Who cancels it now waits for the end of this session, and finds that it runs no more.
    async fn is_cancelled(&self, session: &WriteSession, claim: &Claim) -> Result<bool, SessionError> {
        let asked = Query::select()
            .column("cancel_asked_at")
            .from("jobs")
            .and_where(Expr::col("id").eq(claim.id.as_str()))
            .lock_exclusive()
            .to_owned();
        let found = session.rows::<AskedRow>(&asked).await?.pop();
        Ok(found.is_some_and(|row| row.cancel_asked_at.is_some()))
    }

    /// Whether another job with its unique key waits, which then runs at that time at the latest.
    async fn supersedes(
        &self,
        session: &WriteSession,
        claim: &Claim,
        at: Timestamp,
    ) -> Result<bool, SessionError> {
        let Some(key) = &claim.dedup_key else { return Ok(false) };
        let of_this_key = Expr::col("unique_key").eq(key.as_str());
        let other = Query::select().expr(Expr::val(1)).from("jobs").and_where(of_this_key.clone()).to_owned();
        if session.rows::<Exists>(&other).await?.is_empty() {
            return Ok(false);
        }
        let hurry = Query::update()
            .table("jobs")
            .value("lane_at", at)
            .value("due_at", at)
            .and_where(of_this_key)
            .and_where(Expr::col("lane_at").gt(at))
            .to_owned();
        session.execute(&hurry).await?;
        Ok(true)
    }

    /// The jobs that run, in whatever process.
    pub(super) async fn running(&self) -> Result<Vec<RunningRow>, SessionError> {
        let select = Query::select()
            .columns(Claim::COLUMNS)
            .columns(["worker_id", "cancel_asked_at"])
            .from("jobs")
            .and_where(Expr::col("lane").eq(Lane::Running.to_string()))
            .to_owned();
        self.read().rows(&select).await
    }

    /// Those of `lanes` that have a job, of the lanes of unknown kinds.
    pub(super) async fn odd_lanes(&self) -> Result<Vec<String>, SessionError> {
        let mut lanes: Vec<String> = Vec::new();
        while lanes.len() < MOST_ODD_LANES {
            let after = lanes.last().map_or("odd:", String::as_str);
            match self.next_lane(after, Some("odd;")).await? {
                Some(lane) => lanes.push(lane),
                None => break,
            }
        }
        Ok(lanes)
    }

    /// The first lane after another one in which there is a job: one look into the index, however many jobs are in them.
    pub(super) async fn next_lane(
        &self,
        after: &str,
        before: Option<&str>,
    ) -> Result<Option<String>, SessionError> {
        let next = Query::select()
            .column("lane")
            .from("jobs")
            .and_where(Expr::col("lane").gt(after))
            .and_where_option(before.map(|before| Expr::col("lane").lt(before)))
            .order_by("lane", Order::Asc)
            .limit(1)
            .to_owned();
        Ok(self.read().rows::<LaneRow>(&next).await?.pop().map(|row| row.lane))
    }

    /// Makes jobs dead that no worker has known since this time. Returns their number.
    pub(super) async fn bury_unknown(&self, lane: &str, since: &mut Stretch) -> Result<u64, SessionError> {
        let session = self.write();
        let unknown = next_rows(&session, lane, since).await?;
        if unknown.is_empty() {
            return Ok(0);
        }
        let ids: Vec<_> = unknown.iter().map(|row| row.id.clone()).collect();
        let keys: Vec<_> = unknown.into_iter().filter_map(|row| row.serial_key).collect();
        let update = Query::update()
            .table("jobs")
            .value("state", Lane::Dead.state())
            .value("lane", Lane::Dead.to_string())
            .value("lane_at", session.now())
            .value("finished_at", session.now())
            .value("unique_key", Expr::val(Value::String(None)))
            .value("last_error", "no worker knew this kind and version for a day")
            .and_where(Expr::col("id").is_in(padded(&ids)))
            .to_owned();
        let buried = session.execute(&update).await?.rows_affected();
        if !keys.is_empty() {
            let turns = Query::update()
                .table("job_turns")
                .value("vacated_at", session.now())
                .and_where(Expr::col("serial_key").is_in(padded(&keys)))
                .and_where(Expr::col("job_id").is_in(padded(&ids)))
                .and_where(Expr::col("vacated_at").is_null())
                .to_owned();
            session.execute(&turns).await?;
        }
        Ok(session.commit(buried).await?.into_value())
    }

    /// Deletes jobs that ended in this time, the oldest first. Returns their number.
    pub(super) async fn prune(&self, lane: &Lane, ended: &mut Stretch) -> Result<u64, SessionError> {
        let session = self.write();
        let old = next_rows(&session, &lane.to_string(), ended).await?;
        if old.is_empty() {
            return Ok(0);
        }
        let ids: Vec<_> = old.into_iter().map(|row| row.id).collect();
        let delete =
            Query::delete().from_table("jobs").and_where(Expr::col("id").is_in(padded(&ids))).to_owned();
        let deleted = session.execute(&delete).await?.rows_affected();
        Ok(session.commit(deleted).await?.into_value())
    }

    /// Names of the queues that are paused.
    pub(super) async fn paused(&self) -> Result<Vec<String>, SessionError> {
        #[derive(FromQueryResult)]
        struct Paused {
            name: String,
        }
        let select = Query::select()
            .column("name")
            .from("job_queues")
            .and_where(Expr::col("paused_at").is_not_null())
            .to_owned();
        Ok(self.read().rows::<Paused>(&select).await?.into_iter().map(|row| row.name).collect())
    }
}

/// Number of lanes of unknown kinds that one look finds.
const MOST_ODD_LANES: usize = 100;

/// A stretch of time, which the batches of a clean-up pass through.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Time of the last row of the batch before. Without it each batch would pass what those before left in the index, for as long as an
    /// old snapshot needs it.
    from: Option<Timestamp>,
    before: Timestamp,
}

impl Stretch {
    pub(super) fn before(before: Timestamp) -> Self {
        Self { from: None, before }
    }
}

/// The first jobs of a lane in this stretch of time, locked.
async fn next_rows(
    session: &WriteSession,
    lane: &str,
    stretch: &mut Stretch,
) -> Result<Vec<InLane>, SessionError> {
    let select = Query::select()
        .columns(["id", "serial_key", "lane_at"])
        .from("jobs")
        .and_where(Expr::col("lane").eq(lane))
        .and_where_option(stretch.from.map(|from| Expr::col("lane_at").gte(from)))
        .and_where(Expr::col("lane_at").lt(stretch.before))
        .order_by("lane_at", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(ROWS_AT_ONCE)
        .to_owned();
    let found = rows::take::<InLane>(session, select).await?;
    if let Some(last) = found.last() {
        stretch.from = Some(last.lane_at);
    }
    Ok(found)
}

/// Ends a claim for good.
fn ended(claim: &Claim, lane: &Lane, at: Timestamp) -> UpdateStatement {
    let mut update = Query::update();
    update
        .value("state", lane.state())
        .value("lane", lane.to_string())
        .value("lane_at", at)
        .value("finished_at", at)
        .value("worker_id", Expr::val(Value::String(None)));
    guard(&mut update, claim)
}

/// Ends a claim whose job waits again.
fn waiting(claim: &Claim, lane: &Lane, at: Timestamp) -> UpdateStatement {
    let mut update = Query::update();
    update
        .value("state", lane.state())
        .value("lane", lane.to_string())
        .value("lane_at", at)
        .value("due_at", at)
        .value("unique_key", claim.dedup_key.clone())
        .value("worker_id", Expr::val(Value::String(None)));
    guard(&mut update, claim)
}

/// Gives up the turn of a job among those of its serial key.
pub(super) async fn vacate(session: &WriteSession, claim: &Claim, at: Timestamp) -> Result<(), SessionError> {
    let Some(key) = &claim.serial_key else { return Ok(()) };
    let update = Query::update()
        .table("job_turns")
        .value("vacated_at", at)
        .and_where(Expr::col("serial_key").eq(key.as_str()))
        .and_where(Expr::col("job_id").eq(claim.id.as_str()))
        .and_where(Expr::col("vacated_at").is_null())
        .to_owned();
    session.execute(&update).await?;
    Ok(())
}
