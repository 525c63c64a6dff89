//! Forged access tokens: a genuine token, decoded, changed, and signed with any key.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use secrecy::SecretString;
use serde_json::{Map, Value};
use shared_kernel::crypto::SecretKey;
use shared_kernel::frozen::SIGNING_KEY_KEY;
use shared_kernel::random;

use crate::server::{SECRET_KEY, TestServer};

/// The parts of a token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    signature: String,
}

impl Token {
    /// Decodes a token.
    pub fn parse(token: &str) -> Self {
        let parts: Vec<&str> = token.split('.').collect();
        let [header, claims, signature] = parts.as_slice() else { panic!("not a token: {token}") };
        let part = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        Self { header: part(header), claims: part(claims), signature: (*signature).to_owned() }
    }

    /// The same with another member in the header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// The same with another claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Encoded with its original signature, in spite of changes.
    pub fn with_original_signature(&self) -> String {
        format!("{}.{}", self.unsigned(), self.signature)
    }

    /// Encoded without a signature.
    pub fn without_signature(&self) -> String {
        format!("{}.", self.unsigned())
    }

    /// Encoded and signed with this key.
    pub fn signed_with(&self, key: &Ed25519KeyPair) -> String {
        let unsigned = self.unsigned();
        let signature = URL_SAFE_NO_PAD.encode(key.sign(unsigned.as_bytes()));
        format!("{unsigned}.{signature}")
    }

    /// Encoded and signed with this secret (HS256).
    pub fn signed_with_hmac(&self, secret: &[u8]) -> String {
        let unsigned = self.unsigned();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), unsigned.as_bytes());
        format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn unsigned(&self) -> String {
        let part = |part: &Map<String, Value>| URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap());
        format!("{}.{}", part(&self.header), part(&self.claims))
    }
}

/// A new key that the server does not know.
pub fn unknown_key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&random::bytes::<32>()).unwrap()
}

/// The key with which a server signs its tokens. Reading it requires the secret key and the database.
pub async fn server_key(server: &TestServer) -> Ed25519KeyPair {
    key_in(server.database.primary()).await
}

/// The key with which the servers on this database sign tokens, if their secret key is [`SECRET_KEY`].
pub async fn key_in(database: &DatabaseConnection) -> Ed25519KeyPair {
    let sql = "SELECT id, sealed_private_key FROM signing_keys WHERE retired_at IS NULL";
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(statement).await.unwrap().unwrap();
    let (id, sealed): (String, Vec<u8>) =
        (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
    let secret = SecretKey::new(&SecretString::from(SECRET_KEY)).unwrap();
    let private = secret.sealing_key(SIGNING_KEY_KEY).open(&sealed, &id).unwrap();
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&private).unwrap()
}
