//! Health checks: liveness and readiness.

use std::collections::BTreeMap;

use actix_web::{get, web};
use futures_util::future::join_all;
use http_kit::problem::{ApiError, ProblemDocument};
use http_kit::respond::Json;
use http_kit::routes::Routes;
use http_kit::state::State as HttpState;
use messaging::{JobStatus, UnknownKind, Workers};
use sea_orm::QueryTrait as _;
use serde::Serialize;
use shared_kernel::clock::Timestamp;
use shared_kernel::error::UNAVAILABLE;
use shared_kernel::session::{Databases, Reader as _, SessionError};
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{OpenApi, Ref, RefOr};

use crate::jobs::JobQueue;
use crate::migrations::Migrations;
use crate::wiring::Check;

/// The tag of these routes, with its description.
pub const TAG: (&str, &str) = ("health", "Probes for process managers and load balancers.");

/// Registers the routes.
pub fn configure(routes: &mut Routes<'_, '_>) {
    routes.handle(health).handle(live).handle(ready);
}

/// The server is running.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Status of the process.
    status: HealthStatus,
    /// Current time of the server.
    timestamp: Timestamp,
}

/// Statuses of a process that answers.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HealthStatus {
    /// The process works.
    Ok,
}

/// The server is ready, with the state of each dependency.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Status of the server.
    status: HealthStatus,
    /// State of each dependency.
    dependencies: Dependencies,
    /// Durable jobs, as of up to ten seconds ago. However many wait, the server is ready. Absent if the database does not answer.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    jobs: Option<JobsHealth>,
}

/// Durable jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobsHealth {
    /// Each queue.
    queues: Vec<JobQueue>,
    /// Kinds of waiting jobs that a worker did not know: those of another release, or of a kind that was removed.
    unknown_kinds: Vec<UnknownKindHealth>,
    /// Number of threads of this process that a job does not release.
    threads_given_up: usize,
}

/// A kind of durable job that a worker did not know.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnknownKindHealth {
    /// Name of the kind.
    #[schema(examples("auth.welcome"))]
    kind: String,
    /// Version of its payload.
    version: i32,
}

impl From<&JobStatus> for JobsHealth {
    fn from(status: &JobStatus) -> Self {
        let unknown =
            |kind: &UnknownKind| UnknownKindHealth { kind: kind.kind.clone(), version: kind.version };
        Self {
            queues: status.queues.iter().cloned().map(JobQueue::from).collect(),
            unknown_kinds: status.unknown.iter().map(unknown).collect(),
            threads_given_up: status.threads_given_up,
        }
    }
}

/// Dependencies of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Dependencies {
    /// Primary database.
    database: State,
    /// Schema of the database; that of a later release is accepted.
    schema: State,
    /// Replicas; while they are unavailable, reads go to the primary.
    replicas: State,
    /// Dependencies of the domains.
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<&'static str, State>,
}

/// Checks of readiness besides those of the databases.
pub(crate) struct Checks {
    /// Dependencies of the domains.
    pub(crate) of_modules: Vec<Check>,
    /// Migrations that the schema must have.
    pub(crate) migrations: Migrations,
    /// What runs jobs.
    pub(crate) workers: Workers,
}

impl Checks {
    async fn jobs(&self) -> Option<JobsHealth> {
        let status = tokio::time::timeout(PATIENCE, self.workers.status()).await.ok()?.ok()?;
        Some(JobsHealth::from(&*status))
    }

    async fn states(&self) -> BTreeMap<&'static str, State> {
        let asked = self.of_modules.iter().map(async |check| {
            let answer = tokio::time::timeout(PATIENCE, (check.answers)()).await;
            (check.name, if answer == Ok(true) { State::Ok } else { State::Unavailable })
        });
        join_all(asked).await.into_iter().collect()
    }
}

/// State of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Available.
    Ok,
    /// Partly available, which is enough.
    Degraded,
    /// Unavailable.
    Unavailable,
    /// Not what this server needs: the command `migrate status` lists what is missing.
    Outdated,
    /// A standby, which accepts no writes: `database.url` must name the primary.
    Standby,
    /// Not configured.
    NotConfigured,
}

/// Health check
///
/// Answered as long as the server runs.
#[utoipa::path(tag = "health", operation_id = "health", security(()),
    responses((status = 200, description = "The server is running.", body = Health)))]
#[get("/health")]
async fn health(http: web::Data<HttpState>) -> Json<Health> {
    Json(Health { status: HealthStatus::Ok, timestamp: http.databases.clock().now() })
}

/// Liveness probe
///
/// For process managers: restart the process if it does not answer. Depends on nothing outside the process.
#[utoipa::path(tag = "health", operation_id = "live", security(()),
    responses((status = 200, description = "The server is running.", body = Health)))]
#[get("/health/live")]
async fn live(http: web::Data<HttpState>) -> Json<Health> {
    Json(Health { status: HealthStatus::Ok, timestamp: http.databases.clock().now() })
}

/// Readiness probe
///
/// For load balancers: send requests to instances that answer with 200.
#[utoipa::path(tag = "health", operation_id = "ready", security(()),
    responses(
        (status = 200, description = "The server is ready.", body = Readiness),
        (status = 503, response = inline(NotReady)),
    ))]
#[get("/health/ready")]
async fn ready(http: web::Data<HttpState>, checks: web::Data<Checks>) -> Result<Json<Readiness>, ApiError> {
    if http.stop.is_announced() {
        return Err(ApiError::new(&UNAVAILABLE, "the server is about to stop"));
    }
    let (database, schema, others, jobs) = tokio::join!(
        database_state(&http.databases),
        schema_state(&http.databases, checks.migrations),
        checks.states(),
        checks.jobs(),
    );
    let replicas = replica_state(&http.databases.replicas_in_use());
    let is_ready = [database, schema].iter().chain(others.values()).all(|state| *state == State::Ok);
    let dependencies = Dependencies { database, schema, replicas, others };
    if is_ready {
        return Ok(Json(Readiness { status: HealthStatus::Ok, dependencies, jobs }));
    }
    let states = serde_json::json!({ "dependencies": dependencies });
    Err(ApiError::new(
        &UNAVAILABLE,
        "a dependency of the server is unavailable, or not in the state that it needs",
    )
    .with_extra(states))
}

/// The server is not ready: a problem document with the member `dependencies`.
#[derive(utoipa::ToResponse)]
#[response(
    description = "The server is not ready; `dependencies` shows why.",
    content_type = "application/problem+json",
    examples(("service_unavailable" = (summary = "The database is away", value = json!({
        "type": "/problems/service_unavailable", "title": UNAVAILABLE.title, "status": 503,
        "detail": "a dependency of the server is unavailable, or not in the state that it needs",
        "instance": "/health/ready", "code": UNAVAILABLE, "request_id": "req_01J9ZC3V8T5Q4X2M7N6P0R1S2T", "errors": [],
        "dependencies": {"database": "unavailable", "schema": "unavailable", "replicas": "not_configured"}
    }))))
)]
#[expect(dead_code, reason = "only its shape is used, by the document")]
struct NotReady(#[to_schema] NotReadyProblem);

/// Reasons why the server is not ready.
#[derive(Serialize, ToSchema)]
struct NotReadyProblem {
    #[serde(flatten)]
    problem: ProblemDocument,
    /// State of each dependency; absent while the server stops.
    #[schema(nullable = false)]
    dependencies: Option<Dependencies>,
}

/// Longest wait for a dependency: load balancers ask often and do not wait long.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

async fn database_state(databases: &Databases) -> State {
    match tokio::time::timeout(PATIENCE, databases.ping()).await {
        Ok(Ok(())) => State::Ok,
        Ok(Err(SessionError::Standby)) => State::Standby,
        Ok(Err(_)) | Err(_) => State::Unavailable,
    }
}

/// Whether every migration of this server has run in the database. Asked each time, because a command may revert one while the
/// server runs.
async fn schema_state(databases: &Databases, migrations: Migrations) -> State {
    let session = databases.read_primary();
    match tokio::time::timeout(PATIENCE, session.rows(&Migrations::recorded().into_query())).await {
        Ok(Ok(recorded)) if migrations.are_missing_in(&recorded) => State::Outdated,
        Ok(Ok(_)) => State::Ok,
        Ok(Err(_)) | Err(_) => State::Unavailable,
    }
}

fn replica_state(in_use: &[bool]) -> State {
    match (in_use.is_empty(), in_use.iter().all(|used| *used)) {
        (true, _) => State::NotConfigured,
        (false, true) => State::Ok,
        (false, false) => State::Degraded,
    }
}

/// Adds the dependencies of the domains to the schema of the answer and to its example.
pub(crate) fn describe(document: &mut OpenApi, needed: &[(&str, &str)]) {
    let schemas = document.components.as_mut().map(|components| &mut components.schemas);
    let Some(schemas) = schemas else { return };
    for (name, description) in needed {
        if let Some(RefOr::T(Schema::Object(schema))) = schemas.get_mut("Dependencies") {
            let mut state = Ref::from_schema_name("State");
            (*description).clone_into(&mut state.description);
            schema.properties.insert((*name).to_owned(), state.into());
            schema.required.push((*name).to_owned());
        }
    }
    let operation = document.paths.paths.get_mut("/health/ready").and_then(|item| item.get.as_mut());
    let refusal = operation.and_then(|operation| operation.responses.responses.get_mut("503"));
    let Some(RefOr::T(refusal)) = refusal else { return };
    for content in refusal.content.values_mut() {
        let RefOr::T(content) = content else { continue };
        for example in content.examples.values_mut() {
            if let RefOr::T(example) = example
                && let Some(dependencies) =
                    example.value.as_mut().and_then(|value| value.get_mut("dependencies"))
            {
                for (name, _) in needed {
                    dependencies[*name] = "ok".into();
                }
            }
        }
    }
}
