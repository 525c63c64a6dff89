//! The rules of signing in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use moka::future::Cache;
use sea_orm::ActiveValue::Set;
use shared_kernel::clock::Timestamp;
use shared_kernel::contact::Email;
use shared_kernel::crypto::SecretKey;
use shared_kernel::error::Invalid;
use shared_kernel::event::Origin;
use shared_kernel::id::{SessionId, UserId};
use shared_kernel::principal::{Authentication, Method, Principal, Scopes};
use shared_kernel::resource::Resource;
use shared_kernel::session::{Databases, ReadPrimary, Reader, WriteSession};
use user::dto::{DisplayName, NewUser, User, UserStatus};

use crate::dto::{Device, Login, NewPassword, RefreshToken, SessionAnswer, Signup};
use crate::error::AuthError;
use crate::event::RefreshTokenReused;
use crate::model::session::{self, EndReason};
use crate::password::{PasswordHasher, Verified};
use crate::repository::{Passwords, Sessions};
use crate::settings::AuthSettings;
use crate::token::access::AccessTokens;
use crate::token::keys::{Keyring, SigningKey};
use crate::token::refresh::{RefreshClaim, RefreshTokens};

/// What other domains may know of the tables of signing in: nothing.
pub static RESOURCES: &[Resource] = &[];

/// What signing in needs besides a session: keys, threads, caches. One for each process.
pub struct Auth {
    settings: AuthSettings,
    databases: Databases,
    hasher: PasswordHasher,
    keys: Keyring,
    access: AccessTokens,
    refresh: RefreshTokens,
    alive: Cache<SessionId, Option<Arc<Principal>>>,
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How long the answer to "is this session alive, and who is it" is believed: after this, what another instance changed
/// is in force here.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// How many sessions are remembered: about 2 MiB.
const REMEMBERED: u64 = 10_000;

impl Auth {
    /// Reads the keys, starts the hashing threads.
    ///
    /// # Errors
    ///
    /// The database's; the keys were sealed with another secret; the Argon2 parameters do not work.
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
            alive: Cache::builder().max_capacity(REMEMBERED).time_to_live(BELIEVED_FOR).build(),
            databases,
            settings,
        })
    }

    /// Lifetime of a session that nobody refreshes.
    #[must_use]
    pub fn session_lifetime(&self) -> Duration {
        self.settings.session_lifetime
    }

    /// Forgets who is signed in, so that the next request of each session asks the database.
    pub fn forget_sessions(&self) {
        self.alive.invalidate_all();
    }

    /// The same once `db` is committed: for a change of an account. Other instances follow within a second.
    pub fn forget_sessions_after(&self, db: &WriteSession) {
        let alive = self.alive.clone();
        db.after_commit(async move { alive.invalidate_all() });
    }

    /// Forgets one of them once `db` is committed.
    fn forget_after(&self, db: &WriteSession, id: SessionId) {
        let alive = self.alive.clone();
        db.after_commit(async move { alive.invalidate(&id).await });
    }

    fn now(&self) -> Timestamp {
        self.databases.clock().now()
    }
}

/// Makes an account and signs in.
///
/// # Errors
///
/// [`AuthError::User`] if the address, name or number is taken; [`Invalid`] if the password is not acceptable.
pub async fn signup(
    auth: &Auth,
    db: &WriteSession,
    device: Device,
    signup: Signup,
) -> Result<SessionAnswer, AuthError> {
    let new = NewUser {
        email: signup.email,
        name: signup.name,
        username: signup.username,
        phone: signup.phone,
        is_admin: false,
    };
    // Before the transaction: nothing but its own statements is awaited while one is open, and nothing fails after it.
    let hash = auth.hasher.hash(signup.password, own_words(&new)).await?;
    let key = auth.keys.current().await?;
    let user = user::service::register(db, new).await?;
    Passwords::set(db, user.id, hash).await?;
    let opened = open_session(auth, db, device, user.id).await?;
    answer(auth, &key, &opened, user)
}

/// How often a sign-in verifies the password, while others replace its hash at the same time.
const LOGIN_ATTEMPTS: u32 = 3;

/// Signs in. Unknown, wrong, suspended and without a password look the same and take the same time.
///
/// # Errors
///
/// [`AuthError::InvalidCredentials`].
pub async fn login(
    auth: &Auth,
    reader: &ReadPrimary,
    db: &mut WriteSession,
    device: Device,
    login: Login,
) -> Result<SessionAnswer, AuthError> {
    for _ in 0..LOGIN_ATTEMPTS {
        let (user, stored, rehashed) = verify_login(auth, reader, &login).await?;
        let key = auth.keys.current().await?;
        // Before the password, in the order in which an admin's change of both takes them.
        let user = user::service::hold(db, user).await?;
        let user = active(user).ok_or(AuthError::InvalidCredentials)?;
        // Hashing took its time: what was verified must still hold, and does until the session is committed.
        let holds = match rehashed {
            None => Passwords::is_still(db, user.id, &stored).await?,
            Some(new) => Passwords::replace(db, user.id, &stored, new).await?,
        };
        if holds {
            let opened = open_session(auth, db, device, user.id).await?;
            return answer(auth, &key, &opened, user);
        }
        // Either another sign-in has replaced an outdated hash of the same password, or the password is another now.
        db.restart();
    }
    Err(AuthError::Busy)
}

/// Whose identifier and password these are, the hash that was verified, and one of today if that is outdated.
async fn verify_login(
    auth: &Auth,
    reader: &ReadPrimary,
    login: &Login,
) -> Result<(UserId, String, Option<String>), AuthError> {
    let user = user::service::find_by_identifier(reader, &login.identifier).await?;
    // An unknown account costs the same queries and the same hash.
    let id = user.as_ref().map_or_else(|| UserId::new(auth.now()), |user| user.id);
    let stored = Passwords::find(reader, id).await?;
    let verified = auth.hasher.verify(login.password.clone(), stored.clone()).await?;
    let (stored, rehashed) = match (verified, stored) {
        (Verified::Yes, Some(stored)) => (stored, None),
        // Suspended or not: the outdated hash alone would take another time than an unknown account's.
        (Verified::Outdated, Some(old)) => (old, Some(auth.hasher.rehash(login.password.clone()).await?)),
        _ => return Err(AuthError::InvalidCredentials),
    };
    let user = active(user).ok_or(AuthError::InvalidCredentials)?;
    Ok((user.id, stored, rehashed))
}

/// What becomes of a genuine refresh token. Either way the session is to be committed.
#[derive(Debug)]
pub enum Refreshed {
    /// The session goes on.
    Session(Box<SessionAnswer>),
    /// The token had been used before: the session was ended, and the answer is [`AuthError::RefreshTokenReused`].
    Reused,
}

/// Trades a refresh token for the next one and an access token.
///
/// Within the grace period, while the successor is unused, the same token yields the same successor: an answer that got
/// lost costs nobody the session. Coming back later, it ends the session (RFC 9700, section 4.14.2).
///
/// # Errors
///
/// [`AuthError::InvalidRefreshToken`].
pub async fn refresh(auth: &Auth, db: &WriteSession, token: &RefreshToken) -> Result<Refreshed, AuthError> {
    let claim = auth.refresh.read(token.expose()).ok_or(AuthError::InvalidRefreshToken)?;
    let key = auth.keys.current().await?;
    let found = Sessions::find(db, claim.session_id).await?.ok_or(AuthError::InvalidRefreshToken)?;
    let expires_at = auth.settings.expiry(db.now(), found.created_at);
    if expires_at <= db.now() {
        return Err(AuthError::InvalidRefreshToken);
    }
    let row = match Sessions::rotate(db, claim, expires_at).await? {
        Some(rotated) => rotated,
        None => match judge(auth, db, claim).await? {
            Judgement::SameSuccessor(row) => row,
            Judgement::Reuse(row) => {
                end_reused(auth, db, &row).await?;
                return Ok(Refreshed::Reused);
            }
            Judgement::Worthless => return Err(AuthError::InvalidRefreshToken),
        },
    };
    let user = user::service::find(db, row.user_id).await?;
    let user = active(user).ok_or(AuthError::InvalidRefreshToken)?;
    Ok(Refreshed::Session(Box::new(answer(auth, &key, &row, user)?)))
}

/// Ends sessions. One that is over stays as it is, so it does not matter who comes first.
///
/// # Errors
///
/// The session's.
pub async fn logout(auth: &Auth, db: &WriteSession, sessions: &[SessionId]) -> Result<(), AuthError> {
    for id in sessions {
        Sessions::end(db, *id, EndReason::Logout).await?;
        auth.forget_after(db, *id);
    }
    Ok(())
}

/// The session that a refresh token belongs to, whether it is spent or the session is over. `None`: we did not make it.
#[must_use]
pub fn session_of_refresh_token(auth: &Auth, token: &RefreshToken) -> Option<SessionId> {
    auth.refresh.read(token.expose()).map(|claim| claim.session_id)
}

/// The session that an access token belongs to, whether that is over or not.
///
/// # Errors
///
/// [`AuthError::InvalidToken`] if it is not ours or not of this time.
pub async fn session_of_access_token(auth: &Auth, token: &str) -> Result<SessionId, AuthError> {
    Ok(auth.access.verify(&auth.keys, token, auth.now()).await?.sid)
}

/// Who sent this access token. The database's truth, a second old at most.
///
/// # Errors
///
/// [`AuthError::InvalidToken`] if it is not ours, not of this time, its session is over, or its user may not be here.
pub async fn authenticate(auth: &Auth, access_token: &str) -> Result<Arc<Principal>, AuthError> {
    let claims = auth.access.verify(&auth.keys, access_token, auth.now()).await?;
    // Boxed where it is begun, which is where nothing is known of the session: the way to the database is a large future.
    let found = async { Box::pin(alive(auth, claims.sid)).await };
    let principal = auth.alive.try_get_with(claims.sid, found).await.map_err(AuthError::Shared)?;
    principal.filter(|principal| principal.user() == Some(claims.sub)).ok_or(AuthError::InvalidToken)
}

/// The public keys that access tokens can be verified with.
///
/// # Errors
///
/// The database's.
pub async fn published_keys(auth: &Auth) -> Result<JwkSet, AuthError> {
    auth.keys.published().await
}

/// How long a session that is over is kept, for whoever looks into what happened.
const SESSION_RETENTION: Duration = Duration::from_hours(30 * 24);

/// How many sessions are deleted in one transaction.
const PURGE_BATCH: u64 = 500;

/// Deletes the sessions that have been over for 30 days; how many. To be called every hour or so.
///
/// # Errors
///
/// The session's.
pub async fn purge_sessions(auth: &Auth) -> Result<u64, AuthError> {
    purge(&auth.databases, SESSION_RETENTION).await
}

/// Deletes the sessions that were ended or expired longer ago than `retention`; how many. Reads the whole table, and
/// deletes in transactions of 500, so that nobody else waits long.
///
/// # Errors
///
/// The session's. What was deleted before stays deleted.
pub async fn purge(databases: &Databases, retention: Duration) -> Result<u64, AuthError> {
    let before = databases.clock().now() - retention;
    let mut purged = 0;
    loop {
        let session = databases.write();
        let deleted = Sessions::purge(&session, before, PURGE_BATCH).await?;
        purged += session.commit(deleted).await?.into_value();
        if deleted < PURGE_BATCH {
            return Ok(purged);
        }
    }
}

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
        AdminAccount::Existing(id) => known_words(user::service::find(reader, *id).await?),
    };
    // Hashed before the first statement of `db`: no transaction is open meanwhile.
    let hash = match password {
        Some(password) => Some(hasher.hash(password, own_words).await?),
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

async fn alive(auth: &Auth, id: SessionId) -> Result<Option<Arc<Principal>>, AuthError> {
    let reader = auth.databases.read_primary();
    let Some(row) = Sessions::find(&reader, id).await? else { return Ok(None) };
    if row.ended_at.is_some() || row.expires_at <= auth.now() {
        return Ok(None);
    }
    let user = user::service::find(&reader, row.user_id).await?;
    Ok(active(user).map(|user| Arc::new(principal(&row, &user))))
}

/// The user of a session. There is one way to sign in so far, and the sign-in is the only proof of a session.
fn principal(row: &session::Model, user: &User) -> Principal {
    let authentication =
        Authentication { session_id: row.id, at: row.created_at, methods: vec![Method::Password] };
    Principal::signed_in(user.id, authentication, Scopes::of_user(user.is_admin))
}

fn active(user: Option<User>) -> Option<User> {
    user.filter(|user| user.status == UserStatus::Active)
}

/// A new session: the one place where every way to sign in ends. `db` must [hold](user::service::hold) the account, or
/// have made it: of two sign-ins at once, the second has to see the session of the first, or together they are too many.
async fn open_session(
    auth: &Auth,
    db: &WriteSession,
    device: Device,
    user_id: UserId,
) -> Result<session::Model, AuthError> {
    Sessions::displace(db, user_id, auth.settings.sessions_per_user.saturating_sub(1)).await?;
    let short = |text: String, length: usize| text.chars().take(length).collect::<String>();
    let row = session::ActiveModel {
        id: Set(db.new_id()),
        user_id: Set(user_id),
        generation: Set(0),
        rotated_at: Set(db.now()),
        created_at: Set(db.now()),
        expires_at: Set(auth.settings.expiry(db.now(), db.now())),
        ended_at: Set(None),
        end_reason: Set(None),
        user_agent: Set(device.user_agent.map(|text| short(text, 300))),
        address: Set(device.address.map(|text| short(text, 45))),
    };
    Ok(Sessions::insert(db, row).await?)
}

/// The answer to a sign-in, made before the commit, because it may fail.
fn answer(
    auth: &Auth,
    key: &SigningKey,
    session: &session::Model,
    user: User,
) -> Result<SessionAnswer, AuthError> {
    let session_id = session.id;
    let generation = u32::try_from(session.generation).unwrap_or(u32::MAX);
    let access_token = auth.access.issue(key, user.id, session_id, auth.now())?;
    Ok(SessionAnswer {
        access_token,
        token_type: "Bearer",
        expires_in: auth.access.lifetime().as_secs(),
        refresh_token: Some(auth.refresh.issue(RefreshClaim { session_id, generation })),
        session_id,
        user,
    })
}

/// What a genuine refresh token that could not be rotated is worth.
enum Judgement {
    /// It was used a moment ago and its successor was not.
    SameSuccessor(session::Model),
    /// It was used before.
    Reuse(session::Model),
    /// Its session is over or gone.
    Worthless,
}

async fn judge(auth: &Auth, db: &impl Reader, claim: RefreshClaim) -> Result<Judgement, AuthError> {
    let now = auth.now();
    let Some(row) = Sessions::find(db, claim.session_id).await? else { return Ok(Judgement::Worthless) };
    let generation = i64::from(claim.generation);
    if row.ended_at.is_some() || row.expires_at <= now || generation >= row.generation {
        return Ok(Judgement::Worthless);
    }
    let successor_is_unused = generation + 1 == row.generation;
    Ok(if successor_is_unused && now.since(row.rotated_at) <= auth.settings.refresh_grace {
        Judgement::SameSuccessor(row)
    } else {
        Judgement::Reuse(row)
    })
}

/// Ends the session of a token that came back.
async fn end_reused(auth: &Auth, db: &WriteSession, row: &session::Model) -> Result<(), AuthError> {
    if Sessions::end(db, row.id, EndReason::Reuse).await? {
        db.emit(&RefreshTokenReused { user_id: row.user_id, session_id: row.id }).await?;
    }
    auth.forget_after(db, row.id);
    Ok(())
}

/// What a password must not consist of.
fn own_words(new: &NewUser) -> Vec<String> {
    let mut words = vec![new.email.to_string(), new.name.to_string()];
    words.extend(new.email.as_str().split('@').next().map(str::to_owned));
    words.extend(new.username.as_ref().map(|name| name.as_str().to_owned()));
    words
}
