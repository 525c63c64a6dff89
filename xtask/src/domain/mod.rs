//! The generator of domains: `cargo xtask new-domain` and what belongs to it.
//!
//! The way of a command: `grammar` reads the fields, `survey` looks at what is there, `rules` say what is allowed beside it,
//! `render` makes the files, `lists` and `cargo_toml` edit the few files that others keep too, and `plan` writes all of it or
//! nothing. `manifest` remembers what was made, so that fields can be added and the domain removed. What was written by hand is
//! removed by its record, `hand_written`, and by `regions`, comments that mark lines of other files.

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

pub(crate) use refusal::Refusal;
