//! Jobs with a serial key: of each key one has the turn, and the others wait behind it.
//!
//! Who enqueues takes no lock: the job is placed in [`Lane::Line`], and whoever looks for work sorts. Two invariants hold:
//!
//! 1. A job with a serial key is in a lane that can be claimed, or runs, only while its turn names it and is not vacated.
//! 2. Where a job is [behind](Lane::Behind) a key, the key has a turn.
//!
//! A job is put behind a key, and a turn is deleted, only under the lock of the turn; and its holder ends by writing it. So whoever
//! ends afterwards sees the job that was put behind it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait as _, FromQueryResult, Value};
use shared_kernel::clock::Timestamp;
use shared_kernel::job::{Lane, Priority, Queue, Wake};
use shared_kernel::session::{Reader as _, SessionError, WriteSession};

use super::store::{ROWS_AT_ONCE, Store};
use crate::rows::{self, padded};

/// Number of vacant turns that one transaction gives away.
const TURNS_AT_ONCE: u64 = 200;

#[derive(FromQueryResult)]
struct InLine {
    id: String,
    serial_key: String,
    queue: String,
    priority: i16,
    lane_at: Timestamp,
}

/// What a pass over the line has done.
pub(super) struct Sorted {
    /// Whether there may be more to do.
    pub(super) is_more: bool,
    /// Time from which on jobs may be left in line. Those that were sorted leave entries in the index that each pass from the beginning
    /// reads, for as long as an old snapshot needs them.
    pub(super) floor: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct Turn {
    serial_key: String,
    job_id: String,
    vacated_at: Option<Timestamp>,
}

#[derive(FromQueryResult)]
struct Vacant {
    vacated_at: Timestamp,
}

/// The first job behind a key.
#[derive(FromQueryResult)]
struct Next {
    id: String,
    queue: String,
    priority: i16,
}

/// Where a job that has its turn waits for a worker.
fn ready(queue: &str, priority: i16) -> Lane {
    Lane::Ready(queue.parse().unwrap_or(Queue::DEFAULT), Priority::of_number(priority))
}

impl Store {
    /// Whether a turn is vacant.
    pub(super) async fn has_vacant_turn(&self) -> Result<bool, SessionError> {
        let select = Query::select()
            .column("vacated_at")
            .from("job_turns")
            .and_where(Expr::col("vacated_at").is_not_null())
            .order_by("vacated_at", Order::Asc)
            .limit(1)
            .to_owned();
        let found = self.databases.read_primary().with_fresh_plans().rows::<Vacant>(&select).await?;
        Ok(found.first().is_some_and(|turn| turn.vacated_at <= self.now()))
    }

    /// Sorts jobs in line, from a time on, and gives vacant turns to the first jobs behind them.
    pub(super) async fn sort(&self, floor: Option<Timestamp>) -> Result<Sorted, SessionError> {
        let session = self.write();
        let mut lanes = BTreeSet::new();
        let (sorted, floor) = self.sort_line(&session, floor, &mut lanes).await?;
        let given = give_turns(&session, &mut lanes).await?;
        let now = session.now();
        session.commit(()).await?.into_value();
        for lane in lanes {
            self.databases.jobs().send(Wake::new(lane, now));
        }
        Ok(Sorted { is_more: sorted == ROWS_AT_ONCE || given == TURNS_AT_ONCE, floor })
    }

    /// Gives a turn to the oldest job of each key that has none, and puts the others behind. Returns the number of jobs and the time from
    /// which on others may be left, and adds the lanes of those that have their turn.
    async fn sort_line(
        &self,
        session: &WriteSession,
        floor: Option<Timestamp>,
        lanes: &mut BTreeSet<Lane>,
    ) -> Result<(u64, Option<Timestamp>), SessionError> {
        let line = Query::select()
            .columns(["id", "serial_key", "queue", "priority", "lane_at"])
            .from("jobs")
            .and_where(Expr::col("lane").eq(Lane::Line.to_string()))
            .and_where_option(floor.map(|floor| Expr::col("lane_at").gte(floor)))
            .and_where(Expr::col("lane_at").lte(session.now()))
            .order_by("lane_at", Order::Asc)
            .order_by("id", Order::Asc)
            .limit(ROWS_AT_ONCE)
            .to_owned();
        let line: Vec<InLine> = rows::take(session, line).await?;
        if line.is_empty() {
            return Ok((0, floor));
        }
        let mut oldest: BTreeMap<&str, &str> = BTreeMap::new();
        for job in &line {
            oldest.entry(&job.serial_key).or_insert(&job.id);
        }
        let keys: Vec<String> = oldest.keys().map(|key| (*key).to_owned()).collect();
        for turn in session.rows::<Turn>(&turns_of(&keys)).await? {
            oldest.remove(turn.serial_key.as_str());
        }
        insert_turns(session, &oldest).await?;
        let turns: HashMap<String, Turn> = rows::take::<Turn>(session, turns_of(&keys))
            .await?
            .into_iter()
            .map(|turn| (turn.serial_key.clone(), turn))
            .collect();
        let (mut ready, mut behind, mut undecided) = (Vec::new(), Vec::new(), None);
        for job in &line {
            match turns.get(&job.serial_key) {
                // Its holder is just ending: the next pass decides.
                None => undecided = undecided.or(Some(job.lane_at)),
                Some(turn) if turn.vacated_at.is_none() && turn.job_id == job.id => {
                    lanes.insert(self::ready(&job.queue, job.priority));
                    ready.push(job.id.clone());
                }
                Some(_) => behind.push(job.id.clone()),
            }
        }
        let place = "queue || '.' || CAST(priority AS CHAR(1))";
        self.place(session, &ready, place, Some(session.now())).await?;
        self.place(session, &behind, "'key:' || serial_key", None).await?;
        let floor = undecided.or(line.last().map(|job| job.lane_at));
        Ok((u64::try_from(line.len()).unwrap_or(ROWS_AT_ONCE), floor))
    }

    /// Moves jobs to the lane that `lane` gives.
    async fn place(
        &self,
        session: &WriteSession,
        ids: &[String],
        lane: &'static str,
        at: Option<Timestamp>,
    ) -> Result<(), SessionError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut update = Query::update();
        update.table("jobs").value("lane", Expr::cust(lane)).and_where(Expr::col("id").is_in(padded(ids)));
        if let Some(at) = at {
            update.value("lane_at", at);
        }
        session.execute(&update).await?;
        Ok(())
    }
}

fn turns_of(keys: &[String]) -> SelectStatement {
    Query::select()
        .columns(["serial_key", "job_id", "vacated_at"])
        .from("job_turns")
        .and_where(Expr::col("serial_key").is_in(padded(keys)))
        .to_owned()
}

/// Adds turns, in the order of their keys, which prevents deadlocks. One that another worker adds at the same time stays.
async fn insert_turns(session: &WriteSession, turns: &BTreeMap<&str, &str>) -> Result<(), SessionError> {
    if turns.is_empty() {
        return Ok(());
    }
    let mut insert = Query::insert();
    insert.into_table("job_turns").columns(["serial_key", "job_id"]);
    for (key, job) in turns {
        insert.values_panic([(*key).into(), (*job).into()]);
    }
    insert.on_conflict(OnConflict::column("serial_key").do_nothing().to_owned());
    session.execute(&insert).await?;
    Ok(())
}

/// Gives vacant turns to the first jobs behind them, and deletes those that nobody waits for. Returns the number of turns.
async fn give_turns(session: &WriteSession, lanes: &mut BTreeSet<Lane>) -> Result<u64, SessionError> {
    let vacant = Query::select()
        .columns(["serial_key", "job_id", "vacated_at"])
        .from("job_turns")
        .and_where(Expr::col("vacated_at").is_not_null())
        .order_by("vacated_at", Order::Asc)
        .limit(TURNS_AT_ONCE)
        .to_owned();
    let vacant: Vec<Turn> = rows::take(session, vacant).await?;
    for turn in &vacant {
        lanes.extend(give_turn(session, &turn.serial_key).await?);
    }
    Ok(u64::try_from(vacant.len()).unwrap_or(TURNS_AT_ONCE))
}

/// Returns the lane of the job that has the turn now.
async fn give_turn(session: &WriteSession, key: &str) -> Result<Option<Lane>, SessionError> {
    let behind = Query::select()
        .columns(["id", "queue", "priority"])
        .from("jobs")
        .and_where(Expr::col("lane").eq(Lane::Behind(key.to_owned()).to_string()))
        .order_by("lane_at", Order::Asc)
        .order_by("id", Order::Asc)
        .limit(1)
        .to_owned();
    let of_this_key = Expr::col("serial_key").eq(key);
    if let Some(next) = rows::take::<Next>(session, behind.clone()).await?.pop() {
        let turn = Query::update()
            .table("job_turns")
            .value("job_id", next.id.as_str())
            .value("vacated_at", Expr::val(Value::TimeDateTimeWithTimeZone(None)))
            .and_where(of_this_key)
            .to_owned();
        session.execute(&turn).await?;
        let job = Query::update()
            .table("jobs")
            .value("lane", Expr::cust("queue || '.' || CAST(priority AS CHAR(1))"))
            .value("lane_at", session.now())
            .and_where(Expr::col("id").eq(next.id.as_str()))
            .to_owned();
        session.execute(&job).await?;
        return Ok(Some(ready(&next.queue, next.priority)));
    }
    // Otherwise those behind are locked by whoever changes their payload: the next pass decides.
    if session.rows::<Next>(&behind).await?.is_empty() {
        let turn = Query::delete().from_table("job_turns").and_where(of_this_key).to_owned();
        session.execute(&turn).await?;
    }
    Ok(None)
}
