//! The section `database`.

use std::path::Path;
use std::time::Duration;

use configuration::{
    Environment, Keys, Section, derived, empty, key, optional, seconds, secret_url, secret_urls, switch,
    whole,
};
use secrecy::{ExposeSecret as _, SecretString};
use shared_kernel::session::DatabaseSettings;
use url::Url;

/// Settings of the database.
#[derive(Clone, Debug)]
pub struct Database {
    /// `sqlite:` and a path, or a `postgres://` URL.
    pub url: SecretString,
    /// Streaming replicas (PostgreSQL only).
    pub replica_urls: Vec<SecretString>,
    /// The primary for notifications between processes.
    pub listen_url: Option<SecretString>,
    /// Connections to each database.
    pub pool_size: u32,
    /// Longest wait of a request for a connection.
    pub acquire_timeout: Duration,
    /// Longest wait of a request for the answer to a statement.
    pub statement_timeout: Duration,
    /// Time that migrations have.
    pub migration_timeout: Duration,
    /// Time after which an unused connection is closed.
    pub idle_timeout: Duration,
    /// Age at which every connection is closed.
    pub max_lifetime: Duration,
    /// Whether a start applies the migrations.
    pub auto_migrate: bool,
}

impl Section for Database {
    const NAME: &'static str = "database";
    /// The data folder.
    type Given<'a> = &'a Path;

    fn read(keys: &mut Keys<'_>, data_dir: &Path) -> Option<Self> {
        let usual = DatabaseSettings::new(SecretString::default());
        let development = keys.environment() == Environment::Development;
        let database = Self {
            url: keys.read(
                key(
                    "url",
                    secret_url("sqlite: and a path, or a postgres:// URL", |url| is_sqlite(url) || is_postgres(url)),
                    derived(
                        sqlite_url(data_dir, keys.program())?,
                        &format!("`sqlite://<data_dir>/{}.sqlite`", keys.program()),
                    ),
                    "URL of the database.",
                )
                .alias("DATABASE_URL"),
            )?,
            replica_urls: keys.read(key(
                "replica_urls",
                secret_urls("postgres:// URLs", is_postgres),
                empty("the primary reads too"),
                "URLs of streaming replicas of the primary, which serve reads.",
            ))?,
            listen_url: keys.read(key(
                "listen_url",
                optional(secret_url("a postgres:// URL", is_postgres)),
                empty("`database.url`"),
                "URL of the primary for notifications between processes, where `database.url` names a pooler that shares connections.",
            ))?,
            pool_size: keys.read(key(
                "pool_size",
                whole(1..=1_000, "connections"),
                usual.pool_size,
                "Number of connections to each database. SQLite: of readers; there is one writer.",
            ))?,
            acquire_timeout: keys.read(key(
                "acquire_timeout",
                seconds(1..=300),
                usual.acquire_timeout.as_secs(),
                "Longest wait of a request for a connection; then it is answered with 503.",
            ))?,
            statement_timeout: keys.read(key(
                "statement_timeout",
                seconds(1..=300),
                usual.statement_timeout.as_secs(),
                "Longest wait of a request for the answer to a statement, the waits for a connection and for locks included. A \
                 replica has half of it, so that the primary can still answer.",
            ))?,
            migration_timeout: keys.read(key(
                "migration_timeout",
                seconds(1..=86_400),
                usual.migration_timeout.as_secs(),
                "Time that migrations have, and that an instance waits for another one that migrates.",
            ))?,
            idle_timeout: keys.read(key(
                "idle_timeout",
                seconds(1..=86_400),
                usual.idle_timeout.as_secs(),
                "Time after which an unused connection is closed.",
            ))?,
            max_lifetime: keys.read(key(
                "max_lifetime",
                seconds(1..=604_800),
                usual.max_lifetime.as_secs(),
                "Age at which a connection is closed, so that a primary that moved is found again.",
            ))?,
            auto_migrate: keys.read(key(
                "auto_migrate",
                switch(),
                derived(development, "`true` in development, else `false`"),
                "Whether a start applies the migrations. Otherwise the command `migrate up` does.",
            ))?,
        };
        let url = database.url.expose_secret();
        let in_memory = is_sqlite(url) && (url.contains(":memory:") || url.contains("mode=memory"));
        keys.must("url", !in_memory, "name a file: SQLite in memory is not supported");
        let has_replicas = is_sqlite(url) && !database.replica_urls.is_empty();
        keys.must("replica_urls", !has_replicas, "be empty with SQLite, which has no replicas");
        Some(database)
    }
}

impl Database {
    /// Whether it is SQLite.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        is_sqlite(self.url.expose_secret())
    }

    /// Settings for the kernel.
    #[must_use]
    pub fn settings(&self) -> DatabaseSettings {
        DatabaseSettings {
            replica_urls: self.replica_urls.clone(),
            listen_url: self.listen_url.clone(),
            pool_size: self.pool_size,
            acquire_timeout: self.acquire_timeout,
            statement_timeout: self.statement_timeout,
            migration_timeout: self.migration_timeout,
            idle_timeout: self.idle_timeout,
            max_lifetime: self.max_lifetime,
            ..DatabaseSettings::new(self.url.clone())
        }
    }
}

/// sqlx decodes the path, so special characters are encoded. `None` only if the folder is not absolute.
fn sqlite_url(data_dir: &Path, program: &str) -> Option<String> {
    let file = Url::from_file_path(data_dir.join(format!("{program}.sqlite"))).ok()?;
    Some(format!("sqlite://{}", file.path()))
}

fn is_sqlite(url: &str) -> bool {
    url.strip_prefix("sqlite:").is_some_and(|path| !path.trim_start_matches('/').is_empty())
}

fn is_postgres(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql"))
}
