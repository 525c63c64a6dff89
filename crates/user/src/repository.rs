//! The queries on `users`.

use sea_orm::sea_query::{Expr, LockType};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    Select,
};
use shared_kernel::contact::Email;
use shared_kernel::field::TextField as _;
use shared_kernel::id::UserId;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::page::{Direction, Order, Page, PageRequest};
use shared_kernel::principal::Principal;
use shared_kernel::repository::{Repository, Scoped, contains, owned_by};
use shared_kernel::session::{Reader, SessionError, WriteSession};

use crate::contact::{PhoneNumber, Username};
use crate::dto::{UserFilter, UserSort};
use crate::model::{ActiveModel, Column, Entity, Model, Status};

pub(crate) struct UserRows;

impl Repository for UserRows {
    type Entity = Entity;
    type Row = ActiveModel;
    const EMITS_EVENTS: bool = true;
    const KEEPS_RECENT: bool = true;
}

impl Scoped for UserRows {
    /// Users see their own account; admins see all.
    fn visible_to(principal: Option<&Principal>) -> Condition {
        let everybody = principal.filter(|principal| principal.is_admin()).map(|_| Expr::val(true));
        Condition::any().add(owned_by(principal, Column::Id)).add_option(everybody)
    }

    /// All active accounts.
    fn referable_by(_: &Principal) -> Condition {
        Self::active()
    }
}

impl UserRows {
    /// The rule of [`visible_to`](Scoped::visible_to) for the row of that id, which need not be read for it.
    pub(crate) fn is_visible_to(principal: &Principal, id: UserId) -> bool {
        principal.owns(id) || principal.is_admin()
    }

    /// Condition of active accounts.
    pub(crate) fn active() -> Condition {
        Condition::all().add(Column::Status.eq(Status::Active))
    }

    /// The living account with this e-mail address, user name or phone number.
    pub(crate) async fn find_by_identifier(
        db: &impl Reader,
        identifier: &str,
    ) -> Result<Option<Model>, SessionError> {
        // The three cannot be confused: only an address has an @, only a phone number starts with +. The rules of sign-up
        // are not applied to the address: they may have changed since the account was created.
        let condition = if identifier.contains(['@', '\u{ff20}', '\u{fe6b}']) {
            Column::EmailNormalized.eq(Email::comparable(identifier))
        } else if let Ok(phone) = PhoneNumber::parse(identifier) {
            Column::Phone.eq(phone.into_string())
        } else if let Ok(username) = Username::parse(identifier) {
            Column::Username.eq(username.into_string())
        } else {
            return Ok(None);
        };
        db.one(Self::unscoped().filter(condition)).await
    }

    /// The living account, locked until the session ends, with a lock that new references to it do not wait for.
    pub(crate) async fn hold(db: &WriteSession, id: UserId) -> Result<Option<Model>, SessionError> {
        db.one(Self::unscoped().filter(Column::Id.eq(id)).lock(LockType::NoKeyUpdate)).await
    }

    /// The active admins besides `user`, locked until the session ends, so that two admins cannot demote each other at once.
    pub(crate) async fn has_other_admin(db: &WriteSession, user: UserId) -> Result<bool, SessionError> {
        let admins = Self::unscoped()
            .filter(Column::IsAdmin.eq(true))
            .filter(Column::Status.eq(Status::Active))
            .order_by_asc(Column::Id)
            .lock_exclusive();
        Ok(db.all(admins).await?.iter().any(|admin| admin.id != user))
    }

    pub(crate) async fn list(
        db: &impl Reader,
        filter: &UserFilter,
        request: &PageRequest,
    ) -> Result<Page<Model>, KernelError> {
        Self::page(db, select(filter), request, order(filter.sort.unwrap_or_default())).await
    }
}

fn select(filter: &UserFilter) -> Select<Entity> {
    let rows = if filter.deleted {
        Entity::find().filter(Column::DeletedAt.is_not_null())
    } else {
        UserRows::unscoped()
    };
    let conditions = Condition::all()
        .add_option(filter.q.as_deref().map(matches))
        .add_option(filter.status.map(|status| Column::Status.eq(Status::from(status))))
        .add_option(filter.is_admin.map(|is_admin| Column::IsAdmin.eq(is_admin)))
        .add_option(filter.created_after.map(|moment| Column::CreatedAt.gt(moment)))
        .add_option(filter.created_before.map(|moment| Column::CreatedAt.lt(moment)));
    rows.filter(conditions)
}

/// Condition that one of the searched columns contains `text`, in any spelling.
fn matches(text: &str) -> Condition {
    contains([Column::NameNormalized, Column::EmailNormalized, Column::Username, Column::Phone], text)
}

fn order(sort: UserSort) -> Order<Entity> {
    match sort {
        UserSort::Newest => Order::newest_first(),
        UserSort::Oldest => Order::by_id("created_at", Direction::Ascending),
        UserSort::Name => Order::by("name", Column::NameNormalized, Direction::Ascending),
        UserSort::NameDescending => Order::by("-name", Column::NameNormalized, Direction::Descending),
        UserSort::Email => Order::by("email", Column::EmailNormalized, Direction::Ascending),
        UserSort::EmailDescending => Order::by("-email", Column::EmailNormalized, Direction::Descending),
    }
}
