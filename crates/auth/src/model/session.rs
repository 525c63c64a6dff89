//! The table `sessions`: one row for each device that signed in.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::from_columns::FromColumns;
use shared_kernel::id::{SessionId, UserId};
use shared_kernel::repository::Keyed;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, FromColumns)]
#[sea_orm(table_name = "sessions")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub user_id: UserId,
    /// Number of rotations of the refresh token; the current token contains it.
    pub generation: i64,
    pub rotated_at: Timestamp,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub end_reason: Option<EndReason>,
    pub user_agent: Option<String>,
    pub address: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Keyed for Entity {
    const ID: Column = Column::Id;
}

/// Why a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(20))")]
pub(crate) enum EndReason {
    /// The user signed out.
    #[sea_orm(string_value = "logout")]
    Logout,
    /// A used refresh token was sent again.
    #[sea_orm(string_value = "reuse")]
    Reuse,
    /// The password was set on the command line: earlier sessions may be somebody else's.
    #[sea_orm(string_value = "password_change")]
    PasswordChange,
    /// The user signed in on more devices than an installation keeps.
    #[sea_orm(string_value = "displaced")]
    Displaced,
}

/// Content of a genuine refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshClaim {
    /// Session of the token.
    pub session_id: SessionId,
    /// Rotation at which it was issued.
    pub generation: u32,
}
