//! How users sign in: passwords, signed-in devices, access and refresh tokens.
//!
//! The six rooms of every domain (`model`, `repository`, [`dto`], [`service`], [`error`], [`event`]) and three more:
//!
//! - [`password`]: Argon2id on threads of its own, and what makes a password acceptable;
//! - [`settings`]: what the operator decides, read from the configuration;
//! - [`token`]: access tokens (JWT, `EdDSA`), the keys that sign them, and refresh tokens, which are derived and never stored.
//!
//! A session is one row for one device. Its refresh token names the session and a generation; using it counts the
//! generation up in one guarded `UPDATE`, so of two that come at once one wins and the other is given the same successor.
//! An older generation coming back means that somebody has a copy: the session ends.
//!
//! # Adding a way to sign in
//!
//! Whatever proves who it is ends in `service::open_session` on a write session; nothing else makes tokens.

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
