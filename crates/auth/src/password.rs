//! Passwords: rules for new ones, and Argon2id on threads of its own.
//!
//! Hashing is slow on purpose. It runs on a fixed number of threads of low priority, whose memory is reused, behind a
//! bounded queue: a flood of sign-ins slows down sign-ins only, and needs no more memory than the threads have. Requests
//! that have waited too long are answered with 503. Parameters follow OWASP's Password Storage Cheat Sheet
//! (Argon2id, 19 MiB, 2 passes, 1 lane).
//!
//! A new password costs more than one that is verified, because its strength is estimated before it is hashed, and anybody may send
//! one. So new passwords use at most half of the threads, and a flood of sign-ups does not block logins.

use std::collections::HashSet;
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use shared_kernel::error::Invalid;
use shared_kernel::random;
use shared_kernel::text::folded;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::dto::{NewPassword, Password};
use crate::error::AuthError;
use crate::settings::PasswordSettings;

/// Passwords among the million most likely guesses are refused: an attacker with the hash tries them in a day, and NIST SP 800-63B
/// (5.1.1.2) requires a list of common ones.
const TOO_FEW_GUESSES: u64 = 1_000_000;

/// Number of characters that are estimated at a time. The cost of the estimate grows with the square of the length, and a part that
/// is hard to guess stays hard to guess whatever follows it.
const JUDGED_AT_ONCE: usize = 32;

/// Length below which personal words are ignored: many good passwords contain the letters of a short name such as Li.
const SHORTEST_BANNED_WORD: usize = 4;

/// Refuses passwords that an attacker would try first: common ones, and the user's own address and names, alone or with little else.
/// Case, width and spaces make no difference: `ａｄａ＠example.com` counts as the address.
///
/// The cost is bounded for every password: see `docs/measurements.md`.
///
/// # Errors
///
/// [`Invalid`] at `/password`.
pub fn check(password: &NewPassword, banned_words: &[&str]) -> Result<(), Invalid> {
    let text = bare(password.expose());
    let banned_words: Vec<String> = banned_words.iter().map(|word| bare(word)).collect();
    if banned_words.contains(&text) {
        return Err(Invalid::field(
            "/password",
            "password_is_identifier",
            "must not be your address or name",
        ));
    }
    if !is_hard_to_guess(&without(text, banned_words)) {
        return Err(Invalid::field("/password", "common_password", "is one that would be guessed at once"));
    }
    Ok(())
}

/// `text` without differences that do not matter for guessing: case, width, spaces, invisible characters.
fn bare(text: &str) -> String {
    folded(text).split_whitespace().collect()
}

/// `text` without personal words: an attacker who knows them has to guess only the rest.
fn without(text: String, mut banned_words: Vec<String>) -> String {
    // The longest first, because the address may contain the name.
    banned_words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    banned_words.retain(|word| word.chars().count() >= SHORTEST_BANNED_WORD);
    banned_words.iter().fold(text, |text, word| text.replace(word.as_str(), ""))
}

/// The first and the last characters are estimated separately, and the better estimate counts: a long password may begin or end
/// with something common.
fn is_hard_to_guess(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let (first, last) = (characters.chunks(JUDGED_AT_ONCE).next(), characters.rchunks(JUDGED_AT_ONCE).next());
    let is_hard = |part: &[char]| {
        let part = spelled_out(part);
        zxcvbn::zxcvbn(&part, &[]).guesses() >= TOO_FEW_GUESSES
    };
    first.is_some_and(is_hard) || (characters.len() > JUDGED_AT_ONCE && last.is_some_and(is_hard))
}

/// Letters, and the signs that are written in their place.
const SIGNS: [(char, &str); 6] = [('a', "@"), ('c', "({[<"), ('i', "!|"), ('s', "$"), ('t', "+"), ('x', "%")];

/// Number of different [signs](SIGNS) above which they do not stand for the letters of a word.
const MOST_SIGNS: usize = 3;

/// `part` in the form that is estimated. The estimate tries all combinations of readings of signs as letters, of which a password
/// with all signs has thousands. A password with many signs is random: its signs get one reading, which keeps the length and so the
/// cost of brute force.
fn spelled_out(part: &[char]) -> String {
    let letter = |sign: char| SIGNS.iter().find(|(_, signs)| signs.contains(sign)).map(|(letter, _)| *letter);
    let different: HashSet<char> = part.iter().copied().filter(|sign| letter(*sign).is_some()).collect();
    if different.len() <= MOST_SIGNS {
        return part.iter().collect();
    }
    part.iter().map(|&character| letter(character).unwrap_or(character)).collect()
}

/// Result of verifying a password against a stored hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The password is wrong.
    No,
    /// The password is right.
    Yes,
    /// The password is right, and its hash has outdated parameters.
    NeedsRehash,
}

/// Hashes and verifies.
#[derive(Clone)]
pub struct PasswordHasher {
    jobs: SyncSender<Job>,
    new: NewPasswords,
    patience: Duration,
    params: Params,
    /// Hash of no password, verified for unknown accounts so that these take the same time. It is random: to compute one at the start
    /// would take as long as a sign-in.
    nobody: Arc<str>,
}

impl fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHasher").finish_non_exhaustive()
    }
}

type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

/// Limits for new passwords.
#[derive(Clone)]
struct NewPasswords {
    /// Permits for all that may wait or run.
    places: Arc<Semaphore>,
    /// Permits for those that may be among the jobs at a time.
    threads: Arc<Semaphore>,
}

impl NewPasswords {
    fn new(settings: PasswordSettings) -> Self {
        let threads = (settings.threads / 2).max(1);
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self { places: semaphore(settings.queue.saturating_add(threads)), threads: semaphore(threads) }
    }

    /// Waits for a place and then for a thread, which are released when the job is done or dropped.
    async fn admit(&self) -> Result<[OwnedSemaphorePermit; 2], AuthError> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| AuthError::Busy)?;
        let thread = self.threads.clone().acquire_owned().await.map_err(|_| AuthError::Busy)?;
        Ok([place, thread])
    }
}

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
        let (salt, output) = (random::bytes::<SALT_LENGTH>(), random::bytes::<OUTPUT_LENGTH>());
        let nobody = phc_string(&params, &salt, &output)?.into();
        Ok(Self { jobs, new: NewPasswords::new(settings), patience: settings.patience, params, nobody })
    }

    /// [Checks](check) `password` and returns its hash as a PHC string.
    ///
    /// # Errors
    ///
    /// The password is too weak, too many requests are waiting, or this one has waited too long.
    pub async fn hash(&self, password: NewPassword, banned_words: Vec<String>) -> Result<String, AuthError> {
        let params = self.params.clone();
        let judge_and_hash = move |memory: &mut Vec<Block>| {
            let banned_words: Vec<&str> = banned_words.iter().map(String::as_str).collect();
            check(&password, &banned_words)?;
            hash(&params, password.expose().as_bytes(), memory)
        };
        let started = async {
            let permits = self.new.admit().await?;
            self.start_job(move |memory| {
                let hash = judge_and_hash(memory);
                drop(permits);
                hash
            })
            .await
        };
        self.within_patience(started).await
    }

    /// The hash of a password that was just verified, with the current parameters.
    ///
    /// # Errors
    ///
    /// Too many requests are waiting, or this one has waited too long.
    pub async fn rehash(&self, password: Password) -> Result<String, AuthError> {
        let params = self.params.clone();
        let job = self.start_job(move |memory| hash(&params, password.expose().as_bytes(), memory));
        self.within_patience(job).await
    }

    /// Whether `stored` is the hash of `password`. `None` takes as long as `Some`, and never matches.
    ///
    /// # Errors
    ///
    /// Too many requests are waiting, this one has waited too long, or the stored hash cannot be read.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verified, AuthError> {
        let today = self.params.clone();
        let (exists, stored) = (stored.is_some(), stored.unwrap_or_else(|| self.nobody.to_string()));
        let job = self.start_job(move |memory| verify(&today, password.expose().as_bytes(), &stored, memory));
        let verified = self.within_patience(job).await?;
        Ok(if exists { verified } else { Verified::No })
    }

    /// Completes when a thread has begun with `work`; the outcome follows.
    async fn start_job<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> Result<T, AuthError> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, AuthError>>, AuthError> {
        let (start, started) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            // The request may have been cancelled or timed out while it waited: then the work is not done.
            if start.send(()).is_ok() {
                let _ = answer.send(work(memory));
            }
        });
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => return Err(AuthError::Busy),
        }
        started.await.map_err(|_| AuthError::Busy)?;
        Ok(answered)
    }

    /// The outcome of a job, unless no thread begins with it in time.
    async fn within_patience<T>(
        &self,
        started: impl Future<Output = Result<oneshot::Receiver<Result<T, AuthError>>, AuthError>>,
    ) -> Result<T, AuthError> {
        let answered = tokio::time::timeout(self.patience, started).await.map_err(|_| AuthError::Busy)??;
        answered.await.unwrap_or(Err(AuthError::Busy))
    }
}

/// The loop of each thread, until the last hasher is dropped.
fn work(queue: &Mutex<Receiver<Job>>) {
    // Requests that need no hash go first. On Linux niceness is the thread's own.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(10);
    let mut memory = Vec::new();
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A panic in a job must not end the thread; the request sees its channel closed.
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
    phc_string(params, &salt, &output)
}

/// A hash as it is stored (PHC string format).
fn phc_string(params: &Params, salt: &[u8], output: &[u8]) -> Result<String, AuthError> {
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(crypto)?,
        salt: Some(Salt::new(salt).map_err(crypto)?),
        hash: Some(Output::new(output).map_err(crypto)?),
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
            // An unknown account costs a hash with current parameters, so an account with a cheaper one must take as long.
            raw_hash(today, password, salt.as_ref(), OUTPUT_LENGTH, memory)?;
        }
        return Ok(Verified::No);
    }
    Ok(if same { Verified::Yes } else { Verified::NeedsRehash })
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
    use shared_kernel::field::TextField as _;

    use super::*;

    fn new(text: &str) -> NewPassword {
        NewPassword::parse(text).unwrap()
    }

    fn typed(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    fn weak(memory_kib: u32) -> PasswordHasher {
        let patience = Duration::from_mins(1);
        let settings =
            PasswordSettings { memory_kib, iterations: 1, parallelism: 1, threads: 1, queue: 10, patience };
        PasswordHasher::start(settings).unwrap()
    }

    #[tokio::test]
    async fn a_hash_verifies_its_password_only() {
        let hasher = weak(64);
        let stored = hasher.hash(new("Pa\u{df}wort mit Umlauten"), vec![]).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        let verify = |text: &str, stored: Option<String>| {
            let hasher = hasher.clone();
            let password = typed(text);
            async move { hasher.verify(password, stored).await.unwrap() }
        };
        assert_eq!(verify("Pa\u{df}wort mit Umlauten", Some(stored.clone())).await, Verified::Yes);
        assert_eq!(verify("passwort mit Umlauten", Some(stored.clone())).await, Verified::No);
        assert_eq!(verify("Pa\u{df}wort mit Umlauten", None).await, Verified::No);
        let stronger = weak(128);
        let outdated = stronger.verify(typed("Pa\u{df}wort mit Umlauten"), Some(stored)).await.unwrap();
        assert_eq!(outdated, Verified::NeedsRehash);
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
        assert_eq!(check(b"right", &today), (Verified::NeedsRehash, old.block_count()));
    }

    #[tokio::test]
    async fn a_flood_of_new_passwords_leaves_sign_ins_their_room() {
        let hasher = weak(64);
        // The only thread is busy…
        let (release, released) = std::sync::mpsc::channel::<()>();
        let busy: Job = Box::new(move |_| {
            let _ = released.recv();
        });
        hasher.jobs.send(busy).unwrap();
        // …when some people sign up, and then somebody signs in.
        let mut outcomes = tokio::task::JoinSet::new();
        for number in 0..8 {
            let hasher = hasher.clone();
            outcomes.spawn(async move {
                hasher.hash(new(&format!("kV7#mmq2Lp{number}")), vec![]).await.unwrap();
                "new"
            });
        }
        let (signs_in, password) = (hasher.clone(), typed("wrong"));
        outcomes.spawn(async move {
            signs_in.verify(password, None).await.unwrap();
            "sign-in"
        });
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        drop(release);
        let mut order = Vec::new();
        while let Some(outcome) = outcomes.join_next().await {
            order.push(outcome.unwrap());
        }
        let place = order.iter().position(|outcome| *outcome == "sign-in").unwrap();
        assert_eq!(order.len(), 9);
        assert!(place <= 2, "one new password may stand before it: {order:?}");
    }

    #[tokio::test]
    async fn spellings_in_unicode_are_one_password() {
        let hasher = weak(64);
        let stored = hasher.hash(new("caf\u{e9} au lait, s'il vous plait"), vec![]).await.unwrap();
        let decomposed = typed("cafe\u{301} au lait, s'il vous plait");
        assert_eq!(hasher.verify(decomposed, Some(stored)).await.unwrap(), Verified::Yes);
    }

    fn code(text: &str) -> Option<String> {
        let banned_words = ["ada@example.com", "Ada Lovelace", "ada", "countess"];
        check(&new(text), &banned_words).err().map(|Invalid(fields)| fields[0].code.to_string())
    }

    #[test]
    fn what_anybody_would_try_first_is_refused() {
        for text in [
            "password",
            "12345678",
            "12345678901",
            "qwertyuiop",
            "qwertyuiop1",
            "Password1",
            "Password1!",
            "P@ssw0rd123",
            "p a s s w o r d",
            "ｐａｓｓｗｏｒｄ１",
            "pass\u{200b}word\u{ad}",
            "iloveyou1",
            "aaaaaaaa",
            "Welcome1!",
        ] {
            assert_eq!(code(text).as_deref(), Some("common_password"), "{text}");
        }
        for text in [
            "correct horse battery staple",
            "S3cure-Passw0rd!",
            "Tr0ub4dor&3",
            "kV7#mmq2Lp",
            "password password password password kV7#mmq2Lp",
            "kV7#mmq2Lp password password password password",
            "Благодарю вас за внимание",
        ] {
            assert_eq!(code(text), None, "{text}");
        }
    }

    #[test]
    fn ones_own_address_and_names_are_no_password_in_any_spelling() {
        for text in [
            "Ada@Example.com",
            " ada@example.com",
            "ada @ example . com ",
            "ａｄａ＠ｅｘａｍｐｌｅ．ｃｏｍ",
            "a\u{ad}da@example.com",
            "adalovelace",
            "COUNTESS",
        ] {
            assert_eq!(code(text).as_deref(), Some("password_is_identifier"), "{text}");
        }
        for text in [
            "ada@example.com1",
            "!ada@example.com!",
            "AdaLovelace1815",
            "countesscountess",
            "countess-ada@example.com",
        ] {
            assert_eq!(code(text).as_deref(), Some("common_password"), "{text}");
        }
        assert_eq!(code("the countess plays 7 violins"), None);
    }

    /// Whatever is estimated, it is no more than these many ways to read it.
    #[test]
    fn signs_for_letters_are_read_in_few_ways() {
        let part: Vec<char> = "4@8({[<3691!|170$5+7%2".chars().collect();
        assert_eq!(spelled_out(&part), "4a8cccc3691ii170s5t7x2");
        let few: Vec<char> = "p@$$w0rd!".chars().collect();
        assert_eq!(spelled_out(&few), "p@$$w0rd!");
    }
}
