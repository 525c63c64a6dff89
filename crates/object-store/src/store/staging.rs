//! The directory of unfinished files, which one rename publishes.
//!
//! Each process has a staging directory of its own and holds a file lock in it for as long as it lives: the
//! operating system drops the lock even after `kill -9`. A starting process may therefore remove every staging
//! directory whose lock is free and is certain not to pull a file from under a process beside it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::{NamedTempFile, TempDir};
use tokio::io::AsyncWriteExt as _;

use super::{Publish, blocking, sealed};
use crate::error::StoreError;

const LOCK: &str = "lock";

#[derive(Debug)]
pub(crate) struct Staging {
    directory: TempDir,
    _alive: File,
}

impl Staging {
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let all = directory.join("staging");
        fs::create_dir_all(&all)?;
        // One process at a time: otherwise it could remove a directory that another one has created and not locked yet.
        let starting = open_lock(&directory.join(LOCK))?;
        starting.lock()?;
        sweep(&all)?;
        let own = tempfile::Builder::new().prefix("").tempdir_in(&all)?;
        let alive = open_lock(&own.path().join(LOCK))?;
        alive.lock()?;
        Ok(Self { directory: own, _alive: alive })
    }

    pub(crate) fn create(&self) -> io::Result<NamedTempFile> {
        NamedTempFile::new_in(self.directory.path())
    }

    pub(crate) fn create_directory(&self) -> io::Result<TempDir> {
        tempfile::Builder::new().prefix("").rand_bytes(super::ID_LENGTH).tempdir_in(self.directory.path())
    }

    /// A unique path in it, for something that is being deleted.
    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.directory.path().join(id)
    }

    /// A file for a body, deleted when dropped.
    pub(crate) fn writer(&self) -> io::Result<Writer> {
        let (file, path) = self.create()?.into_parts();
        Ok(Writer { file: tokio::fs::File::from_std(file), path })
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(path)
}

/// Removes the staging directories of processes that have ended.
fn sweep(all: &Path) -> io::Result<()> {
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        if !(entry.file_type()?.is_dir() && is_ours(&entry.file_name())) {
            continue;
        }
        let path = entry.path();
        if is_alive(&path)? {
            continue;
        }
        tracing::info!(path = %path.display(), "removing what a dead process left unfinished");
        fs::remove_dir_all(&path)?;
    }
    Ok(())
}

/// Whether it is the name of a staging directory, not of files of others (`.DS_Store`, `lost+found`).
fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().iter().all(u8::is_ascii_alphanumeric)
}

fn is_alive(staging: &Path) -> io::Result<bool> {
    match OpenOptions::new().write(true).open(staging.join(LOCK)).map(|lock| lock.try_lock()) {
        Ok(Ok(())) => Ok(false),
        Ok(Err(TryLockError::WouldBlock)) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Ok(Err(TryLockError::Error(error))) | Err(error) => Err(error),
    }
}

/// A body that is being written.
#[derive(Debug)]
pub(crate) struct Writer {
    file: tokio::fs::File,
    path: tempfile::TempPath,
}

impl Writer {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.file.write_all(bytes).await?)
    }

    pub(crate) async fn finish(mut self) -> Result<Finished, StoreError> {
        self.file.flush().await?;
        let file = self.file.into_std().await;
        let path = self.path;
        blocking(move || Ok(Finished::new(NamedTempFile::from_parts(file, path))?)).await
    }
}

/// A complete body without metadata and name.
#[derive(Debug)]
pub(crate) struct Finished {
    file: NamedTempFile,
    modified: SystemTime,
}

impl Finished {
    pub(crate) fn new(file: NamedTempFile) -> io::Result<Self> {
        let modified = file.as_file().metadata()?.modified()?;
        Ok(Self { file, modified })
    }

    pub(crate) fn modified(&self) -> SystemTime {
        self.modified
    }

    /// Seals the file and gives it its name. The caller syncs the directory.
    pub(crate) fn publish(
        mut self,
        trailer: &[u8],
        target: &Path,
        publish: Publish,
    ) -> Result<(), StoreError> {
        sealed::close(self.file.as_file_mut(), trailer)?;
        match publish {
            Publish::Replace => self.file.persist(target).map_err(|error| error.error)?,
            // The kernel decides a race, also between processes: this fails if the name exists.
            Publish::IfAbsent => self.file.persist_noclobber(target).map_err(|error| exists(error.error))?,
        };
        Ok(())
    }
}

fn exists(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists,
        _ => error.into(),
    }
}
