//! Multipart uploads: one directory each, with `upload.json` and one sealed file per part.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::crypto::{Checksum as _, Md5, Sha256};
use serde::{Deserialize, Serialize};

use super::sealed::{Seal, Sealed};
use super::staging::Finished;
use super::{ID_LENGTH, Labels, ObjectMeta, Publish, Store, blocking, hex, milliseconds, sync_directory};
use crate::error::StoreError;

/// All parts but the last must be at least this large (the rule of S3).
const MIN_PART: u64 = 5 * 1024 * 1024;
const PROMISE: &str = "upload.json";

/// Parameters of the creation of an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Promise {
    pub(crate) key: String,
    #[serde(flatten)]
    pub(crate) content: Labels,
}

/// Metadata of a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartMeta {
    pub(crate) number: u32,
    pub(crate) md5: [u8; 16],
    pub(crate) sha256: [u8; 32],
    pub(crate) modified: u64,
}

impl PartMeta {
    pub(crate) fn etag(&self) -> String {
        hex(&self.md5)
    }

    pub(crate) fn checksum(&self) -> String {
        STANDARD.encode(self.sha256)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) meta: PartMeta,
    pub(crate) size: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) promise: Promise,
    pub(crate) started: u64,
}

/// A part in the request that completes the upload.
#[derive(Clone, Debug)]
pub(crate) struct NamedPart {
    pub(crate) number: u32,
    pub(crate) etag: String,
    pub(crate) sha256: Option<String>,
}

/// Parameters of the completion of an upload.
#[derive(Clone, Debug)]
pub(crate) struct Completion {
    pub(crate) parts: Vec<NamedPart>,
    pub(crate) publish: Publish,
    pub(crate) max_size: u64,
    /// Digest of the object that the client declares, if any.
    pub(crate) said_size: Option<u64>,
    pub(crate) said_sha256: Option<String>,
}

impl Store {
    pub(crate) async fn begin_upload(&self, promise: Promise) -> Result<String, StoreError> {
        let store = self.clone();
        blocking(move || {
            let staged = store.staging().create_directory()?;
            let mut file = File::create_new(staged.path().join(PROMISE))?;
            serde_json::to_writer(&mut file, &promise).map_err(io::Error::from)?;
            file.sync_all()?;
            sync_directory(staged.path())?;
            let name = staged.path().file_name().unwrap_or_default().to_owned();
            fs::rename(staged.path(), store.uploads().join(&name))?;
            // It was moved, so nothing is left to clean up at the old path.
            let _ = staged.keep();
            sync_directory(store.uploads())?;
            Ok(name.to_string_lossy().into_owned())
        })
        .await
    }

    pub(crate) async fn upload(&self, id: &str, key: &str) -> Result<Upload, StoreError> {
        let (store, id, key) = (self.clone(), id.to_owned(), key.to_owned());
        blocking(move || store.read_upload(&id, &key)).await
    }

    pub(crate) async fn add_part(
        &self,
        id: &str,
        finished: Finished,
        meta: PartMeta,
    ) -> Result<(), StoreError> {
        let (directory, seal) = (self.upload_path(id)?, self.seal());
        blocking(move || {
            let (target, trailer) = (part_path(&directory, meta.number), seal.trailer(&meta)?);
            finished.publish(&trailer, &target, Publish::Replace).map_err(upload_is_gone)?;
            sync_directory(&directory).map_err(|error| upload_is_gone(error.into()))
        })
        .await
    }

    /// Creates a part from the bytes of an object.
    pub(crate) async fn copy_part(
        &self,
        id: &str,
        number: u32,
        source: Sealed<ObjectMeta>,
        range: Range<u64>,
    ) -> Result<PartMeta, StoreError> {
        let store = self.clone();
        let (finished, meta) = blocking(move || store.copied_part(number, source, range)).await?;
        self.add_part(id, finished, meta.clone()).await?;
        Ok(meta)
    }

    fn copied_part(
        &self,
        number: u32,
        source: Sealed<ObjectMeta>,
        range: Range<u64>,
    ) -> Result<(Finished, PartMeta), StoreError> {
        let _room = self.claims().room_for(range.end - range.start)?;
        let (mut part, mut file) = (self.staging().create()?, source.file);
        file.seek(SeekFrom::Start(range.start))?;
        let mut file = file.take(range.end - range.start);
        let (mut md5, mut sha256) = (Md5::new(), Sha256::new());
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = file.read(&mut buffer)?;
            let Some(bytes @ [_, ..]) = buffer.get(..length) else { break };
            md5.update(bytes);
            sha256.update(bytes);
            part.write_all(bytes)?;
        }
        if file.limit() > 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let finished = Finished::new(part)?;
        let modified = milliseconds(finished.modified());
        Ok((finished, PartMeta { number, md5: md5.finalize(), sha256: sha256.finalize(), modified }))
    }

    /// All parts, by number.
    pub(crate) async fn parts(&self, id: &str) -> Result<Vec<Part>, StoreError> {
        let (directory, seal) = (self.upload_path(id)?, self.seal());
        blocking(move || {
            let mut parts = read_parts(&directory, seal)?;
            parts.sort_by_key(|part| part.meta.number);
            Ok(parts)
        })
        .await
    }

    /// All uploads of keys with a prefix, by key and id.
    pub(crate) async fn list_uploads(&self, prefix: &str) -> Result<Vec<Upload>, StoreError> {
        let (store, prefix) = (self.clone(), prefix.to_owned());
        blocking(move || {
            let mut found = Vec::new();
            for entry in fs::read_dir(store.uploads())? {
                let id = entry?.file_name().to_string_lossy().into_owned();
                match store.read_promise(&id) {
                    Ok(upload) if upload.promise.key.starts_with(&prefix) => found.push(upload),
                    Ok(_) | Err(StoreError::NoSuchUpload) => {}
                    Err(error) => return Err(error),
                }
            }
            found.sort_by(|a, b| (&a.promise.key, &a.id).cmp(&(&b.promise.key, &b.id)));
            Ok(found)
        })
        .await
    }

    pub(crate) async fn complete_upload(
        &self,
        upload: Upload,
        completion: Completion,
    ) -> Result<ObjectMeta, StoreError> {
        let store = self.clone();
        blocking(move || {
            let parts = store.open_parts(&upload.id, &completion)?;
            let finished = store.join(&parts)?;
            let meta = joined_meta(&upload, &parts, &finished);
            if completion.said_sha256.is_some_and(|said| !same_sum(&said, &meta.sha256)) {
                return Err(StoreError::OtherDigest);
            }
            store.publish_object(finished, &meta, completion.publish)?;
            // The object is published: an error from here on costs disk space, not the upload.
            if let Err(error) = store.remove_upload(&upload.id) {
                tracing::warn!(%error, "a completed upload's parts could not be removed");
            }
            Ok(meta)
        })
        .await
    }

    pub(crate) async fn abort_upload(&self, id: &str) -> Result<(), StoreError> {
        let (store, id) = (self.clone(), id.to_owned());
        blocking(move || store.remove_upload(&id)).await
    }

    fn read_upload(&self, id: &str, key: &str) -> Result<Upload, StoreError> {
        let upload = self.read_promise(id)?;
        if upload.promise.key == key { Ok(upload) } else { Err(StoreError::NoSuchUpload) }
    }

    fn read_promise(&self, id: &str) -> Result<Upload, StoreError> {
        let path = self.upload_path(id)?.join(PROMISE);
        let file = File::open(&path).map_err(|error| upload_is_gone(error.into()))?;
        let started = milliseconds(file.metadata()?.modified()?);
        let json = io::read_to_string(file)?;
        let promise = serde_json::from_str(&json).map_err(|_| StoreError::Corrupt(path))?;
        Ok(Upload { id: id.to_owned(), promise, started })
    }

    fn open_parts(&self, id: &str, completion: &Completion) -> Result<Vec<Sealed<PartMeta>>, StoreError> {
        let directory = self.upload_path(id)?;
        let (mut parts, mut total) = (Vec::new(), 0_u64);
        for (index, named) in completion.parts.iter().enumerate() {
            let part = open_part(&directory, named, self.seal())?;
            if part.size < MIN_PART && index + 1 < completion.parts.len() {
                return Err(StoreError::PartTooSmall(named.number));
            }
            total = total.saturating_add(part.size);
            parts.push(part);
        }
        if total > completion.max_size {
            return Err(StoreError::TooLarge);
        }
        if completion.said_size.is_some_and(|said| said != total) {
            return Err(StoreError::OtherSize);
        }
        Ok(parts)
    }

    fn join(&self, parts: &[Sealed<PartMeta>]) -> Result<Finished, StoreError> {
        let _room = self.claims().room_for(parts.iter().map(|part| part.size).sum())?;
        let mut whole = self.staging().create()?;
        for part in parts {
            part.copy_to(whole.as_file_mut())?;
        }
        Ok(Finished::new(whole)?)
    }

    /// Moves the directory away first, so that a part that arrives at the same time finds no upload. Creates no directory for that, which would
    /// fail on a full disk, when removing frees space.
    fn remove_upload(&self, id: &str) -> Result<(), StoreError> {
        let grave = self.staging().path(id);
        fs::rename(self.upload_path(id)?, &grave).map_err(|error| upload_is_gone(error.into()))?;
        sync_directory(self.uploads())?;
        Ok(fs::remove_dir_all(&grave)?)
    }

    /// Path of an upload. Ids come from clients, so anything that could be a path is refused.
    fn upload_path(&self, id: &str) -> Result<PathBuf, StoreError> {
        let ours = id.len() == ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if ours { Ok(self.uploads().join(id)) } else { Err(StoreError::NoSuchUpload) }
    }
}

fn part_path(directory: &Path, number: u32) -> PathBuf {
    directory.join(format!("part.{number:05}"))
}

fn open_part(directory: &Path, named: &NamedPart, seal: Seal) -> Result<Sealed<PartMeta>, StoreError> {
    let other = || StoreError::InvalidPart(named.number);
    let part: Sealed<PartMeta> =
        Sealed::open(&part_path(directory, named.number), seal)?.ok_or_else(other)?;
    let same_sum = named.sha256.as_ref().is_none_or(|sum| *sum == part.meta.checksum());
    if part.meta.etag() == named.etag && same_sum { Ok(part) } else { Err(other()) }
}

fn read_parts(directory: &Path, seal: Seal) -> Result<Vec<Part>, StoreError> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| upload_is_gone(error.into()))? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name == PROMISE) {
            continue;
        }
        if let Some(Sealed { size, meta, .. }) = Sealed::open(&path, seal)? {
            parts.push(Part { meta, size });
        }
    }
    Ok(parts)
}

/// The digest of a multipart object is the digest of the digests of its parts, as in S3.
fn joined_meta(upload: &Upload, parts: &[Sealed<PartMeta>], finished: &Finished) -> ObjectMeta {
    let (mut md5, mut sha256) = (Md5::new(), Sha256::new());
    for part in parts {
        md5.update(&part.meta.md5);
        sha256.update(&part.meta.sha256);
    }
    ObjectMeta {
        key: upload.promise.key.clone(),
        etag: format!("{}-{}", hex(&md5.finalize()), parts.len()),
        sha256: format!("{}-{}", STANDARD.encode(sha256.finalize()), parts.len()),
        modified: milliseconds(finished.modified()),
        content: upload.promise.content.clone(),
    }
}

/// Clients may omit the number of parts.
fn same_sum(said: &str, is: &str) -> bool {
    said == is || is.split_once('-').is_some_and(|(sum, _)| sum == said)
}

/// Maps a missing file of an upload: it was completed or aborted meanwhile.
fn upload_is_gone(error: StoreError) -> StoreError {
    match error {
        StoreError::Io(io) if io.kind() == io::ErrorKind::NotFound => StoreError::NoSuchUpload,
        other => other,
    }
}
