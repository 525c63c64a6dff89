//! Listing by walking the directory.
//!
//! There is no index on purpose: it would have to stay consistent across crashes and processes. A page reads the metadata of every object
//! and needs memory for one page, which suits the embedded store (tens of thousands of objects); for millions, use an external S3.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::sealed::{Seal, Sealed};
use super::{ObjectMeta, Store, blocking};
use crate::error::StoreError;

/// Parameters of a listing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) prefix: String,
    pub(crate) delimiter: Option<String>,
    /// Only keys after this one.
    pub(crate) start_after: String,
    /// Only names (keys or common prefixes) after this one, the end of the last page.
    pub(crate) resume_after: String,
    pub(crate) limit: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Entry {
    Object { meta: Box<ObjectMeta>, size: u64 },
    CommonPrefix,
}

/// Entries by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) entries: BTreeMap<String, Entry>,
    pub(crate) truncated: bool,
}

impl Store {
    pub(crate) async fn list(&self, query: Query) -> Result<Page, StoreError> {
        let store = self.clone();
        blocking(move || {
            let mut entries = BTreeMap::new();
            let mut open = |path: &Path| {
                let Some(object) = readable(path, store.seal())? else { return Ok(()) };
                add(&mut entries, &query, object);
                Ok(())
            };
            walk(&store.0.objects, 2, &mut open)?;
            let truncated = entries.len() > query.limit;
            if truncated {
                entries.pop_last();
            }
            Ok(Page { entries, truncated })
        })
        .await
    }
}

fn walk(
    directory: &Path,
    depth: u8,
    visit: &mut impl FnMut(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        // Files of a desktop or a backup program.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries {
        let path = entry?.path();
        if depth == 0 { visit(&path)? } else { walk(&path, depth - 1, visit)? }
    }
    Ok(())
}

/// Skips a damaged file, which must not hide the others.
fn readable(path: &Path, seal: Seal) -> Result<Option<Sealed<ObjectMeta>>, StoreError> {
    match Sealed::open(path, seal) {
        Err(StoreError::Corrupt(path)) => {
            tracing::warn!(path = %path.display(), "a damaged object was left out of a listing");
            Ok(None)
        }
        opened => opened,
    }
}

fn add(entries: &mut BTreeMap<String, Entry>, query: &Query, object: Sealed<ObjectMeta>) {
    if let Some((name, entry)) = classify(query, object)
        && !entries.contains_key(&name)
    {
        entries.insert(name, entry);
        // One more than a page, to know whether another one follows.
        if entries.len() > query.limit.saturating_add(1) {
            entries.pop_last();
        }
    }
}

fn classify(query: &Query, object: Sealed<ObjectMeta>) -> Option<(String, Entry)> {
    let key = &object.meta.key;
    let rest = key.strip_prefix(&query.prefix)?;
    if *key <= query.start_after {
        return None;
    }
    let cut = query.delimiter.as_deref().and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
    let (name, entry) = match cut {
        Some(cut) => (key[..query.prefix.len() + cut].to_owned(), Entry::CommonPrefix),
        None => (key.clone(), Entry::Object { size: object.size, meta: Box::new(object.meta) }),
    };
    (name > query.resume_after).then_some((name, entry))
}
