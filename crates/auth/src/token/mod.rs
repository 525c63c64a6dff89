//! Tokens: access tokens that any instance can verify, and refresh tokens that only the database can redeem.

pub mod access;
pub mod keys;
pub mod refresh;
