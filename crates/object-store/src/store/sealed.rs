//! One file, bytes first, metadata behind: `bytes | JSON | length of the JSON (4 bytes) | seal (8 bytes)`.
//!
//! Metadata comes last because size and digests are known only when all bytes have arrived, and because bytes
//! that start at 0 can be sent, ranged and copied without an offset.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StoreError;

const TRAILER: u64 = 12;
/// Maximum size of metadata, far above the limits of HTTP, so that a damaged length does not allocate gigabytes.
const MAX_META: u32 = 1024 * 1024;

/// Magic bytes at the end of each file of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seal(pub(crate) [u8; 8]);

/// An open file of the store. Renames and deletions do not affect it.
#[derive(Debug)]
pub(crate) struct Sealed<M> {
    pub(crate) file: File,
    pub(crate) size: u64,
    pub(crate) meta: M,
}

impl<M: DeserializeOwned> Sealed<M> {
    /// `None` when there is no such file.
    pub(crate) fn open(path: &Path, seal: Seal) -> Result<Option<Self>, StoreError> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let corrupt = || StoreError::Corrupt(path.to_owned());
        let (size, json) = read_meta(&mut file, seal)?.ok_or_else(corrupt)?;
        let meta = serde_json::from_slice(&json).map_err(|_| corrupt())?;
        file.rewind()?;
        Ok(Some(Self { file, size, meta }))
    }
}

impl<M> Sealed<M> {
    /// Appends the bytes, without the metadata, to another file (inside the kernel, where it can).
    pub(crate) fn copy_to(&self, target: &mut File) -> io::Result<()> {
        let mut source = &self.file;
        source.rewind()?;
        let copied = io::copy(&mut source.take(self.size), target)?;
        if copied == self.size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Seal {
    /// The trailer of a file: its metadata, their length and the seal.
    pub(crate) fn trailer<M: Serialize>(self, meta: &M) -> io::Result<Vec<u8>> {
        let mut trailer = serde_json::to_vec(meta)?;
        let length = u32::try_from(trailer.len()).map_err(io::Error::other)?;
        trailer.extend_from_slice(&length.to_be_bytes());
        trailer.extend_from_slice(&self.0);
        Ok(trailer)
    }
}

/// Writes the trailer after the bytes and syncs both.
pub(crate) fn close(file: &mut File, trailer: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::End(0))?;
    file.write_all(trailer)?;
    file.sync_all()
}

/// The number of bytes before the metadata, and the metadata; `None` when the file is not one of ours.
fn read_meta(file: &mut File, seal: Seal) -> io::Result<Option<(u64, Vec<u8>)>> {
    let length = file.metadata()?.len();
    let Some(before_trailer) = length.checked_sub(TRAILER) else { return Ok(None) };
    let (mut json_length, mut end) = ([0; 4], [0; 8]);
    file.seek(SeekFrom::Start(before_trailer))?;
    file.read_exact(&mut json_length)?;
    file.read_exact(&mut end)?;
    let json_length = u32::from_be_bytes(json_length);
    let Some(size) = before_trailer.checked_sub(u64::from(json_length)) else { return Ok(None) };
    if Seal(end) != seal || json_length > MAX_META {
        return Ok(None);
    }
    let mut json = Vec::new();
    file.seek(SeekFrom::Start(size))?;
    file.take(u64::from(json_length)).read_to_end(&mut json)?;
    Ok(Some((size, json)))
}
