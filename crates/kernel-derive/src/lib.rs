//! The derives of the shared kernel, which re-exports each beside the trait that it implements.
//!
//! A derive is here if every domain would write the same lines by hand, and if half a page can document the generated code.
//! The generated code is shown below, and a test checks that it is up to date.

use proc_macro::TokenStream;

mod domain_error;
mod from_columns;
mod merge_patch;
mod representation;
mod shown;
mod soft_delete;

/// Implements `shared_kernel::error::DomainError` for an enum of errors, and its list of problems.
///
/// Everything about an error is declared at its variant, so a new error is one edit:
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
/// | `kind = NotFound` | the `Kind`, which the server has a status code for; `Conflict` is said by `unique` |
/// | `code = "…"` | the stable name that clients match on, in `snake_case` |
/// | `title = "…"` | a summary, the same for every occurrence; without one it is the message, if that is always the same |
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

/// Implements `shared_kernel::from_columns::FromColumns` for a model: its fields are read from adjacent columns, in their order.
///
/// ```ignore
/// impl ::shared_kernel::from_columns::FromColumns for Model {
///     fn from_columns(row: &::sea_orm::QueryResult, first: usize) -> Result<Self, ::sea_orm::DbErr> {
///         Ok(Self { id: row.try_get_by_index(first + 0)?, title: row.try_get_by_index(first + 1)? })
///     }
/// }
/// ```
///
/// sea-orm derives the same for a second struct, `ModelEx`; nothing is written for that one.
#[proc_macro_derive(FromColumns)]
pub fn derive_from_columns(item: TokenStream) -> TokenStream {
    from_columns::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `shared_kernel::soft_delete::SoftDelete` and `Keyed` for the entity of a model, and [`FromColumns`](derive@FromColumns) for
/// the model.
///
/// The model has the fields `id` (an `Id<K>`), `version`, `created_at`, `updated_at` and `deleted_at`, and sea-orm's `table_name`:
///
/// ```ignore
/// impl ::shared_kernel::soft_delete::Keyed for Entity {
///     const ID: Column = Column::Id;
/// }
///
/// impl ::shared_kernel::soft_delete::SoftDelete for Entity {
///     type Kind = <NoteId as ::shared_kernel::id::Typed>::Kind;
///     const TABLE: &'static str = "notes";
///     const VERSION: Column = Column::Version;
///     const CREATED_AT: Column = Column::CreatedAt;
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

/// Writes the body of a `PATCH` (RFC 7396) for the body of a `POST`, so that each field stands in one place.
///
/// ```ignore
/// #[derive(Clone, Debug, Deserialize, Validate, MergePatch, ToSchema)]
/// #[serde(deny_unknown_fields)]
/// #[garde(allow_unvalidated)]
/// pub struct CreateNote {
///     /// The title.
///     pub title: SingleLine<1, 100>,
///     /// The text, if there is one.
///     pub text: Option<MultiLine<1, 1000>>,
/// }
/// ```
///
/// What may be empty becomes a `Patch`, which `null` clears; anything else an `Option`, which refuses `null`:
///
/// ```ignore
/// /// A change of a note: a JSON merge patch (RFC 7396).
/// #[derive(Clone, Debug, Default, ::serde::Deserialize, ::garde::Validate, ::utoipa::ToSchema)]
/// #[serde(deny_unknown_fields)]
/// #[garde(allow_unvalidated)]
/// pub struct UpdateNote {
///     /// The title.
///     #[serde(default, deserialize_with = "::shared_kernel::patch::required")]
///     #[schema(nullable = false)]
///     pub title: Option<SingleLine<1, 100>>,
///     /// The text, if there is one.
///     #[serde(default)]
///     #[schema(value_type = Option<MultiLine<1, 1000>>)]
///     pub text: Patch<MultiLine<1, 1000>>,
/// }
///
/// /// A change in which everything is set: what makes a row is written as what changes one.
/// impl From<CreateNote> for UpdateNote {
///     fn from(all: CreateNote) -> Self {
///         Self { title: all.title.into(), text: all.text.into() }
///     }
/// }
/// ```
///
/// Documentation, the `rename` of serde, the rules of garde and what `schema` says are taken over; defaults are not. The name follows from
/// `Create…`; `#[merge_patch(ChangeNote)]` gives another. Where some field cannot be changed, the struct is written by hand instead.
#[proc_macro_derive(MergePatch, attributes(merge_patch))]
pub fn derive_merge_patch(item: TokenStream) -> TokenStream {
    merge_patch::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `shared_kernel::repository::Representation` for what the API shows of a row: a struct with an `id` and a `version`.
///
/// ```ignore
/// impl ::shared_kernel::repository::Representation for Note {
///     const HOLDS_SIGNED_URLS: bool = false; // `true` with `#[representation(signed_urls)]`
///
///     fn revision(&self) -> ::shared_kernel::repository::Revision {
///         ::shared_kernel::repository::Revision::new(self.id, self.version)
///     }
/// }
/// ```
#[proc_macro_derive(Representation, attributes(representation))]
pub fn derive_representation(item: TokenStream) -> TokenStream {
    representation::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes what the API shows of a row out of the row: all columns but `deleted_at`, to fields of the same names.
///
/// ```ignore
/// #[sea_orm::model]
/// #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, SoftDelete, Shown)]
/// #[sea_orm(table_name = "notes")]
/// #[shown(as Note, later(cover))]
/// pub struct Model {
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub id: NoteId,
///     // …
///     pub title: String,
///     #[shown(skip)]
///     pub title_normalized: String,
/// }
/// ```
///
/// ```ignore
/// impl From<Model> for Note {
///     fn from(row: Model) -> Self {
///         Self { id: row.id, /* … */ title: row.title, cover: Default::default() }
///     }
/// }
/// ```
///
/// `skip` leaves a column out, `later` names fields that are no column and are filled in afterwards. Where something has to be computed,
/// the `From` is written by hand instead.
#[proc_macro_derive(Shown, attributes(shown))]
pub fn derive_shown(item: TokenStream) -> TokenStream {
    shown::expand(item.into()).unwrap_or_else(syn::Error::into_compile_error).into()
}
