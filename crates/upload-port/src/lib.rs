//! Uploads for other domains: ids, and URLs of files.
//!
//! A row has the [id](UploadId) of an upload, and its representation a [`LinkedFile`] with a short-lived URL. Domains do not depend on the
//! crate `upload`: it implements [`Files`], the server wires it, and a service takes `&dyn Files`. A product without uploads has
//! neither crate.
//!
//! A principal who may see a row may download its files: permissions are not checked here. When the row is written,
//! [`check_references`](shared_kernel::reference::check_references) checks that the file belongs to the principal.
//!
//! Signing a URL is a computation without I/O, because a transaction may be open meanwhile.

#[cfg(feature = "testing")]
pub mod testing;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Debug;

use sea_orm::FromQueryResult;
use sea_orm::sea_query::SelectStatement;
use serde::Serialize;
use shared_kernel::id::{Id, IdKind};
use shared_kernel::kernel_error::KernelError;
use shared_kernel::session::Reader;
use utoipa::ToSchema;

/// The kind of [`UploadId`].
#[derive(Debug)]
pub enum UploadKind {}

impl IdKind for UploadKind {
    const PREFIX: &'static str = "upl";
    const NAME: &'static str = "upload";
}

/// Id of an upload. It is in this crate so that a domain whose rows have files depends on no other domain.
pub type UploadId = Id<UploadKind>;

/// The URL of a file cannot be signed.
#[derive(Debug, thiserror::Error)]
#[error("the URL of a file cannot be made")]
pub struct FilesError(#[source] pub Box<dyn Error + Send + Sync>);

impl From<FilesError> for KernelError {
    fn from(error: FilesError) -> Self {
        Self::Port(error.into())
    }
}

/// Port to the files of an installation.
pub trait Files: Send + Sync + Debug {
    /// Query of the [`StoredFile`]s among `ids`: completed uploads that are not deleted.
    fn select(&self, ids: &[UploadId]) -> SelectStatement;

    /// A short-lived URL with which anyone can download `file`. Does no I/O.
    ///
    /// # Errors
    ///
    /// The configuration of the object store does not allow it.
    fn url(&self, file: &StoredFile) -> Result<String, FilesError>;
}

/// A file in the object store.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StoredFile {
    /// Id of the upload.
    pub id: UploadId,
    /// Key of the object in the object store.
    pub object_key: String,
    /// Name of the file.
    pub filename: String,
    /// Media type of the file, without parameters.
    pub content_type: String,
    /// Charset of a text, if it is known.
    pub charset: Option<String>,
    /// Size in bytes.
    pub size: i64,
    /// Width of an image in pixels, as viewers show it.
    pub width: Option<i32>,
    /// Height of an image in pixels, as viewers show it.
    pub height: Option<i32>,
}

impl StoredFile {
    /// The columns of its table.
    pub const COLUMNS: [&str; 8] =
        ["id", "object_key", "filename", "content_type", "charset", "size", "width", "height"];
}

/// A file as part of a resource that refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LinkedFile {
    /// URL of the file, which anyone who has it can use. It expires soon.
    #[schema(format = Uri, examples("https://files.example.com/uploads/3f0c?X-Amz-Signature=9e1b"))]
    pub url: String,
    /// Name of the file.
    #[schema(examples("harbour.png"))]
    pub filename: String,
    /// Media type of the file, in lower case and without parameters.
    #[schema(examples("image/png"))]
    pub content_type: String,
    /// Size of the file in bytes.
    #[schema(minimum = 1, examples(48_213))]
    pub size: i64,
    /// Width of an image in pixels, as viewers show it: rotated as its metadata say.
    #[schema(required, minimum = 1, examples(1_600))]
    pub width: Option<i32>,
    /// Height of an image in pixels, as viewers show it: rotated as its metadata say.
    #[schema(required, minimum = 1, examples(1_200))]
    pub height: Option<i32>,
}

impl LinkedFile {
    fn new(file: StoredFile, url: String) -> Self {
        let StoredFile { filename, content_type, size, width, height, .. } = file;
        Self { url, filename, content_type, size, width, height }
    }
}

/// Files by the id of their upload. Deleted ones are absent.
pub type LinkedFiles = BTreeMap<UploadId, LinkedFile>;

/// The existing files among `ids`, with one query for all of them and none if there are no ids.
///
/// # Errors
///
/// Errors of the session, and [`KernelError::Port`].
pub async fn linked_files(
    files: &dyn Files,
    session: &impl Reader,
    ids: impl IntoIterator<Item = impl Into<Option<UploadId>>>,
) -> Result<LinkedFiles, KernelError> {
    let ids: BTreeSet<UploadId> = ids.into_iter().filter_map(Into::into).collect();
    if ids.is_empty() {
        return Ok(LinkedFiles::new());
    }
    let select = files.select(&Vec::from_iter(ids));
    let found: Vec<StoredFile> = session.rows(&select).await?;
    let linked = |file: StoredFile| {
        let url = files.url(&file)?;
        Ok((file.id, LinkedFile::new(file, url)))
    };
    found.into_iter().map(linked).collect()
}

/// A representation that refers to files, with a field for each.
pub trait HasFiles {
    /// The ids of the files, each with its field.
    fn files(&mut self) -> Vec<(Option<UploadId>, &mut Option<LinkedFile>)>;
}

/// Sets the files in representations, with one query for all of them. The field of a deleted file is `None`.
///
/// # Errors
///
/// As [`linked_files`].
pub async fn link<'a, T: HasFiles + 'a>(
    files: &dyn Files,
    session: &impl Reader,
    shown: impl IntoIterator<Item = &'a mut T>,
) -> Result<(), KernelError> {
    let places: Vec<_> = shown.into_iter().flat_map(HasFiles::files).collect();
    let linked = linked_files(files, session, places.iter().map(|(id, _)| *id)).await?;
    for (id, place) in places {
        *place = id.and_then(|id| linked.get(&id).cloned());
    }
    Ok(())
}

/// [`link`] for one representation.
///
/// # Errors
///
/// As [`linked_files`].
pub async fn linked<T: HasFiles>(
    files: &dyn Files,
    session: &impl Reader,
    mut shown: T,
) -> Result<T, KernelError> {
    link(files, session, [&mut shown]).await?;
    Ok(shown)
}
