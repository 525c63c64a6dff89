//! What goes in and out.

use garde::Validate;
use serde::{Deserialize, Serialize};
use shared_kernel::clock::Timestamp;
use shared_kernel::contact::Email;
use shared_kernel::id::UserId;
use shared_kernel::patch::{self, Patch};
use shared_kernel::repository::{Representation, Revision};
use shared_kernel::text::SingleLine;
use utoipa::{IntoParams, ToSchema};

use crate::contact::{PhoneNumber, Username};
use crate::model;
pub use crate::name::DisplayName;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The address that it is written to.
    #[schema(format = Email, examples("ada@example.com"))]
    pub email: String,
    /// Whether somebody proved to read that address.
    pub email_verified: bool,
    /// The name to sign in with instead of the address.
    #[schema(required, examples("ada"))]
    pub username: Option<String>,
    /// The phone number, E.164.
    #[schema(required, examples("+4915112345678"))]
    pub phone: Option<String>,
    /// What others see.
    #[schema(examples("Ada Lovelace"))]
    pub name: String,
    /// Whether it may be used.
    pub status: UserStatus,
    /// May use the admin routes.
    pub is_admin: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Counts the changes; with the id it is the `ETag`.
    #[serde(skip)]
    pub(crate) version: i64,
}

impl Representation for User {
    const HOLDS_SIGNED_URLS: bool = false;

    fn revision(&self) -> Revision {
        Revision::new(self.id, self.version)
    }
}

impl From<model::Model> for User {
    fn from(row: model::Model) -> Self {
        let status = match row.status {
            _ if row.deleted_at.is_some() => UserStatus::Deleted,
            model::Status::Active => UserStatus::Active,
            model::Status::Suspended => UserStatus::Suspended,
        };
        Self {
            id: row.id,
            email: row.email,
            email_verified: row.email_verified_at.is_some(),
            username: row.username,
            phone: row.phone,
            name: row.name,
            status,
            is_admin: row.is_admin,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// Whether an account may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// It may.
    Active,
    /// An admin barred it; its sessions are worthless.
    Suspended,
    /// Its owner or an admin deleted it.
    Deleted,
}

/// The statuses that an admin can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettableStatus {
    /// May be used.
    Active,
    /// Barred: its sessions are worthless at once.
    Suspended,
}

impl From<SettableStatus> for model::Status {
    fn from(status: SettableStatus) -> Self {
        match status {
            SettableStatus::Active => Self::Active,
            SettableStatus::Suspended => Self::Suspended,
        }
    }
}

/// An account to be made. Not a body of its own: signup and the command line build it.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The address.
    pub email: Email,
    /// What others see.
    pub name: DisplayName,
    /// The name to sign in with.
    pub username: Option<Username>,
    /// The phone number.
    pub phone: Option<PhoneNumber>,
    /// May use the admin routes.
    pub is_admin: bool,
}

/// A change of one's own account: a JSON merge patch (RFC 7396). The address is not among the fields: a new one would have to be verified first.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMe {
    /// What others see.
    #[serde(default, deserialize_with = "patch::required")]
    #[garde(dive)]
    #[schema(nullable = false)]
    pub name: Option<DisplayName>,
    /// The name to sign in with: 3 to 50 of `a-z 0-9 _ . -`.
    #[serde(default)]
    #[garde(dive)]
    #[schema(value_type = Option<Username>)]
    pub username: Patch<Username>,
    /// The phone number, E.164.
    #[serde(default)]
    #[garde(dive)]
    #[schema(value_type = Option<PhoneNumber>)]
    pub phone: Patch<PhoneNumber>,
}

/// An admin's change of an account: a JSON merge patch.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminUpdateUser {
    /// What others see.
    #[serde(default, deserialize_with = "patch::required")]
    #[garde(dive)]
    #[schema(nullable = false)]
    pub name: Option<DisplayName>,
    /// Whether it may be used.
    #[serde(default, deserialize_with = "patch::required")]
    #[garde(skip)]
    #[schema(nullable = false, examples("suspended"))]
    pub status: Option<SettableStatus>,
    /// May use the admin routes.
    #[serde(default, deserialize_with = "patch::required")]
    #[garde(skip)]
    #[schema(nullable = false, examples(false))]
    pub is_admin: Option<bool>,
}

/// Which accounts an admin wants to see, and in which order.
#[derive(Clone, Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// Part of the name, the e-mail address, the user name or the phone number.
    #[garde(dive)]
    #[param(inline)]
    pub q: Option<SingleLine<1, 100>>,
    /// Only with this status.
    #[garde(skip)]
    #[param(inline)]
    pub status: Option<SettableStatus>,
    /// Only admins, or only others.
    #[garde(skip)]
    pub is_admin: Option<bool>,
    /// Only created after this moment (RFC 3339).
    #[garde(skip)]
    pub created_after: Option<Timestamp>,
    /// Only created before this moment (RFC 3339).
    #[garde(skip)]
    pub created_before: Option<Timestamp>,
    /// `true` shows the deleted accounts instead of the living.
    #[garde(skip)]
    #[serde(default)]
    #[param(required = false)]
    pub deleted: bool,
    /// The order; the newest first when absent.
    #[garde(skip)]
    #[param(inline)]
    pub sort: Option<UserSort>,
}

/// The orders of a list of accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub enum UserSort {
    /// The newest first.
    #[default]
    #[serde(rename = "-created_at")]
    Newest,
    /// The oldest first.
    #[serde(rename = "created_at")]
    Oldest,
    /// By name.
    #[serde(rename = "name")]
    Name,
    /// By name, backwards.
    #[serde(rename = "-name")]
    NameDescending,
    /// By e-mail address.
    #[serde(rename = "email")]
    Email,
    /// By e-mail address, backwards.
    #[serde(rename = "-email")]
    EmailDescending,
}
