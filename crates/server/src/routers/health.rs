//! Whether the server lives, and whether it can work.

use actix_web::{get, web};
use http_kit::problem::{ApiError, ProblemDocument};
use http_kit::respond::Json;
use http_kit::routes::Routes;
use http_kit::state::State as HttpState;
use migration::record;
use serde::Serialize;
use shared_kernel::clock::Timestamp;
use shared_kernel::error::UNAVAILABLE;
use shared_kernel::session::{Databases, Reader as _, SessionError};
use utoipa::ToSchema;

use crate::context::Context;

/// The tag of these routes.
pub const TAG: &str = "health";

/// The routes.
pub fn configure(routes: &mut Routes<'_, '_>) {
    routes.handle(health).handle(live).handle(ready);
}

/// The server answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    #[schema(value_type = String, examples("ok"))]
    status: &'static str,
    /// The server's time.
    timestamp: Timestamp,
}

/// The server can work, with the state of each thing that it needs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// Always `ok`.
    #[schema(value_type = String, examples("ok"))]
    status: &'static str,
    /// What the server needs.
    dependencies: Dependencies,
}

/// What the server needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Dependencies {
    /// The primary database.
    database: State,
    /// The schema of the database; that of a later release will do.
    schema: State,
    /// The replicas; reads go to the primary while they are away.
    replicas: State,
    /// The object store.
    storage: State,
}

/// Whether it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// It does.
    Ok,
    /// Part of it does, which is enough.
    Degraded,
    /// It does not.
    Unavailable,
    /// It is not what this server needs: `ashlar migrate status` tells what is missing.
    Outdated,
    /// It is a standby, which takes no writes: `database.url` must name the primary.
    Standby,
    /// There is none.
    NotConfigured,
}

impl<T, E> From<Result<T, E>> for State {
    fn from(answer: Result<T, E>) -> Self {
        if answer.is_ok() { Self::Ok } else { Self::Unavailable }
    }
}

/// Whether the server answers
///
/// Says that the server answers.
#[utoipa::path(tag = "health", operation_id = "health", security(()),
    responses((status = 200, description = "It does.", body = Health)))]
#[get("/health")]
async fn health(http: web::Data<HttpState>) -> Json<Health> {
    Json(Health { status: "ok", timestamp: http.databases.clock().now() })
}

/// Whether the process lives
///
/// For the process manager: restart what does not answer this. Depends on nothing outside the process.
#[utoipa::path(tag = "health", operation_id = "live", security(()),
    responses((status = 200, description = "It does.", body = Health)))]
#[get("/health/live")]
async fn live(http: web::Data<HttpState>) -> Json<Health> {
    Json(Health { status: "ok", timestamp: http.databases.clock().now() })
}

/// Whether the server can work
///
/// For the load balancer: send requests to what answers this with 200.
#[utoipa::path(tag = "health", operation_id = "ready", security(()),
    responses(
        (status = 200, description = "It can.", body = Readiness),
        (status = 503, response = inline(NotReady)),
    ))]
#[get("/health/ready")]
async fn ready(http: web::Data<HttpState>, context: web::Data<Context>) -> Result<Json<Readiness>, ApiError> {
    if http.stop.is_announced() {
        return Err(ApiError::new(&UNAVAILABLE, "the server is about to stop"));
    }
    let (database, schema, storage) = tokio::join!(
        database_state(&http.databases),
        schema_state(&http.databases),
        bounded(context.storage.ping())
    );
    let replicas = replica_state(&http.databases.replicas_in_use());
    let dependencies = Dependencies { database, schema, replicas, storage };
    if [database, schema, storage] == [State::Ok; 3] {
        return Ok(Json(Readiness { status: "ok", dependencies }));
    }
    let states = serde_json::json!({ "dependencies": dependencies });
    Err(ApiError::new(
        &UNAVAILABLE,
        "something that the server needs does not answer, or is not what it needs",
    )
    .with_extra(states))
}

/// The server cannot work: a problem document with the member `dependencies`.
#[derive(utoipa::ToResponse)]
#[response(
    description = "It cannot; `dependencies` says why.",
    content_type = "application/problem+json",
    examples(("service_unavailable" = (summary = "The database is away", value = json!({
        "type": "/problems/service_unavailable", "title": UNAVAILABLE.title, "status": 503,
        "detail": "something that the server needs does not answer, or is not what it needs",
        "instance": "/health/ready", "code": UNAVAILABLE, "request_id": "req_01J9ZC3V8T5Q4X2M7N6P0R1S2T", "errors": [],
        "dependencies": {"database": "unavailable", "schema": "unavailable", "replicas": "not_configured", "storage": "ok"}
    }))))
)]
#[expect(dead_code, reason = "only its shape is used, by the document")]
struct NotReady(ProblemDocument);

/// A load balancer asks often and does not wait long.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

async fn bounded<T, E>(answer: impl Future<Output = Result<T, E>>) -> State {
    tokio::time::timeout(PATIENCE, answer).await.map_or(State::Unavailable, State::from)
}

async fn database_state(databases: &Databases) -> State {
    match tokio::time::timeout(PATIENCE, databases.ping()).await {
        Ok(Ok(())) => State::Ok,
        Ok(Err(SessionError::Standby)) => State::Standby,
        Ok(Err(_)) | Err(_) => State::Unavailable,
    }
}

/// Whether every migration of this server ran in the database, now: a command beside it may have taken one back.
async fn schema_state(databases: &Databases) -> State {
    let session = databases.read_primary();
    match tokio::time::timeout(PATIENCE, session.all(record::recorded())).await {
        Ok(Ok(recorded)) if record::lacks(&recorded) => State::Outdated,
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
