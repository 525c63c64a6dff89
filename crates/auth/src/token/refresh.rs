//! Refresh tokens. A token is its session's id, a generation, and an authentication tag over both: it is derived, never stored, and
//! cannot be forged. Whether it is valid is decided by the session's row.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared_kernel::crypto::{MacKey, SecretKey};
use shared_kernel::frozen::{REFRESH_TOKEN_KEY, REFRESH_TOKEN_PREFIX};
use shared_kernel::id::SessionId;

pub use crate::model::session::RefreshClaim;

/// Issues and reads refresh tokens.
#[derive(Debug)]
pub struct RefreshTokens(MacKey);

impl RefreshTokens {
    /// With the key for refresh tokens, derived from the installation's secret.
    #[must_use]
    pub fn new(secret: &SecretKey) -> Self {
        Self(secret.mac_key(REFRESH_TOKEN_KEY))
    }

    /// The token of a session and generation, which is always the same.
    #[must_use]
    pub fn issue(&self, claim: RefreshClaim) -> String {
        let mut bytes = Vec::with_capacity(PAYLOAD_LENGTH + MacKey::TAG_LENGTH);
        bytes.extend_from_slice(&claim.session_id.to_bytes());
        bytes.extend_from_slice(&claim.generation.to_be_bytes());
        let tag = self.0.sign(&bytes);
        bytes.extend_from_slice(&tag);
        format!("{REFRESH_TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The content of `token`, if it is genuine.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<RefreshClaim> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(REFRESH_TOKEN_PREFIX)?).ok()?;
        let (payload, tag) = bytes.split_at_checked(PAYLOAD_LENGTH)?;
        if !self.0.verify(payload, tag) {
            return None;
        }
        let (session, generation) = payload.split_at_checked(16)?;
        Some(RefreshClaim {
            session_id: SessionId::from_bytes(session.try_into().ok()?),
            generation: u32::from_be_bytes(generation.try_into().ok()?),
        })
    }
}

const PAYLOAD_LENGTH: usize = 16 + 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_only_as_it_was() {
        let tokens = RefreshTokens::new(&shared_kernel::testing::secret_key());
        let claim = RefreshClaim { session_id: SessionId::from_bytes([7; 16]), generation: 3 };
        let token = tokens.issue(claim);
        assert_eq!(tokens.read(&token), Some(claim));
        for position in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert_ne!(tokens.read(&changed), Some(claim), "{position}");
            assert_eq!(tokens.read(&changed), None, "{position}");
        }
        assert_eq!(tokens.read(""), None);
        assert_eq!(tokens.read(&token[..token.len() - 1]), None);
    }
}
