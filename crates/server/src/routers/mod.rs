//! One file for each domain. A handler extracts, makes one service call, and chooses the answer; no rule, no query.
//!
//! # Adding a route
//!
//! A handler with `#[utoipa::path]` and `#[get]` (or another method), registered in the file's `configure`. Its
//! `security(…)` is what the gate enforces: silent means signed in, `security(())` public, and paths below
//! `/api/v1/admin/` are for admins whatever they say.

pub mod auth;
pub mod upload;
pub mod user;
