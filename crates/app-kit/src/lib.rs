//! An application made of modules: what every product has the same, whatever its domains are.
//!
//! A [`Product`](product::Product) is a value: its name, its [modules](module::Module), its migrations. A binary is that value and
//! one call of [`program::run`]. Nothing here names a product or a domain.
//!
//! | module | what is in it |
//! |---|---|
//! | [`product`] | a product as one value |
//! | [`module`] | a domain as one value |
//! | [`wiring`] | what modules are given when the application starts, and what they register |
//! | [`application`] | everything wired: built, served, stopped in order |
//! | [`document`] | the OpenAPI document of a product |
//! | [`health`], [`installation`] | the routes that every product has |
//! | [`members`] | JSON objects that several modules fill |
//! | [`migrations`] | the schema, at the start and by command |
//! | [`program`], [`cli`], [`console`] | the command line |
//! | `jobs` | the routes of durable jobs, for admins |
//! | `job_commands` | the command `jobs` |
//! | `sweep` | the job that deletes old events |
//! | `worker` | jobs: in the server, and in a process of their own |
//! | [`network`] | addresses and limits of connections |
//! | `claim` | one server at a time for a data folder |
//! | `databases` | the databases of a configuration |
//! | `foundation` | what every process opens before its modules start |
//! | `logging` | the log |
//!
//! # Adding something that a module may have
//!
//! A field of [`Module`](module::Module) with its empty value in [`Module::EMPTY`](module::Module::EMPTY), if it is known before the
//! start, or else a method of [`Wiring`](wiring::Wiring) and a field of what it collects. [`application`] or [`product`] goes through
//! all modules and uses it.

pub mod application;
mod claim;
pub mod cli;
mod commands;
pub mod console;
mod databases;
pub mod document;
mod foundation;
pub mod health;
pub mod installation;
mod job_commands;
mod jobs;
mod logging;
pub mod members;
pub mod migrations;
pub mod module;
pub mod network;
pub mod product;
pub mod program;
mod sweep;
pub mod wiring;
mod worker;
