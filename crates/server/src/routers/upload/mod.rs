//! Uploads: metadata and presigned requests. The bytes of files never pass through the API.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, Responder, delete, get, post, web};
use http_kit::access_control::AskedForHead;
use http_kit::extract::{OptionalBody, Query, ReadPrimary};
use http_kit::media;
use http_kit::prelude::*;
use shared_kernel::error::STILL_REFERENCED;
use upload::dto::{
    CompleteUpload, CreateUpload, CreatedUpload, Download, DownloadQuery, ShownUpload, Upload, UploadFilter,
    UploadKind,
};
use upload::error::UploadError;
use upload::service::UploadService;
use upload::storage::Reading;

mod bounds;
pub mod embedded_store;
mod module;
mod purge;
mod rules;

pub use module::MODULE;

/// Registers the routes.
fn configure(routes: &mut Routes<'_, '_>) {
    routes
        .handle(create_upload)
        .handle(complete_upload)
        .handle(list_uploads)
        .handle(get_upload)
        .handle(download_upload)
        .handle(delete_upload);
}

/// Create an upload
///
/// Creates an upload and returns the presigned request that sends the file to the object store. Length, media type and SHA-256 (if
/// given) are signed: the store accepts nothing else, and only once.
#[utoipa::path(tag = "uploads", operation_id = "createUpload",
    request_body(content = CreateUpload, example = json!({
        "filename": "photo.jpg", "content_type": "image/jpeg", "size": 48213, "visibility": "private"
    })),
    extensions(("x-problems" = json!([
        UploadError::QUOTA_EXCEEDED,
        USER_REQUIRED,
    ]))),
    responses((status = 201, description = "The upload is created: send the file with the request.", body = CreatedUpload,
        headers(
            ("Location" = String, description = "The upload."),
            ("ETag" = String, description = "Version of the upload."),
        ))))]
#[post("/api/v1/uploads")]
async fn create_upload(
    uploads: web::Data<UploadService>,
    CurrentUser(principal): CurrentUser,
    db: Write,
    Body(body): Body<CreateUpload>,
) -> Result<Created<CreatedUpload>, ApiError> {
    let made = uploads.create(&db, &principal, body).await?;
    db.created(format!("/api/v1/uploads/{}", made.upload.id), made).await
}

/// List uploads
///
/// Your own uploads, newest first.
#[utoipa::path(tag = "uploads", operation_id = "listUploads",
    params(UploadFilter, PageQuery), responses(Paged<Upload>))]
#[get("/api/v1/uploads")]
async fn list_uploads(
    uploads: web::Data<UploadService>,
    CurrentUser(principal): CurrentUser,
    Read(db): Read,
    query: ListQuery<UploadFilter>,
) -> Result<Paged<Upload>, ApiError> {
    Ok(Paged(uploads.list(&db, &principal, &query.filter, &query.page).await?))
}

/// Read an upload
///
/// One of your own uploads, or fewer fields of a public upload of anyone, which needs no sign-in.
#[utoipa::path(tag = "uploads", operation_id = "getUpload",
    security((), ("bearer" = []), ("oauth2" = [])),
    params(PathId<UploadKind>, IfNoneMatch),
    extensions(("x-problems" = json!([
        UploadError::NOT_FOUND,
    ]))),
    responses(
        (status = 200, description = "The upload.", body = ShownUpload,
            headers(("ETag" = String, description = "Version of the upload, if it is your own.")),
            example = json!({"id": "upl_01J9ZC3V8T5Q4X2M7N6P0R1S2T", "filename": "harbour.png", "content_type": "image/png",
                "size": 48213, "visibility": "public", "width": 1600, "height": 1200, "created_at": "2026-01-31T12:00:00.000Z"})),
        (status = 304, description = "The version that the client has is current."),
    ))]
#[get("/api/v1/uploads/{upload_id}")]
async fn get_upload(
    uploads: web::Data<UploadService>,
    MaybeUser(principal): MaybeUser,
    PathId(id): PathId<UploadKind>,
    ReadPrimary(db): ReadPrimary,
) -> Result<Shown, ApiError> {
    Ok(Shown(uploads.get(&db, principal.as_deref(), id).await?))
}

/// Complete an upload
///
/// Tells the server that the file was sent. The server examines it in the store: size, checksum and content must match what was
/// declared. Repeating the request returns the same answer.
#[utoipa::path(tag = "uploads", operation_id = "completeUpload",
    params(PathId<UploadKind>), responses(Updated<Upload>),
    request_body(content = Option<CompleteUpload>, example = json!({})),
    extensions(("x-deadline-seconds" = json!(120)), ("x-problems" = json!([
        UploadError::NOT_FOUND,
        UploadError::INCOMPLETE,
        UploadError::EXPIRED,
        UploadError::MISMATCH,
    ]))))]
#[post("/api/v1/uploads/{upload_id}/complete")]
async fn complete_upload(
    uploads: web::Data<UploadService>,
    CurrentUser(principal): CurrentUser,
    PathId(id): PathId<UploadKind>,
    ReadPrimary(reader): ReadPrimary,
    db: Write,
    _body: OptionalBody<CompleteUpload>,
) -> Result<Updated<Upload>, ApiError> {
    let upload = uploads.complete(&reader, &db, &principal, id).await?;
    db.updated(upload).await
}

/// Download an upload
///
/// Redirects to a short-lived URL of the file in the store, or returns that URL with `Accept: application/json`. A public upload
/// needs no sign-in, so pages can link to this address. It never changes, and stops working when the upload is deleted or its
/// owner is suspended.
#[utoipa::path(tag = "uploads", operation_id = "downloadUpload",
    security((), ("bearer" = []), ("oauth2" = [])),
    params(PathId<UploadKind>, DownloadQuery),
    extensions(("x-problems" = json!([
        UploadError::NOT_FOUND,
        UploadError::INCOMPLETE,
    ]))),
    responses(
        (status = 200, description = "The URL, with `Accept: application/json`.", body = Download),
        (status = 302, description = "Redirect to the file.", headers(("Location" = String, description = "Short-lived URL of the file."))),
    ))]
#[get("/api/v1/uploads/{upload_id}/download")]
async fn download_upload(
    uploads: web::Data<UploadService>,
    MaybeUser(principal): MaybeUser,
    PathId(id): PathId<UploadKind>,
    ReadPrimary(db): ReadPrimary,
    Query(query): Query<DownloadQuery>,
    head: Option<web::ReqData<AskedForHead>>,
) -> Result<Downloaded, ApiError> {
    // Clients that follow the redirect send the same method again.
    let reading = if head.is_some() { Reading::Head } else { Reading::Get };
    let how = (reading, query.disposition);
    let principal = principal.as_deref();
    let download = uploads.download(&db, principal, id, how).await?;
    Ok(Downloaded(download))
}

/// Delete an upload
///
/// Deletes an upload; its file is removed after a grace period. Refused while a resource that cannot exist without it refers to it.
#[utoipa::path(tag = "uploads", operation_id = "deleteUpload",
    params(PathId<UploadKind>, IfMatch), responses(NoContent),
    extensions(("x-problems" = json!([
        UploadError::NOT_FOUND,
        STILL_REFERENCED,
    ]))))]
#[delete("/api/v1/uploads/{upload_id}")]
async fn delete_upload(
    uploads: web::Data<UploadService>,
    CurrentUser(principal): CurrentUser,
    PathId(id): PathId<UploadKind>,
    db: Write,
    IfMatch(precondition): IfMatch,
) -> Result<NoContent, ApiError> {
    uploads.delete(&db, &principal, id, &precondition).await?;
    db.no_content().await
}

/// An upload for its owner, with its `ETag`, or a public upload for anyone, without: the representations differ, and those who may
/// not change an upload have no use for its version. Caches do not store the latter, because the upload may be deleted next.
struct Shown(ShownUpload);

impl Responder for Shown {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self.0 {
            ShownUpload::Own(upload) => Resource(upload).respond_to(request),
            ShownUpload::Public(upload) => {
                HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(upload)
            }
        }
    }
}

/// A redirect, or the URL for clients that accept JSON.
struct Downloaded(Download);

impl Responder for Downloaded {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        // The URL is a key to the file: no cache may keep it.
        let no_store = (header::CACHE_CONTROL, "no-store");
        let vary = (header::VARY, "Accept");
        if media::is_asked_for(request.headers(), media::JSON) {
            return HttpResponse::Ok().insert_header(no_store).insert_header(vary).json(self.0);
        }
        let location = (header::LOCATION, self.0.url);
        HttpResponse::Found().insert_header(no_store).insert_header(vary).insert_header(location).finish()
    }
}
