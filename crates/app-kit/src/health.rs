//! Whether the server lives, and whether it can work.

use std::collections::BTreeMap;

use actix_web::{get, web};
use futures_util::future::join_all;
use http_kit::problem::{ApiError, ProblemDocument};
use http_kit::respond::Json;
use http_kit::routes::Routes;
use http_kit::state::State as HttpState;
use serde::Serialize;
use shared_kernel::clock::Timestamp;
use shared_kernel::error::UNAVAILABLE;
use shared_kernel::session::{Databases, Reader as _, SessionError};
use utoipa::ToSchema;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{OpenApi, Ref, RefOr};

use crate::migrations::Migrations;
use crate::wiring::Check;

/// The tag of these routes, with its description.
pub const TAG: (&str, &str) = ("health", "Probes for process managers and load balancers.");

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Dependencies {
    /// The primary database.
    database: State,
    /// The schema of the database; that of a later release will do.
    schema: State,
    /// The replicas; reads go to the primary while they are away.
    replicas: State,
    /// What domains need.
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<&'static str, State>,
}

/// What readiness asks besides the databases.
pub(crate) struct Checks {
    /// What domains need.
    pub(crate) of_modules: Vec<Check>,
    /// Migrations that the schema must have.
    pub(crate) migrations: Migrations,
}

impl Checks {
    async fn states(&self) -> BTreeMap<&'static str, State> {
        let asked = self.of_modules.iter().map(async |check| {
            let answer = tokio::time::timeout(PATIENCE, (check.answers)()).await;
            (check.name, if answer == Ok(true) { State::Ok } else { State::Unavailable })
        });
        join_all(asked).await.into_iter().collect()
    }
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
    /// It is not what this server needs: the command `migrate status` tells what is missing.
    Outdated,
    /// It is a standby, which takes no writes: `database.url` must name the primary.
    Standby,
    /// There is none.
    NotConfigured,
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
async fn ready(http: web::Data<HttpState>, checks: web::Data<Checks>) -> Result<Json<Readiness>, ApiError> {
    if http.stop.is_announced() {
        return Err(ApiError::new(&UNAVAILABLE, "the server is about to stop"));
    }
    let (database, schema, others) = tokio::join!(
        database_state(&http.databases),
        schema_state(&http.databases, checks.migrations),
        checks.states()
    );
    let replicas = replica_state(&http.databases.replicas_in_use());
    let is_ready = [database, schema].iter().chain(others.values()).all(|state| *state == State::Ok);
    let dependencies = Dependencies { database, schema, replicas, others };
    if is_ready {
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
        "dependencies": {"database": "unavailable", "schema": "unavailable", "replicas": "not_configured"}
    }))))
)]
#[expect(dead_code, reason = "only its shape is used, by the document")]
struct NotReady(#[to_schema] NotReadyProblem);

/// Why the server cannot work.
#[derive(Serialize, ToSchema)]
struct NotReadyProblem {
    #[serde(flatten)]
    problem: ProblemDocument,
    /// What the server needs, with the state of each; absent while it stops.
    #[schema(nullable = false)]
    dependencies: Option<Dependencies>,
}

/// A load balancer asks often and does not wait long.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

async fn database_state(databases: &Databases) -> State {
    match tokio::time::timeout(PATIENCE, databases.ping()).await {
        Ok(Ok(())) => State::Ok,
        Ok(Err(SessionError::Standby)) => State::Standby,
        Ok(Err(_)) | Err(_) => State::Unavailable,
    }
}

/// Whether every migration of this server ran in the database, now: a command beside it may have taken one back.
async fn schema_state(databases: &Databases, migrations: Migrations) -> State {
    let session = databases.read_primary();
    match tokio::time::timeout(PATIENCE, session.all(Migrations::recorded())).await {
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

/// Adds what domains need to the schema of the answer and to its example.
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
