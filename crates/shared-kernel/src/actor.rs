//! Who is asking.

use crate::id::{SessionId, UserId};

/// The signed-in user behind a request, as the database had it a second ago at most.
///
/// Services take it by reference and decide by it; it is never read from a body or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user.
    pub user_id: UserId,
    /// The device that the user signed in with.
    pub session_id: SessionId,
    /// May use the admin routes.
    pub is_admin: bool,
}

impl Actor {
    /// May see and change what belongs to `owner`.
    #[must_use]
    pub fn owns(&self, owner: UserId) -> bool {
        self.user_id == owner
    }
}
