//! Signing up, in and out, with every shape as the contract has it.

mod cookie;
mod oauth;
mod sessions;
mod signup;
