//! The same routes as an application would have them without the product's framework: actix-web and sea-orm with one pool.
//! It has no middleware, reads no session and has no headers of its own.
#![forbid(unsafe_code)]

use actix_web::error::{ErrorInternalServerError, ErrorNotFound, ErrorUnauthorized};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, get, patch, post, web};
use anyhow::{Context as _, Result};
use bench::api::{
    self, Arguments, Hashing, Login, NewNote, Note, PAGE, Page, PageQuery, Refresh, SESSION_LIFETIME, Tokens,
    UpdateMe, User,
};
use clap::Parser as _;
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::Expr;
use sea_orm::sqlx::sqlite::SqliteSynchronous;
use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, ExprTrait as _, QueryOrder as _,
    QuerySelect as _, TransactionTrait as _,
};

/// Number of connections to the database for each worker.
const CONNECTIONS_PER_WORKER: u32 = 8;

mod rows;
mod uploads; // domain: upload

use rows::{notes, outbox, passwords, sessions, users};

impl From<users::Model> for User<String> {
    fn from(row: users::Model) -> Self {
        Self {
            id: row.id,
            email: row.email,
            email_verified: row.email_verified_at.is_some(),
            username: row.username,
            phone: row.phone,
            name: row.name,
            status: row.status,
            is_admin: row.is_admin,
            created_at: api::whole_microseconds(row.created_at),
            updated_at: api::whole_microseconds(row.updated_at),
        }
    }
}

async fn read(database: &DatabaseConnection, id: &str) -> actix_web::Result<HttpResponse> {
    let select = users::Entity::find_by_id(id).filter(users::Column::DeletedAt.is_null());
    let row = select.one(database).await.map_err(ErrorInternalServerError)?;
    let row = row.ok_or_else(|| ErrorNotFound("no such account"))?;
    Ok(HttpResponse::Ok().json(User::from(row)))
}

#[get("/health/live")]
async fn live() -> HttpResponse {
    api::health()
}

#[get("/api/v1/users/me")]
async fn me(
    request: HttpRequest,
    tokens: web::Data<Tokens>,
    database: web::Data<DatabaseConnection>,
) -> actix_web::Result<HttpResponse> {
    let claims = tokens.verify(&request)?;
    read(&database, &claims.sub).await
}

#[get("/api/v1/users/{user_id}")]
async fn by_id(
    request: HttpRequest,
    id: web::Path<String>,
    tokens: web::Data<Tokens>,
    database: web::Data<DatabaseConnection>,
) -> actix_web::Result<HttpResponse> {
    let claims = tokens.verify(&request)?;
    if claims.sub != *id && !claims.admin {
        return Err(ErrorNotFound("no such account"));
    }
    read(&database, &id).await
}

#[get("/api/v1/admin/users")]
async fn list(
    request: HttpRequest,
    query: web::Query<PageQuery>,
    tokens: web::Data<Tokens>,
    database: web::Data<DatabaseConnection>,
) -> actix_web::Result<HttpResponse> {
    tokens.verify_admin(&request)?;
    let mut select = users::Entity::find().filter(users::Column::DeletedAt.is_null());
    if let Some(cursor) = &query.cursor {
        select = select.filter(users::Column::Id.lt(cursor));
    }
    let select = select.order_by_desc(users::Column::Id).limit(PAGE as u64 + 1);
    let rows = select.all(&**database).await.map_err(ErrorInternalServerError)?;
    let has_more = rows.len() > PAGE;
    let items: Vec<_> = rows.into_iter().take(PAGE).map(User::from).collect();
    let next_cursor = has_more.then(|| items.last().map(|user| user.id.clone())).flatten();
    Ok(HttpResponse::Ok().json(Page { items, next_cursor }))
}

#[patch("/api/v1/users/me")]
async fn rename(
    request: HttpRequest,
    changes: web::Json<UpdateMe>,
    tokens: web::Data<Tokens>,
    database: web::Data<DatabaseConnection>,
) -> actix_web::Result<HttpResponse> {
    let claims = tokens.verify(&request)?;
    let user = change_name(&database, &claims.sub, changes.into_inner().name).await;
    let user = user.map_err(ErrorInternalServerError)?.ok_or_else(|| ErrorNotFound("no such account"))?;
    Ok(HttpResponse::Ok().json(user))
}

async fn change_name(
    database: &DatabaseConnection,
    id: &str,
    name: String,
) -> Result<Option<User<String>>, DbErr> {
    let now = api::now();
    let transaction = database.begin().await?;
    let update = users::Entity::update_many()
        .col_expr(users::Column::NameNormalized, Expr::value(name.to_lowercase()))
        .col_expr(users::Column::Name, Expr::value(name))
        .col_expr(users::Column::Version, Expr::col(users::Column::Version).add(1))
        .col_expr(users::Column::UpdatedAt, Expr::value(now))
        .filter(users::Column::Id.eq(id))
        .filter(users::Column::DeletedAt.is_null());
    let Some(row) = update.exec_with_returning(&transaction).await?.pop() else { return Ok(None) };
    let payload = serde_json::json!({"id": row.id, "version": row.version});
    let event = Event {
        kind: "user",
        action: "updated",
        id: &row.id,
        version: row.version,
        principal: &row.id,
        payload,
    };
    event.store(&transaction, now).await?;
    transaction.commit().await?;
    Ok(Some(row.into()))
}

/// An event about a row.
struct Event<'a> {
    kind: &'a str,
    action: &'a str,
    id: &'a str,
    version: i64,
    principal: &'a str,
    payload: Json,
}

impl Event<'_> {
    /// Stores the event in the outbox.
    async fn store(
        self,
        transaction: &DatabaseTransaction,
        now: TimeDateTimeWithTimeZone,
    ) -> Result<(), DbErr> {
        let Self { kind, action, id, version, principal, payload } = self;
        let row = outbox::ActiveModel {
            id: Set(api::new_id("evt")),
            name: Set(format!("{kind}.{action}")),
            version: Set(1),
            aggregate_type: Set(kind.to_owned()),
            aggregate_id: Set(id.to_owned()),
            aggregate_version: Set(Some(version)),
            occurred_at: Set(now),
            principal: Set(Some(principal.to_owned())),
            traceparent: Set(None),
            payload: Set(payload),
            available_at: Set(now),
            delivered_at: Set(Some(now)),
        };
        outbox::Entity::insert(row).exec_without_returning(transaction).await?;
        Ok(())
    }
}

#[post("/api/v1/bench-notes")]
async fn insert(
    request: HttpRequest,
    new: web::Json<NewNote>,
    tokens: web::Data<Tokens>,
    database: web::Data<DatabaseConnection>,
) -> actix_web::Result<HttpResponse> {
    let claims = tokens.verify(&request)?;
    let row = insert_note(&database, claims.sub, new.into_inner()).await;
    let row = row.map_err(ErrorInternalServerError)?;
    Ok(HttpResponse::Created().json(Note {
        id: row.id,
        title: row.title,
        body: row.body,
        author_id: row.author_id,
        created_at: api::whole_microseconds(row.created_at),
        updated_at: api::whole_microseconds(row.updated_at),
    }))
}

async fn insert_note(
    database: &DatabaseConnection,
    author: String,
    new: NewNote,
) -> Result<notes::Model, DbErr> {
    let now = api::now();
    let transaction = database.begin().await?;
    let row = notes::ActiveModel {
        id: Set(api::new_id("bnc")),
        version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        title: Set(new.title),
        body: Set(new.body),
        author_id: Set(author),
    };
    let row = row.insert(&transaction).await?;
    let payload = serde_json::json!({"id": row.id, "version": 1, "owner_id": row.author_id});
    let event = Event {
        kind: "bench_note",
        action: "created",
        id: &row.id,
        version: 1,
        principal: &row.author_id,
        payload,
    };
    event.store(&transaction, now).await?;
    transaction.commit().await?;
    Ok(row)
}

#[post("/api/v1/auth/login")]
async fn login(
    login: web::Json<Login>,
    tokens: web::Data<Tokens>,
    database: web::Data<DatabaseConnection>,
    hashing: web::Data<Hashing>,
) -> actix_web::Result<HttpResponse> {
    let Login { identifier, password } = login.into_inner();
    let refused = || ErrorUnauthorized("wrong address or password");
    let found = users::Entity::find()
        .filter(users::Column::EmailNormalized.eq(identifier))
        .filter(users::Column::DeletedAt.is_null());
    let user = found.one(&**database).await.map_err(ErrorInternalServerError)?.ok_or_else(refused)?;
    let stored = passwords::Entity::find_by_id(&user.id).one(&**database).await;
    let stored = stored.map_err(ErrorInternalServerError)?.ok_or_else(refused)?;
    if !hashing.into_inner().verify(password, stored.hash).await.map_err(ErrorInternalServerError)? {
        return Err(refused());
    }
    let now = api::now();
    let session_id = api::new_id("ses");
    let session = sessions::ActiveModel {
        id: Set(session_id.clone()),
        user_id: Set(user.id.clone()),
        generation: Set(0),
        rotated_at: Set(now),
        created_at: Set(now),
        expires_at: Set(now + SESSION_LIFETIME),
    };
    let inserted = sessions::Entity::insert(session).exec_without_returning(&**database).await;
    inserted.map_err(ErrorInternalServerError)?;
    signed_in(&tokens, session_id, 0, user)
}

fn signed_in(
    tokens: &Tokens,
    session_id: String,
    generation: i64,
    user: users::Model,
) -> actix_web::Result<HttpResponse> {
    let session = tokens.session(session_id, generation, User::from(user));
    Ok(HttpResponse::Ok().json(session.map_err(ErrorInternalServerError)?))
}

#[post("/api/v1/auth/refresh")]
async fn refresh(
    body: web::Json<Refresh>,
    tokens: web::Data<Tokens>,
    database: web::Data<DatabaseConnection>,
) -> actix_web::Result<HttpResponse> {
    let refused = || ErrorUnauthorized("wrong token");
    let (id, generation) = body.refresh_token.split_once('.').ok_or_else(refused)?;
    let generation: i64 = generation.parse().map_err(ErrorUnauthorized)?;
    let rotated = rotate(&database, id, generation).await.map_err(ErrorInternalServerError)?;
    let (session, user) = rotated.ok_or_else(refused)?;
    signed_in(&tokens, session.id, session.generation, user)
}

/// The same statements as the product's: the session, its rotation, and the user.
async fn rotate(
    database: &DatabaseConnection,
    id: &str,
    generation: i64,
) -> Result<Option<(sessions::Model, users::Model)>, DbErr> {
    let now = api::now();
    // Before the transaction, which on SQLite could not write any more if another one had written since.
    let Some(found) = sessions::Entity::find_by_id(id).one(database).await? else { return Ok(None) };
    let transaction = database.begin().await?;
    let update = sessions::Entity::update_many()
        .col_expr(sessions::Column::Generation, Expr::col(sessions::Column::Generation).add(1))
        .col_expr(sessions::Column::RotatedAt, Expr::value(now))
        .col_expr(sessions::Column::ExpiresAt, Expr::value(now + SESSION_LIFETIME))
        .filter(sessions::Column::Id.eq(found.id))
        .filter(sessions::Column::Generation.eq(generation))
        .filter(sessions::Column::ExpiresAt.gt(now));
    let Some(session) = update.exec_with_returning(&transaction).await?.pop() else { return Ok(None) };
    let select = users::Entity::find_by_id(&session.user_id).filter(users::Column::DeletedAt.is_null());
    let Some(user) = select.one(&transaction).await? else { return Ok(None) };
    transaction.commit().await?;
    Ok(Some((session, user)))
}

#[actix_web::main]
async fn main() -> Result<()> {
    let Arguments { bind, database, workers, secret, .. } = Arguments::parse();
    let mut options = ConnectOptions::new(database);
    options
        .max_connections(CONNECTIONS_PER_WORKER.saturating_mul(u32::try_from(workers)?))
        .sqlx_logging(false)
        .test_before_acquire(false)
        // As durable as the product.
        .map_sqlx_sqlite_opts(|options| options.synchronous(SqliteSynchronous::Full));
    let database = web::Data::new(Database::connect(options).await.context("the database does not answer")?);
    let tokens = web::Data::new(Tokens::new(&secret));
    let signer = web::Data::new(uploads::Signer::new()); // domain: upload
    let hashing = web::Data::new(Hashing::new(workers));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(tokens.clone())
            .app_data(database.clone())
            .app_data(hashing.clone())
            .app_data(signer.clone()) // domain: upload
            .service(live)
            .service(me)
            .service(rename)
            .service(by_id)
            .service(list)
            .service(insert)
            .service(refresh)
            .service(login)
            .service(uploads::create) // domain: upload
    });
    let server = server.workers(workers).shutdown_timeout(1).bind(bind).context("the address is in use")?;
    server.run().await.context("the server failed")
}
