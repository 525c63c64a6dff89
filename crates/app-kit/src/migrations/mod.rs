//! The schema: which migrations a product has, which ran, and how the missing ones are applied.

pub(crate) mod apply;
pub(crate) mod occupied;
mod record;

pub use record::{Failed, Migrations, Standing};
