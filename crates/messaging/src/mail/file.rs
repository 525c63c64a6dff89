//! Mail as files: for development, for tests, and for programs that collect them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use shared_kernel::clock::SharedClock;
use shared_kernel::random;

use super::{Mail, MailError, MailId, Mailbox, Mailer, compose};

/// Writes each mail into a file of its own, `eml_….eml`, in a folder. Names sort by time, a file with such a
/// name is complete, and a mail that is sent twice is one file. Only the user of this process can read them, because mails contain links for signing in.
#[derive(Clone, Debug)]
pub struct FileMailer {
    folder: PathBuf,
    from: Mailbox,
    clock: SharedClock,
}

impl FileMailer {
    /// Mail from `from` in `directory`, which is created with the first mail. Dates of mails come from `clock`.
    pub fn new(directory: impl Into<PathBuf>, from: Mailbox, clock: SharedClock) -> Self {
        Self { folder: directory.into(), from, clock }
    }
}

impl Mailer for FileMailer {
    fn send(&self, mail: Mail) -> BoxFuture<'_, Result<(), MailError>> {
        Box::pin(async move {
            let now = self.clock.now();
            let id = mail.id.unwrap_or_else(|| MailId::new(now));
            let message = compose(mail, &self.from, id, now)?.formatted();
            let (folder, path) = (self.folder.clone(), self.folder.join(format!("{id}.eml")));
            let target = path.clone();
            // As one blocking task: a caller that stops waiting leaves no temporary file behind.
            let written = tokio::task::spawn_blocking(move || write(&folder, &target, &message)).await;
            written.map_err(io::Error::from).flatten().map_err(|source| MailError::Write { path, source })
        })
    }
}

/// Writes `content` to `path` in `folder` atomically.
fn write(folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    make(folder)?;
    // Of its own for each attempt: one that was killed leaves its file behind.
    let attempt = u64::from_be_bytes(random::bytes());
    let unfinished = path.with_extension(format!("{attempt:016x}.tmp"));
    let written = create(&unfinished).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&unfinished, path));
    // A name is durable once its folder is synced. Otherwise the event could be done and the mail lost.
    let moved = moved.and_then(|()| sync(folder));
    if moved.is_err() {
        // The first error says what is wrong; a failure to remove the rest of the file is not reported.
        let _ = fs::remove_file(&unfinished);
    }
    moved
}

#[cfg(unix)]
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened like a file.
#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
