//! Presigned uploads, as the AWS SDK signs them.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::error::{ErrorBadRequest, ErrorInternalServerError};
use actix_web::{HttpRequest, HttpResponse, post, web};
use anyhow::Result;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_s3::presigning::PresigningConfig;
use bench::api::{self, Tokens};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::{DbErr, EntityTrait as _};
use sea_orm::sea_query::{Expr, Func, SelectStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DatabaseConnection, DbBackend, ExprTrait as _, FromQueryResult,
    QueryFilter as _, QuerySelect as _, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::rows::uploads;

/// Sum of the sizes of the uploads of a user, in bytes.
const QUOTA: i64 = 10 << 30;

/// Lifetime of a URL.
const URL_LIFETIME: Duration = Duration::from_mins(15);

/// Signs requests to an object store that is never asked.
pub(crate) struct Signer(Client);

impl Signer {
    pub(crate) fn new() -> Self {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("key", "secret", None, None, "bench"))
            .endpoint_url("http://127.0.0.1:9000")
            .force_path_style(true);
        Self(Client::from_conf(config.build()))
    }
}

#[derive(Debug, Deserialize)]
struct NewUpload {
    filename: String,
    content_type: String,
    size: i64,
    checksum_sha256: Option<String>,
}

#[derive(Debug, Serialize)]
struct CreatedUpload {
    upload: Upload,
    request: PresignedRequest,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
}

#[derive(Debug, Serialize)]
struct Upload {
    id: String,
    filename: String,
    content_type: String,
    size: i64,
    checksum_sha256: Option<String>,
    visibility: String,
    status: String,
    width: Option<i32>,
    height: Option<i32>,
    placeholder: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    completed_at: Option<OffsetDateTime>,
}

#[derive(Debug, Serialize)]
struct PresignedRequest {
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
}

#[derive(Debug, FromQueryResult)]
struct Used {
    bytes: i64,
}

#[post("/api/v1/uploads")]
pub(crate) async fn create(
    request: HttpRequest,
    new: web::Json<NewUpload>,
    tokens: web::Data<Tokens>,
    signer: web::Data<Signer>,
    database: web::Data<DatabaseConnection>,
) -> actix_web::Result<HttpResponse> {
    let claims = tokens.verify(&request)?;
    let new = new.into_inner();
    let now = api::now();
    let key = api::new_id("uploads/object");
    let request = presign(&signer, &key, &new).await.map_err(ErrorInternalServerError)?;
    let row = insert(&database, claims.sub, key, new, now).await.map_err(ErrorInternalServerError)?;
    let row = row.ok_or_else(|| ErrorBadRequest("the quota is used up"))?;
    let upload = Upload {
        id: row.id,
        filename: row.filename,
        content_type: row.content_type,
        size: row.size,
        checksum_sha256: row.checksum_sha256,
        visibility: row.visibility,
        status: row.status,
        width: row.width,
        height: row.height,
        placeholder: None,
        created_at: api::whole_microseconds(row.created_at),
        completed_at: row.completed_at,
    };
    let expires_at = api::whole_microseconds(row.expires_at);
    Ok(HttpResponse::Created().json(CreatedUpload { upload, request, expires_at }))
}

async fn presign(signer: &Signer, key: &str, new: &NewUpload) -> Result<PresignedRequest> {
    let put = signer
        .0
        .put_object()
        .bucket("ashlar")
        .key(key)
        .content_length(new.size)
        .content_type(&new.content_type)
        .set_checksum_sha256(new.checksum_sha256.clone())
        .if_none_match("*");
    let request = put.presigned(PresigningConfig::expires_in(URL_LIFETIME)?).await?;
    Ok(PresignedRequest {
        method: request.method().to_owned(),
        url: request.uri().to_owned(),
        headers: request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    })
}

/// The same statements as the product's: a lock of the owner's uploads, the space that they use, and the new one.
async fn insert(
    database: &DatabaseConnection,
    owner: String,
    key: String,
    new: NewUpload,
    now: OffsetDateTime,
) -> Result<Option<uploads::Model>, DbErr> {
    // On SQLite, a transaction that has read cannot write any more if another one has written since.
    let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
    let options = TransactionOptions { sqlite_transaction_mode, ..TransactionOptions::default() };
    let transaction = database.begin_with_options(options).await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        let name = Func::cust("hashtextextended").arg(format!("uploads of {owner}")).arg(0_i64);
        let lock = Func::cust("pg_advisory_xact_lock").arg(name);
        transaction.execute(&SelectStatement::new().expr(lock).to_owned()).await?;
    }
    let total = |sum| Expr::expr(Func::coalesce([sum, Expr::val(0)])).cast_as("bigint");
    let pending = Expr::expr(Expr::case(uploads::Column::Status.eq("pending"), 1).finally(0)).sum();
    let select = uploads::Entity::find()
        .filter(uploads::Column::OwnerId.eq(&owner))
        .select_only()
        .expr_as(total(uploads::Column::Size.sum()), "bytes")
        .expr_as(total(pending), "pending");
    let used = select.into_model::<Used>().one(&transaction).await?;
    if used.is_some_and(|used| used.bytes.saturating_add(new.size) > QUOTA) {
        return Ok(None);
    }
    let row = uploads::ActiveModel {
        id: Set(api::new_id("upl")),
        version: Set(1),
        created_at: Set(now),
        updated_at: Set(now),
        owner_id: Set(owner),
        object_key: Set(key),
        filename: Set(new.filename),
        content_type: Set(new.content_type),
        size: Set(new.size),
        checksum_sha256: Set(new.checksum_sha256),
        visibility: Set("private".to_owned()),
        status: Set("pending".to_owned()),
        expires_at: Set(now + URL_LIFETIME),
        ..uploads::ActiveModel::default()
    };
    let row = uploads::Entity::insert(row).exec_with_returning(&transaction).await?;
    transaction.commit().await?;
    Ok(Some(row))
}
