//! The configuration of an application: the sections that every product has, and a place for those of its domains. How values
//! are found, checked, shown and documented is crate [`configuration`].
//!
//! A section is one file: its type, and for each key the name, the bounds, the default and what operators read of it.
//! [`Config`] lists the sections. The section of a domain is the domain's own settings: its module reads it with a
//! [`SectionReader`], and [`Config::section`] finds it by its type.
//!
//! This crate knows no domain and no product: the name that variables and files begin with is a value of the [`ConfigSchema`].
//!
//! | module | what it holds |
//! |---|---|
//! | `schema` | all keys of a program, and how they are read |
//! | `loaded` | a configuration that has touched nothing yet |
//! | `secret` | the secret key that an installation makes for itself |
//! | `config` | the keys at the top, and the list of all sections |
//! | `server`, `cors`, `database`, `mail`, `jobs`, `limits` | a section each |
//! | `sections` | the sections of the domains |
//! | `promised` | sections whose features come later |
//! | `origin` | the entries of `cors.origins` |
//!
//! # Adding a key
//!
//! A field, and the call that reads it, in the file of the section: see [`configuration`].
//!
//! # Adding a section
//!
//! If one domain alone needs it, it stands in that domain. Otherwise it is a file here, a field of [`Config`] and the line that
//! reads it in `config`.

mod config;
mod cors;
mod database;
mod jobs;
mod limits;
mod loaded;
mod mail;
mod origin;
mod promised;
mod schema;
mod secret;
mod sections;
mod server;

pub use config::{Config, Provenance};
pub use cors::Cors;
pub use database::Database;
pub use jobs::Jobs;
pub use limits::Limits;
pub use loaded::Loaded;
pub use mail::Mail;
pub use origin::{AllowedOrigin, NotAnOrigin};
pub use schema::ConfigSchema;
pub use sections::{NoSuchSection, ReadSections, SectionReader, Sections};
pub use server::Server;
