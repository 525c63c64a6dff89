//! Accounts: a user's own, and all of them for admins.

use actix_web::{get, patch, web};
use app_kit::module::Module;
use auth::Auth;
use http_kit::extract::ReadPrimary;
use http_kit::prelude::*;
use shared_kernel::id::{UserId, UserKind};
use shared_kernel::principal::Principal;
use shared_kernel::session::{self, ReadSession};
use user::dto::{AdminUpdateUser, UpdateMe, User, UserFilter};
use user::error::UserError;
use user::service::{self, Users};

/// Accounts.
pub static MODULE: Module = Module {
    tags: &[("users", "Your own account."), ("admin", "Administration of accounts.")],
    routes: configure,
    problems: UserError::PROBLEMS,
    resources: service::RESOURCES,
    start: |wiring| wiring.starts(Users),
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
    params(IfNoneMatch), responses(Resource<User>),
    extensions(("x-problems" = json!([
        UserError::NOT_FOUND,
        USER_REQUIRED,
    ]))))]
#[get("/api/v1/users/me")]
async fn get_me(
    users: web::Data<Users>,
    CurrentUser(principal): CurrentUser,
    Read(db): Read,
    ReadPrimary(primary): ReadPrimary,
) -> Result<Resource<User>, ApiError> {
    Ok(Resource(read(&users, &principal, principal.require_user()?, &db, &primary).await?))
}

/// An account. The caller's own account exists, because access control has read it: if a replica does not have it yet, the primary is
/// asked.
async fn read(
    users: &Users,
    principal: &Principal,
    id: UserId,
    db: &ReadSession,
    primary: &session::ReadPrimary,
) -> Result<User, UserError> {
    match users.get(db, principal, id).await {
        Err(UserError::NotFound) if principal.owns(id) => users.get_current(primary, principal, id).await,
        outcome => outcome,
    }
}

/// Change your account
///
/// Changes your own account. The e-mail address cannot be changed: a new one would have to be verified first.
#[utoipa::path(tag = "users", operation_id = "updateMe",
    params(IfMatch), responses(Updated<User>),
    request_body(content = UpdateMe, example = json!({"name": "Ada King", "username": "ada", "phone": null})),
    extensions(("x-problems" = json!([
        UserError::NOT_FOUND,
        UserError::USERNAME_TAKEN,
        UserError::PHONE_TAKEN,
        USER_REQUIRED,
    ]))))]
#[patch("/api/v1/users/me")]
async fn update_me(
    users: web::Data<Users>,
    CurrentUser(principal): CurrentUser,
    db: Write,
    IfMatch(precondition): IfMatch,
    Body(changes): Body<UpdateMe>,
) -> Result<Updated<User>, ApiError> {
    let user = users.update_me(&db, &principal, &precondition, changes).await?;
    db.updated(user).await
}

/// Read an account
///
/// An account: your own, or any account for an admin. For others it is not found.
#[utoipa::path(tag = "users", operation_id = "getUser",
    params(PathId<UserKind>, IfNoneMatch), responses(Resource<User>))]
#[get("/api/v1/users/{user_id}")]
async fn get_user(
    users: web::Data<Users>,
    CurrentUser(principal): CurrentUser,
    PathId(id): PathId<UserKind>,
    Read(db): Read,
    ReadPrimary(primary): ReadPrimary,
) -> Result<Resource<User>, ApiError> {
    Ok(Resource(read(&users, &principal, id, &db, &primary).await?))
}

/// List accounts
///
/// Pages of all accounts, with filters.
#[utoipa::path(tag = "admin", operation_id = "adminListUsers",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(UserFilter, PageQuery), responses(Paged<User>))]
#[get("/api/v1/admin/users")]
async fn list_users(
    users: web::Data<Users>,
    _admin: Admin,
    Read(db): Read,
    query: ListQuery<UserFilter>,
) -> Result<Paged<User>, ApiError> {
    Ok(Paged(users.list(&db, &query.filter, &query.page).await?))
}

/// Change an account
///
/// Changes an account. A suspended account is locked out of all its sessions at once, until it is active again. The last admin cannot
/// be demoted or suspended.
#[utoipa::path(tag = "admin", operation_id = "adminUpdateUser",
    security(("bearer" = ["admin"]), ("oauth2" = ["admin"])),
    params(PathId<UserKind>, IfMatch), responses(Updated<User>),
    request_body(content = AdminUpdateUser, example = json!({"status": "suspended"})),
    extensions(("x-problems" = json!([
        UserError::NOT_FOUND,
        UserError::LAST_ADMIN,
    ]))))]
#[patch("/api/v1/admin/users/{user_id}")]
async fn admin_update_user(
    users: web::Data<Users>,
    auth: web::Data<Auth>,
    Admin(principal): Admin,
    PathId(id): PathId<UserKind>,
    db: Write,
    IfMatch(precondition): IfMatch,
    Body(changes): Body<AdminUpdateUser>,
) -> Result<Updated<User>, ApiError> {
    let user = users.admin_update(&db, &principal, id, &precondition, changes).await?;
    auth.forget_sessions_after(&db);
    db.updated(user).await
}
