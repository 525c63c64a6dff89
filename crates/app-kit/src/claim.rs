//! The lock of a data folder: one server at a time uses its embedded parts.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use app_config::Config;

use crate::console::CommandError;

/// Name of the lock file in the data folder. The file stays; the lock on it counts.
const LOCK: &str = "server.lock";

/// The lock of a data folder, held as long as this value lives. The operating system releases it when the process ends, however it
/// ends.
#[derive(Debug)]
pub(crate) struct Claim {
    #[expect(dead_code, reason = "the lock lasts as long as the file is open")]
    file: File,
}

/// Locks the data folder for a server with embedded parts: a SQLite database, or data of a domain
/// ([`claims_data_dir`](crate::module::Module::claims_data_dir)). Servers without embedded parts may share a folder. Commands do not lock it: they work beside a server.
///
/// # Errors
///
/// Another server has locked it; the message names its process.
pub(crate) fn claim(config: &Config) -> Result<Claim, CommandError> {
    let path = config.data_dir.join(LOCK);
    let failed = |error: &io::Error| {
        CommandError::message(format!("the lock {} cannot be taken: {error}", path.display()))
    };
    let mut file = open(&path).map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(taken(config, file)),
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    }
    // The number is only for people: on a full disk the lock works without it.
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

fn taken(config: &Config, file: File) -> CommandError {
    let mut process = String::new();
    // A process that has just locked it may not have written its number yet, and on some systems others cannot read it.
    let read = file.take(20).read_to_string(&mut process);
    let process = match process.trim() {
        number if read.is_ok() && !number.is_empty() => format!("process {number}"),
        _ => "another process".to_owned(),
    };
    CommandError::message(format!(
        "the data folder {} is in use by a running server ({process}): stop that, or set {} to another folder",
        config.data_dir.display(),
        config.variable("data_dir")
    ))
}
