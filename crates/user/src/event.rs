//! Events of accounts: created, changed, deleted.

use shared_kernel::event::{Created, Updated};
use shared_kernel::id::UserKind;

/// Somebody has an account now.
pub type UserCreated = Created<UserKind>;

/// An account was changed. Who changed it stands in the envelope.
pub type UserUpdated = Updated<UserKind>;
