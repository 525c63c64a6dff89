//! The secret key that an installation generates for itself.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use configuration::{Fault, Strength, quoted, weakness};
use secrecy::{ExposeSecret as _, SecretString};
use shared_kernel::crypto::SecretKey;

use crate::config::Config;

/// Minimum length of the secret key in bytes.
const LENGTH: usize = SecretKey::MIN_LENGTH;

/// Path of the generated secret key.
pub(crate) fn file(config: &Config) -> PathBuf {
    config.data_dir.join("secret_key")
}

/// Reads the secret key from its file, or generates it. Concurrent processes get the same one.
pub(crate) fn read_or_make(config: &Config) -> Result<SecretString, Fault> {
    let path = &file(config);
    let failed = |what: &str, error: &std::io::Error| {
        let path = path.display().to_string();
        Fault::new(format!(
            "the secret key in {} cannot be {what}: {error}; set {} or `data_dir`",
            quoted(&path),
            config.variable("secret_key")
        ))
    };
    if !path.try_exists().map_err(|error| failed("read", &error))? {
        make(path).map_err(|error| failed("made", &error))?;
    }
    let text = fs::read_to_string(path).map_err(|error| failed("read", &error))?;
    let secret = SecretString::from(text.trim_end());
    match weakness(secret.expose_secret(), Strength::Long, LENGTH) {
        None => Ok(secret),
        Some(weakness) => Err(Fault::new(format!(
            "the secret key in {} {weakness}: restore the file, or remove it to start anew",
            quoted(&path.display().to_string())
        ))),
    }
}

/// Writes the secret to a file of its own and links it into place: the link fails if another process was first, and no reader ever
/// sees a partial secret.
fn make(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    private_folder().create(folder)?;
    let draft =
        folder.join(format!("secret_key.{}", URL_SAFE_NO_PAD.encode(shared_kernel::random::bytes::<9>())));
    let secret = URL_SAFE_NO_PAD.encode(shared_kernel::random::bytes::<32>());
    let written = private_file(&draft).and_then(|mut file| {
        writeln!(file, "{secret}")?;
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    let _ = fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        // A name is durable once its folder is synced.
        Ok(()) => File::open(folder)?.sync_all(),
        Err(error) => Err(error),
    }
}

fn private_folder() -> DirBuilder {
    let mut folder = DirBuilder::new();
    folder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_strong() {
        for _ in 0..1_000 {
            let random = URL_SAFE_NO_PAD.encode(shared_kernel::random::bytes::<32>());
            assert_eq!(weakness(&random, Strength::Random, LENGTH), None, "{random}");
        }
    }
}
