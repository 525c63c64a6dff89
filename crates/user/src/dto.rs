//! Requests and responses about accounts, with the rules of their fields.

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
    /// Id of the account.
    pub id: UserId,
    /// E-mail address.
    #[schema(format = Email, examples("ada@example.com"))]
    pub email: String,
    /// Whether the e-mail address is verified.
    pub email_verified: bool,
    /// User name, for sign-in instead of the e-mail address.
    #[schema(required, examples("ada"))]
    pub username: Option<String>,
    /// Phone number in E.164 format.
    #[schema(required, examples("+4915112345678"))]
    pub phone: Option<String>,
    /// Display name, which others see.
    #[schema(examples("Ada Lovelace"))]
    pub name: String,
    /// Status of the account.
    pub status: UserStatus,
    /// Whether the user is an admin.
    pub is_admin: bool,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Number of changes; together with the id it makes the `ETag`.
    #[serde(skip)]
    pub(crate) version: i64,
}

impl Representation for User {
    const HOLDS_SIGNED_URLS: bool = false;

    fn revision(&self) -> Revision {
        Revision::new(self.id, self.version)
    }
}

impl From<&model::Model> for User {
    fn from(row: &model::Model) -> Self {
        row.clone().into()
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

/// Status of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// The account can be used.
    Active,
    /// An admin suspended it; its sessions are invalid.
    Suspended,
    /// Its owner or an admin deleted it.
    Deleted,
}

/// Statuses that an admin can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettableStatus {
    /// The account can be used.
    Active,
    /// The account cannot be used, and its sessions are invalid at once.
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

/// Data of a new account, made by sign-up and by the command line.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// E-mail address.
    pub email: Email,
    /// Display name, which others see.
    pub name: DisplayName,
    /// User name, for sign-in.
    pub username: Option<Username>,
    /// Phone number.
    pub phone: Option<PhoneNumber>,
    /// Whether the user is an admin.
    pub is_admin: bool,
}

/// A change of one's own account: a JSON merge patch (RFC 7396). The e-mail address cannot be changed: a new one would have to be verified first.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateMe {
    /// Display name, which others see.
    #[serde(default, deserialize_with = "patch::required")]
    #[garde(dive)]
    #[schema(nullable = false)]
    pub name: Option<DisplayName>,
    /// User name, for sign-in: 3 to 50 of `a-z 0-9 _ . -`.
    #[serde(default)]
    #[garde(dive)]
    #[schema(value_type = Option<Username>)]
    pub username: Patch<Username>,
    /// Phone number in E.164 format.
    #[serde(default)]
    #[garde(dive)]
    #[schema(value_type = Option<PhoneNumber>)]
    pub phone: Patch<PhoneNumber>,
}

/// An admin's change of an account: a JSON merge patch.
#[derive(Clone, Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminUpdateUser {
    /// Display name, which others see.
    #[serde(default, deserialize_with = "patch::required")]
    #[garde(dive)]
    #[schema(nullable = false)]
    pub name: Option<DisplayName>,
    /// Status of the account.
    #[serde(default, deserialize_with = "patch::required")]
    #[garde(skip)]
    #[schema(nullable = false, examples("suspended"))]
    pub status: Option<SettableStatus>,
    /// Whether the user is an admin.
    #[serde(default, deserialize_with = "patch::required")]
    #[garde(skip)]
    #[schema(nullable = false, examples(false))]
    pub is_admin: Option<bool>,
}

/// Filters and order of the list of accounts.
#[derive(Clone, Debug, Default, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserFilter {
    /// Part of the name, the e-mail address, the user name or the phone number.
    #[garde(dive)]
    #[param(inline)]
    pub q: Option<SingleLine<1, 100>>,
    /// Only accounts with this status.
    #[garde(skip)]
    #[param(inline)]
    pub status: Option<SettableStatus>,
    /// Only admins, or only others.
    #[garde(skip)]
    pub is_admin: Option<bool>,
    /// Only accounts created after this time (RFC 3339).
    #[garde(skip)]
    pub created_after: Option<Timestamp>,
    /// Only accounts created before this time (RFC 3339).
    #[garde(skip)]
    pub created_before: Option<Timestamp>,
    /// `true` lists the deleted accounts instead of the others.
    #[garde(skip)]
    #[serde(default)]
    #[param(required = false)]
    pub deleted: bool,
    /// Order of the list; newest first if absent.
    #[garde(skip)]
    #[param(inline)]
    pub sort: Option<UserSort>,
}

/// Orders of the list of accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
pub enum UserSort {
    /// Newest first.
    #[default]
    #[serde(rename = "-created_at")]
    Newest,
    /// Oldest first.
    #[serde(rename = "created_at")]
    Oldest,
    /// By name.
    #[serde(rename = "name")]
    Name,
    /// By name, descending.
    #[serde(rename = "-name")]
    NameDescending,
    /// By e-mail address.
    #[serde(rename = "email")]
    Email,
    /// By e-mail address, descending.
    #[serde(rename = "-email")]
    EmailDescending,
}
