//! The names that nearly every domain uses: `use shared_kernel::prelude::*;`.
//!
//! Names that only some domains need are imported one by one, so that a reader sees what a file is about.

pub use crate::clock::{Date, Timestamp};
pub use crate::error::DomainError;
pub use crate::id::{Id, IdKind, UserId};
pub use crate::kernel_error::KernelError;
pub use crate::page::{Page, PageRequest};
pub use crate::patch::{MergePatch, Patch, set_if_some};
pub use crate::principal::Principal;
pub use crate::repository::{
    Precondition, Repository, Representation, Scoped, Shown, SoftDelete, contains, owned_by, resource,
};
pub use crate::resource::{OnDelete, Reference, Resource, Within};
pub use crate::session::{Reader, WriteSession};
pub use crate::sort::{Sort, Sortable};
