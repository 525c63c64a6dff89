//! What must not change once there is data.
//!
//! These values stand in what was stored and in what was handed out, or decide whether it can be read. Nothing tells at
//! compile time or at a start that one of them was changed: the data is just no longer understood. So they are in one place,
//! `cargo xtask rename` leaves this file alone, and whatever the product is called today is not seen in them.
//!
//! A product that has no data yet may choose its own, here and nowhere else.
//!
//! Not here is what a setting can bring back. The file of the database and the audience of access tokens, among others, are called
//! after the product by default, and go with its name: a product that is renamed when it has data sets `database.url`,
//! `auth.audience` and the like to what they were. Nor is the cookie of the refresh token, whose name stands in the
//! contract: after a renaming, who signed in by cookie signs in once more.

/// Salt of all keys that follow from the secret key ([`crypto`](crate::crypto)).
///
/// With another one the sealed signing keys do not open, so the server does not start; and every refresh token, cursor and other
/// credential that follows from it is refused.
pub const KEY_SALT: &[u8] = b"ashlar";

/// Label of the key that signs cursors. With another one, the pages that somebody is reading begin anew.
pub const CURSOR_KEY: &str = "cursor";

/// Label of the key that signs refresh tokens. With another one, everybody is signed out.
pub const REFRESH_TOKEN_KEY: &str = "refresh token";

/// Label of the key that seals signing keys. With another one they do not open, and the server does not start.
pub const SIGNING_KEY_KEY: &str = "signing key";

// domain: upload
/// Label of the key that the credentials of the embedded store are made with. With another one, URLs that were handed out are
/// refused, and so is every S3 client that was given the credentials.
pub const EMBEDDED_STORE_KEY: &str = "embedded object store";
// end: upload

/// Beginning of refresh tokens, by which scanners for leaked secrets know them. With another one, everybody is signed out.
pub const REFRESH_TOKEN_PREFIX: &str = "ashr_";

// domain: upload
/// Seal at the end of each file of the embedded store. With another one, every object that is there counts as damaged.
pub const OBJECT_SEAL: [u8; 8] = *b"ASHLAR01";
// end: upload

/// Number of the lock that whoever migrates PostgreSQL holds. An old and a new release that have different ones may migrate at
/// once.
pub const MIGRATION_LOCK: i64 = 0x6173_686c_6172;
