//! Sign-up and sign-in.

use shared_kernel::id::UserId;
use shared_kernel::session::{ReadPrimary, WriteSession};
use user::dto::NewUser;
use user::service::Users;

use super::{Auth, active};
use crate::dto::{Device, Login, SessionResponse, Signup};
use crate::error::AuthError;
use crate::password::Verified;
use crate::repository::Passwords;

/// Number of times that a sign-in verifies the password while concurrent sign-ins replace its hash.
const LOGIN_ATTEMPTS: u32 = 3;

impl Auth {
    /// Creates an account and signs it in.
    ///
    /// # Errors
    ///
    /// [`AuthError::User`] if the address, user name or phone number is taken; [`Invalid`](shared_kernel::error::Invalid) if the password is too weak.
    pub async fn signup(
        &self,
        db: &WriteSession,
        device: Device,
        signup: Signup,
    ) -> Result<SessionResponse, AuthError> {
        let new = NewUser {
            email: signup.email,
            name: signup.name,
            username: signup.username,
            phone: signup.phone,
            is_admin: false,
        };
        // Before the transaction: only its own statements are awaited while it is open, and nothing fails after it.
        let hash = self.hasher.hash(signup.password, banned_words(&new)).await?;
        let key = self.keys.current().await?;
        let user = Users.register(db, new).await?;
        Passwords::set(db, user.id, hash).await?;
        let opened = self.open_session(db, device, user.id).await?;
        self.answer(&key, &opened, user)
    }

    /// Signs in. An unknown account, a wrong password, a suspended account and one without a password get the same answer in the same
    /// time.
    ///
    /// # Errors
    ///
    /// [`AuthError::InvalidCredentials`].
    pub async fn login(
        &self,
        reader: &ReadPrimary,
        db: &mut WriteSession,
        device: Device,
        login: Login,
    ) -> Result<SessionResponse, AuthError> {
        for _ in 0..LOGIN_ATTEMPTS {
            let (user, stored, rehashed) = self.verify_login(reader, &login).await?;
            let key = self.keys.current().await?;
            // Before the password: the same order of locks as that of an admin's change of both.
            let user = Users.hold(db, user).await?;
            let user = active(user).ok_or(AuthError::InvalidCredentials)?;
            // Hashing took time: the verified hash must still be the stored one, and is locked until the commit.
            let holds = match rehashed {
                None => Passwords::is_still(db, user.id, &stored).await?,
                Some(new) => Passwords::replace(db, user.id, &stored, new).await?,
            };
            if holds {
                let opened = self.open_session(db, device, user.id).await?;
                return self.answer(&key, &opened, user);
            }
            // Either another sign-in has replaced an outdated hash of the same password, or the password was changed.
            db.restart();
        }
        Err(AuthError::Busy)
    }

    /// The account with these credentials, the hash that was verified, and a new hash if that is outdated.
    async fn verify_login(
        &self,
        reader: &ReadPrimary,
        login: &Login,
    ) -> Result<(UserId, String, Option<String>), AuthError> {
        let user = Users.find_by_identifier(reader, &login.identifier).await?;
        // An unknown account costs the same queries and the same hash.
        let id = user.as_ref().map_or_else(|| UserId::new(self.now()), |user| user.id);
        let stored = Passwords::find(reader, id).await?;
        let verified = self.hasher.verify(login.password.clone(), stored.clone()).await?;
        let (stored, rehashed) = match (verified, stored) {
            (Verified::Yes, Some(stored)) => (stored, None),
            // For suspended accounts, too: an outdated hash alone would take another time than an unknown account's.
            (Verified::NeedsRehash, Some(old)) => {
                (old, Some(self.hasher.rehash(login.password.clone()).await?))
            }
            _ => return Err(AuthError::InvalidCredentials),
        };
        let user = active(user).ok_or(AuthError::InvalidCredentials)?;
        Ok((user.id, stored, rehashed))
    }
}

/// Personal words that a password must not consist of.
fn banned_words(new: &NewUser) -> Vec<String> {
    let mut words = vec![new.email.to_string(), new.name.to_string()];
    words.extend(new.email.as_str().split('@').next().map(str::to_owned));
    words.extend(new.username.as_ref().map(|name| name.as_str().to_owned()));
    words
}
