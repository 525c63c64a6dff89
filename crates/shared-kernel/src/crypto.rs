//! Cryptography with the one secret key of an installation.
//!
//! Each use has a key of its own, derived from the [`SecretKey`] by HKDF-SHA-256 (RFC 5869) under a label, so that a
//! signature for one purpose is invalid for another; the labels are in [`frozen`](crate::frozen). All of it uses aws-lc, the one crypto backend of the workspace.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hkdf, hmac};
use secrecy::{ExposeSecret as _, SecretString};

use crate::frozen::KEY_SALT;

/// The secret key of an installation. Anyone who has it can sign cursors and refresh tokens and read sealed columns.
#[derive(Clone)]
pub struct SecretKey(hkdf::Prk);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// The secret key is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the secret key must have at least {} characters", SecretKey::MIN_LENGTH)]
pub struct SecretTooShort;

/// A sealed value cannot be opened: it was sealed with another key or for another row, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value cannot be opened with this secret key")]
pub struct CannotOpen;

impl SecretKey {
    /// Minimum length of the secret: 32 characters of base64 are 192 bits (ASVS 5.0, 11.2.3 asks for 128).
    pub const MIN_LENGTH: usize = 32;

    /// The key of an installation, from its configured secret.
    ///
    /// # Errors
    ///
    /// The secret has fewer than [`MIN_LENGTH`](Self::MIN_LENGTH) bytes.
    pub fn new(secret: &SecretString) -> Result<Self, SecretTooShort> {
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < Self::MIN_LENGTH {
            return Err(SecretTooShort);
        }
        Ok(Self(hkdf::Salt::new(hkdf::HKDF_SHA256, KEY_SALT).extract(secret)))
    }

    /// The signing key for `purpose`.
    #[must_use]
    pub fn mac_key(&self, purpose: &str) -> MacKey {
        MacKey(hmac::Key::new(hmac::HMAC_SHA256, &self.derive(purpose)))
    }

    /// The sealing key for `purpose`.
    ///
    /// # Panics
    ///
    /// Never: the derived key has the length that the algorithm needs.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the derived key has the length that the algorithm wants")]
    pub fn sealing_key(&self, purpose: &str) -> SealingKey {
        SealingKey(
            RandomizedNonceKey::new(&AES_256_GCM, &self.derive(purpose))
                .expect("32 bytes are an AES-256 key"),
        )
    }

    #[expect(clippy::expect_used, reason = "HKDF-SHA-256 can give 8,160 bytes; 32 cannot fail")]
    fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        self.0
            .expand(&[purpose.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|material| material.fill(&mut key))
            .expect("32 bytes can be derived");
        key
    }
}

/// Signs and verifies with HMAC-SHA-256 (RFC 2104).
#[derive(Clone, Debug)]
pub struct MacKey(hmac::Key);

impl MacKey {
    /// Length of a tag in bytes.
    pub const TAG_LENGTH: usize = 32;

    /// The tag of `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; Self::TAG_LENGTH] {
        let mut tag = [0; Self::TAG_LENGTH];
        tag.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        tag
    }

    /// Whether `tag` is the tag of `message`, compared in constant time.
    #[must_use]
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, message, tag).is_ok()
    }
}

/// Authenticated encryption with AES-256-GCM and a random nonce (NIST SP 800-38D).
#[derive(Debug)]
pub struct SealingKey(RandomizedNonceKey);

impl SealingKey {
    /// Encrypts `plaintext`. `context` (the row's id) is authenticated with it: copied to another row, it cannot be opened.
    ///
    /// # Panics
    ///
    /// Not for anything that fits into memory: AES-GCM seals up to 64 GiB.
    #[must_use]
    #[expect(clippy::expect_used, reason = "sealing fails only past 64 GiB")]
    pub fn seal(&self, plaintext: &[u8], context: &str) -> Vec<u8> {
        let mut sealed = plaintext.to_vec();
        let nonce =
            self.0.seal_in_place_append_tag(Aad::from(context), &mut sealed).expect("a short plaintext");
        sealed.splice(..0, nonce.as_ref().iter().copied());
        sealed
    }

    /// Decrypts the result of [`seal`](Self::seal) with the same context.
    ///
    /// # Errors
    ///
    /// [`CannotOpen`] if the key, the context or the bytes differ.
    pub fn open(&self, sealed: &[u8], context: &str) -> Result<Vec<u8>, CannotOpen> {
        let (nonce, ciphertext) = sealed.split_at_checked(aws_lc_rs::aead::NONCE_LEN).ok_or(CannotOpen)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CannotOpen)?;
        let mut opened = ciphertext.to_vec();
        let length =
            self.0.open_in_place(nonce, Aad::from(context), &mut opened).map_err(|_| CannotOpen)?.len();
        opened.truncate(length);
        Ok(opened)
    }
}

/// The SHA-256 of `bytes` (FIPS 180-4).
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SecretKey {
        SecretKey::new(&SecretString::from(text)).unwrap()
    }

    #[test]
    fn a_sealed_value_opens_only_with_its_key_its_purpose_and_its_context() {
        let ours = key("0123456789abcdef0123456789abcdef");
        let theirs = key("0123456789abcdef0123456789abcdeX");
        let sealed = ours.sealing_key("a").seal(b"secret", "row 1");
        assert_eq!(ours.sealing_key("a").open(&sealed, "row 1").unwrap(), b"secret");
        assert!(ours.sealing_key("a").open(&sealed, "row 2").is_err());
        assert!(ours.sealing_key("b").open(&sealed, "row 1").is_err());
        assert!(theirs.sealing_key("a").open(&sealed, "row 1").is_err());
        let mut changed = sealed.clone();
        changed[20] ^= 1;
        assert!(ours.sealing_key("a").open(&changed, "row 1").is_err());
        assert!(ours.sealing_key("a").open(&sealed[..5], "row 1").is_err());
    }

    #[test]
    fn a_tag_is_worthless_for_another_purpose() {
        let key = key("0123456789abcdef0123456789abcdef");
        let tag = key.mac_key("cursor").sign(b"message");
        assert!(key.mac_key("cursor").verify(b"message", &tag));
        assert!(!key.mac_key("refresh").verify(b"message", &tag));
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(SecretKey::new(&SecretString::from("short")).is_err());
    }
}
