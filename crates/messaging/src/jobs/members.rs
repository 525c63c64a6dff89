//! The processes that run jobs: each counts its heart-beats in a row of its own, and rescues the jobs of those that are silent.
//!
//! No clocks are compared: a worker is silent when its count has not moved in six looks in a row, each of which succeeded, and between
//! which our own beat succeeded. So a process that lost the database waits as long before it rescues, and one that cannot write its
//! own beat rescues nobody.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{ConnectionTrait as _, FromQueryResult};
use serde_json::Value as Json;
use shared_kernel::clock::Timestamp;
use shared_kernel::session::{Reader as _, SessionError, WriteSession};

use super::row::WorkerId;
use super::store::Store;
use crate::rows;

/// Number of looks in a row without a beat after which a worker is silent.
const LOOKS: u32 = 6;

/// Number of jobs of each queue that a worker runs at the same time.
pub(super) type Slots = BTreeMap<String, usize>;

/// A worker's row.
#[derive(Debug, FromQueryResult)]
pub(super) struct WorkerRow {
    pub(super) id: String,
    beat: i64,
    silent_since: Option<Timestamp>,
}

/// The beats that were seen.
#[derive(Debug, Default)]
pub(super) struct Watch(HashMap<String, Seen>);

#[derive(Debug)]
struct Seen {
    beat: i64,
    looks: u32,
}

impl Watch {
    /// Begins anew: after a failure nobody is known to be silent.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }

    /// Takes a look at the workers, and returns the silent ones with their beats.
    pub(super) fn look(&mut self, workers: &[WorkerRow], own: WorkerId) -> Vec<(String, i64)> {
        let present: HashSet<&str> = workers.iter().map(|worker| worker.id.as_str()).collect();
        self.0.retain(|id, _| present.contains(id.as_str()));
        let own = own.to_string();
        let others = workers.iter().filter(|worker| worker.silent_since.is_none() && worker.id != own);
        let mut silent = Vec::new();
        for worker in others {
            let seen = self.0.entry(worker.id.clone()).or_insert(Seen { beat: worker.beat, looks: 0 });
            if seen.beat == worker.beat {
                seen.looks += 1;
            } else {
                *seen = Seen { beat: worker.beat, looks: 1 };
            }
            if seen.looks > LOOKS {
                silent.push((worker.id.clone(), worker.beat));
            }
        }
        silent
    }
}

impl Store {
    /// Adds a worker, with the number of jobs of each queue that it runs at the same time.
    pub(super) async fn join(&self, host: &str, slots: &Slots) -> Result<WorkerId, SessionError> {
        let session = self.databases.write();
        let id: WorkerId = session.new_id();
        let queues: Json = slots.iter().map(|(queue, slots)| (queue.clone(), Json::from(*slots))).collect();
        let mut insert = Query::insert();
        insert.into_table("job_workers").columns(["id", "host", "queues", "started_at", "beat_at"]);
        let now = session.now();
        insert.values_panic([id.into(), host.into(), queues.into(), now.into(), now.into()]);
        session.execute(&insert).await?;
        insert_queues(&session, slots).await?;
        Ok(session.commit(id).await?.into_value())
    }

    /// Counts a beat. `false`: another worker has declared this one dead.
    pub(super) async fn beat(&self, worker: WorkerId) -> Result<bool, SessionError> {
        let session = self.databases.write();
        let beat = Query::update()
            .table("job_workers")
            .value("beat", Expr::col("beat").add(1))
            .value("beat_at", session.now())
            .and_where(Expr::col("id").eq(worker))
            .and_where(Expr::col("silent_since").is_null())
            .to_owned();
        let lives = session.execute(&beat).await?.rows_affected() == 1;
        Ok(session.commit(lives).await?.into_value())
    }

    /// All workers.
    pub(super) async fn workers(&self) -> Result<Vec<WorkerRow>, SessionError> {
        let select = Query::select().columns(["id", "beat", "silent_since"]).from("job_workers").to_owned();
        self.databases.read_primary().rows(&select).await
    }

    /// Declares a worker dead whose beat is still that one.
    pub(super) async fn declare_silent(&self, id: &str, beat: i64) -> Result<bool, SessionError> {
        let session = self.databases.write();
        let same = Query::select()
            .columns(["id", "beat", "silent_since"])
            .from("job_workers")
            .and_where(Expr::col("id").eq(id))
            .and_where(Expr::col("beat").eq(beat))
            .and_where(Expr::col("silent_since").is_null())
            .to_owned();
        if rows::take::<WorkerRow>(&session, same).await?.is_empty() {
            return Ok(false);
        }
        let declare = Query::update()
            .table("job_workers")
            .value("silent_since", session.now())
            .and_where(Expr::col("id").eq(id))
            .to_owned();
        session.execute(&declare).await?;
        Ok(session.commit(true).await?.into_value())
    }

    /// Removes a worker. Its jobs, if it still had any, are then those of nobody, and are rescued.
    pub(super) async fn leave(&self, worker: &str) -> Result<(), SessionError> {
        let session = self.databases.write();
        let delete =
            Query::delete().from_table("job_workers").and_where(Expr::col("id").eq(worker)).to_owned();
        session.execute(&delete).await?;
        session.commit(()).await?.into_value();
        Ok(())
    }
}

/// Notes the names of queues, so that they can be paused when no worker runs.
async fn insert_queues(session: &WriteSession, slots: &Slots) -> Result<(), SessionError> {
    if slots.is_empty() {
        return Ok(());
    }
    let mut insert = Query::insert();
    insert.into_table("job_queues").columns(["name"]);
    for queue in slots.keys() {
        insert.values_panic([queue.as_str().into()]);
    }
    insert.on_conflict(OnConflict::column("name").do_nothing().to_owned());
    session.execute(&insert).await?;
    Ok(())
}

/// Workers whose jobs are to be rescued, out of all.
pub(super) struct Living(HashSet<String>);

impl Living {
    pub(super) fn of(workers: &[WorkerRow]) -> Self {
        let living = workers.iter().filter(|worker| worker.silent_since.is_none());
        Self(living.map(|worker| worker.id.clone()).collect())
    }

    pub(super) fn contains(&self, worker: Option<&str>) -> bool {
        worker.is_some_and(|worker| self.0.contains(worker))
    }
}

impl WorkerRow {
    /// Whether it was declared dead.
    pub(super) fn is_silent(&self) -> bool {
        self.silent_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_unix_millis(millis).unwrap()
    }

    fn row(id: WorkerId, beat: i64) -> WorkerRow {
        WorkerRow { id: id.to_string(), beat, silent_since: None }
    }

    #[test]
    fn a_worker_is_silent_after_six_looks_without_a_beat() {
        let (own, other) = (WorkerId::new(at(1)), WorkerId::new(at(2)));
        let mut watch = Watch::default();
        for look in 0..6 {
            assert!(watch.look(&[row(own, 1), row(other, 7)], own).is_empty(), "{look}");
        }
        assert_eq!(watch.look(&[row(own, 1), row(other, 7)], own), [(other.to_string(), 7)]);
        // A late beat, and it is not.
        assert!(watch.look(&[row(own, 1), row(other, 8)], own).is_empty());
    }

    #[test]
    fn a_failure_starts_the_count_anew() {
        let (own, other) = (WorkerId::new(at(1)), WorkerId::new(at(2)));
        let mut watch = Watch::default();
        for _ in 0..20 {
            watch.forget();
            for _ in 0..6 {
                assert!(watch.look(&[row(other, 7)], own).is_empty());
            }
        }
    }
}
