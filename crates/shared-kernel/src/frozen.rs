//! What must not change once there is data.
//!
//! These values are part of stored data and of issued credentials, or decide whether they can be read. Neither the compiler nor the
//! start of the server detects a change: the data just cannot be read any more. So they are in one place, `cargo xtask rename` does
//! not touch this file, and the values are independent of the current name of the product.
//!
//! A product that has no data yet may choose its own, here and nowhere else.
//!
//! Values that a setting can restore are not here. The file of the database and the audience of access tokens, among others, are
//! named after the product by default: a product that is renamed when it has data sets `database.url`, `auth.audience` and the
//! like to the old values. The cookie of the refresh token is not here either, because its name is part of the contract: after a
//! renaming, users who signed in by cookie sign in once more.

/// Salt of all keys that are derived from the secret key ([`crypto`](crate::crypto)).
///
/// With another one the sealed signing keys cannot be opened, so the server does not start; and every refresh token, cursor and
/// other credential that depends on it is refused.
pub const KEY_SALT: &[u8] = b"ashlar";

/// Label of the key that signs cursors. With another one, existing cursors are refused.
pub const CURSOR_KEY: &str = "cursor";

/// Label of the key that signs refresh tokens. With another one, everybody is signed out.
pub const REFRESH_TOKEN_KEY: &str = "refresh token";

/// Label of the key that seals signing keys. With another one they cannot be opened, and the server does not start.
pub const SIGNING_KEY_KEY: &str = "signing key";

// domain: upload
/// Label of the key from which the credentials of the embedded store are derived. With another one, issued URLs are
/// refused, and so is every S3 client with the old credentials.
pub const EMBEDDED_STORE_KEY: &str = "embedded object store";
// end: upload

/// Prefix of refresh tokens, by which scanners for leaked secrets recognise them. With another one, everybody is signed out.
pub const REFRESH_TOKEN_PREFIX: &str = "ashr_";

// domain: upload
/// Seal at the end of each file of the embedded store. With another one, every existing object counts as damaged.
pub const OBJECT_SEAL: [u8; 8] = *b"ASHLAR01";
// end: upload

/// Number of the advisory lock of migrations on PostgreSQL. An old and a new release with different numbers could migrate at the
/// same time.
pub const MIGRATION_LOCK: i64 = 0x6173_686c_6172;
