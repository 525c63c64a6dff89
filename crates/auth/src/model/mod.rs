//! The tables of this domain.

pub(crate) mod password;
pub(crate) mod session;
pub(crate) mod signing_key;
