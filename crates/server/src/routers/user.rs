//! Accounts: a user's own, and all of them for admins.

use actix_web::{get, patch, web};
use app_kit::module::Module;
use auth::Auth;
use http_kit::extract::{Admin, Body, CurrentUser, IfMatch, ListQuery, PathId, Read, ReadPrimary};
use http_kit::problem::ApiError;
use http_kit::respond::{Paged, Resource};
use http_kit::routes::Routes;
use http_kit::write::{Updated, Write};
use shared_kernel::error::USER_REQUIRED;
use shared_kernel::id::{UserId, UserKind};
use shared_kernel::page::{Page, PageQuery};
use shared_kernel::principal::Principal;
use shared_kernel::session::{self, ReadSession};
use user::dto::{AdminUpdateUser, UpdateMe, User, UserFilter};
use user::error::UserError;
use user::service;

/// Accounts.
pub static MODULE: Module = Module {
    tags: &[("users", "Your own account."), ("admin", "Administration of accounts.")],
    routes: configure,
    problems: user::error::PROBLEMS,
    resources: service::RESOURCES,
    ..Module::EMPTY
};

/// Registers the routes.
fn configure(routes: &mut Routes<'_, '_>) {
    routes.handle(get_me).handle(update_me).handle(get_user);
    routes.handle(list_users).handle(admin_update_user);
}

/// Read your account
///
/// Your own account.
#[utoipa::path(tag = "users", operation_id = "getMe",
    params(("If-None-Match" = Option<String>, Header, description = "ETag of the version that the client has.")),
    extensions(("x-problems" = json!([
        UserError::NOT_FOUND,
        USER_REQUIRED,
    ]))),
    responses(
        (status = 200, description = "The account.", body = User, headers(("ETag" = String, description = "Version of the account."))),
        (status = 304, description = "The version that the client has is current."),
    ))]
#[get("/api/v1/users/me")]
async fn get_me(
    CurrentUser(principal): CurrentUser,
    Read(db): Read,
    ReadPrimary(primary): ReadPrimary,
) -> Result<Resource<User>, ApiError> {
    Ok(Resource(read(&principal, principal.require_user()?, &db, &primary).await?))
}

/// An account. The caller's own account exists, because access control has read it: if a replica does not have it yet, the primary is
/// asked.
async fn read(
    principal: &Principal,
    id: UserId,
    db: &ReadSession,
    primary: &session::ReadPrimary,
) -> Result<User, UserError> {
    match service::get(db, principal, id).await {
        Err(UserError::NotFound) if principal.owns(id) => service::get(primary, principal, id).await,
        outcome => outcome,
    }
}

/// Change your account
///
/// Changes your own account. The e-mail address cannot be changed: a new one would have to be verified first.
#[utoipa::path(tag = "users", operation_id = "updateMe",
    params(("If-Match" = Option<String>, Header, description = "Change only this version.")),
    request_body(content = UpdateMe, example = json!({"name": "Ada King", "username": "ada", "phone": null})),
    extensions(("x-problems" = json!([
        UserError::NOT_FOUND,
        UserError::USERNAME_TAKEN,
        UserError::PHONE_TAKEN,
        USER_REQUIRED,
    ]))),
    responses(
        (status = 200, description = "The changed account.", body = User, headers(("ETag" = String, description = "Version of the account."))),
    ))]
#[patch("/api/v1/users/me")]
async fn update_me(
    CurrentUser(principal): CurrentUser,
    db: Write,
    IfMatch(precondition): IfMatch,
    Body(changes): Body<UpdateMe>,
) -> Result<Updated<User>, ApiError> {
    let user = service::update_me(&db, &principal, &precondition, changes).await?;
    db.updated(user).await
}

/// Read an account
///
/// An account: your own, or any account for an admin. For others it is not found.
#[utoipa::path(tag = "users", operation_id = "getUser",
    params(
        ("user_id" = UserId, Path, description = "The account."),
        ("If-None-Match" = Option<String>, Header, description = "ETag of the version that the client has."),
    ),
    extensions(("x-problems" = json!([
        UserError::NOT_FOUND,
    ]))),
    responses(
        (status = 200, description = "The account.", body = User, headers(("ETag" = String, description = "Version of the account."))),
        (status = 304, description = "The version that the client has is current."),
    ))]
#[get("/api/v1/users/{user_id}")]
async fn get_user(
    CurrentUser(principal): CurrentUser,
    PathId(id): PathId<UserKind>,
    Read(db): Read,
    ReadPrimary(primary): ReadPrimary,
) -> Result<Resource<User>, ApiError> {
    Ok(Resource(read(&principal, id, &db, &primary).await?))
}

/// List accounts
///
/// Pages of all accounts, with filters.
#[utoipa::path(tag = "admin", operation_id = "adminListUsers",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(UserFilter, PageQuery),
    responses((status = 200, description = "A page of accounts.", body = Page<User>,
        headers(("Link" = String, description = "The next page.")))))]
#[get("/api/v1/admin/users")]
async fn list_users(
    _admin: Admin,
    Read(db): Read,
    query: ListQuery<UserFilter>,
) -> Result<Paged<User>, ApiError> {
    Ok(Paged(service::list(&db, &query.filter, &query.page).await?))
}

/// Change an account
///
/// Changes an account. A suspended account is locked out of all its sessions at once, until it is active again. The last admin cannot
/// be demoted or suspended.
#[utoipa::path(tag = "admin", operation_id = "adminUpdateUser",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(
        ("user_id" = UserId, Path, description = "The account."),
        ("If-Match" = Option<String>, Header, description = "Change only this version."),
    ),
    request_body(content = AdminUpdateUser, example = json!({"status": "suspended"})),
    extensions(("x-problems" = json!([
        UserError::NOT_FOUND,
        UserError::LAST_ADMIN,
    ]))),
    responses(
        (status = 200, description = "The changed account.", body = User, headers(("ETag" = String, description = "Version of the account."))),
    ))]
#[patch("/api/v1/admin/users/{user_id}")]
async fn admin_update_user(
    auth: web::Data<Auth>,
    Admin(principal): Admin,
    PathId(id): PathId<UserKind>,
    db: Write,
    IfMatch(precondition): IfMatch,
    Body(changes): Body<AdminUpdateUser>,
) -> Result<Updated<User>, ApiError> {
    let user = service::admin_update(&db, &principal, id, &precondition, changes).await?;
    auth.forget_sessions_after(&db);
    db.updated(user).await
}
