//! The filesystem layer: the layout of the directory, in which no acknowledged write is lost.
//!
//! ```text
//! <directory>/lock                            held while a process starts (see `staging`)
//! <directory>/staging/<random>/               one per process: what is not finished yet
//! <directory>/buckets/<bucket>/objects/ab/cd/abcd…   one file per object, named by SHA-256(key)
//! <directory>/buckets/<bucket>/uploads/<id>/  one directory per multipart upload
//! ```
//!
//! An object is **one** file, bytes first and metadata behind them (see [`sealed`]). One rename therefore makes
//! both visible at once, an overwrite never mixes old bytes with new metadata, a delete is one unlink, and there
//! is nothing to collect later. With the metadata in a file of its own each of these would need an order of steps
//! and a cleaner for what a crash leaves between them.

pub(crate) mod claims;
pub(crate) mod listing;
pub(crate) mod sealed;
pub(crate) mod staging;
pub(crate) mod uploads;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use s3s::crypto::{Checksum as _, Sha256};
use serde::{Deserialize, Serialize};

use crate::config::ObjectStoreConfig;
use crate::error::StoreError;
use claims::Claims;
use sealed::{Seal, Sealed};
use staging::{Finished, Staging};

const ID_LENGTH: usize = 32;

/// The filesystem layer of one bucket. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bucket: PathBuf,
    objects: PathBuf,
    uploads: PathBuf,
    seal: Seal,
    staging: Staging,
    claims: Arc<Claims>,
}

/// Metadata of an object besides its size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ObjectMeta {
    pub(crate) key: String,
    /// Hex MD5, or `<hex>-<parts>` of a multipart upload.
    pub(crate) etag: String,
    /// Base64 SHA-256, or `<base64>-<parts>` of a multipart upload.
    pub(crate) sha256: String,
    /// Milliseconds since 1970, read from the file's own modification time when it was written.
    pub(crate) modified: u64,
    #[serde(flatten)]
    pub(crate) content: Labels,
}

/// Headers of the uploader that describe the content.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Labels {
    pub(crate) content_type: Option<String>,
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    #[serde(default)]
    pub(crate) user: BTreeMap<String, String>,
}

/// Whether an existing object may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    Replace,
    IfAbsent,
}

impl Store {
    /// Opens a directory, and removes unfinished files of processes that have ended.
    pub(crate) fn open(config: &ObjectStoreConfig) -> io::Result<Self> {
        let directory = config.directory.as_path();
        let bucket = directory.join("buckets").join(&config.bucket);
        let objects = bucket.join("objects");
        let uploads = bucket.join("uploads");
        fs::create_dir_all(&objects)?;
        fs::create_dir_all(&uploads)?;
        for path in [bucket.as_path(), &directory.join("buckets"), directory] {
            sync_directory(path)?;
        }
        let staging = Staging::open(directory)?;
        let seal = Seal(config.seal);
        let claims = Claims::new(config.limits.unfinished);
        Ok(Self(Arc::new(Inner { bucket, objects, uploads, seal, staging, claims })))
    }

    pub(crate) fn staging(&self) -> &Staging {
        &self.0.staging
    }

    pub(crate) fn claims(&self) -> &Arc<Claims> {
        &self.0.claims
    }

    fn seal(&self) -> Seal {
        self.0.seal
    }

    fn uploads(&self) -> &Path {
        &self.0.uploads
    }

    pub(crate) async fn created(&self) -> Result<SystemTime, StoreError> {
        let store = self.clone();
        blocking(move || Ok(fs::metadata(&store.0.bucket)?.modified()?)).await
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Sealed<ObjectMeta>, StoreError> {
        let (store, key) = (self.clone(), key.to_owned());
        blocking(move || store.open_object(&key)).await
    }

    /// Whether the key exists, to refuse an upload early; [`Publish::IfAbsent`] decides.
    pub(crate) async fn contains(&self, key: &str) -> Result<bool, StoreError> {
        let path = self.object_path(key);
        blocking(move || Ok(path.try_exists()?)).await
    }

    pub(crate) async fn publish(
        &self,
        finished: Finished,
        meta: ObjectMeta,
        publish: Publish,
    ) -> Result<ObjectMeta, StoreError> {
        let store = self.clone();
        blocking(move || store.publish_object(finished, &meta, publish).map(|()| meta)).await
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), StoreError> {
        let path = self.object_path(key);
        blocking(move || match fs::remove_file(&path) {
            Ok(()) => Ok(sync_directory(parent(&path))?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        })
        .await
    }

    /// A copy in staging, to be published under another key.
    pub(crate) async fn duplicate(&self, source: Sealed<ObjectMeta>) -> Result<Finished, StoreError> {
        let store = self.clone();
        blocking(move || {
            let _room = store.claims().room_for(source.size)?;
            let mut copy = store.staging().create()?;
            source.copy_to(copy.as_file_mut())?;
            Ok(Finished::new(copy)?)
        })
        .await
    }

    fn open_object(&self, key: &str) -> Result<Sealed<ObjectMeta>, StoreError> {
        let path = self.object_path(key);
        let sealed: Sealed<ObjectMeta> = Sealed::open(&path, self.seal())?.ok_or(StoreError::NoSuchKey)?;
        if sealed.meta.key == key { Ok(sealed) } else { Err(StoreError::Corrupt(path)) }
    }

    fn publish_object(
        &self,
        finished: Finished,
        meta: &ObjectMeta,
        publish: Publish,
    ) -> Result<(), StoreError> {
        let target = self.object_path(&meta.key);
        let leaf = parent(&target);
        fs::create_dir_all(leaf)?;
        finished.publish(&self.seal().trailer(meta)?, &target, publish)?;
        // Another process may have created the directories a moment ago and not synced them yet.
        for directory in [leaf, parent(leaf), &self.0.objects] {
            sync_directory(directory)?;
        }
        Ok(())
    }

    /// Path of a key: its hash, because a key itself is never used as a path.
    fn object_path(&self, key: &str) -> PathBuf {
        let name = hex(&Sha256::checksum(key.as_bytes()));
        self.0.objects.join(&name[..2]).join(&name[2..4]).join(&name)
    }
}

/// Runs filesystem operations on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Syncs a directory: only then does a rename survive a power failure.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Milliseconds since 1970. A clock before that counts as 1970.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
