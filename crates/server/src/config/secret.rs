//! Secrets: which are good enough, and those that an installation makes for itself.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use shared_kernel::crypto::SecretKey;

use super::error::{Fault, quoted};
use super::settings::Config;

/// What is shorter is no secret.
pub(super) const LENGTH: usize = SecretKey::MIN_LENGTH;

/// What a secret is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// Its length only.
    Long,
    /// Also that it looks random.
    Random,
}

/// Words of secrets that were to be replaced, and keys that every guide to an object store begins with.
const PLACEHOLDERS: &[&str] = &[
    "changeme",
    "change-me",
    "change_me",
    "change this",
    "replace",
    "placeholder",
    "example",
    "insecure",
    "secret",
    "password",
    "passw0rd",
    "default",
    "letmein",
    "qwerty",
    "minioadmin",
    "your-",
    "your_",
];

/// What is wrong with a secret, to follow its name and source.
pub(super) fn weakness(secret: &str, strength: Strength, length: usize) -> Option<String> {
    if secret.len() < length {
        return Some(format!("has only {} of at least {length} characters", secret.len()));
    }
    if strength == Strength::Long {
        return None;
    }
    let lower = secret.to_lowercase();
    if PLACEHOLDERS.iter().any(|word| lower.contains(word)) {
        return Some("looks like a placeholder".to_owned());
    }
    // An access key may be short; a pattern needs some length to be one.
    (length > 0 && is_pattern(secret.as_bytes())).then(|| "is a pattern that can be guessed".to_owned())
}

/// Few different characters, a shorter text repeated, or mostly a run such as `abcdef` or `987654`.
fn is_pattern(secret: &[u8]) -> bool {
    let mut distinct = secret.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let repeats =
        (1..=secret.len() / 2).any(|period| secret.iter().zip(&secret[period..]).all(|(a, b)| a == b));
    let is_step = |pair: &[u8]| pair[0].abs_diff(pair[1]) <= 1;
    let steps = secret.windows(2).filter(|pair| is_step(pair)).count();
    distinct.len() < 6 || repeats || steps * 2 > secret.len()
}

/// Where the generated secret is kept.
pub(super) fn file(config: &Config) -> PathBuf {
    config.data_dir.join("secret_key")
}

/// The secret in `path`, which is made if there is none. All processes that ask at once get the same one.
pub(super) fn read_or_make(path: &Path) -> Result<SecretString, Fault> {
    let failed = |what: &str, error: &std::io::Error| {
        let path = path.display().to_string();
        Fault::new(format!(
            "the secret key in {} cannot be {what}: {error}; set ASHLAR_SECRET_KEY or `data_dir`",
            quoted(&path)
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

/// Writes the whole secret under a name of its own and then links it into place: the link fails where another process
/// was first, and no reader ever sees half a secret.
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
        // The name itself is durable once its folder is.
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

/// Gives the embedded store its keys. They follow from the secret key, so that every process of the installation knows
/// them and none is written anywhere.
pub(super) fn derive_storage_keys(config: &mut Config) -> Result<(), Fault> {
    if !config.storage.access_key.expose_secret().is_empty() {
        return Ok(());
    }
    let secret = SecretKey::new(&config.secret_key).map_err(|error| Fault::new(error.to_string()))?;
    let key = secret.mac_key("embedded object store");
    let text = |purpose: &[u8], length: usize| {
        SecretString::from(URL_SAFE_NO_PAD.encode(&key.sign(purpose)[..length]))
    };
    config.storage.access_key = text(b"access key", 15);
    config.storage.secret_key = text(b"secret key", 32);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_secrets_are_told_from_random_ones() {
        let weakness = |secret: &str| weakness(secret, Strength::Random, LENGTH).unwrap_or_default();
        assert_eq!(weakness("short"), "has only 5 of at least 32 characters");
        for placeholder in ["changeme-changeme-changeme-12345678", "My-Super-SECRET-key-of-32-characters"] {
            assert_eq!(weakness(placeholder), "looks like a placeholder", "{placeholder}");
        }
        for pattern in [
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef0123456789abcdef",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "00000000000000000000000000012345",
        ] {
            assert_eq!(weakness(pattern), "is a pattern that can be guessed", "{pattern}");
        }
        for random in [
            "Zq3vXw8rT1nLk5sYb7cHd2fGj9mPa4eU",
            "00049173628401957362840571936284",
            "9f86d081884c7d659a2feaa0c55ad015",
        ] {
            assert_eq!(weakness(random), "", "{random}");
        }
        for _ in 0..1_000 {
            let random = URL_SAFE_NO_PAD.encode(shared_kernel::random::bytes::<32>());
            assert_eq!(weakness(&random), "", "{random}");
        }
    }
}
