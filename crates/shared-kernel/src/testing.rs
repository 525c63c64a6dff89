//! (feature `testing`) A real database per test, and a clock that stands still.
//!
//! SQLite in a temporary file, or, with `TEST_DATABASE_URL`, a database of its own on that PostgreSQL server: the same tests
//! run on both. The migrations are the real ones.

#![expect(clippy::panic, clippy::missing_panics_doc, reason = "a test that cannot have its database fails")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database, DbBackend};
use sea_orm_migration::MigratorTrait;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use crate::clock::{Clock, SharedClock, SystemClock, Timestamp};
use crate::crypto::SecretKey;
use crate::random;
use crate::session::{DatabaseSettings, Databases};

/// A clock that moves when it is told to.
#[derive(Debug)]
pub struct FixedClock(Mutex<Timestamp>);

impl FixedClock {
    /// Stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Stands at the machine's time of this moment.
    #[must_use]
    pub fn at_system_time() -> Self {
        Self::new(SystemClock.now())
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = *now + by;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secret key of tests.
///
/// # Panics
///
/// Never: it is long enough.
#[must_use]
pub fn secret_key() -> SecretKey {
    SecretKey::new(&SecretString::from("a secret that only tests may have"))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// An empty database of its own, gone when dropped.
pub struct TestDatabase {
    databases: Option<Databases>,
    settings: DatabaseSettings,
    place: Place,
}

enum Place {
    File(#[expect(dead_code, reason = "the folder is removed when this is dropped")] TempDir),
    Server { admin: String, name: String },
}

impl TestDatabase {
    /// One with all migrations of `M` applied.
    pub async fn new<M: MigratorTrait>() -> Self {
        Self::with_clock::<M>(SystemClock::shared()).await
    }

    /// The same, with sessions that take their time from `clock`.
    pub async fn with_clock<M: MigratorTrait>(clock: SharedClock) -> Self {
        let database = Self::empty_with_clock(clock).await;
        M::up(database.primary(), None)
            .await
            .unwrap_or_else(|error| panic!("migrate the test database: {error}"));
        database
    }

    /// One without any table.
    pub async fn empty() -> Self {
        Self::empty_with_clock(SystemClock::shared()).await
    }

    async fn empty_with_clock(clock: SharedClock) -> Self {
        let (url, place) = match server_url() {
            Some(admin) => on_server(admin).await,
            None => in_file(),
        };
        let settings = DatabaseSettings { pool_size: 4, ..DatabaseSettings::new(url.into()) };
        let databases = Databases::connect(&settings, clock, &secret_key()).await;
        let databases = databases.unwrap_or_else(|error| panic!("open the test database: {error}"));
        Self { databases: Some(databases), settings, place }
    }

    /// Its URL, for a program that opens it by itself.
    #[must_use]
    pub fn url(&self) -> &str {
        self.settings.url.expose_secret()
    }

    /// The engine that it is on.
    #[must_use]
    pub fn backend(&self) -> DbBackend {
        self.primary().get_database_backend()
    }
}

impl std::ops::Deref for TestDatabase {
    type Target = Databases;
    fn deref(&self) -> &Databases {
        self.databases.as_ref().unwrap_or_else(|| unreachable!("there until dropped"))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.databases = None;
        let Place::Server { admin, name } = &self.place else { return };
        let (admin, sql) = (admin.clone(), format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"));
        // `drop` cannot await, and the test's own runtime may be about to end.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime
                .block_on(async { Database::connect(admin).await.ok()?.execute_unprepared(&sql).await.ok() })
        });
        // A database that stays behind harms no test; the server of CI is thrown away.
        drop(dropped.join());
    }
}

#[expect(clippy::disallowed_methods, reason = "the one setting of the tests")]
fn server_url() -> Option<String> {
    std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())
}

fn in_file() -> (String, Place) {
    let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("make a temporary folder: {error}"));
    let url = format!("sqlite://{}", folder.path().join("test.sqlite").display());
    (url, Place::File(folder))
}

async fn on_server(admin: String) -> (String, Place) {
    let name = format!("ashlar_test_{:032x}", u128::from_be_bytes(random::bytes()));
    let connection =
        Database::connect(&admin).await.unwrap_or_else(|error| panic!("TEST_DATABASE_URL: {error}"));
    connection
        .execute_unprepared(&format!("CREATE DATABASE \"{name}\""))
        .await
        .unwrap_or_else(|error| panic!("create a test database: {error}"));
    (with_database(&admin, &name), Place::Server { admin, name })
}

/// `url` with another database in its path.
fn with_database(url: &str, name: &str) -> String {
    let (rest, query) = url.split_once('?').map_or((url, None), |(rest, query)| (rest, Some(query)));
    let authority = rest.find("://").map_or(0, |at| at + 3);
    let base = rest[authority..].find('/').map_or(rest, |slash| &rest[..authority + slash]);
    query.map_or_else(|| format!("{base}/{name}"), |query| format!("{base}/{name}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::with_database;

    #[test]
    fn the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            ("postgres://u:p@h:1/old", "postgres://u:p@h:1/new"),
            ("postgres://h", "postgres://h/new"),
            ("postgres:///old?host=/tmp&user=u", "postgres:///new?host=/tmp&user=u"),
        ] {
            assert_eq!(with_database(url, "new"), expected);
        }
    }
}
