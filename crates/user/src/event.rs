//! Events of accounts: created, changed, deleted.

use shared_kernel::event::{Created, Updated};
use shared_kernel::id::UserKind;

/// An account was created.
pub type UserCreated = Created<UserKind>;

/// An account was changed. The envelope has the principal who changed it.
pub type UserUpdated = Updated<UserKind>;
