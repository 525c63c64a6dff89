//! Durable jobs, for operators: the routes below `/api/v1/admin`, and the command `jobs`.

pub(crate) mod command;
mod dto;
pub(crate) mod routes;

pub(crate) use self::dto::JobQueue;
