//! The fastest server that this machine could have: actix-web alone, and prepared statements on one connection for each worker.
//! It has no middleware, reads no session and has no headers of its own.
#![forbid(unsafe_code)]

use actix_web::error::{ErrorInternalServerError, ErrorNotFound, ErrorUnauthorized};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, get, patch, post, web};
use anyhow::{Context as _, Result};
use bench::api::{
    self, Arguments, Hashing, Login, NewNote, Note, PAGE, Page, PageQuery, SESSION_LIFETIME, Tokens,
    UpdateMe, User,
};
use clap::Parser as _;
use time::OffsetDateTime;
use tokio_postgres::{Client, NoTls, Row, Statement};

/// The columns of [`user`], in its order.
macro_rules! columns {
    () => {
        "id, email, email_verified_at, username, phone, name, status, is_admin, created_at, updated_at"
    };
}

const BY_ID: &str = concat!("SELECT ", columns!(), " FROM users WHERE id = $1 AND deleted_at IS NULL");

const FIRST_PAGE: &str =
    concat!("SELECT ", columns!(), " FROM users WHERE deleted_at IS NULL ORDER BY id DESC LIMIT 21");

const NEXT_PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM users WHERE deleted_at IS NULL AND id < $1 ORDER BY id DESC LIMIT 21"
);

const BY_EMAIL: &str = concat!(
    "SELECT ",
    columns!(),
    ", (SELECT hash FROM passwords WHERE user_id = users.id) FROM users WHERE email_normalized = $1 AND deleted_at IS NULL"
);

const ADD_SESSION: &str = "INSERT INTO sessions (id, user_id, generation, rotated_at, created_at, expires_at)
    VALUES ($1, $2, 0, $3, $3, $4)";

/// One statement is one transaction. The event is stored as delivered: else the product would deliver it while another server is
/// measured.
const RENAME: &str = concat!(
    "WITH changed AS (
        UPDATE users SET name = $2, name_normalized = $3, version = version + 1, updated_at = $4
        WHERE id = $1 AND deleted_at IS NULL RETURNING version, ",
    columns!(),
    "), event AS (
        INSERT INTO outbox_events (id, name, version, aggregate_type, aggregate_id, aggregate_version, occurred_at, principal,
            traceparent, payload, available_at, delivered_at)
        SELECT $5, 'user.updated', 1, 'user', id, version, $4, id, NULL,
            jsonb_build_object('id', id, 'version', version), $4, $4
        FROM changed)
    SELECT ",
    columns!(),
    " FROM changed"
);

/// The same for a new row.
const INSERT: &str = "WITH made AS (
        INSERT INTO bench_notes (id, version, created_at, updated_at, title, body, author_id)
        VALUES ($1, 1, $2, $2, $3, $4, $5) RETURNING id, title, body, author_id, created_at, updated_at
    ), event AS (
        INSERT INTO outbox_events (id, name, version, aggregate_type, aggregate_id, aggregate_version, occurred_at, principal,
            traceparent, payload, available_at, delivered_at)
        SELECT $6, 'bench_note.created', 1, 'bench_note', id, 1, $2, author_id, NULL,
            jsonb_build_object('id', id, 'version', 1, 'owner_id', author_id), $2, $2
        FROM made)
    SELECT id, title, body, author_id, created_at, updated_at FROM made";

/// The connection of a worker. Requests share it: tokio-postgres sends a statement before the previous one is answered.
struct Database {
    client: Client,
    by_id: Statement,
    first_page: Statement,
    next_page: Statement,
    rename: Statement,
    by_email: Statement,
    add_session: Statement,
    /// `None` if the table is not there.
    insert: Option<Statement>,
}

impl Database {
    async fn connect(url: &str, notes: bool) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        // It ends with an error when the server is lost; every request on the client then fails too.
        drop(actix_web::rt::spawn(connection));
        Ok(Self {
            by_id: client.prepare(BY_ID).await?,
            first_page: client.prepare(FIRST_PAGE).await?,
            next_page: client.prepare(NEXT_PAGE).await?,
            rename: client.prepare(RENAME).await?,
            by_email: client.prepare(BY_EMAIL).await?,
            add_session: client.prepare(ADD_SESSION).await?,
            insert: if notes { Some(client.prepare(INSERT).await?) } else { None },
            client,
        })
    }
}

fn user(row: &Row) -> User<&str> {
    User {
        id: row.get(0),
        email: row.get(1),
        email_verified: row.get::<_, Option<OffsetDateTime>>(2).is_some(),
        username: row.get(3),
        phone: row.get(4),
        name: row.get(5),
        status: row.get(6),
        is_admin: row.get(7),
        created_at: row.get(8),
        updated_at: row.get(9),
    }
}

fn answer(row: Option<Row>) -> actix_web::Result<HttpResponse> {
    let row = row.ok_or_else(|| ErrorNotFound("no such account"))?;
    Ok(HttpResponse::Ok().json(user(&row)))
}

#[get("/health/live")]
async fn live() -> HttpResponse {
    api::health()
}

#[get("/api/v1/users/me")]
async fn me(
    request: HttpRequest,
    tokens: web::Data<Tokens>,
    database: web::Data<Database>,
) -> actix_web::Result<HttpResponse> {
    let claims = tokens.verify(&request)?;
    let row = database.client.query_opt(&database.by_id, &[&claims.sub]).await;
    answer(row.map_err(ErrorInternalServerError)?)
}

#[get("/api/v1/users/{user_id}")]
async fn by_id(
    request: HttpRequest,
    id: web::Path<String>,
    tokens: web::Data<Tokens>,
    database: web::Data<Database>,
) -> actix_web::Result<HttpResponse> {
    let claims = tokens.verify(&request)?;
    if claims.sub != *id && !claims.admin {
        return Err(ErrorNotFound("no such account"));
    }
    let row = database.client.query_opt(&database.by_id, &[&*id]).await;
    answer(row.map_err(ErrorInternalServerError)?)
}

#[get("/api/v1/admin/users")]
async fn list(
    request: HttpRequest,
    query: web::Query<PageQuery>,
    tokens: web::Data<Tokens>,
    database: web::Data<Database>,
) -> actix_web::Result<HttpResponse> {
    tokens.verify_admin(&request)?;
    let rows = match &query.cursor {
        None => database.client.query(&database.first_page, &[]).await,
        Some(cursor) => database.client.query(&database.next_page, &[cursor]).await,
    };
    let rows = rows.map_err(ErrorInternalServerError)?;
    let items: Vec<_> = rows.iter().take(PAGE).map(user).collect();
    let next_cursor = (rows.len() > PAGE).then(|| items.last().map(|user| user.id.to_owned())).flatten();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}

#[patch("/api/v1/users/me")]
async fn rename(
    request: HttpRequest,
    changes: web::Json<UpdateMe>,
    tokens: web::Data<Tokens>,
    database: web::Data<Database>,
) -> actix_web::Result<HttpResponse> {
    let claims = tokens.verify(&request)?;
    let (name, folded) = (&changes.name, changes.name.to_lowercase());
    let (now, event) = (api::now(), api::new_id("evt"));
    let row = database.client.query_opt(&database.rename, &[&claims.sub, name, &folded, &now, &event]).await;
    answer(row.map_err(ErrorInternalServerError)?)
}

#[post("/api/v1/bench-notes")]
async fn insert(
    request: HttpRequest,
    new: web::Json<NewNote>,
    tokens: web::Data<Tokens>,
    database: web::Data<Database>,
) -> actix_web::Result<HttpResponse> {
    let claims = tokens.verify(&request)?;
    let statement = database.insert.as_ref().ok_or_else(|| ErrorNotFound("no notes"))?;
    let (id, now, event) = (api::new_id("bnc"), api::now(), api::new_id("evt"));
    let row = database
        .client
        .query_one(statement, &[&id, &now, &new.title, &new.body, &claims.sub, &event])
        .await
        .map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Created().json(Note::<&str> {
        id: row.get(0),
        title: row.get(1),
        body: row.get(2),
        author_id: row.get(3),
        created_at: row.get(4),
        updated_at: row.get(5),
    }))
}

#[post("/api/v1/auth/login")]
async fn login(
    login: web::Json<Login>,
    tokens: web::Data<Tokens>,
    database: web::Data<Database>,
    hashing: web::Data<Hashing>,
) -> actix_web::Result<HttpResponse> {
    let Login { identifier, password } = login.into_inner();
    let refused = || ErrorUnauthorized("wrong address or password");
    let row = database.client.query_opt(&database.by_email, &[&identifier]).await;
    let row = row.map_err(ErrorInternalServerError)?.ok_or_else(refused)?;
    if !hashing.into_inner().verify(password, row.get(10)).await.map_err(ErrorInternalServerError)? {
        return Err(refused());
    }
    let (user, now, session_id) = (user(&row), api::now(), api::new_id("ses"));
    let expires_at = now + SESSION_LIFETIME;
    let added =
        database.client.execute(&database.add_session, &[&session_id, &user.id, &now, &expires_at]).await;
    added.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Ok().json(tokens.session(session_id, 0, user).map_err(ErrorInternalServerError)?))
}

#[actix_web::main]
async fn main() -> Result<()> {
    let Arguments { bind, database, workers, secret, notes } = Arguments::parse();
    let tokens = web::Data::new(Tokens::new(&secret));
    let hashing = web::Data::new(Hashing::new(workers));
    let server = HttpServer::new(move || {
        let database = database.clone();
        App::new()
            .app_data(tokens.clone())
            .app_data(hashing.clone())
            .data_factory(move || {
                let database = database.clone();
                async move { Database::connect(&database, notes).await }
            })
            .service(live)
            .service(me)
            .service(rename)
            .service(by_id)
            .service(list)
            .service(insert)
            .service(login)
    });
    let server = server.workers(workers).shutdown_timeout(1).bind(bind).context("the address is in use")?;
    server.run().await.context("the server failed")
}
