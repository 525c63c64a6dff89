//! Sessions: who is behind one, and their end.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use shared_kernel::id::SessionId;
use shared_kernel::principal::{Authentication, Method, Principal, Scopes};
use shared_kernel::session::{Databases, WriteSession};
use user::dto::User;
use user::service::Users;

use super::{Auth, active};
use crate::dto::RefreshToken;
use crate::error::AuthError;
use crate::model::session::{self, EndReason};
use crate::repository::Sessions;

/// How long a session that is over is kept, for whoever looks into what happened.
const SESSION_RETENTION: Duration = Duration::from_hours(30 * 24);

/// How many sessions are deleted in one transaction.
const PURGE_BATCH: u64 = 500;

impl Auth {
    /// Who sent this access token. The database's truth, a second old at most.
    ///
    /// # Errors
    ///
    /// [`AuthError::InvalidToken`] if it is not ours, not of this time, its session is over, or its user may not be here.
    pub async fn authenticate(&self, access_token: &str) -> Result<Arc<Principal>, AuthError> {
        let claims = self.access.verify(&self.keys, access_token, self.now()).await?;
        // Boxed where it is begun, which is where nothing is known of the session: the way to the database is a large future.
        let found = async { Box::pin(self.alive(claims.sid)).await };
        let principal = self.alive.try_get_with(claims.sid, found).await.map_err(AuthError::Shared)?;
        principal.filter(|principal| principal.user() == Some(claims.sub)).ok_or(AuthError::InvalidToken)
    }

    async fn alive(&self, id: SessionId) -> Result<Option<Arc<Principal>>, AuthError> {
        let reader = self.databases.read_primary();
        let Some(row) = Sessions::find(&reader, id).await? else { return Ok(None) };
        if row.ended_at.is_some() || row.expires_at <= self.now() {
            return Ok(None);
        }
        let user = Users.find(&reader, row.user_id).await?;
        Ok(active(user).map(|user| Arc::new(principal(&row, &user))))
    }

    /// Ends sessions. One that is over stays as it is, so it does not matter who comes first.
    ///
    /// # Errors
    ///
    /// The session's.
    pub async fn logout(&self, db: &WriteSession, sessions: &[SessionId]) -> Result<(), AuthError> {
        for id in sessions {
            Sessions::end(db, *id, EndReason::Logout).await?;
            self.forget_after(db, *id);
        }
        Ok(())
    }

    /// The session that a refresh token belongs to, whether it is spent or the session is over. `None`: we did not make it.
    #[must_use]
    pub fn session_of_refresh_token(&self, token: &RefreshToken) -> Option<SessionId> {
        self.refresh.read(token.expose()).map(|claim| claim.session_id)
    }

    /// The session that an access token belongs to, whether that is over or not.
    ///
    /// # Errors
    ///
    /// [`AuthError::InvalidToken`] if it is not ours or not of this time.
    pub async fn session_of_access_token(&self, token: &str) -> Result<SessionId, AuthError> {
        Ok(self.access.verify(&self.keys, token, self.now()).await?.sid)
    }

    /// The public keys that access tokens can be verified with.
    ///
    /// # Errors
    ///
    /// The database's.
    pub async fn published_keys(&self) -> Result<JwkSet, AuthError> {
        self.keys.published().await
    }

    /// Deletes the sessions that have been over for 30 days; how many. To be called every hour or so.
    ///
    /// # Errors
    ///
    /// The session's.
    pub async fn purge_sessions(&self) -> Result<u64, AuthError> {
        purge(&self.databases, SESSION_RETENTION).await
    }
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

/// The user of a session. There is one way to sign in so far, and the sign-in is the only proof of a session.
fn principal(row: &session::Model, user: &User) -> Principal {
    let authentication =
        Authentication { session_id: row.id, at: row.created_at, methods: vec![Method::Password] };
    Principal::signed_in(user.id, authentication, Scopes::of_user(user.is_admin))
}
