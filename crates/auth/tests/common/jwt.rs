//! Tokens that somebody made by hand: of any header and any claims, signed with any key.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::ConnectionTrait as _;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use serde_json::{Map, Value, json};
use shared_kernel::clock::Clock as _;
use shared_kernel::crypto::sha256;
use shared_kernel::id::{Id, IdKind};
use shared_kernel::random;
use shared_kernel::testing::secret_key;

use super::{Instance, World};

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A part of a token, as JSON.
pub(crate) fn part(token: &str, index: usize) -> Map<String, Value> {
    let part = token.split('.').nth(index).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A genuine token taken apart, to be changed and signed again.
#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) header: Map<String, Value>,
    pub(crate) claims: Map<String, Value>,
}

impl Token {
    pub(crate) fn of(token: &str) -> Self {
        Self { header: part(token, 0), claims: part(token, 1) }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without_claim(mut self, name: &str) -> Self {
        self.claims.remove(name).unwrap();
        self
    }

    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name).unwrap();
        self
    }

    /// The claim, which is a number.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.claims.get(name).and_then(Value::as_u64).unwrap()
    }

    fn unsigned(&self) -> String {
        let part = |part: &Map<String, Value>| base64url(serde_json::to_vec(part).unwrap());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }

    pub(crate) fn signed_with(&self, key: &Ed25519KeyPair) -> String {
        let unsigned = self.unsigned();
        let signature = key.sign(unsigned.as_bytes());
        format!("{unsigned}.{}", base64url(signature))
    }

    pub(crate) fn hmac_signed_with(&self, secret: &[u8]) -> String {
        let unsigned = self.unsigned();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), unsigned.as_bytes());
        format!("{unsigned}.{}", base64url(tag))
    }

    pub(crate) fn with_signature(&self, signature: &str) -> String {
        format!("{}.{signature}", self.unsigned())
    }
}

/// A key that nobody else has.
pub(crate) fn new_key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&random::bytes::<32>()).unwrap()
}

/// The public key as a JWK, in the order of RFC 7638.
pub(crate) fn thumbprint_members(public_key: &[u8]) -> String {
    format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url(public_key))
}

/// A row of `signing_keys`.
pub(crate) struct KeyRow {
    pub(crate) id: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) public_jwk: Value,
}

pub(crate) async fn key_rows(instance: &Instance) -> Vec<KeyRow> {
    let columns = ["id", "sealed_private_key", "public_jwk"];
    let select = Query::select().columns(columns).from("signing_keys").to_owned();
    let rows = instance.rows(&select).await;
    rows.iter()
        .map(|row| KeyRow {
            id: row.try_get("", "id").unwrap(),
            sealed: row.try_get("", "sealed_private_key").unwrap(),
            public_jwk: row.try_get("", "public_jwk").unwrap(),
        })
        .collect()
}

/// The private key (PKCS #8) of an installation that has made one key: what only the holder of the secret key can read.
pub(crate) async fn private_key(instance: &Instance) -> Vec<u8> {
    let rows = key_rows(instance).await;
    let [row] = rows.as_slice() else { panic!("{} keys", rows.len()) };
    secret_key().sealing_key("signing key").open(&row.sealed, &row.id).unwrap()
}

/// The key that signs an installation's tokens.
pub(crate) async fn our_key(instance: &Instance) -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&private_key(instance).await).unwrap()
}

enum SigningKeyKind {}

impl IdKind for SigningKeyKind {
    const PREFIX: &'static str = "sgk";
    const NAME: &'static str = "signing_key";
}

/// Retires the active key and puts another in its place. Its `kid`.
pub(crate) async fn rotate_key(world: &World) -> String {
    let now = world.clock.now();
    let key = new_key();
    let public = key.public_key().as_ref().to_vec();
    let key_id = base64url(sha256(thumbprint_members(&public).as_bytes()));
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": base64url(&public), "kid": key_id,
    });
    let id = Id::<SigningKeyKind>::new(now).to_string();
    let sealed = secret_key().sealing_key("signing key").seal(key.to_pkcs8v1().unwrap().as_ref(), &id);
    let retire = Query::update()
        .table("signing_keys")
        .value("retired_at", now)
        .and_where(Expr::col("retired_at").is_null())
        .to_owned();
    let insert = Query::insert()
        .into_table("signing_keys")
        .columns(["id", "algorithm", "key_id", "public_jwk", "sealed_private_key", "created_at"])
        .values_panic([
            id.into(),
            "EdDSA".into(),
            key_id.clone().into(),
            jwk.into(),
            sealed.into(),
            now.into(),
        ])
        .to_owned();
    let session = world.databases.write();
    session.execute(&retire).await.unwrap();
    session.execute(&insert).await.unwrap();
    session.commit(()).await.unwrap().into_value();
    key_id
}
