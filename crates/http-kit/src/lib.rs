//! HTTP for an API that is described by its OpenAPI document: the layers that every request passes, and how answers are made.
//! This crate names no domain; the server gives it the routes, the [`State`](state::State), and the port
//! [`Authenticator`](authenticator::Authenticator).
//!
//! A request goes `request_log` → CORS → `deadline` → `access_control` → router → service:
//!
//! - [`request_log`] gives it an id, logs it, renders every problem, and sets the headers that every answer has;
//! - [`deadline`] limits its time;
//! - [`access_control`] checks it against the [`contract`]: path, method, access, query parameters. Only then is a body read;
//! - [`routes`] gives it to the handler of the operation that was found;
//! - the router [extracts](extract), makes one service call, and [responds](respond), or [ends its write](mod@write).

pub mod access_control;
mod answers;
pub mod asset;
pub mod authenticator;
pub mod catalogue;
pub mod contract;
pub mod cookies;
pub mod cors;
pub mod deadline;
pub mod describe;
pub mod docs;
pub mod etag;
pub mod exchange;
pub mod extract;
pub mod headers;
mod inline;
pub mod media;
pub mod openapi;
pub mod prelude;
pub mod problem;
pub mod request_log;
pub mod respond;
pub mod routes;
pub mod serve;
pub mod state;
pub mod write;
