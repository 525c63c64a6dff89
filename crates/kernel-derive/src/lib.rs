//! The derives of the shared kernel, which re-exports each beside the trait that it implements.
//!
//! A derive is here when every domain would write the same lines by hand, and when one can say on half a page what it writes.
//! What that is stands below as plain code, and a test keeps it true.

use proc_macro::TokenStream;

mod domain_error;
mod soft_delete;

/// Implements `shared_kernel::error::DomainError` for an enum of errors, and makes its catalogue.
///
/// Everything about a way to fail stands at its variant, so a new error is one edit:
///
/// ```ignore
/// #[derive(Debug, thiserror::Error, DomainError)]
/// pub enum NoteError {
///     /// There is no such note, or not for this user.
///     #[error("there is no such note")]
///     #[problem(
///         kind = NotFound,
///         code = "note_not_found",
///         title = "There is no such note",
///         help = "No note has this id, or it is not yours. Check the id."
///     )]
///     NotFound,
///     /// Another note has this title.
///     #[error("another note has this title")]
///     #[problem(
///         kind = Conflict,
///         code = "note_title_taken",
///         title = "The title is taken",
///         help = "Another note has this title. Choose another.",
///         field = "/title",
///         unique = "notes_title_key"
///     )]
///     TitleTaken,
///     /// More notes are written than the installation can keep up with.
///     #[error("too many notes are being written")]
///     #[problem(is = UNAVAILABLE, retry_after = 1)]
///     Busy,
///     /// The pictures of the note.
///     #[error(transparent)]
///     Picture(#[from] PictureError),
///     /// A field breaks a rule, or the database failed.
///     #[error(transparent)]
///     #[problem(kernel)]
///     Kernel(KernelError),
/// }
/// ```
///
/// # What a variant says
///
/// | in `#[problem(…)]` | meaning |
/// |---|---|
/// | `kind = NotFound` | the `Kind`, which the server has a status code for |
/// | `code = "…"` | the stable name that clients match on, in `snake_case` |
/// | `title = "…"` | a summary, the same for every occurrence |
/// | `help = "…"` | what it means and what to do, for the page behind `type` |
/// | `example = "…"` | what the message may look like; only where `#[error("…")]` has values in it |
/// | `field = "/title"` | a JSON pointer to the field that is refused; its code is `taken` for a unique one, and the problem's otherwise |
/// | `unique = "notes_title_key"` | the unique constraint that a row breaks when this went wrong |
/// | `retry_after = 1` | the seconds after which another try makes sense |
/// | `is = UNAVAILABLE` | a problem that is declared elsewhere, instead of all of the above but `retry_after` |
/// | `delegate` | the one field of the variant is a `DomainError`, and it knows; `#[error(transparent)]` means the same where there is no `#[problem]` |
/// | `kernel` | `delegate`, for the one variant that takes every failure of the kernel |
///
/// # What it writes
///
/// For the enum above:
///
/// ```ignore
#[doc = include_str!("expanded.rs.txt")]
/// ```
///
/// A `match` has an arm for the rest only where there is a rest. The constants are what operations name in the OpenAPI document.
#[proc_macro_derive(DomainError, attributes(problem))]
pub fn derive_domain_error(item: TokenStream) -> TokenStream {
    domain_error::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `shared_kernel::soft_delete::SoftDelete` for the entity of a model.
///
/// The model has the fields `id` (an `Id<K>`), `version`, `updated_at` and `deleted_at`:
///
/// ```ignore
/// impl ::shared_kernel::soft_delete::SoftDelete for Entity {
///     type Kind = <NoteId as ::shared_kernel::id::Typed>::Kind;
///     const ID: Column = Column::Id;
///     const VERSION: Column = Column::Version;
///     const UPDATED_AT: Column = Column::UpdatedAt;
///     const DELETED_AT: Column = Column::DeletedAt;
/// }
/// ```
///
/// sea-orm derives the same for a second struct, `ModelEx`; nothing is written for that one.
#[proc_macro_derive(SoftDelete)]
pub fn derive_soft_delete(item: TokenStream) -> TokenStream {
    soft_delete::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
