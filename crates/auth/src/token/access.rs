//! Access tokens: JWT (RFC 7519) in the profile of RFC 9068, signed with `EdDSA` (RFC 8037).
//!
//! Claims of a token about itself are never trusted: the algorithm is that of the key, `kid` is looked up among our own keys, and
//! times are checked against the kernel's clock. Verified tokens are cached until they expire, because verifying costs as much as
//! everything else in a cheap request.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::{Algorithm, Header, Validation};
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use shared_kernel::clock::Timestamp;
use shared_kernel::crypto::sha256;
use shared_kernel::id::{SessionId, UserId};
use shared_kernel::random;

use super::keys::{Keyring, SigningKey};
use crate::error::AuthError;

/// The `typ` of access tokens (RFC 9068, section 2.1), which tokens for other purposes do not have.
const TYPE: &str = "at+jwt";

/// The `client_id` of access tokens, which RFC 9068, section 2.2, requires. All clients are public and none proves its id, so tokens
/// name none of them.
const CLIENT: &str = "first-party";

/// Tolerated difference between the clocks of two instances.
const LEEWAY: u64 = 30;

/// Longest lifetime of tokens that a configuration allows. A token with a longer one is refused, whoever signed it. It is not this
/// instance's own setting: while a configuration is rolled out, other instances issue longer ones.
pub const LONGEST_LIFETIME: Duration = Duration::from_hours(1);

/// Number of cached tokens, which is about 3 MiB.
const CACHE_CAPACITY: u64 = 10_000;

/// Length of the longest token; longer ones are refused without being hashed.
const MAX_LENGTH: usize = 2_000;

/// Claims of an access token, all of which it must have.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    client_id: String,
    sub: UserId,
    sid: SessionId,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: String,
}

/// The claims that are needed once the signature was verified. They are kept in memory, so they have no texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedClaims {
    /// Id of the user.
    pub sub: UserId,
    /// Id of the session.
    pub sid: SessionId,
    iat: u64,
    nbf: u64,
    exp: u64,
}

impl From<Claims> for VerifiedClaims {
    fn from(Claims { sub, sid, iat, nbf, exp, .. }: Claims) -> Self {
        Self { sub, sid, iat, nbf, exp }
    }
}

/// Issues and verifies access tokens.
pub struct AccessTokens {
    issuer: String,
    audience: String,
    lifetime: Duration,
    validation: Validation,
    verified: Cache<[u8; 32], VerifiedClaims>,
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessTokens").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl AccessTokens {
    /// With this issuer, audience and lifetime.
    #[must_use]
    pub fn new(issuer: String, audience: String, lifetime: Duration) -> Self {
        let verified = Cache::builder().max_capacity(CACHE_CAPACITY).time_to_live(lifetime).build();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&audience]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp", "nbf"]);
        // Times are checked by the kernel's clock: the library would use the machine's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { issuer, audience, lifetime, validation, verified }
    }

    /// Lifetime of a token.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// A token for a session.
    ///
    /// # Errors
    ///
    /// Signing failed.
    pub fn issue(
        &self,
        signing: &SigningKey,
        user_id: UserId,
        session_id: SessionId,
        now: Timestamp,
    ) -> Result<String, AuthError> {
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            client_id: CLIENT.to_owned(),
            sub: user_id,
            sid: session_id,
            iat: now.unix_seconds(),
            nbf: now.unix_seconds(),
            exp: (now + self.lifetime).unix_seconds(),
            jti: format!("{:032x}", u128::from_be_bytes(random::bytes())),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(signing.key_id().to_owned());
        jsonwebtoken::encode(&header, &claims, signing.encoding())
            .map_err(|error| AuthError::Crypto(format!("signing a token failed: {error}")))
    }

    /// The claims of `token`, if it is genuine and has not expired. Whether its session is alive is checked elsewhere.
    ///
    /// # Errors
    ///
    /// [`AuthError::InvalidToken`], and the keyring's.
    pub async fn verify(
        &self,
        keys: &Keyring,
        token: &str,
        now: Timestamp,
    ) -> Result<VerifiedClaims, AuthError> {
        if token.len() > MAX_LENGTH {
            return Err(AuthError::InvalidToken);
        }
        let fingerprint = sha256(token.as_bytes());
        let claims = if let Some(claims) = self.verified.get(&fingerprint) {
            claims
        } else {
            let claims = self.check_signature(keys, token).await?;
            self.verified.insert(fingerprint, claims);
            claims
        };
        let now = now.unix_seconds();
        let is_of_this_time = now < claims.exp && claims.nbf <= now + LEEWAY && claims.iat <= now + LEEWAY;
        let is_short = claims.exp.saturating_sub(claims.iat) <= LONGEST_LIFETIME.as_secs();
        if is_of_this_time && is_short { Ok(claims) } else { Err(AuthError::InvalidToken) }
    }

    async fn check_signature(&self, keys: &Keyring, token: &str) -> Result<VerifiedClaims, AuthError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| AuthError::InvalidToken)?;
        // RFC 7515, section 4.1.11: a token with unknown critical header parameters must be refused, and none are known here.
        let ours =
            header.typ.as_deref() == Some(TYPE) && header.alg == Algorithm::EdDSA && header.crit.is_none();
        let (true, Some(key_id)) = (ours, header.kid) else { return Err(AuthError::InvalidToken) };
        let key = keys.verifying(&key_id).await?.ok_or(AuthError::InvalidToken)?;
        jsonwebtoken::decode::<Claims>(token, &key, &self.validation)
            .map(|token| token.claims.into())
            .map_err(|_| AuthError::InvalidToken)
    }
}
