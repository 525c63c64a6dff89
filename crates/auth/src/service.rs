//! The rules of sign-in: the state, [`Auth`], and its operations, a file for each topic.

mod admin;
mod refresh;
mod sessions;
mod sign_in;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use sea_orm::ActiveValue::Set;
use shared_kernel::clock::Timestamp;
use shared_kernel::crypto::SecretKey;
use shared_kernel::id::{SessionId, UserId};
use shared_kernel::principal::Principal;
use shared_kernel::resource::Resource;
use shared_kernel::session::{Databases, WriteSession};
use user::dto::{User, UserStatus};

pub use self::admin::{AdminAccount, create_admin, first_sign_in};
pub use self::refresh::Refreshed;
pub use self::sessions::purge;
use crate::dto::{Device, SessionResponse, TokenType};
use crate::error::AuthError;
use crate::model::session;
use crate::password::PasswordHasher;
use crate::repository::Sessions;
use crate::settings::AuthSettings;
use crate::token::access::AccessTokens;
use crate::token::keys::{Keyring, SigningKey};
use crate::token::refresh::{RefreshClaim, RefreshTokens};

/// Tables that other domains may refer to: none.
pub static RESOURCES: &[Resource] = &[];

/// The state of sign-in: keys, threads, caches. One for each process.
pub struct Auth {
    settings: AuthSettings,
    databases: Databases,
    hasher: PasswordHasher,
    keys: Keyring,
    access: AccessTokens,
    refresh: RefreshTokens,
    principals: Cache<SessionId, Option<Arc<Principal>>>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Time for which a session's principal is cached. After it, changes by other instances are in force here.
const PRINCIPAL_CACHE_TTL: Duration = Duration::from_secs(1);

/// Number of cached sessions, which is about 2 MiB.
const CACHE_CAPACITY: u64 = 10_000;

impl Auth {
    /// Reads the keys, starts the hashing threads.
    ///
    /// # Errors
    ///
    /// The database failed, the keys were sealed with another secret, or the Argon2 parameters are invalid.
    pub async fn open(
        settings: AuthSettings,
        databases: Databases,
        secret: &SecretKey,
    ) -> Result<Self, AuthError> {
        let lifetime = settings.access_token_lifetime;
        Ok(Self {
            hasher: PasswordHasher::start(settings.passwords)?,
            keys: Keyring::open(databases.clone(), secret, lifetime).await?,
            access: AccessTokens::new(settings.issuer.clone(), settings.audience.clone(), lifetime),
            refresh: RefreshTokens::new(secret),
            principals: Cache::builder()
                .max_capacity(CACHE_CAPACITY)
                .time_to_live(PRINCIPAL_CACHE_TTL)
                .build(),
            databases,
            settings,
        })
    }

    /// Lifetime of a session that nobody refreshes.
    #[must_use]
    pub fn session_lifetime(&self) -> Duration {
        self.settings.session_lifetime
    }

    /// Empties the cache of sessions, so that the next request of each session asks the database.
    pub fn forget_sessions(&self) {
        self.principals.invalidate_all();
    }

    /// Empties the cache once `db` is committed: for a change of an account. Other instances follow within a second.
    pub fn forget_sessions_after(&self, db: &WriteSession) {
        let principals = self.principals.clone();
        db.after_commit(async move { principals.invalidate_all() });
    }

    /// Removes one session from the cache once `db` is committed.
    fn forget_after(&self, db: &WriteSession, id: SessionId) {
        let principals = self.principals.clone();
        db.after_commit(async move { principals.invalidate(&id).await });
    }

    fn now(&self) -> Timestamp {
        self.databases.clock().now()
    }

    /// A new session: the end of every way to sign in. `db` must [hold](user::service::Users::hold) the account, or have created it: of two
    /// concurrent sign-ins, the second has to see the session of the first, or together they would exceed the limit.
    async fn open_session(
        &self,
        db: &WriteSession,
        device: Device,
        user_id: UserId,
    ) -> Result<session::Model, AuthError> {
        Sessions::displace(db, user_id, self.settings.sessions_per_user.saturating_sub(1)).await?;
        let short = |text: String, length: usize| text.chars().take(length).collect::<String>();
        let row = session::ActiveModel {
            id: Set(db.new_id()),
            user_id: Set(user_id),
            generation: Set(0),
            rotated_at: Set(db.now()),
            created_at: Set(db.now()),
            expires_at: Set(self.settings.expiry(db.now(), db.now())),
            ended_at: Set(None),
            end_reason: Set(None),
            user_agent: Set(device.user_agent.map(|text| short(text, 300))),
            address: Set(device.address.map(|text| short(text, 45))),
        };
        Ok(Sessions::insert(db, row).await?)
    }

    /// The answer to a sign-in, made before the commit because it may fail.
    fn answer(
        &self,
        key: &SigningKey,
        session: &session::Model,
        user: User,
    ) -> Result<SessionResponse, AuthError> {
        let session_id = session.id;
        let generation = u32::try_from(session.generation).unwrap_or(u32::MAX);
        let access_token = self.access.issue(key, user.id, session_id, self.now())?;
        Ok(SessionResponse {
            access_token,
            token_type: TokenType::Bearer,
            expires_in: self.access.lifetime().as_secs(),
            refresh_token: Some(self.refresh.issue(RefreshClaim { session_id, generation })),
            session_id,
            user,
        })
    }
}

fn active(user: Option<User>) -> Option<User> {
    user.filter(|user| user.status == UserStatus::Active)
}
