//! The table `signing_keys`: what access tokens are signed with. All instances share it.

use sea_orm::entity::prelude::*;
use shared_kernel::clock::Timestamp;
use shared_kernel::id::{Id, IdKind};

/// The kind of a signing key's id.
#[derive(Debug)]
pub(crate) enum SigningKeyKind {}

impl IdKind for SigningKeyKind {
    const PREFIX: &'static str = "sgk";
    const NAME: &'static str = "signing_key";
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
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
    /// When it stopped signing. Its tokens are good until they expire.
    pub retired_at: Option<Timestamp>,
}

impl ActiveModelBehavior for ActiveModel {}
