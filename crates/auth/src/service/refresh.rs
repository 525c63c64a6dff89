//! Trading refresh tokens.

use shared_kernel::session::{Reader, WriteSession};
use user::service::Users;

use super::{Auth, active};
use crate::dto::{RefreshToken, SessionAnswer};
use crate::error::AuthError;
use crate::event::RefreshTokenReused;
use crate::model::session::{self, EndReason};
use crate::repository::Sessions;
use crate::token::refresh::RefreshClaim;

/// What becomes of a genuine refresh token. Either way the session is to be committed.
#[derive(Debug)]
pub enum Refreshed {
    /// The session goes on.
    Session(Box<SessionAnswer>),
    /// The token had been used before: the session was ended, and the answer is [`AuthError::RefreshTokenReused`].
    Reused,
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

impl Auth {
    /// Trades a refresh token for the next one and an access token.
    ///
    /// Within the grace period, while the successor is unused, the same token yields the same successor: an answer that got
    /// lost costs nobody the session. Coming back later, it ends the session (RFC 9700, section 4.14.2).
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
            None => match self.judge(db, claim).await? {
                Judgement::SameSuccessor(row) => row,
                Judgement::Reuse(row) => {
                    self.end_reused(db, &row).await?;
                    return Ok(Refreshed::Reused);
                }
                Judgement::Worthless => return Err(AuthError::InvalidRefreshToken),
            },
        };
        let user = Users.find(db, row.user_id).await?;
        let user = active(user).ok_or(AuthError::InvalidRefreshToken)?;
        Ok(Refreshed::Session(Box::new(self.answer(&key, &row, user)?)))
    }

    async fn judge(&self, db: &impl Reader, claim: RefreshClaim) -> Result<Judgement, AuthError> {
        let now = self.now();
        let Some(row) = Sessions::find(db, claim.session_id).await? else { return Ok(Judgement::Worthless) };
        let generation = i64::from(claim.generation);
        if row.ended_at.is_some() || row.expires_at <= now || generation >= row.generation {
            return Ok(Judgement::Worthless);
        }
        let successor_is_unused = generation + 1 == row.generation;
        Ok(if successor_is_unused && now.since(row.rotated_at) <= self.settings.refresh_grace {
            Judgement::SameSuccessor(row)
        } else {
            Judgement::Reuse(row)
        })
    }

    /// Ends the session of a token that came back.
    async fn end_reused(&self, db: &WriteSession, row: &session::Model) -> Result<(), AuthError> {
        if Sessions::end(db, row.id, EndReason::Reuse).await? {
            db.emit(&RefreshTokenReused { user_id: row.user_id, session_id: row.id }).await?;
        }
        self.forget_after(db, row.id);
        Ok(())
    }
}
