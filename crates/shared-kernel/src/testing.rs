//! (feature `testing`) A real database for each test, and a clock that stands still.
//!
//! The database is SQLite in a temporary file or, with `TEST_DATABASE_URL`, a new database on that PostgreSQL server: the same tests
//! run on both, with the real migrations.
//!
//! [`resource`] tests what all resources have in common, from a table of their fields.
//!
//! The tests of a domain cannot use other domains, so [`TestDatabase::user`] inserts what nearly every domain refers to: a user.

#![expect(clippy::panic, clippy::missing_panics_doc, reason = "a test that cannot have its database fails")]

mod field;
pub mod resource;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait as _, Order, Query};
use sea_orm::{ConnectionTrait as _, Database, DbBackend, FromQueryResult};
use sea_orm_migration::MigratorTrait;
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

use crate::clock::{Clock, SharedClock, SystemClock, Timestamp};
use crate::crypto::SecretKey;
use crate::event::{DomainEvent, Envelope};
use crate::id::{Id, IdKind as _, UserId};
use crate::job::Job;
use crate::principal::{Authentication, Method, Principal, Scopes};
use crate::random;
use crate::resource::Resources;
use crate::session::{DatabaseSettings, Databases, Reader as _};

/// A clock that tests set.
#[derive(Debug)]
pub struct FixedClock(Mutex<Timestamp>);

impl FixedClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// A clock that shows the current time of the system and does not move.
    #[must_use]
    pub fn at_system_time() -> Self {
        Self::new(SystemClock.now())
    }

    /// Moves the clock forward.
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

/// Principal of a user who signed in with a password at that time, in a new session.
#[must_use]
pub fn principal(user: UserId, at: Timestamp) -> Principal {
    let authentication = Authentication { session_id: Id::new(at), at, methods: vec![Method::Password] };
    Principal::signed_in(user, authentication, Scopes::of_user(false))
}

/// The principal with the scopes of an admin.
///
/// # Panics
///
/// The principal is not a signed-in user.
#[must_use]
pub fn as_admin(principal: &Principal) -> Principal {
    match (principal.user(), principal.authentication()) {
        (Some(user), Some(authentication)) => {
            Principal::signed_in(user, authentication.clone(), Scopes::of_user(true))
        }
        _ => panic!("not the principal of a session: {principal}"),
    }
}

/// Secret key for tests.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn secret_key() -> SecretKey {
    SecretKey::new(&SecretString::from("a secret that only tests may have"))
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A new, empty database, removed when dropped.
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
    /// A database with all migrations of `M`.
    pub async fn new<M: MigratorTrait>() -> Self {
        Self::with_clock::<M>(SystemClock::shared()).await
    }

    /// A database with all migrations of `M`, whose sessions use `clock`.
    pub async fn with_clock<M: MigratorTrait>(clock: SharedClock) -> Self {
        Self::with_resources::<M>(clock, Resources::default()).await
    }

    /// A database with all migrations of `M` and descriptions of tables that other domains refer to.
    pub async fn with_resources<M: MigratorTrait>(clock: SharedClock, resources: Resources) -> Self {
        let database = Self::open(clock, resources).await;
        M::up(database.primary(), None)
            .await
            .unwrap_or_else(|error| panic!("migrate the test database: {error}"));
        database
    }

    /// A database without tables.
    pub async fn empty() -> Self {
        Self::open(SystemClock::shared(), Resources::default()).await
    }

    async fn open(clock: SharedClock, resources: Resources) -> Self {
        let (url, place) = match server_url() {
            Some(admin) => on_server(admin).await,
            None => in_file(),
        };
        let settings = DatabaseSettings {
            pool_size: 4,
            resources,
            // A machine that runs many tests is slow.
            acquire_timeout: Duration::from_secs(20),
            statement_timeout: Duration::from_secs(40),
            ..DatabaseSettings::new(url.into())
        };
        let databases = Databases::connect(&settings, clock, &secret_key()).await;
        let databases = databases.unwrap_or_else(|error| panic!("open the test database: {error}"));
        Self { databases: Some(databases), settings, place }
    }

    /// Principal of a new user: an active account that is not an admin.
    pub async fn user(&self) -> Principal {
        let now = self.clock().now();
        let user_id = UserId::new(now);
        let email = format!("{user_id}@example.com");
        let mut insert = Query::insert();
        insert.into_table("users").columns([
            "id",
            "created_at",
            "updated_at",
            "email",
            "email_normalized",
            "name",
            "name_normalized",
        ]);
        insert.values_panic([
            user_id.into(),
            now.into(),
            now.into(),
            email.clone().into(),
            email.into(),
            "Ada".into(),
            "ada".into(),
        ]);
        let inserted = self.primary().execute(&insert).await;
        inserted.unwrap_or_else(|error| panic!("insert a user: {error}"));
        principal(user_id, now)
    }

    /// Inserts a living row into the table of any resource and returns its id; `members` are the other columns as JSON values. For tests
    /// of references to domains that the crate cannot use.
    pub async fn row(&self, table: &str, prefix: &str, members: &serde_json::Value) -> String {
        let id =
            format!("{prefix}_{}", UserId::new(self.clock().now()).to_string().trim_start_matches("usr_"));
        let known = serde_json::json!({"id": id, "version": 1, "created_at": self.clock().now(), "updated_at": self.clock().now()});
        let columns = known.as_object().into_iter().chain(members.as_object()).flatten();
        // Literals: PostgreSQL converts a text literal to the type of the column, but not a parameter.
        let literal = |value: &serde_json::Value| match value {
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
                value.to_string()
            }
            serde_json::Value::String(text) => format!("'{}'", text.replace('\'', "''")),
            other => format!("'{}'", other.to_string().replace('\'', "''")),
        };
        let (names, values): (Vec<_>, Vec<_>) =
            columns.map(|(name, value)| (format!("\"{name}\""), literal(value))).unzip();
        let sql = format!("INSERT INTO \"{table}\" ({}) VALUES ({})", names.join(", "), values.join(", "));
        let inserted = self.primary().execute_unprepared(&sql).await;
        inserted.unwrap_or_else(|error| panic!("{sql}: {error}"));
        id
    }

    /// URL of the database, for another process.
    #[must_use]
    pub fn url(&self) -> &str {
        self.settings.url.expose_secret()
    }

    /// The database engine.
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
        // `drop` cannot await, and the runtime of the test may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime
                .block_on(async { Database::connect(admin).await.ok()?.execute_unprepared(&sql).await.ok() })
        });
        // A database that is left behind does no harm; the server of CI is temporary.
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

/// `url` with another database.
fn with_database(url: &str, name: &str) -> String {
    let (rest, query) = url.split_once('?').map_or((url, None), |(rest, query)| (rest, Some(query)));
    let authority = rest.find("://").map_or(0, |at| at + 3);
    let base = rest[authority..].find('/').map_or(rest, |slash| &rest[..authority + slash]);
    query.map_or_else(|| format!("{base}/{name}"), |query| format!("{base}/{name}?{query}"))
}

/// Runs `task` `count` times concurrently, each in a task of its own and with its number. Returns the results by number.
pub async fn concurrently<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(tokio::sync::Barrier::new(count));
    let begin = |number| {
        let (start, task) = (Arc::clone(&start), task(number));
        tokio::spawn(async move {
            start.wait().await;
            task.await
        })
    };
    let tasks: Vec<_> = (0..count).map(begin).collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap_or_else(|error| panic!("one of those at once: {error}")));
    }
    outcomes
}

/// Events of one type in the outbox, in order.
pub async fn events<E: DomainEvent>(databases: &Databases) -> Vec<E> {
    let read = |envelope: &Envelope| {
        let event = envelope.read::<E>().unwrap_or_else(|error| panic!("read {envelope:?}: {error}"))?;
        assert_eq!(event.aggregate_id().to_string(), envelope.aggregate_id, "{envelope:?}");
        assert_eq!(E::Aggregate::NAME, envelope.aggregate_type, "{envelope:?}");
        Some(event)
    };
    envelopes(databases).await.iter().filter_map(read).collect()
}

/// Jobs of one type that wait, in the order in which they were enqueued: `assert_eq!(enqueued::<WelcomeMail>(&database).await, [expected])`.
pub async fn enqueued<J: Job>(databases: &Databases) -> Vec<J> {
    let select = Query::select()
        .columns(["version", "payload"])
        .from("jobs")
        .and_where(Expr::col("kind").eq(J::KIND))
        .and_where(Expr::col("state").eq("waiting"))
        .order_by("id", Order::Asc)
        .to_owned();
    let rows: Vec<EnqueuedRow> =
        databases.read_primary().rows(&select).await.unwrap_or_else(|error| panic!("read the jobs: {error}"));
    let read = |row: EnqueuedRow| J::from_payload(row.version, &row.payload);
    rows.into_iter()
        .map(|row| read(row).unwrap_or_else(|error| panic!("read a {}: {error}", J::KIND)))
        .collect()
}

/// The last errors of jobs of one type that did not succeed, so that a test says why: `assert_eq!(job_errors::<WelcomeMail>(&database).await, [""; 0])`.
pub async fn job_errors<J: Job>(databases: &Databases) -> Vec<String> {
    let select = Query::select()
        .column("last_error")
        .from("jobs")
        .and_where(Expr::col("kind").eq(J::KIND))
        .and_where(Expr::col("last_error").is_not_null())
        .order_by("id", Order::Asc)
        .to_owned();
    let rows: Vec<ErrorRow> =
        databases.read_primary().rows(&select).await.unwrap_or_else(|error| panic!("read the jobs: {error}"));
    rows.into_iter().map(|row| row.last_error).collect()
}

#[derive(FromQueryResult)]
struct ErrorRow {
    last_error: String,
}

#[derive(FromQueryResult)]
struct EnqueuedRow {
    version: i32,
    payload: serde_json::Value,
}

/// All events in the outbox, in order.
pub async fn envelopes(databases: &Databases) -> Vec<Envelope> {
    let select = Query::select()
        .columns(Envelope::COLUMNS)
        .from("outbox_events")
        .order_by("id", Order::Asc)
        .to_owned();
    let envelopes = databases.read_primary().rows(&select).await;
    envelopes.unwrap_or_else(|error| panic!("read the outbox: {error}"))
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
