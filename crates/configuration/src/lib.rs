//! The engine of the configuration. It knows what a key is and where values come from, and no key, section or domain.
//!
//! Defaults < `<program>.toml` (or the file of `--config`) < `.env` in the working directory < the environment. All faults are reported
//! at one start, a sentence for each key, with the source of its value and what to do.
//!
//! # One description of a key
//!
//! A [`Section`] reads its keys in one function. Each is described where it is read:
//!
//! ```
//! use std::time::Duration;
//!
//! use configuration::{Keys, Section, key, seconds, whole};
//!
//! /// Settings of the search index.
//! #[derive(Debug)]
//! struct SearchSettings {
//!     /// Results of one page.
//!     page: u32,
//!     /// Time that one search has.
//!     timeout: Duration,
//! }
//!
//! impl Section for SearchSettings {
//!     const NAME: &'static str = "search";
//!     type Given<'a> = ();
//!
//!     fn read(keys: &mut Keys<'_>, (): ()) -> Option<Self> {
//!         Some(Self {
//!             page: keys.read(key("page", whole(1..=100, "results"), 20, "Number of results in one page."))?,
//!             timeout: keys.read(key(
//!                 "timeout",
//!                 seconds(1..=30),
//!                 5,
//!                 "Time that one search has before it is answered with 503.",
//!             ))?,
//!         })
//!     }
//! }
//!
//! let settings = configuration::defaults::<SearchSettings>(())?;
//! assert_eq!((settings.page, settings.timeout), (20, Duration::from_secs(5)));
//! # Ok::<(), configuration::ConfigError>(())
//! ```
//!
//! The same function makes the [`Table`] of all keys, by running without values: known names, texts of `--help` and the documentation,
//! defaults and bounds. So a section must read all of its keys, whatever their values are.
//!
//! # Adding a key
//!
//! 1. In the file of the section: a field of the struct, and the call of [`Keys::read`] that fills it. The compiler requires
//!    both. Conditions between values, and rules for production, follow below it: [`Keys::must`],
//!    [`Keys::must_outside_development`].
//! 2. `docs/configuration.md` ends with the reference that the program prints; a test of the server compares the two.
//!
//! A new section is a type that implements [`Section`]. That of a domain stands in the domain's `settings` module and is the
//! domain's own settings: there is nothing to convert. Crate `app-config` has those of every application.
//!
//! | module | what is in it |
//! |---|---|
//! | `environment` | the environment of an installation |
//! | `fault` | faults of a configuration |
//! | `row` | a key as operators see it |
//! | `form` | what a key accepts, and its parser |
//! | `key` | a key as a section describes it |
//! | `show` | redacted values |
//! | `web` | helpers for URLs |
//! | `secret` | strength of secrets |
//! | `table` | all keys: known names, reference |
//! | `sources` | files and variables, and which wins |
//! | `effective` | the effective configuration, with its sources |
//! | `section` | [`Keys`] and [`Section`] |
//! | `load` | from sources to a configuration |

mod effective;
mod environment;
mod fault;
mod form;
mod key;
mod load;
mod row;
mod secret;
mod section;
mod show;
mod sources;
mod table;
mod web;

pub use effective::Effective;
pub use environment::Environment;
pub use fault::{ConfigError, Fault, quoted};
pub use form::{
    Form, address, bytes, days, list, optional, parsed, promised, seconds, secret, secret_url, secret_urls,
    switch, text, web_url, whole,
};
pub use key::{Key, KeyDefault, derived, empty, key};
pub use load::defaults;
pub use secret::{Strength, weakness};
pub use section::{Keys, Section};
pub use show::redacted_url;
pub use sources::Sources;
pub use table::{Table, variable};
pub use web::{is_local, without_slash};
