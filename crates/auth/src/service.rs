//! The rules of signing in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use moka::future::Cache;
use sea_orm::ActiveValue::Set;
use shared_kernel::actor::Actor;
use shared_kernel::clock::Timestamp;
use shared_kernel::contact::Email;
use shared_kernel::crypto::SecretKey;
use shared_kernel::error::Invalid;
use shared_kernel::id::{SessionId, UserId};
use shared_kernel::reference::Resource;
use shared_kernel::session::{Committed, Databases, ReadPrimary, Reader, WriteSession};
use user::dto::{DisplayName, NewUser, User, UserStatus};

use crate::dto::{Device, Login, NewPassword, RefreshToken, SessionAnswer, Signup};
use crate::error::AuthError;
use crate::event::RefreshTokenReused;
use crate::model::session::{self, EndReason};
use crate::password::{PasswordHasher, PasswordSettings, Verified};
use crate::repository::{Passwords, Sessions};
use crate::token::access::AccessTokens;
use crate::token::keys::{Keyring, SigningKey};
use crate::token::refresh::{RefreshClaim, RefreshTokens};

/// What other domains may know of the tables of signing in: nothing.
pub static RESOURCES: &[Resource] = &[];

/// What an installation decides about signing in.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// `iss` of access tokens: the URL of this installation.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// How long an access token is good for.
    pub access_token_lifetime: Duration,
    /// How long a session lives that nobody refreshes.
    pub session_lifetime: Duration,
    /// How long a session lives at most, however often it is refreshed.
    pub longest_session: Duration,
    /// How many sessions a user may have; a further one ends the one that was not used for longest.
    pub sessions_per_user: u64,
    /// How long a refresh token that was just used yields the same successor, for a client that lost the answer.
    pub refresh_grace: Duration,
    /// How passwords are hashed.
    pub passwords: PasswordSettings,
}

impl AuthSettings {
    /// When a session expires that was opened at `created` and is used `now`.
    fn expiry(&self, now: Timestamp, created: Timestamp) -> Timestamp {
        (now + self.session_lifetime).min(created + self.longest_session)
    }
}

/// What signing in needs besides a session: keys, threads, caches. One for each process.
pub struct Auth {
    settings: AuthSettings,
    databases: Databases,
    hasher: PasswordHasher,
    keys: Keyring,
    access: AccessTokens,
    refresh: RefreshTokens,
    alive: Cache<SessionId, Option<Arc<Actor>>>,
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

    /// Forgets who is signed in, so that the next request of each session asks the database. Called after a change of
    /// an account; other instances follow within a second.
    pub fn forget_sessions(&self) {
        self.alive.invalidate_all();
    }

    fn now(&self) -> Timestamp {
        self.databases.clock().now()
    }
}

/// Makes an account and signs in.
///
/// # Errors
///
/// [`AuthError::User`] if the address, name or number is taken; [`AuthError::Invalid`] if the password is not acceptable.
pub async fn signup(
    auth: &Auth,
    session: WriteSession,
    device: Device,
    signup: Signup,
) -> Result<Committed<SessionAnswer>, AuthError> {
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
    let user = user::service::register(&session, new).await?;
    Passwords::set(&session, user.id, hash).await?;
    let opened = open_session(auth, &session, device, user.id).await?;
    let answer = answer(auth, &key, &opened, user)?;
    Ok(session.commit(answer).await?)
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
    mut session: WriteSession,
    device: Device,
    login: Login,
) -> Result<Committed<SessionAnswer>, AuthError> {
    for _ in 0..LOGIN_ATTEMPTS {
        let (user, stored, rehashed) = verify_login(auth, reader, &login).await?;
        let key = auth.keys.current().await?;
        // Hashing took its time: what was verified must still hold, and does until the session is committed.
        let holds = match rehashed {
            None => Passwords::is_still(&session, user, &stored).await?,
            Some(new) => Passwords::replace(&session, user, &stored, new).await?,
        };
        if holds {
            let user = user::service::find(&session, user).await?;
            let user = active(user).ok_or(AuthError::InvalidCredentials)?;
            let opened = open_session(auth, &session, device, user.id).await?;
            let answer = answer(auth, &key, &opened, user)?;
            return Ok(session.commit(answer).await?);
        }
        // Either another sign-in has replaced an outdated hash of the same password, or the password is another now.
        session = auth.databases.write();
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

/// Trades a refresh token for the next one and an access token.
///
/// Within the grace period, while the successor is unused, the same token yields the same successor: an answer that got
/// lost costs nobody the session. Coming back later, it ends the session (RFC 9700, section 4.14.2).
///
/// # Errors
///
/// [`AuthError::InvalidRefreshToken`], [`AuthError::RefreshTokenReused`].
pub async fn refresh(
    auth: &Auth,
    session: WriteSession,
    token: &RefreshToken,
) -> Result<Committed<SessionAnswer>, AuthError> {
    let claim = auth.refresh.read(token.expose()).ok_or(AuthError::InvalidRefreshToken)?;
    let key = auth.keys.current().await?;
    let found = Sessions::find(&session, claim.session_id).await?.ok_or(AuthError::InvalidRefreshToken)?;
    let expires_at = auth.settings.expiry(session.now(), found.created_at);
    if expires_at <= session.now() {
        return Err(AuthError::InvalidRefreshToken);
    }
    let row = match Sessions::rotate(&session, claim, expires_at).await? {
        Some(rotated) => rotated,
        None => match judge(auth, &session, claim).await? {
            Judgement::SameSuccessor(row) => row,
            Judgement::Reuse(row) => {
                end_reused(auth, session, &row).await?;
                return Err(AuthError::RefreshTokenReused);
            }
            Judgement::Worthless => return Err(AuthError::InvalidRefreshToken),
        },
    };
    let user = user::service::find(&session, row.user_id).await?;
    let user = active(user).ok_or(AuthError::InvalidRefreshToken)?;
    let answer = answer(auth, &key, &row, user)?;
    Ok(session.commit(answer).await?)
}

/// Ends sessions. One that is over stays as it is, so it does not matter who comes first.
///
/// # Errors
///
/// The session's.
pub async fn logout(
    auth: &Auth,
    session: WriteSession,
    sessions: &[SessionId],
) -> Result<Committed<()>, AuthError> {
    for id in sessions {
        Sessions::end(&session, *id, EndReason::Logout).await?;
    }
    let committed = session.commit(()).await?;
    for id in sessions {
        auth.alive.invalidate(id).await;
    }
    Ok(committed)
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
pub async fn authenticate(auth: &Auth, access_token: &str) -> Result<Arc<Actor>, AuthError> {
    let claims = auth.access.verify(&auth.keys, access_token, auth.now()).await?;
    // Boxed where it is begun, which is where nothing is known of the session: the way to the database is a large future.
    let found = async { Box::pin(alive(auth, claims.sid)).await };
    let actor = auth.alive.try_get_with(claims.sid, found).await.map_err(AuthError::Shared)?;
    actor.filter(|actor| actor.user_id == claims.sub).ok_or(AuthError::InvalidToken)
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
/// [`AuthError::Invalid`] if a new account has no password, or the password is not acceptable; [`AuthError::User`] if there is
/// no such account, or a new one's address is taken.
pub async fn create_admin(
    hasher: &PasswordHasher,
    databases: &Databases,
    account: AdminAccount,
    password: Option<NewPassword>,
) -> Result<Committed<User>, AuthError> {
    if password.is_none() && matches!(account, AdminAccount::New { .. }) {
        return Err(Invalid::field("/password", "required", "a new account needs a password").into());
    }
    let own_words = match &account {
        AdminAccount::New { email, .. } => vec![email.to_string()],
        AdminAccount::Existing(id) => known_words(user::service::find(&databases.read_primary(), *id).await?),
    };
    // Hashed before the first statement of the session: no transaction is open meanwhile.
    let hash = match password {
        Some(password) => Some(hasher.hash(password, own_words).await?),
        None => None,
    };
    let session = databases.write();
    let exists = matches!(account, AdminAccount::Existing(_));
    let user = match account {
        AdminAccount::Existing(id) => user::service::promote(&session, id).await?,
        AdminAccount::New { email, name } => {
            let new = NewUser { email, name, username: None, phone: None, is_admin: true };
            user::service::register(&session, new).await?
        }
    };
    if let Some(hash) = hash {
        Passwords::set(&session, user.id, hash).await?;
        if exists {
            // After the password: a sign-in with the old one is through by now and its session is seen, or it fails.
            Sessions::end_all(&session, user.id, EndReason::PasswordChange).await?;
        }
    }
    Ok(session.commit(user).await?)
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

async fn alive(auth: &Auth, id: SessionId) -> Result<Option<Arc<Actor>>, AuthError> {
    let reader = auth.databases.read_primary();
    let Some(row) = Sessions::find(&reader, id).await? else { return Ok(None) };
    if row.ended_at.is_some() || row.expires_at <= auth.now() {
        return Ok(None);
    }
    let user = user::service::find(&reader, row.user_id).await?;
    Ok(active(user).map(|user| Arc::new(Actor { user_id: user.id, session_id: id, is_admin: user.is_admin })))
}

fn active(user: Option<User>) -> Option<User> {
    user.filter(|user| user.status == UserStatus::Active)
}

/// A new session: the one place where every way to sign in ends.
async fn open_session(
    auth: &Auth,
    session: &WriteSession,
    device: Device,
    user_id: UserId,
) -> Result<session::Model, AuthError> {
    Sessions::displace(session, user_id, auth.settings.sessions_per_user.saturating_sub(1)).await?;
    let short = |text: String, length: usize| text.chars().take(length).collect::<String>();
    let row = session::ActiveModel {
        id: Set(session.new_id()),
        user_id: Set(user_id),
        generation: Set(0),
        rotated_at: Set(session.now()),
        created_at: Set(session.now()),
        expires_at: Set(auth.settings.expiry(session.now(), session.now())),
        ended_at: Set(None),
        end_reason: Set(None),
        user_agent: Set(device.user_agent.map(|text| short(text, 300))),
        address: Set(device.address.map(|text| short(text, 45))),
    };
    Ok(Sessions::insert(session, row).await?)
}

/// What is told once the session is committed. Made before, because it may fail.
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

async fn judge(auth: &Auth, session: &impl Reader, claim: RefreshClaim) -> Result<Judgement, AuthError> {
    let now = auth.now();
    let Some(row) = Sessions::find(session, claim.session_id).await? else { return Ok(Judgement::Worthless) };
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

/// Ends the session and commits that, although the answer is an error.
async fn end_reused(auth: &Auth, session: WriteSession, row: &session::Model) -> Result<(), AuthError> {
    if Sessions::end(&session, row.id, EndReason::Reuse).await? {
        session.emit(&RefreshTokenReused { user_id: row.user_id, session_id: row.id }).await?;
    }
    session.commit(()).await?.into_value();
    auth.alive.invalidate(&row.id).await;
    Ok(())
}

/// What a password must not consist of.
fn own_words(new: &NewUser) -> Vec<String> {
    let mut words = vec![new.email.to_string(), new.name.to_string()];
    words.extend(new.email.as_str().split('@').next().map(str::to_owned));
    words.extend(new.username.as_ref().map(|name| name.as_str().to_owned()));
    words
}
