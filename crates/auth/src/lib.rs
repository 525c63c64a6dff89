//! How users sign in: passwords, signed-in devices, access and refresh tokens.
//!
//! The six modules of every domain (`model`, `repository`, [`dto`], [`service`], [`error`], [`event`]) and three more:
//!
//! - [`password`]: rules for new passwords, and Argon2id on threads of its own;
//! - [`settings`]: settings of the operator, read from the configuration;
//! - [`token`]: access tokens (JWT, `EdDSA`), the keys that sign them, and refresh tokens, which are derived and never stored.
//!
//! A session is one row for one device. Its refresh token names the session and a generation; using it counts the
//! generation up in one guarded `UPDATE`, so of two that come at once one wins and the other is given the same successor.
//! If an older generation is sent again, somebody has a copy of the token: the session is ended.
//!
//! # Adding a way to sign in
//!
//! Every way to sign in ends in `service::open_session` on a write session; nothing else issues tokens.

pub mod dto;
pub mod error;
pub mod event;
mod model;
pub mod password;
mod repository;
pub mod service;
pub mod settings;
pub mod token;

pub use service::Auth;
