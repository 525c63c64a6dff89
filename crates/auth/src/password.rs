//! Passwords: what makes one acceptable, and Argon2id on threads of its own.
//!
//! Hashing is slow on purpose. It runs on a fixed number of threads of low priority with memory that is kept and
//! reused, behind a bounded queue: a flood of sign-ins slows sign-ins only, and takes no more memory than the threads
//! have. Parameters follow OWASP's Password Storage Cheat Sheet (Argon2id, 19 MiB, 2 passes, 1 lane).

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use shared_kernel::error::Invalid;
use shared_kernel::random;
use tokio::sync::oneshot;

use crate::dto::Password;
use crate::error::AuthError;

/// How passwords are hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordSettings {
    /// Memory of one hash in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes of one hash.
    pub parallelism: u32,
    /// Hashes at a time.
    pub threads: usize,
    /// Hashes that may wait; one more is answered with 503.
    pub queue: usize,
}

/// A password of the 10,000 likeliest guesses is refused (NIST SP 800-63B, 5.1.1.2 asks for a list of common ones).
const TOO_FEW_GUESSES: u64 = 10_000;

/// Refuses what anybody would try first: common passwords, and the user's own address and names.
///
/// # Errors
///
/// [`Invalid`] at `/password`.
pub fn check(password: &Password, own_words: &[&str]) -> Result<(), Invalid> {
    let text = password.expose();
    let is_own_word = |word: &&&str| text.eq_ignore_ascii_case(word);
    if own_words.iter().find(is_own_word).is_some() {
        return Err(Invalid::field(
            "/password",
            "password_is_identifier",
            "must not be your address or name",
        ));
    }
    if zxcvbn::zxcvbn(text, own_words).guesses() < TOO_FEW_GUESSES {
        return Err(Invalid::field("/password", "common_password", "is one that would be guessed at once"));
    }
    Ok(())
}

/// A hash as it is stored, and whether it should be made anew with today's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The password is another.
    No,
    /// It is the one.
    Yes,
    /// It is the one, and its hash has other parameters than today's.
    Outdated,
}

/// Hashes and verifies.
#[derive(Clone)]
pub struct PasswordHasher {
    jobs: SyncSender<Job>,
    params: Params,
    /// The hash of a password that nobody has: verified when there is no account, so that it takes the same time.
    nobody: Arc<str>,
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").finish_non_exhaustive()
    }
}

type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

impl PasswordHasher {
    /// Starts the threads. They end when the last clone is dropped.
    ///
    /// # Errors
    ///
    /// The parameters are outside what Argon2 allows, or a thread cannot be started.
    pub fn start(settings: PasswordSettings) -> Result<Self, AuthError> {
        let params =
            Params::new(settings.memory_kib, settings.iterations, settings.parallelism, Some(OUTPUT_LENGTH))
                .map_err(|error| AuthError::Crypto(format!("the Argon2 parameters do not work: {error}")))?;
        let (jobs, queue) = sync_channel::<Job>(settings.queue);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..settings.threads.max(1) {
            let queue = queue.clone();
            std::thread::Builder::new()
                .name(format!("password-{number}"))
                .spawn(move || work(&queue))
                .map_err(|error| AuthError::Crypto(format!("a hashing thread cannot be started: {error}")))?;
        }
        let nobody = hash(&params, &random::bytes::<16>(), &mut Vec::new())?.into();
        Ok(Self { jobs, params, nobody })
    }

    /// The hash of `password`, as a PHC string, after it was [checked](check).
    ///
    /// # Errors
    ///
    /// The password is not acceptable, or too many wait.
    pub async fn hash(&self, password: Password, own_words: Vec<String>) -> Result<String, AuthError> {
        let params = self.params.clone();
        self.run(move |memory| {
            let own_words: Vec<&str> = own_words.iter().map(String::as_str).collect();
            check(&password, &own_words)?;
            hash(&params, password.expose().as_bytes(), memory)
        })
        .await
    }

    /// The hash of a password that was verified a moment ago, with today's parameters.
    ///
    /// # Errors
    ///
    /// Too many wait.
    pub async fn rehash(&self, password: Password) -> Result<String, AuthError> {
        let params = self.params.clone();
        self.run(move |memory| hash(&params, password.expose().as_bytes(), memory)).await
    }

    /// Whether `stored` is the hash of `password`. `None` takes as long as `Some`, and is never.
    ///
    /// # Errors
    ///
    /// Too many wait, or the stored hash is no hash.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verified, AuthError> {
        let today = self.params.clone();
        let (exists, stored) = (stored.is_some(), stored.unwrap_or_else(|| self.nobody.to_string()));
        let verified =
            self.run(move |memory| verify(&today, password.expose().as_bytes(), &stored, memory)).await?;
        Ok(if exists { verified } else { Verified::No })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T, AuthError> + Send + 'static,
    ) -> Result<T, AuthError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            // Whoever asked may have gone away while it waited: then the work is not worth doing.
            if !answer.is_closed() {
                let _ = answer.send(work(memory));
            }
        });
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return Err(AuthError::Busy),
        }
        answered.await.unwrap_or(Err(AuthError::Busy))
    }
}

/// What each thread does until nobody can ask any more.
fn work(queue: &Mutex<Receiver<Job>>) {
    // Requests that need no hash go first. On Linux niceness is the thread's own.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
    let mut memory = Vec::new();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic in a job must not take the thread with it; the asker sees its channel closed.
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut memory))).is_err() {
            memory = Vec::new();
            tracing::error!("a password job panicked");
        }
    }
}

const OUTPUT_LENGTH: usize = 32;
const SALT_LENGTH: usize = 16;

fn hash(params: &Params, password: &[u8], memory: &mut Vec<Block>) -> Result<String, AuthError> {
    let salt: [u8; SALT_LENGTH] = random::bytes();
    let output = raw_hash(params, password, &salt, OUTPUT_LENGTH, memory)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(crypto)?,
        salt: Some(Salt::new(&salt).map_err(crypto)?),
        hash: Some(Output::new(&output).map_err(crypto)?),
    };
    Ok(hash.to_string())
}

fn verify(
    today: &Params,
    password: &[u8],
    stored: &str,
    memory: &mut Vec<Block>,
) -> Result<Verified, AuthError> {
    let stored = PasswordHash::new(stored).map_err(crypto)?;
    let params = Params::try_from(&stored).map_err(crypto)?;
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
        return Err(AuthError::Crypto("a stored password hash has no salt or no hash".into()));
    };
    let same = (params.m_cost(), params.t_cost(), params.p_cost())
        == (today.m_cost(), today.t_cost(), today.p_cost());
    let output = raw_hash(&params, password, salt.as_ref(), expected.len(), memory)?;
    if aws_lc_rs::constant_time::verify_slices_are_equal(&output, expected.as_bytes()).is_err() {
        if !same {
            // An unknown account costs a hash of today: an account with a cheaper one must not be told apart by the time.
            raw_hash(today, password, salt.as_ref(), OUTPUT_LENGTH, memory)?;
        }
        return Ok(Verified::No);
    }
    Ok(if same { Verified::Yes } else { Verified::Outdated })
}

fn raw_hash(
    params: &Params,
    password: &[u8],
    salt: &[u8],
    length: usize,
    memory: &mut Vec<Block>,
) -> Result<Vec<u8>, AuthError> {
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::default());
    }
    let mut output = vec![0; length];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password, salt, &mut output, memory.as_mut_slice())
        .map_err(crypto)?;
    Ok(output)
}

fn crypto(error: impl fmt::Display) -> AuthError {
    AuthError::Crypto(format!("hashing failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weak(memory_kib: u32) -> PasswordHasher {
        let settings = PasswordSettings { memory_kib, iterations: 1, parallelism: 1, threads: 1, queue: 10 };
        PasswordHasher::start(settings).unwrap()
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_only() {
        let hasher = weak(64);
        let stored = hasher.hash(Password::new("Pa\u{df}wort mit Umlauten"), vec![]).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        let verify = |text: &str, stored: Option<String>| {
            let hasher = hasher.clone();
            let password = Password::new(text);
            async move { hasher.verify(password, stored).await.unwrap() }
        };
        assert_eq!(verify("Pa\u{df}wort mit Umlauten", Some(stored.clone())).await, Verified::Yes);
        assert_eq!(verify("passwort mit Umlauten", Some(stored.clone())).await, Verified::No);
        assert_eq!(verify("Pa\u{df}wort mit Umlauten", None).await, Verified::No);
        let stronger = weak(128);
        let outdated =
            stronger.verify(Password::new("Pa\u{df}wort mit Umlauten"), Some(stored)).await.unwrap();
        assert_eq!(outdated, Verified::Outdated);
    }

    #[test]
    fn a_wrong_password_costs_a_hash_of_today_even_if_the_stored_one_is_cheaper() {
        let params = |memory_kib| Params::new(memory_kib, 1, 1, Some(OUTPUT_LENGTH)).unwrap();
        let (old, today) = (params(64), params(128));
        let stored = hash(&old, b"right", &mut Vec::new()).unwrap();
        let check = |password: &[u8], today: &Params| {
            let mut memory = Vec::new();
            let verified = verify(today, password, &stored, &mut memory).unwrap();
            // The memory shows the most expensive hash that was made.
            (verified, memory.len())
        };
        assert_eq!(check(b"wrong", &today), (Verified::No, today.block_count()));
        assert_eq!(check(b"wrong", &old), (Verified::No, old.block_count()));
        assert_eq!(check(b"right", &today), (Verified::Outdated, old.block_count()));
    }

    #[tokio::test]
    async fn spellings_in_unicode_are_one_password() {
        let hasher = weak(64);
        let stored = hasher.hash(Password::new("caf\u{e9} au lait, s'il vous plait"), vec![]).await.unwrap();
        let decomposed = Password::new("cafe\u{301} au lait, s'il vous plait");
        assert_eq!(hasher.verify(decomposed, Some(stored)).await.unwrap(), Verified::Yes);
    }

    #[test]
    fn what_anybody_would_try_first_is_refused() {
        for text in ["password", "12345678", "qwertyuiop", "Password1", "iloveyou1", "aaaaaaaa"] {
            assert!(check(&Password::new(text), &[]).is_err(), "{text}");
        }
        assert!(check(&Password::new("Ada@Example.com"), &["ada@example.com"]).is_err());
        for text in ["correct horse battery staple", "S3cure-Passw0rd!", "Tr0ub4dor&3", "kV7#mmq2Lp"] {
            assert!(check(&Password::new(text), &["ada@example.com"]).is_ok(), "{text}");
        }
    }
}
