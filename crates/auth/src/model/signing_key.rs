//! The table `signing_keys`: keys that sign access tokens, shared by all instances.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::from_columns::FromColumns;
use shared_kernel::id::{Id, IdKind};

/// Kind of ids of signing keys.
#[derive(Debug)]
pub(crate) enum SigningKeyKind {}

impl IdKind for SigningKeyKind {
    const PREFIX: &'static str = "sgk";
    const NAME: &'static str = "signing_key";
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, FromColumns)]
#[sea_orm(table_name = "signing_keys")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<SigningKeyKind>,
    pub algorithm: String,
    /// The `kid` of its tokens: the thumbprint of the public key (RFC 7638).
    pub key_id: String,
    pub public_jwk: Json,
    /// The private key (PKCS #8), sealed with the installation's secret.
    pub sealed_private_key: Vec<u8>,
    pub created_at: Timestamp,
    /// Time at which it stopped signing. Its tokens are valid until they expire.
    pub retired_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
