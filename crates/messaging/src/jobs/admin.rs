//! What operators may do with jobs.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Expr, ExprTrait as _, Query, UpdateStatement};
use sea_orm::{ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, Select, Value};
use shared_kernel::clock::Timestamp;
use shared_kernel::error::DomainError;
use shared_kernel::job::{JobId, JobState, Lane, Queue, Wake};
use shared_kernel::kernel_error::KernelError;
use shared_kernel::page::{self, Order, Page, PageRequest};
use shared_kernel::session::{Databases, Reader, SessionError, WriteSession};

use super::notify::tell;
use super::record::{Column, Entity, Model as JobRecord};
use super::store::{Store, vacate};
use crate::work::report;

/// The jobs of an installation, for its operators.
#[derive(Clone)]
pub struct JobAdmin {
    pub(super) store: Store,
    /// Queues of the kinds that this process knows.
    pub(super) known: BTreeSet<Queue>,
    /// Whether this process exchanges wake-ups with others: otherwise an operation tells them.
    exchanges: bool,
}

/// Which jobs are listed: those that fulfil all conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Jobs in this state.
    pub state: Option<JobState>,
    /// Jobs of this queue.
    pub queue: Option<String>,
    /// Jobs of this kind.
    pub kind: Option<String>,
}

/// An operation that cannot be done.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum JobAdminError {
    /// There is no such job, or it was deleted because it ended long ago.
    #[error("there is no such job")]
    #[problem(
        kind = NotFound,
        code = "job_not_found",
        title = "There is no such job",
        help = "No job has this id. Jobs are deleted some time after their end: `jobs.kept_days` and `jobs.dead_kept_days` say when."
    )]
    NotFound,
    /// Its state does not allow it, or has just changed.
    #[error("the job is {state}: {why}")]
    #[problem(
        kind = Conflict,
        code = "job_state",
        title = "The state of the job does not allow this",
        help = "A job that waits, or ended without success, can be tried again; one that waits or runs can be cancelled. \
                Its state may have changed meanwhile: read it again.",
        example = "the job is done: it has ended"
    )]
    State {
        /// Its state.
        state: JobState,
        /// What is possible.
        why: &'static str,
    },
    /// No worker has ever served a queue of this name, and no job waits in one.
    #[error("there is no such queue: there are {known}")]
    #[problem(
        kind = NotFound,
        code = "queue_not_found",
        title = "There is no such queue",
        help = "No kind of job has a queue of this name, no worker has ever served it, and no job waits in it. Check the name.",
        example = "there is no such queue: there are default, mail"
    )]
    NoQueue {
        /// Those that there are.
        known: String,
    },
    /// The database failed, or a cursor is wrong.
    #[error(transparent)]
    #[problem(kernel)]
    Kernel(KernelError),
}

impl JobAdmin {
    /// The jobs of `databases`, for a process that runs none: a command.
    #[must_use]
    pub fn new(databases: Databases) -> Self {
        Self { store: Store { databases }, known: BTreeSet::new(), exchanges: false }
    }

    pub(super) fn of_workers(store: Store, known: BTreeSet<Queue>) -> Self {
        Self { store, known, exchanges: true }
    }

    /// The time now, to say what a job [waits for](JobRecord::waits_for).
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// A page of the jobs, the newest first.
    ///
    /// # Errors
    ///
    /// The cursor is not of this list; errors of the database.
    pub async fn list<R: Reader>(
        &self,
        session: &R,
        filter: &JobFilter,
        page: &PageRequest,
    ) -> Result<Page<JobRecord>, JobAdminError> {
        Ok(page::fetch(session, select(filter), page, Order::newest_first()).await?)
    }

    /// A job.
    ///
    /// # Errors
    ///
    /// It is not there; errors of the database.
    pub async fn get<R: Reader>(&self, session: &R, id: JobId) -> Result<JobRecord, JobAdminError> {
        let found = session.one(Entity::find().filter(Column::Id.eq(id))).await?;
        found.ok_or(JobAdminError::NotFound)
    }

    /// Makes a job due now that is dead, cancelled or superseded, or that waits for its time. Its failures are forgotten.
    ///
    /// # Errors
    ///
    /// It runs or has succeeded, or another job with its unique key waits; errors of the database.
    pub async fn retry(&self, session: &WriteSession, id: JobId) -> Result<JobRecord, JobAdminError> {
        let record = self.get(session, id).await?;
        let refused = |why| JobAdminError::State { state: record.state, why };
        let claim = record.as_claim();
        let has_ended = match record.state {
            JobState::Dead | JobState::Cancelled | JobState::Superseded => true,
            JobState::Waiting if !record.is_behind() => false,
            JobState::Waiting => return Err(refused("it waits behind another job of its serial key")),
            JobState::Running | JobState::Done => {
                return Err(refused("only jobs that wait, or ended without success, can be tried again"));
            }
        };
        if has_ended && self.is_taken(session, claim.dedup_key.as_deref()).await? {
            return Err(refused(ANOTHER_WAITS));
        }
        let mut update = Query::update();
        update
            .value("lane_at", session.now())
            .value("due_at", session.now())
            .value("failures", 0)
            .value("cancel_asked_at", Expr::val(Value::TimeDateTimeWithTimeZone(None)));
        let mut lane = claim.waiting();
        if has_ended {
            update
                .value("state", lane.state())
                .value("lane", lane.to_string())
                .value("unique_key", claim.dedup_key.clone())
                .value("finished_at", Expr::val(Value::TimeDateTimeWithTimeZone(None)));
        } else if !record.is_in(&Lane::Line) {
            // It has its turn. One that nobody knew is tried by the workers of now.
            lane = claim.ready();
            update.value("lane", lane.to_string());
        }
        let changed = session.execute(&unchanged(update, &record)).await.map_err(SessionError::from);
        match changed {
            // It was taken after this session had looked.
            Err(error) if error.violated_unique().is_some() => return Err(refused(ANOTHER_WAITS)),
            Err(error) => return Err(error.into()),
            Ok(changed) if changed.rows_affected() == 0 => return Err(refused(HAS_CHANGED)),
            Ok(_) => {}
        }
        self.wake_after(session, lane);
        self.get(session, id).await
    }

    /// Tells workers of a job that is due, when the session is committed.
    fn wake_after(&self, session: &WriteSession, lane: Lane) {
        let (databases, wake) = (self.store.databases.clone(), Wake::new(lane, session.now()));
        if self.exchanges {
            session.after_commit(async move { databases.jobs().send(wake) });
            return;
        }
        session.after_commit(async move {
            if let Err(error) = tell(&databases, wake).await {
                report(&error, "workers cannot be told about a job that is due; they find it by polling");
            }
        });
    }

    /// Whether another job with this unique key waits.
    async fn is_taken(&self, session: &WriteSession, key: Option<&str>) -> Result<bool, JobAdminError> {
        let Some(key) = key else { return Ok(false) };
        let waiting = Entity::find().filter(Expr::col("unique_key").eq(key));
        Ok(session.one(waiting).await?.is_some())
    }

    /// Cancels a job. One that runs is told to stop, and may still succeed.
    ///
    /// # Errors
    ///
    /// It has ended; errors of the database.
    pub async fn cancel(&self, session: &WriteSession, id: JobId) -> Result<JobRecord, JobAdminError> {
        let record = self.get(session, id).await?;
        let refused = |why| JobAdminError::State { state: record.state, why };
        let mut update = Query::update();
        match record.state {
            JobState::Running => update.value("cancel_asked_at", session.now()),
            JobState::Waiting => update
                .value("state", Lane::Cancelled.state())
                .value("lane", Lane::Cancelled.to_string())
                .value("lane_at", session.now())
                .value("finished_at", session.now())
                .value("unique_key", Expr::val(Value::String(None)))
                .value("last_error", "cancelled by an operator"),
            _ => return Err(refused("it has ended")),
        };
        if session.execute(&unchanged(update, &record)).await.map_err(SessionError::from)?.rows_affected()
            == 0
        {
            return Err(refused(HAS_CHANGED));
        }
        let claim = record.as_claim();
        if record.state == JobState::Waiting {
            vacate(session, &claim, session.now()).await?;
            if claim.serial_key.is_some() {
                self.wake_after(session, Lane::Line);
            }
        }
        self.get(session, id).await
    }
}

/// Why a job cannot be tried again.
const ANOTHER_WAITS: &str = "another job with its unique key waits";

/// Why an operation was lost to another one.
const HAS_CHANGED: &str = "it has just changed";

fn select(filter: &JobFilter) -> Select<Entity> {
    let mut select = Entity::find();
    if let Some(state) = filter.state {
        select = select.filter(Column::State.eq(state));
    }
    if let Some(queue) = &filter.queue {
        select = select.filter(Column::Queue.eq(queue.as_str()));
    }
    if let Some(kind) = &filter.kind {
        select = select.filter(Column::Kind.eq(kind.as_str()));
    }
    select
}

/// A change of a job that is still as it was read.
fn unchanged(mut update: UpdateStatement, record: &JobRecord) -> UpdateStatement {
    update
        .table("jobs")
        .and_where(Expr::col("id").eq(record.id))
        .and_where(Expr::col("claim").eq(record.attempts))
        .and_where(Expr::col("lane").eq(record.lane.as_str()))
        .to_owned()
}
