//! The server: a thin actix-web binary. It reads the configuration, wires the domains, serves. It has no rule of any
//! domain.
//!
//! | module | what is in it |
//! |---|---|
//! | [`application`] | everything wired; [`Application::build`](application::Application::build) and `run` |
//! | [`routers`] | the one list of domains, and one file for each: extract, one service call, respond |
//! | [`document`] | the OpenAPI document |
//! | [`module`] | what a domain gives the server |
//! | [`wiring`] | what modules register when the server starts |
//! | [`config`] | the sections of the configuration that are the server's |
//! | [`settings`] | the whole configuration: read once, checked once |
//! | [`members`] | JSON objects that several modules fill |
//! | [`cli`], [`commands`], [`console`] | the command line |
//! | [`claim`] | one server at a time for a data folder |
//! | [`migrate`] | the schema, at the start and by command |
//! | [`occupied`] | whether a database is another program's |
//! | [`logging`] | the log |

pub mod application;
pub mod claim;
pub mod cli;
pub mod commands;
pub mod config;
pub mod console;
mod databases;
pub mod document;
pub mod logging;
pub mod members;
pub mod migrate;
pub mod module;
mod network;
pub mod occupied;
pub mod routers;
pub mod settings;
pub mod wiring;
