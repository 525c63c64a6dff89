//! HTTP: what every request passes through, and how answers are made. No rule of a domain is here.
//!
//! A request goes `observe` → CORS → `gate` → router → service:
//!
//! - [`observe`] gives it an id, logs it, renders every problem, and sets the headers that every answer has;
//! - [`gate`] holds it against the [`contract`]: path, method, who may, which query parameters. Only then is a body read;
//! - [`routes`] gives it to the handler of the operation that was found;
//! - the router extracts, makes one service call, and responds.

pub mod contract;
pub mod cors;
pub mod deadline;
pub mod docs;
pub mod etag;
pub mod exchange;
pub mod extract;
pub mod gate;
pub mod health;
mod inline;
pub mod installation;
pub mod media;
pub mod observe;
pub mod openapi;
pub mod problem;
pub mod respond;
pub mod routes;
pub mod serve;
