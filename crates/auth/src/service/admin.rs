//! Admins that are made without a request: by the command line.

use shared_kernel::contact::Email;
use shared_kernel::error::Invalid;
use shared_kernel::event::Origin;
use shared_kernel::id::UserId;
use shared_kernel::principal::Principal;
use shared_kernel::session::{ReadPrimary, Reader, WriteSession};
use user::dto::{DisplayName, NewUser, User};
use user::service::Users;

use crate::dto::{Device, NewPassword};
use crate::error::AuthError;
use crate::model::session::EndReason;
use crate::password::PasswordHasher;
use crate::repository::{Passwords, Sessions};

/// Whom the command line makes an admin.
#[derive(Clone, Debug)]
pub enum AdminAccount {
    /// Somebody who has no account yet.
    New {
        /// The address.
        email: Email,
        /// What others see.
        name: DisplayName,
    },
    /// An account that is there. By its id and nothing else: anybody may have signed up with anybody's address.
    Existing(UserId),
}

/// Makes an admin of an account, or a new account: for the command line. A password that is given to an account that is there
/// ends its sessions: somebody else may have made it.
///
/// # Errors
///
/// [`Invalid`] if a new account has no password, or the password is not acceptable; [`AuthError::User`] if there is
/// no such account, or a new one's address is taken.
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
    let own_words = match &account {
        AdminAccount::New { email, .. } => vec![email.to_string()],
        AdminAccount::Existing(id) => known_words(Users.find(reader, *id).await?),
    };
    // Hashed before the first statement of `db`: no transaction is open meanwhile.
    let hash = match password {
        Some(password) => Some(hasher.hash(password, own_words).await?),
        None => None,
    };
    let exists = matches!(account, AdminAccount::Existing(_));
    db.set_origin(Origin { principal: Some(principal.to_string()), traceparent: None });
    let user = match account {
        AdminAccount::Existing(id) => Users.promote(db, id).await?,
        AdminAccount::New { email, name } => {
            let new = NewUser { email, name, username: None, phone: None, is_admin: true };
            Users.register(db, new).await?
        }
    };
    if let Some(hash) = hash {
        Passwords::set(db, user.id, hash).await?;
        if exists {
            // After the password: a sign-in with the old one is through by now and its session is seen, or it fails.
            Sessions::end_all(db, user.id, EndReason::PasswordChange).await?;
        }
    }
    Ok(user)
}

/// What a new password of that account must not consist of.
fn known_words(user: Option<User>) -> Vec<String> {
    user.map_or_else(Vec::new, |user| {
        let names = [Some(user.name), user.username].into_iter().flatten();
        names.chain([user.email]).collect()
    })
}

/// The device that an account signed up on, or the first that is still known to have signed in on it.
///
/// # Errors
///
/// The session's.
pub async fn first_sign_in(session: &impl Reader, user: UserId) -> Result<Option<Device>, AuthError> {
    let first = Sessions::first_of(session, user).await?;
    Ok(first.map(|row| Device { user_agent: row.user_agent, address: row.address }))
}
