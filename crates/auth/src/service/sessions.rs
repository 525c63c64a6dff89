//! Sessions: authentication, end, and clean-up.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::JwkSet;
use shared_kernel::id::{SessionId, UserId};
use shared_kernel::principal::{Authentication, Method, Principal, Scopes};
use shared_kernel::session::{Databases, WriteSession};
use user::dto::User;
use user::service::Users;

use super::{Auth, active};
use crate::dto::RefreshToken;
use crate::error::AuthError;
use crate::model::session::{self, EndReason};
use crate::repository::Sessions;

/// Time for which ended sessions are kept, for investigations.
const SESSION_RETENTION: Duration = Duration::from_hours(30 * 24);

/// Number of sessions that are deleted in one transaction.
const PURGE_BATCH: u64 = 500;

impl Auth {
    /// The principal of an access token, as the database had it at most a second ago.
    ///
    /// # Errors
    ///
    /// [`AuthError::InvalidToken`] if it is forged or expired, its session has ended, or its user is not active.
    pub async fn authenticate(&self, access_token: &str) -> Result<Arc<Principal>, AuthError> {
        let claims = self.access.verify(&self.keys, access_token, self.now()).await?;
        // Boxed, and only on a cache miss: the future of the database query is large.
        let found = async { Box::pin(self.load_principal(claims.sid, claims.sub)).await };
        let principal = self.principals.try_get_with(claims.sid, found).await.map_err(AuthError::Shared)?;
        principal.filter(|principal| principal.user() == Some(claims.sub)).ok_or(AuthError::InvalidToken)
    }

    /// The principal of a session, which should be one of that user; `None` if the session has ended or its user is not active.
    async fn load_principal(
        &self,
        session_id: SessionId,
        user_id: UserId,
    ) -> Result<Option<Arc<Principal>>, AuthError> {
        let reader = self.databases.read_primary();
        let found = Users.find_current_with::<session::Entity>(&reader, session_id.into(), user_id).await?;
        let Some((row, user)) = found else { return Ok(None) };
        if row.ended_at.is_some() || row.expires_at <= self.now() {
            return Ok(None);
        }
        // Otherwise the token is refused, and what is remembered for the session is right for its own tokens.
        let user = if row.user_id == user_id { user } else { Users.find(&reader, row.user_id).await? };
        Ok(active(user).map(|user| Arc::new(principal(&row, &user))))
    }

    /// Ends sessions. Ended ones stay as they are.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn logout(&self, db: &WriteSession, sessions: &[SessionId]) -> Result<(), AuthError> {
        for id in sessions {
            Sessions::end(db, *id, EndReason::Logout).await?;
            self.forget_after(db, *id);
        }
        Ok(())
    }

    /// The session of a refresh token, even if the token was used or the session has ended. `None` if the token is forged.
    #[must_use]
    pub fn session_of_refresh_token(&self, token: &RefreshToken) -> Option<SessionId> {
        self.refresh.read(token.expose()).map(|claim| claim.session_id)
    }

    /// The session of an access token, even if it has ended.
    ///
    /// # Errors
    ///
    /// [`AuthError::InvalidToken`] if it is forged or expired.
    pub async fn session_of_access_token(&self, token: &str) -> Result<SessionId, AuthError> {
        Ok(self.access.verify(&self.keys, token, self.now()).await?.sid)
    }

    /// Public keys for verifying access tokens.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn published_keys(&self) -> Result<JwkSet, AuthError> {
        self.keys.published().await
    }

    /// Deletes sessions that ended at least 30 days ago, and returns their number. To be called about every hour.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn purge_sessions(&self) -> Result<u64, AuthError> {
        purge(&self.databases, SESSION_RETENTION).await
    }
}

/// Deletes sessions that ended or expired longer ago than `retention`, and returns their number. Reads the whole table, and deletes
/// in transactions of 500 rows, so that others do not wait long.
///
/// # Errors
///
/// The database failed. Rows that were deleted before stay deleted.
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

/// The principal of a session. There is only one way to sign in so far, which is the only proof.
fn principal(row: &session::Model, user: &User) -> Principal {
    let authentication =
        Authentication { session_id: row.id, at: row.created_at, methods: vec![Method::Password] };
    Principal::signed_in(user.id, authentication, Scopes::of_user(user.is_admin))
}
