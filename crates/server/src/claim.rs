//! One server at a time for what is embedded in a data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::config::Config;
use crate::console::CommandError;

/// The lock's name in the data folder. The file stays; what counts is who holds it.
const LOCK: &str = "server.lock";

/// That this process is the server of a data folder, for as long as it has this. The operating system takes it back when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct Claim {
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")]
    file: File,
}

/// Takes the data folder for a server that has something of its own in it: a SQLite database, or what a domain keeps there
/// ([`claims_data_dir`](crate::module::Module::claims_data_dir)).
/// Servers whose parts are all elsewhere may share one. Commands take nothing: they work beside a server.
///
/// # Errors
///
/// Another server has it; the sentence names its process.
pub fn claim(config: &Config) -> Result<Claim, CommandError> {
    take(&config.data_dir)
}

fn take(folder: &Path) -> Result<Claim, CommandError> {
    let path = folder.join(LOCK);
    let failed = |error: &io::Error| {
        CommandError::message(format!("the lock {} cannot be had: {error}", path.display()))
    };
    let mut file = open(&path).map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(taken(folder, file)),
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    }
    // Only for people: on a full disk the lock is as good without.
    if let Err(error) = sign(&mut file) {
        tracing::warn!(%error, "the number of this process cannot be written to {}", path.display());
    }
    Ok(Claim { file })
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn taken(folder: &Path, file: File) -> CommandError {
    let mut process = String::new();
    // Whoever took it a moment ago has not written its number yet, and on some systems nobody else can read it.
    let read = file.take(20).read_to_string(&mut process);
    let process = match process.trim() {
        number if read.is_ok() && !number.is_empty() => format!("process {number}"),
        _ => "another process".to_owned(),
    };
    CommandError::message(format!(
        "the data folder {} is in use by a running server ({process}): stop that, or set ASHLAR_DATA_DIR to another folder",
        folder.display()
    ))
}
