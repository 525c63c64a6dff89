//! The names that nearly every router uses: `use http_kit::prelude::*;`.

pub use crate::describe::IfNoneMatch;
pub use crate::extract::{Admin, Body, CurrentUser, IfMatch, ListQuery, MaybeUser, PathId, Read};
pub use crate::problem::ApiError;
pub use crate::respond::{Paged, Resource};
pub use crate::routes::Routes;
pub use crate::write::{Created, NoContent, Updated, Write};
pub use shared_kernel::error::{NOT_OWNER, USER_REQUIRED};
pub use shared_kernel::page::PageQuery;
