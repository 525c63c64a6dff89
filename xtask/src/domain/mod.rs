//! The generator of domains: `cargo xtask new-domain` and its related commands.
//!
//! A command uses these modules in order: `grammar` parses the fields, `survey` reads the workspace, `rules` checks the new domain
//! against it, `render` renders the files, `lists` and `cargo_toml` edit the few shared files, and `plan` writes all changes or none.
//! `manifest` records what was generated, so that fields can be added and the domain removed. A domain that was written by hand is
//! removed by its record, `hand_written`, and by `regions`, comments that mark its lines in other files.

mod by_hand;
pub(crate) mod canon;
mod cargo_toml;
mod catalogue;
pub(crate) mod commands;
mod composition;
pub(crate) mod contract;
mod grammar;
pub(crate) mod hand_written;
mod imports;
mod job;
mod lists;
mod manifest;
mod merge;
mod migrations;
pub(crate) mod names;
pub(crate) mod plan;
mod plural;
mod prefix;
pub(crate) mod refusal;
pub(crate) mod regions;
mod render;
pub(crate) mod rules;
mod samples;
pub(crate) mod source;
pub(crate) mod spare;
mod spec;
pub(crate) mod survey;
mod view;
mod warnings;

pub(crate) use refusal::Refusal;
