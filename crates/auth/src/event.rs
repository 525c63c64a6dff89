//! What others may want to know about signing in.

use serde::{Deserialize, Serialize};
use shared_kernel::event::DomainEvent;
use shared_kernel::id::{SessionId, UserId};

/// A used refresh token came back: somebody has a copy. The session is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokenReused {
    /// Whose session it was.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
}

impl DomainEvent for RefreshTokenReused {
    const NAME: &'static str = "auth.refresh_token_reused";

    fn aggregate_id(&self) -> String {
        self.user_id.to_string()
    }
}
