//! Settings of sign-in: the section `auth` of the configuration.

use std::thread;
use std::time::Duration;

use configuration::{
    Keys, Section, days, derived, key, seconds, switch, text, web_url, whole, without_slash,
};
use shared_kernel::clock::Timestamp;
use url::Url;

/// Settings of sign-in.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// `iss` of access tokens: the URL of this installation.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// Lifetime of an access token.
    pub access_token_lifetime: Duration,
    /// Lifetime of a session that nobody refreshes.
    pub session_lifetime: Duration,
    /// Longest lifetime of a session.
    pub longest_session: Duration,
    /// Number of sessions of one user; a further one ends the least recently used one.
    pub sessions_per_user: u64,
    /// Time in which a used refresh token yields the same successor again, for clients that lost the answer.
    pub refresh_grace: Duration,
    /// Hashing of passwords.
    pub passwords: PasswordSettings,
    /// Beginning of links in mail.
    pub link_base: Url,
}

/// Settings of hashing.
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
    /// Passwords to be verified that may wait, and new ones that may; one more is answered with 503.
    pub queue: usize,
    /// Longest wait of each for a thread; then it is answered with 503.
    pub patience: Duration,
}

impl Section for AuthSettings {
    const NAME: &'static str = "auth";
    /// URL of the API as browsers reach it.
    type Given<'a> = &'a Url;

    fn read(keys: &mut Keys<'_>, public_url: &Url) -> Option<Self> {
        let public_url = derived(without_slash(public_url), "`server.public_url`");
        let settings = Self {
            issuer: keys.read(key(
                "issuer",
                text("text that is not empty"),
                public_url.clone(),
                "Issuer of access tokens: their claim `iss` (RFC 7519).",
            ))?,
            audience: keys.read(key(
                "audience",
                text("text that is not empty"),
                "ashlar",
                "Audience of access tokens: their claim `aud` (RFC 7519).",
            ))?,
            access_token_lifetime: keys.read(key(
                "access_token_seconds",
                seconds(60..=3_600),
                900,
                "Lifetime of an access token.",
            ))?,
            session_lifetime: keys.read(key(
                "refresh_token_days",
                days(1..=365),
                30,
                "Lifetime of a session that nobody refreshes; its refresh tokens end with it.",
            ))?,
            longest_session: keys.read(key(
                "session_days",
                days(1..=3_650),
                365,
                "Longest lifetime of a session, however often it is refreshed.",
            ))?,
            sessions_per_user: keys.read(key(
                "sessions_per_user",
                whole(1..=10_000, "sessions"),
                100,
                "Number of sessions of one user; a further sign-in ends the least recently used one.",
            ))?,
            refresh_grace: keys.read(key(
                "refresh_grace_seconds",
                seconds(0..=60),
                10,
                "Time in which a used refresh token yields the same successor again, for clients that lost the answer.",
            ))?,
            passwords: PasswordSettings::read(keys)?,
            link_base: keys.read(key(
                "link_base",
                web_url(),
                public_url,
                "Beginning of links in mail; `/reset-password#token=…` follows.",
            ))?,
        };
        let require_verified_email = keys.read(key(
            "require_verified_email",
            switch(),
            false,
            "Whether an account can be used only after its e-mail address is verified. `true` is not in this version.",
        ))?;
        keys.must(
            "require_verified_email",
            !require_verified_email,
            "be false: this version does not have it",
        );
        // If it is not set, it is the public URL, which is checked in the same way.
        if !keys.is_default("link_base") {
            keys.must_be_public("link_base", &settings.link_base);
        }
        Some(settings)
    }
}

impl PasswordSettings {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        const MOST_THREADS: usize = 256;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let settings = Self {
            memory_kib: keys.read(key(
                "argon2_memory_kib",
                whole(128..=4_194_304, "KiB"),
                19_456,
                "Memory of one password hash. Outside development, OWASP's minimum for the iterations at least.",
            ))?,
            iterations: keys.read(key(
                "argon2_iterations",
                whole(1..=100, "passes"),
                2,
                "Passes of one password hash over its memory.",
            ))?,
            parallelism: keys.read(key(
                "argon2_parallelism",
                whole(1..=16, "lanes"),
                1,
                "Lanes of one password hash.",
            ))?,
            threads: keys.read(key(
                "hash_threads",
                whole(1..=MOST_THREADS, "threads"),
                derived(cores.min(MOST_THREADS), "one per core"),
                "Threads that hash passwords; each holds the memory of one hash.",
            ))?,
            queue: keys.read(key(
                "hash_queue",
                whole(1..=100_000, "requests"),
                256,
                "Logins that may wait for such a thread, and as many new passwords, which have half of the threads; further ones \
                 are answered with 503.",
            ))?,
            patience: keys.read(key(
                "hash_wait_seconds",
                seconds(1..=60),
                3,
                "Longest wait of each of them; then it is answered with 503.",
            ))?,
        };
        let least = settings.least_memory_kib();
        let must = format!("be {least} at least for {} iterations", settings.iterations);
        keys.must_outside_development("argon2_memory_kib", settings.memory_kib >= least, &must);
        Some(settings)
    }

    /// The equivalent settings of Argon2id in OWASP's Password Storage Cheat Sheet.
    fn least_memory_kib(self) -> u32 {
        match self.iterations {
            0 | 1 => 47_104,
            2 => 19_456,
            3 => 12_288,
            4 => 9_216,
            _ => 7_168,
        }
    }
}

impl AuthSettings {
    /// Time at which a session expires that was opened at `created` and is used `now`.
    pub(crate) fn expiry(&self, now: Timestamp, created: Timestamp) -> Timestamp {
        (now + self.session_lifetime).min(created + self.longest_session)
    }

    /// Follows the URL of the API, which changes when a free port is picked for it.
    pub fn follow(&mut self, before: &Url, now: &Url) {
        if self.link_base == *before {
            self.link_base = now.clone();
        }
        if self.issuer == without_slash(before) {
            without_slash(now).clone_into(&mut self.issuer);
        }
    }
}
