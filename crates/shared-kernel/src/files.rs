//! The port to uploads: the URLs of the files that rows of other domains refer to.
//!
//! A row keeps the id of an upload, and who reads the row gets a URL that is good for a short time. Domains do not know the
//! crate `upload`: it implements [`Files`], the server wires it, and a service takes `&dyn Files`.
//!
//! Whoever may see a row may have its files: nothing is asked about the principal here. That the file was one's own when the row
//! was written is what [`check_references`](crate::reference::check_references) takes care of.
//!
//! Making a URL is a computation that waits for nobody, because it is done while a transaction may be open.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use sea_orm::FromQueryResult;
use sea_orm::sea_query::SelectStatement;

use crate::id::UploadId;
pub use crate::kernel_error::FilesError;
use crate::kernel_error::KernelError;
use crate::session::Reader;

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

/// The URLs of those files, with one statement for all of them and none for none.
///
/// # Errors
///
/// The session's, and [`KernelError::Files`].
pub async fn urls(
    files: &dyn Files,
    session: &impl Reader,
    ids: impl IntoIterator<Item = UploadId>,
) -> Result<Urls, KernelError> {
    let ids: BTreeSet<UploadId> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(Urls::new());
    }
    let select = files.select(&Vec::from_iter(ids));
    let found: Vec<StoredFile> = session.rows(&select).await?;
    found.iter().map(|file| Ok((file.id, files.url(file)?))).collect()
}
