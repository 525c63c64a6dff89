//! What keeps us out of a database is told at once and in its own words.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DbBackend};
use shared_kernel::clock::{Stopwatch, SystemClock};
use shared_kernel::session::{ConnectError, DatabaseSettings, Databases};
use shared_kernel::testing::{TestDatabase, secret_key};

use crate::common::until;

/// What the databases of `url` cannot be opened for.
async fn refusal(url: &str) -> String {
    let stopwatch = Stopwatch::start();
    let settings = DatabaseSettings::new(url.into());
    let outcome = Databases::connect(&settings, SystemClock::shared(), &secret_key()).await;
    assert!(stopwatch.elapsed() < Duration::from_secs(3), "{url}: {:?}", stopwatch.elapsed());
    outcome.unwrap_err().to_string()
}

/// A database of the server that the tests have, if that is PostgreSQL.
async fn on_postgres() -> Option<TestDatabase> {
    let database = TestDatabase::empty().await;
    (database.backend() == DbBackend::Postgres).then_some(database)
}

fn replaced(url: &str, change: impl FnOnce(&mut url::Url)) -> String {
    let mut url = url::Url::parse(url).unwrap();
    change(&mut url);
    url.into()
}

#[tokio::test]
async fn nobody_listens() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refusal = refusal(&format!("postgres://ada@{free}/ashlar")).await;
    assert!(refusal.contains("Connection refused"), "{refusal}");
}

#[tokio::test]
async fn a_role_that_may_have_no_connection() {
    let Some(database) = on_postgres().await else { return };
    let role = database.url().rsplit_once('/').unwrap().1.replace("test", "role");
    database
        .primary()
        .execute_unprepared(&format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 0"))
        .await
        .unwrap();
    let refusal = refusal(&replaced(database.url(), |url| url.set_username(&role).unwrap())).await;
    database.primary().execute_unprepared(&format!("DROP ROLE {role}")).await.unwrap();
    assert!(refusal.contains("too many connections for role"), "{refusal}");
}

#[tokio::test]
async fn a_database_without_unicode() {
    let Some(database) = on_postgres().await else { return };
    let name = database.url().rsplit_once('/').unwrap().1.replace("test", "latin");
    let create =
        format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
    database.primary().execute_unprepared(&create).await.unwrap();
    let refusal = refusal(&replaced(database.url(), |url| url.set_path(&name))).await;
    database.primary().execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    assert_eq!(
        refusal,
        "the encoding of the database is LATIN1, and it must be UTF8: create it with CREATE DATABASE … ENCODING 'UTF8'"
    );
}

/// `PgBouncer` in front of a database. Ended when dropped.
struct Bouncer {
    process: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Bouncer {
    /// Whether it has the setting, which is as old as 1.21.
    fn can_keep_prepared_statements() -> bool {
        let Ok(version) = Command::new("pgbouncer").arg("--version").output() else { return false };
        let version = String::from_utf8(version.stdout).unwrap();
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse().ok());
        minor.is_some_and(|minor: u32| minor >= 21)
    }

    /// `None` where it is not installed.
    async fn start(database: &TestDatabase, settings: &str) -> Option<Self> {
        let server = url::Url::parse(database.url()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = format!(
            "[databases]\n* = host={} port={} user={}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\n\
             unix_socket_dir=\nauth_type=any\n{settings}\n",
            server.host_str().unwrap(),
            server.port().unwrap_or(5432),
            server.username(),
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, configuration).unwrap();
        // It refuses to run as root, so another user must get in.
        assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()).status().unwrap().success());
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        let mut command = Command::new("pgbouncer");
        if root {
            command.args(["-u", "postgres"]);
        }
        let process =
            command.arg("-q").arg(&file).stderr(Stdio::null()).stdout(Stdio::null()).spawn().ok()?;
        let bouncer = Self { process, folder, port };
        until("the pooler listens", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        Some(bouncer)
    }

    fn url(&self, database: &TestDatabase) -> String {
        assert!(self.folder.path().exists());
        replaced(database.url(), |url| {
            url.set_host(Some("127.0.0.1")).unwrap();
            url.set_port(Some(self.port)).unwrap();
        })
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

#[tokio::test]
async fn a_pooler_that_refuses_the_settings() {
    let Some(database) = on_postgres().await else { return };
    let Some(pooler) = Bouncer::start(&database, "pool_mode=session").await else { return };
    let refusal = refusal(&pooler.url(&database)).await;
    assert!(refusal.contains("unsupported startup parameter"), "{refusal}");
    assert!(refusal.contains("ignore_startup_parameters = extra_float_digits,options"), "{refusal}");
}

/// As `PgBouncer` is before 1.21, and later without `max_prepared_statements`.
#[tokio::test]
async fn a_pooler_that_forgets_what_was_prepared() {
    let Some(database) = on_postgres().await else { return };
    let mut settings =
        "pool_mode=transaction\nignore_startup_parameters=extra_float_digits,options".to_owned();
    if Bouncer::can_keep_prepared_statements() {
        settings += "\nmax_prepared_statements=0";
    }
    let Some(pooler) = Bouncer::start(&database, &settings).await else { return };
    assert_eq!(refusal(&pooler.url(&database)).await, ConnectError::Pooler.to_string());
}

#[tokio::test]
async fn a_pooler_that_keeps_the_session() {
    let Some(database) = on_postgres().await else { return };
    let settings = "pool_mode=session\nignore_startup_parameters=extra_float_digits,options";
    let Some(pooler) = Bouncer::start(&database, settings).await else { return };
    let settings = DatabaseSettings::new(pooler.url(&database).into());
    let databases = Databases::connect(&settings, SystemClock::shared(), &secret_key()).await.unwrap();
    databases.ping().await.unwrap();
}
