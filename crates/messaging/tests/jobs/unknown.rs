//! Kinds and versions that a worker does not know: two registries side by side, as in a rolling deploy.

use std::time::Duration;

use messaging::WaitsFor;
use serde::{Deserialize, Serialize};
use shared_kernel::job::Job;
use shared_kernel::job_handler::{Attempt, External, JobKind, Stop};

use crate::support::*;

/// The version that the new release knows.
#[derive(Debug, Serialize, Deserialize)]
struct Greeting {
    name: String,
    title: String,
}

impl Job for Greeting {
    const KIND: &'static str = "test.greeting";
    const VERSION: i32 = 2;
    const OLDEST_VERSION: i32 = 1;

    fn from_payload(version: i32, payload: &serde_json::Value) -> Result<Self, serde_json::Error> {
        if version == 1 {
            let old = OldGreeting::deserialize(payload)?;
            return Ok(Self { name: old.name, title: "none".to_owned() });
        }
        Self::deserialize(payload)
    }

    fn unique_key(&self) -> Option<String> {
        Some(self.name.clone())
    }
}

/// That of the release before.
#[derive(Debug, Serialize, Deserialize)]
struct OldGreeting {
    name: String,
}

impl Job for OldGreeting {
    const KIND: &'static str = "test.greeting";
}

struct Greeter(tokio::sync::mpsc::UnboundedSender<String>);

impl External<Greeting> for Greeter {
    async fn run(&self, job: &Greeting, _: &Attempt) -> Result<(), Stop> {
        Ok(self.0.send(format!("{} {}", job.title, job.name))?)
    }
}

impl External<OldGreeting> for Greeter {
    async fn run(&self, job: &OldGreeting, _: &Attempt) -> Result<(), Stop> {
        Ok(self.0.send(job.name.clone())?)
    }
}

fn greeting(name: &str) -> Greeting {
    Greeting { name: name.to_owned(), title: "Countess".to_owned() }
}

#[tokio::test]
async fn a_job_goes_back_untouched_to_those_who_know_it() {
    let (database, _) = at_rest().await;
    let (sender, mut greeted) = tokio::sync::mpsc::unbounded_channel();
    let old = workers(&database, vec![JobKind::external::<OldGreeting>(Greeter(sender.clone()))]);
    let new = workers(&database, vec![JobKind::external::<Greeting>(Greeter(sender))]);
    let newer = enqueue(&database, &greeting("Ada")).await;
    enqueue(&database, &OldGreeting { name: "Bob".to_owned() }).await;
    assert_eq!(old.run_pending().await.unwrap(), 2);
    let row = job(&database, newer).await;
    assert_eq!((row.state.as_str(), row.failures, row.last_error), ("waiting", 0, None));
    assert_eq!(row.lane, "odd:default:test.greeting:2");
    let shown = Operator::of(&database).get(newer).await.unwrap();
    assert_eq!(shown.waits_for(clock_now(&database)), Some(WaitsFor::Kind));
    assert_eq!(row.unique_key.as_deref(), Some("test.greeting:Ada"), "it still waits");
    assert_eq!(old.run_pending().await.unwrap(), 0, "it is not claimed again and again");
    enqueue(&database, &OldGreeting { name: "Cyd".to_owned() }).await;

    // The new release reads both.
    assert_eq!(new.run_pending().await.unwrap(), 2);
    assert_eq!(states(&database).await, ["done", "done", "done"]);
    let mut names = Vec::new();
    while let Ok(name) = greeted.try_recv() {
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["Bob", "Countess Ada", "none Cyd"]);
}

#[tokio::test]
async fn a_duplicate_of_a_known_version_makes_it_run() {
    let (database, _) = at_rest().await;
    let (sender, mut greeted) = tokio::sync::mpsc::unbounded_channel();
    let old = workers(&database, vec![JobKind::external::<OldUnique>(Greeter(sender))]);
    enqueue(&database, &greeting("Ada")).await;
    assert_eq!(old.run_pending().await.unwrap(), 1);
    enqueue(&database, &OldUnique(OldGreeting { name: "Ada".to_owned() })).await;
    assert_eq!(states(&database).await, ["waiting"]);
    assert_eq!(old.run_pending().await.unwrap(), 1);
    assert_eq!(greeted.try_recv().unwrap(), "Ada");
    assert_eq!(states(&database).await, ["done"]);
}

/// The old version with the same unique key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct OldUnique(OldGreeting);

impl Job for OldUnique {
    const KIND: &'static str = "test.greeting";

    fn unique_key(&self) -> Option<String> {
        Some(self.0.name.clone())
    }
}

impl External<OldUnique> for Greeter {
    async fn run(&self, job: &OldUnique, _: &Attempt) -> Result<(), Stop> {
        Ok(self.0.send(job.0.name.clone())?)
    }
}

#[tokio::test]
async fn what_nobody_knows_for_a_day_is_dead() {
    let (database, clock) = at_rest().await;
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);
    let id = enqueue(&database, &greeting("Ada")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    clock.advance(Duration::from_hours(24));
    workers.prune().await.unwrap();
    assert_eq!(job(&database, id).await.state, "waiting");
    clock.advance(Duration::from_secs(1));
    workers.prune().await.unwrap();
    let row = job(&database, id).await;
    assert_eq!((row.state.as_str(), row.failures, row.unique_key), ("dead", 0, None));
    assert_eq!(row.last_error.as_deref(), Some("no worker knew this kind and version for a day"));
}

#[tokio::test]
async fn old_jobs_are_deleted_and_dead_ones_are_kept_for_longer() {
    let (database, clock) = at_rest().await;
    let kind = JobKind::transactional::<Note>(Writer::new(|text, _| match text {
        "fails" => Err("no".into()),
        "cancels" => Err(Stop::Cancel("no".to_owned())),
        _ => Ok(()),
    }));
    let workers = workers(&database, vec![kind.tries(1)]);
    for _ in 0..600 {
        enqueue(&database, &note("done")).await;
    }
    enqueue(&database, &note("fails")).await;
    enqueue(&database, &note("cancels")).await;
    assert_eq!(soon(workers.run_pending()).await.unwrap(), 602);
    clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(workers.prune().await.unwrap(), 0);
    clock.advance(Duration::from_secs(1));
    assert_eq!(workers.prune().await.unwrap(), 601);
    assert_eq!(states(&database).await, ["dead"]);
    clock.advance(Duration::from_hours(83 * 24));
    assert_eq!(workers.prune().await.unwrap(), 1);
}

#[tokio::test]
async fn health_tells_what_waits_and_what_nobody_knows() {
    let (database, _) = at_rest().await;
    let workers = workers(&database, vec![JobKind::transactional::<Note>(Writer::succeeding())]);
    enqueue(&database, &greeting("Ada")).await;
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    enqueue(&database, &note("waits")).await;
    let status = workers.status().await.unwrap();
    let queues: Vec<_> = status.queues.iter().map(|depth| (depth.queue.as_str(), depth.due)).collect();
    assert_eq!(queues, [("default", 1)]);
    let unknown: Vec<_> = status.unknown.iter().map(|kind| (kind.kind.as_str(), kind.version)).collect();
    assert_eq!(unknown, [("test.greeting", 2)]);
    // Probes come often.
    assert_eq!(workers.run_pending().await.unwrap(), 1);
    assert_eq!(workers.status().await.unwrap(), status);
    assert_eq!(shared_kernel::testing::enqueued::<Greeting>(&database).await.len(), 1);
}

#[tokio::test]
async fn what_others_did_not_know_goes_before_a_backlog() {
    let (database, _) = at_rest().await;
    let (sender, mut greeted) = tokio::sync::mpsc::unbounded_channel();
    let old = workers(&database, vec![JobKind::external::<OldGreeting>(Greeter(sender.clone()))]);
    enqueue(&database, &greeting("Ada")).await;
    assert_eq!(old.run_pending().await.unwrap(), 1);
    for number in 0..50 {
        enqueue(&database, &OldGreeting { name: number.to_string() }).await;
    }
    let settings = messaging::WorkerSettings { slots: 1, ..quick() };
    let new = workers_with(&database, vec![JobKind::external::<Greeting>(Greeter(sender))], settings);
    assert_eq!(new.run_pending().await.unwrap(), 51);
    assert_eq!(greeted.recv().await.unwrap(), "Countess Ada");
}
