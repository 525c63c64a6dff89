//! Creation of admins on the command line.

use shared_kernel::contact::Email;
use shared_kernel::error::Invalid;
use shared_kernel::event::Origin;
use shared_kernel::id::UserId;
use shared_kernel::principal::Principal;
use shared_kernel::session::{ReadPrimary, Reader, WriteSession};
use user::dto::{DisplayName, NewUser, User};

use crate::dto::{Device, NewPassword};
use crate::error::AuthError;
use crate::model::session::EndReason;
use crate::password::PasswordHasher;
use crate::repository::{Passwords, Sessions};

/// The account that becomes an admin.
#[derive(Clone, Debug)]
pub enum AdminAccount {
    /// A new account.
    New {
        /// E-mail address.
        email: Email,
        /// Display name.
        name: DisplayName,
    },
    /// An existing account, named by its id: anybody may have signed up with anybody's address.
    Existing(UserId),
}

/// Makes an existing or a new account an admin, for the command line. A new password of an existing account ends its sessions,
/// because somebody else may have created it.
///
/// # Errors
///
/// [`Invalid`] if a new account has no password, or the password is too weak; [`AuthError::User`] if the account does not exist, or
/// the address of a new one is taken.
pub async fn create_admin(
    hasher: &PasswordHasher,
    reader: &ReadPrimary,
    db: &WriteSession,
    principal: &Principal,
    account: AdminAccount,
    password: Option<NewPassword>,
) -> Result<User, AuthError> {
    if password.is_none() && matches!(account, AdminAccount::New { .. }) {
        return Err(Invalid::field("/password", "required", "a new account needs a password").into());
    }
    let banned_words = match &account {
        AdminAccount::New { email, .. } => vec![email.to_string()],
        AdminAccount::Existing(id) => known_words(user::service::find(reader, *id).await?),
    };
    // Hashed before the first statement of `db`, so that no transaction is open meanwhile.
    let hash = match password {
        Some(password) => Some(hasher.hash(password, banned_words).await?),
        None => None,
    };
    let exists = matches!(account, AdminAccount::Existing(_));
    db.set_origin(Origin { principal: Some(principal.to_string()), traceparent: None });
    let user = match account {
        AdminAccount::Existing(id) => user::service::promote(db, id).await?,
        AdminAccount::New { email, name } => {
            let new = NewUser { email, name, username: None, phone: None, is_admin: true };
            user::service::register(db, new).await?
        }
    };
    if let Some(hash) = hash {
        Passwords::set(db, user.id, hash).await?;
        if exists {
            // After the password: a sign-in with the old one has finished by now, and its session is seen, or it fails.
            Sessions::end_all(db, user.id, EndReason::PasswordChange).await?;
        }
    }
    Ok(user)
}

/// Personal words that a new password of that account must not consist of.
fn known_words(user: Option<User>) -> Vec<String> {
    user.map_or_else(Vec::new, |user| {
        let names = [Some(user.name), user.username].into_iter().flatten();
        names.chain([user.email]).collect()
    })
}

/// The device of the account's oldest known sign-in.
///
/// # Errors
///
/// The session's.
pub async fn first_sign_in(session: &impl Reader, user: UserId) -> Result<Option<Device>, AuthError> {
    let first = Sessions::first_of(session, user).await?;
    Ok(first.map(|row| Device { user_agent: row.user_agent, address: row.address }))
}
