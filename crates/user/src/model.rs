//! The table `users`.

use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::id::UserId;
use shared_kernel::repository::SoftDelete;
use shared_kernel::text::folded;

use crate::name::DisplayName;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, SoftDelete)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub email: String,
    pub email_normalized: String,
    pub email_verified_at: Option<Timestamp>,
    pub username: Option<String>,
    pub phone: Option<String>,
    pub name: String,
    pub name_normalized: String,
    pub status: Status,
    pub is_admin: bool,
}

impl ActiveModelBehavior for ActiveModel {}

impl ActiveModel {
    /// Sets the name, and the form in which names are searched and sorted.
    pub(crate) fn named(self, name: DisplayName) -> Self {
        Self { name_normalized: Set(folded(&name)), name: Set(name.into_string()), ..self }
    }
}

/// Status of a living account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(20))")]
pub enum Status {
    #[sea_orm(string_value = "active")]
    Active,
    #[sea_orm(string_value = "suspended")]
    Suspended,
}
