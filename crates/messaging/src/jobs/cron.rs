//! Schedules: each time is enqueued once, whichever of the workers is first.
//!
//! A row for each schedule says which time was last. Who moves it on enqueues the job in the same transaction, so there is no time
//! without its job, and no job twice.

use std::convert::Infallible;
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{ConnectionTrait as _, FromQueryResult};
use shared_kernel::clock::Timestamp;
use shared_kernel::event::Origin;
use shared_kernel::job_handler::{Missed, Schedule};
use shared_kernel::session::{Reader as _, SessionError};
use tokio::time::sleep;

use super::Workers;
use super::store::Store;
use crate::work::{PAUSE_AFTER_FAILURE, Trouble};

/// Longest pause between two looks at the clock, which may be set.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Time after which a time was missed.
const LATE: Duration = Duration::from_mins(1);

/// Number of times that one look passes. After a longer outage the next looks go on from there.
const PASSED_AT_ONCE: usize = 10_000;

/// A time of a schedule, and the one before it that was handled.
#[derive(Clone, Copy, Debug)]
struct Tick {
    last: Timestamp,
    tick: Timestamp,
}

#[derive(FromQueryResult)]
struct LastTick {
    last_tick: Timestamp,
}

impl Store {
    /// Deletes schedules whose next time has passed that long ago: no worker has them any more. Returns their number.
    pub(super) async fn prune_schedules(&self, before: Timestamp) -> Result<u64, SessionError> {
        let session = self.databases.write();
        let delete = Query::delete()
            .from_table("job_schedules")
            .and_where(Expr::col("next_tick").lt(before))
            .to_owned();
        let deleted = session.execute(&delete).await?.rows_affected();
        Ok(session.commit(deleted).await?.into_value())
    }

    /// The last time of a schedule that was handled. A schedule that is new has had none before now.
    async fn last_tick(&self, schedule: &Schedule) -> Result<Timestamp, SessionError> {
        let select = Query::select()
            .column("last_tick")
            .from("job_schedules")
            .and_where(Expr::col("name").eq(schedule.name()))
            .to_owned();
        if let Some(row) = self.databases.read_primary().rows::<LastTick>(&select).await?.pop() {
            return Ok(row.last_tick);
        }
        let session = self.databases.write();
        let now = session.now();
        let mut insert = Query::insert();
        insert.into_table("job_schedules").columns(["name", "last_tick", "next_tick"]);
        insert.values_panic([
            schedule.name().into(),
            now.into(),
            schedule.next_after(now).unwrap_or(now).into(),
        ]);
        insert.on_conflict(OnConflict::column("name").do_nothing().to_owned());
        session.execute(&insert).await?;
        Ok(session.commit(now).await?.into_value())
    }

    /// Handles the time `tick`, with the job unless it was missed. `false`: another worker has done so.
    async fn tick(
        &self,
        schedule: &Schedule,
        Tick { last, tick }: Tick,
        enqueues: bool,
    ) -> Result<bool, SessionError> {
        let session = self.databases.write();
        session.set_origin(Origin::system(schedule.name()));
        let mut update = Query::update();
        update
            .table("job_schedules")
            .value("last_tick", tick)
            .value("next_tick", schedule.next_after(tick).unwrap_or(tick))
            .and_where(Expr::col("name").eq(schedule.name()))
            .and_where(Expr::col("last_tick").eq(last));
        if enqueues {
            let id = schedule.enqueue(&session)?;
            update.value("last_job_id", id);
        }
        if session.execute(&update).await?.rows_affected() == 0 {
            return Ok(false);
        }
        Ok(session.commit(true).await?.into_value())
    }
}

impl Workers {
    /// Enqueues the jobs of the schedules, for ever.
    pub(super) async fn keep_time(&self) -> Infallible {
        let mut trouble = Trouble::new("scheduled jobs cannot be enqueued");
        loop {
            let ticked = self.tick().await;
            if ticked.is_ok() {
                trouble.is_over();
            }
            let pause = match ticked {
                Ok(Some(next)) => next.since(self.shared.store.now()).min(LONGEST_PAUSE),
                Ok(None) => LONGEST_PAUSE,
                Err(error) => {
                    trouble.failed(&error);
                    PAUSE_AFTER_FAILURE
                }
            };
            sleep(pause).await;
        }
    }

    /// Enqueues the jobs whose time has come, and returns the next time. [`run`](Self::run) does this by itself.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn tick(&self) -> Result<Option<Timestamp>, SessionError> {
        let (mut next, mut failed): (Option<Timestamp>, _) = (None, None);
        for schedule in &self.shared.schedules {
            match self.tick_one(schedule).await {
                Ok(time) => next = next.into_iter().chain(time).min(),
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(next), Err)
    }

    async fn tick_one(&self, schedule: &Schedule) -> Result<Option<Timestamp>, SessionError> {
        let store = &self.shared.store;
        let now = store.now();
        let mut last = store.last_tick(schedule).await?;
        // A clock that was ahead has handled times that are still to come.
        if schedule.next_after(now).is_some_and(|next| last > next) {
            store.tick(schedule, Tick { last, tick: now }, false).await?;
            last = now;
        }
        let times = std::iter::successors(schedule.next_after(last), |time| schedule.next_after(*time));
        let Some(tick) = times.take_while(|time| *time <= now).take(PASSED_AT_ONCE).last() else {
            return Ok(schedule.next_after(last));
        };
        let next = schedule.next_after(tick);
        let is_last = next.is_none_or(|next| next > now);
        let is_late = now.since(tick) > LATE;
        let enqueues = is_last && !(is_late && schedule.after_a_miss() == Missed::Skip);
        store.tick(schedule, Tick { last, tick }, enqueues).await?;
        Ok(next)
    }
}
