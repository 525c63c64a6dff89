//! What the tests of accounts have in common.

use std::sync::Arc;

use sea_orm::ConnectionTrait as _;
use shared_kernel::clock::Timestamp;
use shared_kernel::contact::Email;
use shared_kernel::error::DomainError as _;
use shared_kernel::field::TextField as _;
use shared_kernel::id::UserId;
use shared_kernel::principal::Principal;
use shared_kernel::repository::{Precondition, Representation as _};
use shared_kernel::session::{Databases, WriteSession};
use shared_kernel::testing::{self, FixedClock, TestDatabase};
use user::contact::{PhoneNumber, Username};
use user::dto::{AdminUpdateUser, DisplayName, NewUser, UpdateMe, User};
use user::error::UserError;
use user::service::{self, Users};

/// An empty database, and the clock that its sessions go by.
pub(crate) async fn database() -> (TestDatabase, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::new(moment("2026-01-31T12:00:00Z")));
    let resources = service::RESOURCES.iter().collect();
    (TestDatabase::with_resources::<migration::Migrator>(clock.clone(), resources).await, clock)
}

pub(crate) fn moment(text: &str) -> Timestamp {
    serde_json::from_value(text.into()).unwrap()
}

/// An account of that name, at `<name>@example.com`.
pub(crate) fn new_user(name: &str) -> NewUser {
    NewUser {
        email: Email::parse(&format!("{name}@example.com")).unwrap(),
        name: DisplayName::parse(name).unwrap(),
        username: None,
        phone: None,
        is_admin: false,
    }
}

pub(crate) fn username(text: &str) -> Username {
    Username::parse(text).unwrap()
}

pub(crate) fn phone(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).unwrap()
}

/// Registers and commits.
pub(crate) async fn try_register(databases: &Databases, new: NewUser) -> Result<User, UserError> {
    let session = databases.write();
    let user = Users.register(&session, new).await?;
    Ok(session.commit(user).await?.into_value())
}

pub(crate) async fn registered(databases: &Databases, new: NewUser) -> User {
    try_register(databases, new).await.unwrap()
}

pub(crate) async fn registered_admin(databases: &Databases, name: &str) -> User {
    registered(databases, NewUser { is_admin: true, ..new_user(name) }).await
}

/// That user as the one who asks.
pub(crate) fn principal(user: &User) -> Principal {
    let principal = testing::principal(user.id, user.created_at);
    if user.is_admin { testing::as_admin(&principal) } else { principal }
}

/// A body as a client sends it, parsed and validated.
pub(crate) fn body<T>(json: &str) -> T
where
    T: serde::de::DeserializeOwned + garde::Validate<Context = ()>,
{
    shared_kernel::json::parse(json.as_bytes()).unwrap()
}

pub(crate) async fn update_me(databases: &Databases, me: &User, json: &str) -> Result<User, UserError> {
    let session = databases.write();
    let changes: UpdateMe = body(json);
    let user = Users.update_me(&session, &principal(me), &Precondition::None, changes).await?;
    Ok(session.commit(user).await?.into_value())
}

pub(crate) async fn admin_update(
    databases: &Databases,
    admin: &User,
    id: UserId,
    json: &str,
) -> Result<User, UserError> {
    let session = databases.write();
    let changes: AdminUpdateUser = body(json);
    let user = Users.admin_update(&session, &principal(admin), id, &Precondition::None, changes).await?;
    Ok(session.commit(user).await?.into_value())
}

/// As a client sees the account now.
pub(crate) async fn found(databases: &Databases, id: UserId) -> Option<User> {
    Users.find(&databases.read_primary(), id).await.unwrap()
}

/// Deletes the row softly, which no service does yet.
pub(crate) async fn delete(databases: &Databases, user: &User) {
    databases.forget_recent_rows();
    let sql = format!("UPDATE users SET deleted_at = updated_at WHERE id = '{}'", user.id);
    assert_eq!(databases.primary().execute_unprepared(&sql).await.unwrap().rows_affected(), 1);
}

/// What the client is told: the code, and each field with its code.
pub(crate) fn told(error: &UserError) -> (&'static str, Vec<(String, String)>) {
    let fields = error.fields().into_iter().map(|field| (field.pointer, field.code.into_owned())).collect();
    (error.problem().code, fields)
}

pub(crate) fn version(user: &User) -> i64 {
    user.revision().version()
}

/// Commits, which has to work.
pub(crate) async fn commit(session: WriteSession) {
    session.commit(()).await.unwrap().into_value();
}
