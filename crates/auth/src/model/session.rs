//! The table `sessions`: one row for each device that signed in.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::id::{SessionId, UserId};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: SessionId,
    pub user_id: UserId,
    /// How often the refresh token was rotated; the current token carries this number.
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

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(20))")]
pub(crate) enum EndReason {
    /// Its user signed out.
    #[sea_orm(string_value = "logout")]
    Logout,
    /// A refresh token came back that had been used.
    #[sea_orm(string_value = "reuse")]
    Reuse,
    /// Its user's password was set from the command line: whoever signed in before may be somebody else.
    #[sea_orm(string_value = "password_change")]
    PasswordChange,
    /// Its user signed in on more devices than an installation keeps.
    #[sea_orm(string_value = "displaced")]
    Displaced,
}

/// What a genuine refresh token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshClaim {
    /// The session that it belongs to.
    pub session_id: SessionId,
    /// The rotation that gave it out.
    pub generation: u32,
}
