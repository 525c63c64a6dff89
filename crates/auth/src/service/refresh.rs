//! Rotation of refresh tokens.

use shared_kernel::session::{Reader, WriteSession};
use user::service::Users;

use super::{Auth, active};
use crate::dto::{RefreshToken, SessionResponse};
use crate::error::AuthError;
use crate::event::RefreshTokenReused;
use crate::model::session::{self, EndReason};
use crate::repository::Sessions;
use crate::token::refresh::RefreshClaim;

/// Outcome of a genuine refresh token. The write session is to be committed in both cases.
#[derive(Debug)]
pub enum Refreshed {
    /// The session continues.
    Session(Box<SessionResponse>),
    /// The token was used before: the session has been ended, and the answer is [`AuthError::RefreshTokenReused`].
    Reused,
}

/// Why a genuine refresh token could not be rotated.
enum Reuse {
    /// It was used a moment ago, and its successor has not been used.
    SameSuccessor(session::Model),
    /// It was used before.
    Replayed(session::Model),
    /// Its session has ended or was deleted.
    Invalid,
}

impl Auth {
    /// Exchanges a refresh token for the next one and an access token.
    ///
    /// Within the grace period, while the successor is unused, the same token yields the same successor, so a lost answer does not
    /// cost the session. Later, a used token ends the session (RFC 9700, section 4.14.2).
    ///
    /// # Errors
    ///
    /// [`AuthError::InvalidRefreshToken`].
    pub async fn refresh(&self, db: &WriteSession, token: &RefreshToken) -> Result<Refreshed, AuthError> {
        let claim = self.refresh.read(token.expose()).ok_or(AuthError::InvalidRefreshToken)?;
        let key = self.keys.current().await?;
        let found = Sessions::find(db, claim.session_id).await?.ok_or(AuthError::InvalidRefreshToken)?;
        let expires_at = self.settings.expiry(db.now(), found.created_at);
        if expires_at <= db.now() {
            return Err(AuthError::InvalidRefreshToken);
        }
        let row = match Sessions::rotate(db, claim, expires_at).await? {
            Some(rotated) => rotated,
            None => match self.classify_reuse(db, claim).await? {
                Reuse::SameSuccessor(row) => row,
                Reuse::Replayed(row) => {
                    self.end_reused(db, &row).await?;
                    return Ok(Refreshed::Reused);
                }
                Reuse::Invalid => return Err(AuthError::InvalidRefreshToken),
            },
        };
        let user = Users.find(db, row.user_id).await?;
        let user = active(user).ok_or(AuthError::InvalidRefreshToken)?;
        Ok(Refreshed::Session(Box::new(self.answer(&key, &row, user)?)))
    }

    async fn classify_reuse(&self, db: &impl Reader, claim: RefreshClaim) -> Result<Reuse, AuthError> {
        let now = self.now();
        let Some(row) = Sessions::find(db, claim.session_id).await? else { return Ok(Reuse::Invalid) };
        let generation = i64::from(claim.generation);
        if row.ended_at.is_some() || row.expires_at <= now || generation >= row.generation {
            return Ok(Reuse::Invalid);
        }
        let successor_is_unused = generation + 1 == row.generation;
        Ok(if successor_is_unused && now.since(row.rotated_at) <= self.settings.refresh_grace {
            Reuse::SameSuccessor(row)
        } else {
            Reuse::Replayed(row)
        })
    }

    /// Ends the session of a token that was used again.
    async fn end_reused(&self, db: &WriteSession, row: &session::Model) -> Result<(), AuthError> {
        if Sessions::end(db, row.id, EndReason::Reuse).await? {
            db.emit(&RefreshTokenReused { user_id: row.user_id, session_id: row.id }).await?;
        }
        self.forget_after(db, row.id);
        Ok(())
    }
}
