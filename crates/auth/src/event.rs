//! What others may want to know about signing in.

use serde::{Deserialize, Serialize};
use shared_kernel::event::DomainEvent;
use shared_kernel::id::{SessionId, SessionKind, UserId};

/// A used refresh token came back: somebody has a copy. The session is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokenReused {
    /// The user whose session it was.
    pub user_id: UserId,
    /// The session.
    pub session_id: SessionId,
}

impl DomainEvent for RefreshTokenReused {
    type Aggregate = SessionKind;
    const ACTION: &'static str = "refresh_token_reused";

    fn aggregate_id(&self) -> SessionId {
        self.session_id
    }

    fn aggregate_version(&self) -> Option<i64> {
        None
    }
}
