//! What other domains may know of uploads: their ids, and the URLs of their files.
//!
//! A row keeps the [id](UploadId) of an upload, and who reads the row gets a URL that is good for a short time. Domains do not know the
//! crate `upload`: it implements [`Files`], the server wires it, and a service takes `&dyn Files`. A house without uploads has
//! neither crate.
//!
//! Whoever may see a row may have its files: nothing is asked about the principal here. That the file was one's own when the row
//! was written is what [`check_references`](shared_kernel::reference::check_references) takes care of.
//!
//! Making a URL is a computation that waits for nobody, because it is done while a transaction may be open.

#[cfg(feature = "testing")]
pub mod testing;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Debug;

use sea_orm::FromQueryResult;
use sea_orm::sea_query::SelectStatement;
use shared_kernel::id::{Id, IdKind};
use shared_kernel::kernel_error::KernelError;
use shared_kernel::session::Reader;

/// The kind of [`UploadId`].
#[derive(Debug)]
pub enum UploadKind {}

impl IdKind for UploadKind {
    const PREFIX: &'static str = "upl";
    const NAME: &'static str = "upload";
}

/// An upload. It lives here, so that a domain whose rows have a file depends on no other domain.
pub type UploadId = Id<UploadKind>;

/// The URL of a file cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("the URL of a file cannot be made")]
pub struct FilesError(#[source] pub Box<dyn Error + Send + Sync>);

impl From<FilesError> for KernelError {
    fn from(error: FilesError) -> Self {
        Self::Port(error.into())
    }
}

/// Knows the files of an installation and where their bytes can be had.
pub trait Files: Send + Sync + Debug {
    /// The [`StoredFile`]s among `ids`: those whose bytes are there and that are not deleted.
    fn select(&self, ids: &[UploadId]) -> SelectStatement;

    /// Where the bytes of `file` can be had for a short time, by whoever has the URL. Asks nobody.
    ///
    /// # Errors
    ///
    /// The configuration of the object store does not allow it.
    fn url(&self, file: &StoredFile) -> Result<String, FilesError>;
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct StoredFile {
    /// The upload that it came by.
    pub id: UploadId,
    /// Where its bytes are in the object store.
    pub object_key: String,
    /// What it is called.
    pub filename: String,
    /// Media type of the file, without parameters.
    pub content_type: String,
    /// The charset of a text, where it is known.
    pub charset: Option<String>,
}

/// Where files can be had for a short time. What is not in it is not there any more.
pub type Urls = BTreeMap<UploadId, String>;

/// The URLs of those files, as far as there are any, with one statement for all of them and none for none.
///
/// # Errors
///
/// The session's, and [`KernelError::Port`].
pub async fn urls(
    files: &dyn Files,
    session: &impl Reader,
    ids: impl IntoIterator<Item = impl Into<Option<UploadId>>>,
) -> Result<Urls, KernelError> {
    let ids: BTreeSet<UploadId> = ids.into_iter().filter_map(Into::into).collect();
    if ids.is_empty() {
        return Ok(Urls::new());
    }
    let select = files.select(&Vec::from_iter(ids));
    let found: Vec<StoredFile> = session.rows(&select).await?;
    found.iter().map(|file| Ok((file.id, files.url(file)?))).collect()
}

/// What is shown of a row that refers to files, with a place for the URL of each.
pub trait HasFiles {
    /// The files, each with the place of its URL.
    fn files(&mut self) -> Vec<(Option<UploadId>, &mut Option<String>)>;
}

/// Writes the URLs of their files into what is shown, with one statement for all of them. A file that is not there any more has
/// none.
///
/// # Errors
///
/// As [`urls`].
pub async fn link<'a, T: HasFiles + 'a>(
    files: &dyn Files,
    session: &impl Reader,
    shown: impl IntoIterator<Item = &'a mut T>,
) -> Result<(), KernelError> {
    let places: Vec<_> = shown.into_iter().flat_map(HasFiles::files).collect();
    let urls = urls(files, session, places.iter().map(|(id, _)| *id)).await?;
    for (id, place) in places {
        *place = id.and_then(|id| urls.get(&id).cloned());
    }
    Ok(())
}

/// The same of one.
///
/// # Errors
///
/// As [`urls`].
pub async fn linked<T: HasFiles>(
    files: &dyn Files,
    session: &impl Reader,
    mut shown: T,
) -> Result<T, KernelError> {
    link(files, session, [&mut shown]).await?;
    Ok(shown)
}
