//! Events of sign-in.

use serde::{Deserialize, Serialize};
use shared_kernel::event::DomainEvent;
use shared_kernel::id::{SessionId, SessionKind, UserId};

/// A used refresh token was sent again, so somebody has a copy of it. The session has been ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshTokenReused {
    /// Id of the user whose session it was.
    pub user_id: UserId,
    /// Id of the session.
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
