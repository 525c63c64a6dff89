//! Jobs, queues and schedules over HTTP, for admins. The table of jobs grows from nothing to millions of rows and back, so its statements
//! are planned anew.

use actix_web::{get, post, web};
use http_kit::extract::{PathIds, ReadPrimary};
use http_kit::prelude::*;
use http_kit::respond::Json;
use http_kit::write::Outcome;
use messaging::{JobAdmin, JobAdminError};
use shared_kernel::job::JobIdKind;

use super::dto::{Job, JobListFilter, JobQueue, JobQueues, JobSchedules, QueueName};

/// The tag of these routes, with its description.
pub(crate) const TAG: (&str, &str) = ("jobs", "Durable jobs, for admins.");

/// Registers the routes.
pub(crate) fn configure(routes: &mut Routes<'_, '_>) {
    routes.handle(list_jobs).handle(get_job).handle(retry_job).handle(cancel_job);
    routes.handle(list_queues).handle(pause_queue).handle(resume_queue).handle(list_schedules);
}

/// List durable jobs
///
/// Pages of the jobs, the newest first. Jobs are deleted some time after their end.
#[utoipa::path(tag = "jobs", operation_id = "adminListJobs",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(JobListFilter, PageQuery), responses(Paged<Job>))]
#[get("/api/v1/admin/jobs")]
async fn list_jobs(
    jobs: web::Data<JobAdmin>,
    _admin: Admin,
    ReadPrimary(db): ReadPrimary,
    query: ListQuery<JobListFilter>,
) -> Result<Paged<Job>, ApiError> {
    let db = db.with_fresh_plans();
    let now = jobs.now();
    Ok(Paged(jobs.list(&db, &query.filter.into(), &query.page).await?.map(|job| Job::at(job, now))))
}

/// Read a durable job
///
/// A job, with its progress, its attempts, and why it failed.
#[utoipa::path(tag = "jobs", operation_id = "adminGetJob",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(PathId<JobIdKind>, IfNoneMatch), responses(Resource<Job>))]
#[get("/api/v1/admin/jobs/{job_id}")]
async fn get_job(
    jobs: web::Data<JobAdmin>,
    _admin: Admin,
    PathId(id): PathId<JobIdKind>,
    ReadPrimary(db): ReadPrimary,
) -> Result<Resource<Job>, ApiError> {
    let (db, now) = (db.with_fresh_plans(), jobs.now());
    Ok(Resource(Job::at(jobs.get(&db, id).await?, now)))
}

/// Try a durable job again
///
/// Makes a job due now that is dead, cancelled or superseded, or that waits for its time. Its failures are forgotten.
#[utoipa::path(tag = "jobs", operation_id = "adminRetryJob",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(PathId<JobIdKind>), responses(Updated<Job>),
    extensions(("x-problems" = json!([JobAdminError::STATE]))))]
#[post("/api/v1/admin/jobs/{job_id}/retry")]
async fn retry_job(
    jobs: web::Data<JobAdmin>,
    Admin(principal): Admin,
    PathId(id): PathId<JobIdKind>,
    db: Write,
) -> Result<Updated<Job>, ApiError> {
    let db = db.with_fresh_plans();
    let job = jobs.retry(&db, id).await?;
    let job = Job::at(job, db.now());
    let updated = db.updated(job).await?;
    tracing::info!(job = %id, %principal, "an admin has a job tried again");
    Ok(updated)
}

/// Cancel a durable job
///
/// Cancels a job that waits. A job that runs is told to stop, and is cancelled when it does; it may still succeed.
#[utoipa::path(tag = "jobs", operation_id = "adminCancelJob",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(PathId<JobIdKind>), responses(Updated<Job>),
    extensions(("x-problems" = json!([JobAdminError::STATE]))))]
#[post("/api/v1/admin/jobs/{job_id}/cancel")]
async fn cancel_job(
    jobs: web::Data<JobAdmin>,
    Admin(principal): Admin,
    PathId(id): PathId<JobIdKind>,
    db: Write,
) -> Result<Updated<Job>, ApiError> {
    let db = db.with_fresh_plans();
    let job = jobs.cancel(&db, id).await?;
    let job = Job::at(job, db.now());
    let updated = db.updated(job).await?;
    tracing::info!(job = %id, %principal, "an admin cancelled a job");
    Ok(updated)
}

/// List the queues of durable jobs
///
/// All queues: those of the kinds of jobs that there are, those that workers serve, and those in which jobs wait.
#[utoipa::path(tag = "jobs", operation_id = "adminListQueues",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    responses((status = 200, description = "All queues.", body = JobQueues)))]
#[get("/api/v1/admin/queues")]
async fn list_queues(jobs: web::Data<JobAdmin>, _admin: Admin) -> Result<Json<JobQueues>, ApiError> {
    Ok(Json(jobs.queues().await?.into()))
}

/// Pause a queue
///
/// The jobs of the queue wait until it is resumed; those that run go on. Workers notice it within five seconds.
#[utoipa::path(tag = "jobs", operation_id = "adminPauseQueue",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(("name" = inline(QueueName), Path, description = "Name of the queue.")),
    responses((status = 200, description = "The queue, as it is now.", body = JobQueue)),
    extensions(("x-problems" = json!([JobAdminError::NO_QUEUE]))))]
#[post("/api/v1/admin/queues/{name}/pause")]
async fn pause_queue(
    jobs: web::Data<JobAdmin>,
    Admin(principal): Admin,
    PathIds(QueueName(name)): PathIds<QueueName>,
    db: Write,
) -> Result<Outcome<JobQueue>, ApiError> {
    let paused = jobs.pause(&db, &name).await?;
    let outcome = db.result(JobQueue::from(paused)).await?;
    tracing::info!(queue = name, %principal, "an admin paused a queue");
    Ok(outcome)
}

/// Resume a queue
///
/// Lets the jobs of a paused queue run again. Workers notice it within five seconds.
#[utoipa::path(tag = "jobs", operation_id = "adminResumeQueue",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(("name" = inline(QueueName), Path, description = "Name of the queue.")),
    responses((status = 200, description = "The queue, as it is now.", body = JobQueue)),
    extensions(("x-problems" = json!([JobAdminError::NO_QUEUE]))))]
#[post("/api/v1/admin/queues/{name}/resume")]
async fn resume_queue(
    jobs: web::Data<JobAdmin>,
    Admin(principal): Admin,
    PathIds(QueueName(name)): PathIds<QueueName>,
    db: Write,
) -> Result<Outcome<JobQueue>, ApiError> {
    let resumed = jobs.resume(&db, &name).await?;
    let outcome = db.result(JobQueue::from(resumed)).await?;
    tracing::info!(queue = name, %principal, "an admin resumed a queue");
    Ok(outcome)
}

/// List the schedules of durable jobs
///
/// The jobs that are enqueued at certain times, with the last time of each and the next.
#[utoipa::path(tag = "jobs", operation_id = "adminListSchedules",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    responses((status = 200, description = "All schedules.", body = JobSchedules)))]
#[get("/api/v1/admin/schedules")]
async fn list_schedules(jobs: web::Data<JobAdmin>, _admin: Admin) -> Result<Json<JobSchedules>, ApiError> {
    Ok(Json(jobs.schedules().await?.into()))
}
