//! Signing up, in and out, with every shape as the contract has it.

mod cookie;
mod device;
mod oauth;
mod sessions;
mod signup;
