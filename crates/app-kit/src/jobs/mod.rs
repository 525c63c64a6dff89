//! Durable jobs over HTTP, for admins.

mod dto;
pub(crate) mod routes;

pub(crate) use self::dto::JobQueue;
