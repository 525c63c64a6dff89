//! What others may want to know about accounts.

use serde::{Deserialize, Serialize};
use shared_kernel::event::DomainEvent;
use shared_kernel::id::UserId;

/// Somebody has an account now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRegistered {
    /// Who.
    pub user_id: UserId,
    /// The address.
    pub email: String,
    /// The name.
    pub name: String,
}

impl DomainEvent for UserRegistered {
    const NAME: &'static str = "user.registered";

    fn aggregate_id(&self) -> String {
        self.user_id.to_string()
    }
}

/// An account was changed: by its owner, by an admin, or from the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUpdated {
    /// Whose.
    pub user_id: UserId,
    /// The principal that changed it, as text: `usr_…`, `system:admin-create`.
    pub changed_by: String,
}

impl DomainEvent for UserUpdated {
    const NAME: &'static str = "user.updated";

    fn aggregate_id(&self) -> String {
        self.user_id.to_string()
    }
}
