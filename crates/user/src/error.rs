//! Errors of operations on accounts.

use shared_kernel::error::DomainError;
use shared_kernel::kernel_error::KernelError;

/// An error of an operation on accounts.
#[derive(Debug, thiserror::Error, DomainError)]
pub enum UserError {
    /// The account does not exist, or the user may not see it.
    #[error("there is no such user")]
    #[problem(
        kind = NotFound,
        code = "user_not_found",
        title = "There is no such user",
        help = "No user has this id, or you may not see them. Check the id."
    )]
    NotFound,
    /// Another account has this address.
    #[error("this e-mail address is already in use")]
    #[problem(
        kind = Conflict,
        code = "email_taken",
        title = "The e-mail address is in use",
        help = "Another account has this e-mail address, in whatever spelling. Sign in with it, or use another.",
        field = "/email",
        unique = "users_email_normalized_key"
    )]
    EmailTaken,
    /// Another account has this user name.
    #[error("this user name is already in use")]
    #[problem(
        kind = Conflict,
        code = "username_taken",
        title = "The user name is in use",
        help = "Another account has this user name. Choose another.",
        field = "/username",
        unique = "users_username_key"
    )]
    UsernameTaken,
    /// Another account has this phone number.
    #[error("this phone number is already in use")]
    #[problem(
        kind = Conflict,
        code = "phone_taken",
        title = "The phone number is in use",
        help = "Another account has this phone number.",
        field = "/phone",
        unique = "users_phone_key"
    )]
    PhoneTaken,
    /// No active admin would remain.
    #[error("the last admin cannot be demoted or suspended; make another user an admin first")]
    #[problem(
        kind = Conflict,
        code = "last_admin",
        title = "The last admin cannot be removed",
        help = "After this change no active user would be an admin. Make another active user an admin first."
    )]
    LastAdmin,
    /// A field breaks a rule, the client has another version of the row, or the database failed.
    #[error(transparent)]
    #[problem(kernel)]
    Kernel(KernelError),
}
