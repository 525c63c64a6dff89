//! Operations on accounts and their rules.

use sea_orm::ActiveValue::Set;
use sea_orm::Value;
use shared_kernel::id::UserId;
use shared_kernel::page::{Page, PageRequest};
use shared_kernel::patch::set_if_some;
use shared_kernel::principal::Principal;
use shared_kernel::repository::{Keyed, Precondition, Repository as _, Scoped as _, resource};
use shared_kernel::resource::Resource;
use shared_kernel::session::{ReadPrimary, ReadSession, Reader, WriteSession};

use crate::contact::{PhoneNumber, Username};
use crate::dto::{AdminUpdateUser, DisplayName, NewUser, SettableStatus, UpdateMe, User, UserFilter};
use crate::error::UserError;
use crate::model::{ActiveModel, Status};
use crate::repository::UserRows;

/// Description of the table `users` for other domains: which accounts can be referred to, and which are in use.
pub static RESOURCES: &[Resource] = &[Resource { active: UserRows::active, ..resource::<UserRows>() }];

/// Operations on accounts. Parameters start with the session and the caller.
#[derive(Clone, Copy, Debug)]
pub struct Users;

impl Users {
    /// Creates an account. Of concurrent sign-ups with one address, the database's unique constraint accepts one.
    ///
    /// # Errors
    ///
    /// [`UserError::EmailTaken`], [`UserError::UsernameTaken`], [`UserError::PhoneTaken`].
    pub async fn register(&self, db: &WriteSession, new: NewUser) -> Result<User, UserError> {
        let row = ActiveModel {
            email: Set(new.email.to_string()),
            email_normalized: Set(new.email.normalized().to_owned()),
            email_verified_at: Set(None),
            username: Set(new.username.map(Username::into_string)),
            phone: Set(new.phone.map(PhoneNumber::into_string)),
            status: Set(Status::Active),
            is_admin: Set(new.is_admin),
            ..ActiveModel::default().named(new.name)
        };
        Ok(UserRows::insert(db, row).await?.into())
    }

    /// The living account of that id, for other domains. Does not check permissions.
    ///
    /// # Errors
    ///
    /// Errors of the session.
    pub async fn find(&self, db: &impl Reader, id: UserId) -> Result<Option<User>, UserError> {
        Ok(UserRows::find_unscoped(db, id).await?.map(User::from))
    }

    /// The row of another domain that has that key, and beside it the living account of that id, as the primary has both now:
    /// one statement for a decision that needs both. `None` if there is no such row. Does not check permissions. Later calls of
    /// [`get`](Self::get) find the account without asking the database.
    ///
    /// # Errors
    ///
    /// Errors of the session.
    pub async fn find_current_with<E: Keyed>(
        &self,
        db: &ReadPrimary,
        key: Value,
        id: UserId,
    ) -> Result<Option<(E::Model, Option<User>)>, UserError> {
        let found = UserRows::find_current_with::<E>(db, key, id).await?;
        Ok(found.map(|(row, user)| (row, user.map(|user| User::from(user.as_ref())))))
    }

    /// The living account of that id, locked until the session ends: other sessions wait before they change or lock it.
    ///
    /// # Errors
    ///
    /// Errors of the session.
    pub async fn hold(&self, db: &WriteSession, id: UserId) -> Result<Option<User>, UserError> {
        Ok(UserRows::hold(db, id).await?.map(User::from))
    }

    /// The living account with this e-mail address, user name or phone number.
    ///
    /// # Errors
    ///
    /// Errors of the session.
    pub async fn find_by_identifier(
        &self,
        db: &impl Reader,
        identifier: &str,
    ) -> Result<Option<User>, UserError> {
        Ok(UserRows::find_by_identifier(db, identifier).await?.map(User::from))
    }

    /// An account, for its user or an admin, as the database had it at most a second ago. Others get [`UserError::NotFound`].
    ///
    /// # Errors
    ///
    /// [`UserError::NotFound`].
    pub async fn get(&self, db: &ReadSession, principal: &Principal, id: UserId) -> Result<User, UserError> {
        if !UserRows::is_visible_to(principal, id) {
            return Err(UserError::NotFound);
        }
        let row = UserRows::find_recent(db, id).await?;
        row.map(|row| User::from(row.as_ref())).ok_or(UserError::NotFound)
    }

    /// The same, as the primary has it now.
    ///
    /// # Errors
    ///
    /// [`UserError::NotFound`].
    pub async fn get_current(
        &self,
        db: &ReadPrimary,
        principal: &Principal,
        id: UserId,
    ) -> Result<User, UserError> {
        let row = UserRows::find(db, principal, id).await?;
        row.map(User::from).ok_or(UserError::NotFound)
    }

    /// Changes the caller's own account.
    ///
    /// # Errors
    ///
    /// [`UserError::UsernameTaken`], [`UserError::PhoneTaken`], and a stale precondition.
    pub async fn update_me(
        &self,
        db: &WriteSession,
        principal: &Principal,
        precondition: &Precondition,
        changes: UpdateMe,
    ) -> Result<User, UserError> {
        let row = ActiveModel {
            username: changes.username.map(Username::into_string).into_active(),
            phone: changes.phone.map(PhoneNumber::into_string).into_active(),
            ..renamed(changes.name)
        };
        change(db, principal.require_user()?, precondition, row).await
    }

    /// Changes an account as an admin.
    ///
    /// # Errors
    ///
    /// [`UserError::NotFound`], [`UserError::LastAdmin`], and a stale precondition.
    pub async fn admin_update(
        &self,
        db: &WriteSession,
        _admin: &Principal,
        id: UserId,
        precondition: &Precondition,
        changes: AdminUpdateUser,
    ) -> Result<User, UserError> {
        let disempowers =
            changes.is_admin == Some(false) || changes.status == Some(SettableStatus::Suspended);
        if disempowers {
            ensure_other_admin(db, id).await?;
        }
        let row = ActiveModel {
            status: set_if_some(changes.status.map(Status::from)),
            is_admin: set_if_some(changes.is_admin),
            ..renamed(changes.name)
        };
        change(db, id, precondition, row).await
    }

    /// Makes the user an admin, if they are not one yet: for the command line.
    ///
    /// # Errors
    ///
    /// [`UserError::NotFound`].
    pub async fn promote(&self, db: &WriteSession, id: UserId) -> Result<User, UserError> {
        let row = ActiveModel { is_admin: Set(true), ..ActiveModel::default() };
        change(db, id, &Precondition::None, row).await
    }

    /// A page of the accounts, for admins.
    ///
    /// # Errors
    ///
    /// An invalid cursor, and errors of the session.
    pub async fn list(
        &self,
        db: &impl Reader,
        filter: &UserFilter,
        request: &PageRequest,
    ) -> Result<Page<User>, UserError> {
        Ok(UserRows::list(db, filter, request).await?.map(User::from))
    }
}

async fn change(
    db: &WriteSession,
    id: UserId,
    precondition: &Precondition,
    row: ActiveModel,
) -> Result<User, UserError> {
    let row = UserRows::update(db, id, precondition, row).await?.ok_or(UserError::NotFound)?;
    Ok(row.into())
}

/// Refuses to demote or suspend the last admin.
async fn ensure_other_admin(db: &WriteSession, id: UserId) -> Result<(), UserError> {
    if UserRows::has_other_admin(db, id).await? {
        return Ok(());
    }
    match Users.find(db, id).await? {
        Some(user) if user.is_admin => Err(UserError::LastAdmin),
        _ => Ok(()),
    }
}

fn renamed(name: Option<DisplayName>) -> ActiveModel {
    name.map_or_else(ActiveModel::default, |name| ActiveModel::default().named(name))
}
