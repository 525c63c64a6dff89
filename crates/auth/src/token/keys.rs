//! Keys that sign access tokens: stored in the database, shared by all instances, sealed with the installation's secret.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use sea_orm::ActiveValue::Set;
use sea_orm::{ConnAcquireErr, DbErr};
use shared_kernel::clock::Timestamp;
use shared_kernel::crypto::{SealingKey, SecretKey};
use shared_kernel::frozen::SIGNING_KEY_KEY;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::random;
use shared_kernel::session::{Databases, SessionError};
use tokio::sync::{Mutex, RwLock};

use crate::error::AuthError;
use crate::model::signing_key::{ActiveModel, Model};
use crate::repository::SigningKeys;

const ALGORITHM: &str = "EdDSA";

/// Time for which the keys are used before they are read again.
const REREAD_AFTER: Duration = Duration::from_mins(1);

/// Shortest time between two reads for unknown `kid`s: a flood of forged tokens must not become a flood of queries.
const REREAD_UNKNOWN_AFTER: Duration = Duration::from_secs(1);

/// Longest wait of all requests for a read of the keys.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Time after a failed read in which its failure is the answer.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Age up to which keys verify tokens while the database does not answer. A key that is revoked during an outage is accepted for as
/// long.
const KEPT_WITHOUT_DATABASE: Duration = Duration::from_hours(1);

/// The keys of this installation.
pub struct Keyring {
    databases: Databases,
    sealing: SealingKey,
    /// Lifetime of the last token of a retired key.
    token_lifetime: Duration,
    keys: RwLock<Arc<Keys>>,
    /// Held while the keys are read; contains the last failure.
    rereading: Mutex<Option<Failure>>,
}

struct Failure {
    at: Timestamp,
    error: Arc<AuthError>,
}

struct Keys {
    signing: Arc<SigningKey>,
    verifying: HashMap<String, Arc<DecodingKey>>,
    published: JwkSet,
    read_at: Timestamp,
}

/// The active key, which signs.
pub struct SigningKey {
    key_id: String,
    encoding: EncodingKey,
}

impl SigningKey {
    /// The `kid` of its tokens.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The private key.
    #[must_use]
    pub fn encoding(&self) -> &EncodingKey {
        &self.encoding
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keys in the database; the first instance on an empty database makes the first key.
    ///
    /// # Errors
    ///
    /// The database failed, or the keys were sealed with another secret.
    pub async fn open(
        databases: Databases,
        secret: &SecretKey,
        token_lifetime: Duration,
    ) -> Result<Self, AuthError> {
        let sealing = secret.sealing_key(SIGNING_KEY_KEY);
        let mut keys = read(&databases, &sealing, token_lifetime).await?;
        if keys.is_none() {
            create(&databases, &sealing).await?;
            keys = read(&databases, &sealing, token_lifetime).await?;
        }
        let keys =
            keys.ok_or_else(|| AuthError::Crypto("the signing key that was just made is not there".into()))?;
        let keys = RwLock::new(Arc::new(keys));
        Ok(Self { databases, sealing, token_lifetime, keys, rereading: Mutex::new(None) })
    }

    /// The active key. May query the database, so it must not be called while a transaction is open.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn current(&self) -> Result<Arc<SigningKey>, AuthError> {
        Ok(self.not_older_than(REREAD_AFTER).await?.signing.clone())
    }

    /// The public key of a `kid`, if there is one.
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn verifying(&self, key_id: &str) -> Result<Option<Arc<DecodingKey>>, AuthError> {
        let known = self.known().await?.verifying.get(key_id).cloned();
        match known {
            Some(key) => Ok(Some(key)),
            // Another instance may have rotated a moment ago, which only the database knows.
            None => Ok(self.not_older_than(REREAD_UNKNOWN_AFTER).await?.verifying.get(key_id).cloned()),
        }
    }

    /// Public keys, for `/.well-known/jwks.json` (RFC 7517).
    ///
    /// # Errors
    ///
    /// The database failed.
    pub async fn published(&self) -> Result<JwkSet, AuthError> {
        Ok(self.known().await?.published.clone())
    }

    /// The keys for verifying; cached ones are used while the database does not answer.
    async fn known(&self) -> Result<Arc<Keys>, AuthError> {
        match self.not_older_than(REREAD_AFTER).await {
            Err(AuthError::Shared(error)) if matches!(*error, AuthError::Kernel(KernelError::Session(_))) => {
                let keys = self.keys.read().await.clone();
                let age = self.databases.clock().now().since(keys.read_at);
                if age < KEPT_WITHOUT_DATABASE { Ok(keys) } else { Err(AuthError::Shared(error)) }
            }
            outcome => outcome,
        }
    }

    async fn not_older_than(&self, age: Duration) -> Result<Arc<Keys>, AuthError> {
        let is_fresh = |keys: &Keys| self.databases.clock().now().since(keys.read_at) < age;
        let keys = self.keys.read().await.clone();
        if is_fresh(&keys) {
            return Ok(keys);
        }
        // One task reads, the others wait for its outcome, which may be a failure.
        let mut failure = self.rereading.lock().await;
        let keys = self.keys.read().await.clone();
        if is_fresh(&keys) {
            return Ok(keys);
        }
        let now = self.databases.clock().now();
        if let Some(failure) = &*failure
            && failure.at <= now
            && now.since(failure.at) < RETRY_AFTER
        {
            return Err(AuthError::Shared(failure.error.clone()));
        }
        match self.reread().await {
            Ok(reread) => {
                *failure = None;
                *self.keys.write().await = reread.clone();
                Ok(reread)
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the signing keys cannot be read again"
                );
                let error = Arc::new(error);
                *failure = Some(Failure { at: self.databases.clock().now(), error: error.clone() });
                Err(AuthError::Shared(error))
            }
        }
    }

    async fn reread(&self) -> Result<Arc<Keys>, AuthError> {
        let reading = read(&self.databases, &self.sealing, self.token_lifetime);
        let keys = tokio::time::timeout(ANSWER_WITHIN, reading)
            .await
            .map_err(|_| SessionError::Database(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)))??;
        Ok(Arc::new(keys.ok_or_else(|| AuthError::Crypto("no signing key is active".into()))?))
    }
}

/// The keys whose tokens may still be valid; `None` if no key is active.
async fn read(
    databases: &Databases,
    sealing: &SealingKey,
    token_lifetime: Duration,
) -> Result<Option<Keys>, AuthError> {
    let now = databases.clock().now();
    // An instance that has not noticed that a key was retired signs with it until it reads the keys again.
    let since = now - (token_lifetime + REREAD_AFTER);
    let rows = SigningKeys::usable(&databases.read_primary(), since).await?;
    let Some(active) = rows.iter().find(|row| row.retired_at.is_none()) else { return Ok(None) };
    let private = sealing.open(&active.sealed_private_key, &active.id.to_string())?;
    let signing = SigningKey { key_id: active.key_id.clone(), encoding: EncodingKey::from_ed_der(&private) };
    let mut verifying = HashMap::new();
    let mut published = JwkSet { keys: Vec::new() };
    for row in rows {
        let (key_id, jwk) = public_key(row)?;
        let key = DecodingKey::from_jwk(&jwk).map_err(crypto)?;
        verifying.insert(key_id, Arc::new(key));
        published.keys.push(jwk);
    }
    Ok(Some(Keys { signing: Arc::new(signing), verifying, published, read_at: now }))
}

fn public_key(row: Model) -> Result<(String, Jwk), AuthError> {
    let jwk = serde_json::from_value(row.public_jwk).map_err(crypto)?;
    Ok((row.key_id, jwk))
}

/// Makes the first key. Another instance may do so at the same moment; the database lets only one be active.
async fn create(databases: &Databases, sealing: &SealingKey) -> Result<(), AuthError> {
    let session = databases.write();
    let pair = Ed25519KeyPair::from_seed_unchecked(&random::bytes::<32>()).map_err(crypto)?;
    let private = pair.to_pkcs8v1().map_err(crypto)?;
    let private = private.as_ref();
    let encoding = EncodingKey::from_ed_der(private);
    let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::EdDSA).map_err(crypto)?;
    let key_id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(crypto)?;
    jwk.common.key_id = Some(key_id.clone());
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    let id = session.new_id();
    let row = ActiveModel {
        id: Set(id),
        algorithm: Set(ALGORITHM.to_owned()),
        key_id: Set(key_id),
        public_jwk: Set(serde_json::to_value(jwk).map_err(crypto)?),
        sealed_private_key: Set(sealing.seal(private, &id.to_string())),
        created_at: Set(session.now()),
        retired_at: Set(None),
    };
    match SigningKeys::insert(&session, row).await {
        Ok(()) => session
            .commit(())
            .await
            .map(shared_kernel::session::Committed::into_value)
            .map_err(AuthError::from),
        Err(error) if error.violated_unique().is_some() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn crypto(error: impl fmt::Display) -> AuthError {
    AuthError::Crypto(format!("a signing key does not work: {error}"))
}
