//! Every way in which something about accounts can fail.

use shared_kernel::error::{DomainError, FieldError, Invalid, Kind, Problem};
use shared_kernel::kernel_error::KernelError;
use shared_kernel::session::SessionError;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is no such account, or not for this user.
    #[error("there is no such user")]
    NotFound,
    /// Another account has this address.
    #[error("this e-mail address is already in use")]
    EmailTaken,
    /// Another account has this user name.
    #[error("this user name is already in use")]
    UsernameTaken,
    /// Another account has this phone number.
    #[error("this phone number is already in use")]
    PhoneTaken,
    /// Nobody would be left to administer.
    #[error("the last admin cannot be demoted or suspended; make another user an admin first")]
    LastAdmin,
    /// A field breaks a rule, the row is in another state than the client believes, or the database failed.
    #[error(transparent)]
    Kernel(KernelError),
}

impl From<KernelError> for UserError {
    /// A row that would have broken a unique constraint has a name of its own.
    fn from(error: KernelError) -> Self {
        match error.violated_unique().as_deref() {
            Some("users_email_normalized_key") => Self::EmailTaken,
            Some("users_username_key") => Self::UsernameTaken,
            Some("users_phone_key") => Self::PhoneTaken,
            _ => Self::Kernel(error),
        }
    }
}

impl From<SessionError> for UserError {
    fn from(error: SessionError) -> Self {
        KernelError::from(error).into()
    }
}

impl From<Invalid> for UserError {
    fn from(error: Invalid) -> Self {
        KernelError::from(error).into()
    }
}

static NOT_FOUND: Problem = Problem {
    kind: Kind::NotFound,
    code: "user_not_found",
    title: "There is no such user",
    help: "No user has this id, or you may not know of it. Check the id.",
};
static EMAIL_TAKEN: Problem = Problem {
    kind: Kind::Conflict,
    code: "email_taken",
    title: "The e-mail address is in use",
    help: "Another account has this e-mail address, in whatever spelling. Sign in with it, or use another.",
};
static USERNAME_TAKEN: Problem = Problem {
    kind: Kind::Conflict,
    code: "username_taken",
    title: "The user name is in use",
    help: "Another account has this user name. Choose another.",
};
static PHONE_TAKEN: Problem = Problem {
    kind: Kind::Conflict,
    code: "phone_taken",
    title: "The phone number is in use",
    help: "Another account has this phone number.",
};
static LAST_ADMIN: Problem = Problem {
    kind: Kind::Conflict,
    code: "last_admin",
    title: "The last admin stays",
    help: "This change would leave nobody who may administer. Make another active user an admin first.",
};

/// The problems of this domain, for the catalogue.
pub static PROBLEMS: &[&Problem] = &[&NOT_FOUND, &EMAIL_TAKEN, &USERNAME_TAKEN, &PHONE_TAKEN, &LAST_ADMIN];

impl DomainError for UserError {
    fn problem(&self) -> &'static Problem {
        match self {
            Self::NotFound => &NOT_FOUND,
            Self::EmailTaken => &EMAIL_TAKEN,
            Self::UsernameTaken => &USERNAME_TAKEN,
            Self::PhoneTaken => &PHONE_TAKEN,
            Self::LastAdmin => &LAST_ADMIN,
            Self::Kernel(error) => error.problem(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        let taken = |pointer| vec![FieldError::new(pointer, "taken", self.to_string())];
        match self {
            Self::EmailTaken => taken("/email"),
            Self::UsernameTaken => taken("/username"),
            Self::PhoneTaken => taken("/phone"),
            Self::Kernel(error) => error.fields(),
            Self::NotFound | Self::LastAdmin => Vec::new(),
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Kernel(error) => error.retry_after(),
            _ => None,
        }
    }
}
