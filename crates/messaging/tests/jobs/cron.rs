//! Schedules.

use std::time::Duration;

use messaging::{InvalidKinds, JobRegistry, WorkerSettings, Workers};
use sea_orm::sea_query::Query;
use sea_orm::{ConnectionTrait, FromQueryResult};
use shared_kernel::clock::Timestamp;
use shared_kernel::job_handler::{JobKind, Missed, Schedule};
use shared_kernel::session::{Databases, Reader};
use shared_kernel::testing::concurrently;

use crate::support::*;

fn scheduled(databases: &Databases, schedules: Vec<Schedule>) -> Workers {
    let kinds = vec![JobKind::transactional::<Note>(Writer::succeeding())];
    Workers::new(databases.clone(), JobRegistry { kinds, schedules }, WorkerSettings::default()).unwrap()
}

/// What people see of a schedule.
#[derive(FromQueryResult)]
struct Shown {
    last_job_id: Option<String>,
    next_tick: Timestamp,
}

/// At each full hour.
fn hourly(missed: Missed) -> Schedule {
    Schedule::new("test.hourly", "0 * * * * UTC", note("hour")).unwrap().missed(missed)
}

#[tokio::test]
async fn each_time_enqueues_one_job_among_many_workers() {
    let (database, clock) = at_rest().await;
    let workers = scheduled(&database, vec![hourly(Missed::Once)]);
    // A schedule that is new does not look back.
    let next = workers.tick().await.unwrap().unwrap();
    assert_eq!(next.since(database.clock().now()), Duration::from_hours(1));
    assert!(jobs(&database).await.is_empty());
    for hour in 1..=3 {
        clock.advance(Duration::from_hours(1));
        let all = concurrently(8, |_| {
            let workers = workers.clone();
            async move { workers.tick().await.unwrap() }
        })
        .await;
        assert!(all.iter().all(Option::is_some));
        assert_eq!(jobs(&database).await.len(), hour);
    }
    assert_eq!(workers.run_pending().await.unwrap(), 3);
    let row = jobs(&database).await.pop().unwrap();
    assert_eq!(row.principal.as_deref(), Some("system:test.hourly"));

    let select = Query::select().columns(["last_job_id", "next_tick"]).from("job_schedules").to_owned();
    let shown: Shown = database.read_primary().rows(&select).await.unwrap().pop().unwrap();
    assert_eq!(shown.last_job_id, Some(row.id));
    assert_eq!(shown.next_tick.since(database.clock().now()), Duration::from_hours(1));
}

#[tokio::test]
async fn times_that_were_missed_are_made_up_for_once_or_not_at_all() {
    for (missed, made_up) in [(Missed::Once, 1), (Missed::Skip, 0)] {
        let (database, clock) = at_rest().await;
        let workers = scheduled(&database, vec![hourly(missed)]);
        workers.tick().await.unwrap();
        // At rest is a full hour; five were missed, and the last one by more than a minute.
        clock.advance(Duration::from_mins(5 * 60 + 2));
        let next = workers.tick().await.unwrap().unwrap();
        assert_eq!(next.since(database.clock().now()), Duration::from_mins(58));
        assert_eq!(jobs(&database).await.len(), made_up, "{missed:?}");
        // A little late is not missed.
        clock.advance(Duration::from_mins(58) + Duration::from_secs(59));
        workers.tick().await.unwrap();
        assert_eq!(jobs(&database).await.len(), made_up + 1, "{missed:?}");
    }
}

#[tokio::test]
async fn after_a_long_outage_the_clock_is_caught_up_with() {
    let (database, clock) = at_rest().await;
    let minutely = Schedule::new("test.minutely", "* * * * * UTC", note("minute")).unwrap();
    let workers = scheduled(&database, vec![minutely]);
    workers.tick().await.unwrap();
    clock.advance(Duration::from_hours(24 * 30));
    let mut looks = 0;
    while workers.tick().await.unwrap().is_none_or(|next| next <= database.clock().now()) {
        looks += 1;
    }
    assert!(looks <= 5, "{looks}");
    assert_eq!(jobs(&database).await.len(), 1, "all that were missed are made up for once");
}

#[tokio::test]
async fn two_schedules_of_one_name_are_refused() {
    let (database, _) = at_rest().await;
    let jobs =
        JobRegistry { schedules: vec![hourly(Missed::Once), hourly(Missed::Skip)], ..JobRegistry::default() };
    let refused = Workers::new((*database).clone(), jobs, WorkerSettings::default());
    assert!(matches!(refused, Err(InvalidKinds::SameSchedule("test.hourly"))));
}

#[tokio::test]
async fn a_schedule_of_a_kind_that_nobody_runs_is_refused() {
    let (database, _) = at_rest().await;
    let registry = JobRegistry { schedules: vec![hourly(Missed::Once)], ..JobRegistry::default() };
    let refused = Workers::new((*database).clone(), registry, WorkerSettings::default());
    assert!(matches!(refused, Err(InvalidKinds::NoKind { schedule: "test.hourly", kind: "test.note" })));
}

#[tokio::test]
async fn a_schedule_that_no_worker_has_any_more_is_forgotten() {
    let (database, clock) = at_rest().await;
    scheduled(&database, vec![hourly(Missed::Once)]).tick().await.unwrap();
    let others = scheduled(&database, Vec::new());
    let shown = others.admin().schedules().await.unwrap();
    assert_eq!((shown[0].name.as_str(), shown[0].last_at, shown[0].last_job_id), ("test.hourly", None, None));
    clock.advance(Duration::from_hours(24 * 91));
    assert_eq!(others.prune().await.unwrap(), 1);
    assert!(others.admin().schedules().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_clock_that_was_ahead_does_not_silence_a_schedule() {
    let (database, clock) = at_rest().await;
    let workers = scheduled(&database, vec![hourly(Missed::Once)]);
    workers.tick().await.unwrap();
    // A process whose clock is a year ahead has handled a time.
    let ahead = database.clock().now() + Duration::from_hours(365 * 24);
    let update = Query::update().table("job_schedules").value("last_tick", ahead).to_owned();
    database.primary().execute(&update).await.unwrap();
    workers.tick().await.unwrap();
    assert!(jobs(&database).await.is_empty());
    clock.advance(Duration::from_hours(1));
    workers.tick().await.unwrap();
    assert_eq!(jobs(&database).await.len(), 1);
}
