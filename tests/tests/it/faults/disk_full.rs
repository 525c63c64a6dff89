//! A full disk: no acknowledged write is lost, and when there is space again the server recovers without a restart.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::json;
use tests::process::{Installation, Process};
use tests::{Answer, Client, PASSWORD, TestServer, eventually, unique};

use crate::jobs::recipients;

/// More statements than any request executes.
pub(crate) const ENOUGH: i64 = 40;

/// A server on SQLite in which each change of a row needs a new page from now on. `None` on PostgreSQL.
pub(crate) async fn on_sqlite() -> Option<TestServer> {
    // Workers write heart-beats, which must not hit the limit instead of a request.
    let server = TestServer::with_variables(&[("ASHLAR_JOBS__IN_SERVER", "false")]).await;
    if server.backend() != DbBackend::Sqlite {
        return None;
    }
    server.execute("CREATE TABLE ballast (bytes BLOB)").await;
    let sql =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('ballast', 'seaql_migrations')";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let tables = server.database.primary().query_all_raw(statement).await.unwrap();
    for table in tables.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()) {
        for event in ["INSERT", "UPDATE", "DELETE"] {
            let sql = format!(
                "CREATE TRIGGER grow_{table}_{event} AFTER {event} ON {table} \
                 BEGIN INSERT INTO ballast VALUES (randomblob(5000)); END"
            );
            server.execute(&sql).await;
        }
    }
    Some(server)
}

/// Limits the growth of the file to this number of pages, on the current write connection of the server.
pub(crate) async fn leave_pages(server: &TestServer, pages: i64) {
    let primary = server.server_databases().primary();
    // The relay must not hit the limit instead of the request, nor that of the previous request.
    primary.execute_unprepared("PRAGMA max_page_count = 4294967294").await.unwrap();
    // If it has hit the limit already, it holds the event until the lease ends, which is longer than a test waits.
    server.execute("UPDATE outbox_events SET available_at = occurred_at WHERE delivered_at IS NULL").await;
    eventually("all events are delivered", async || {
        let open = server.count("SELECT count(*) FROM outbox_events WHERE delivered_at IS NULL").await;
        (open == 0).then_some(())
    })
    .await;
    let row = primary.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA page_count")).await;
    let used: i64 = row.unwrap().unwrap().try_get_by_index(0).unwrap();
    primary.execute_unprepared(&format!("PRAGMA max_page_count = {}", used + pages)).await.unwrap();
}

pub(crate) fn signup(client: &Client, email: &str) -> tests::client::Request {
    let body = json!({"email": email, "password": PASSWORD, "name": "Ada Lovelace"});
    client.post("/api/v1/auth/signup").json(&body)
}

async fn logs_in(client: &Client, email: &str) -> bool {
    let body = json!({"identifier": email, "password": PASSWORD});
    client.post("/api/v1/auth/login").json(&body).await.status == 200
}

/// The request failed because of missing space, with a 503 and `Retry-After`.
#[track_caller]
pub(crate) fn is_refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

/// A failed write and others after it: acknowledged writes are visible to other connections.
pub(crate) async fn writes_are_kept(server: &TestServer) {
    let emails: Vec<String> = (0..3).map(|_| unique("kept") + "@example.com").collect();
    for email in &emails {
        signup(server, email).await.expect(201);
        signup(server, email).await.expect(409);
    }
    for email in &emails {
        let rows = format!("SELECT count(*) FROM users WHERE email = '{email}'");
        assert_eq!(server.count(&rows).await, 1, "{email} was acknowledged and is lost");
        assert!(logs_in(server, email).await, "{email} was acknowledged and is lost");
    }
}

#[tokio::test]
async fn a_sign_up_at_any_of_its_statements() {
    let Some(server) = on_sqlite().await else { return };
    let mut refused = 0;
    for pages in 0..ENOUGH {
        leave_pages(&server, pages).await;
        let email = unique("tried") + "@example.com";
        let answer = signup(&server, &email).await;
        let rows = server.count(&format!("SELECT count(*) FROM users WHERE email = '{email}'")).await;
        if answer.status == 201 {
            assert_eq!(rows, 1);
            break;
        }
        is_refused(&answer);
        assert_eq!(rows, 0);
        refused += 1;
        writes_are_kept(&server).await;
    }
    assert!((2..ENOUGH).contains(&refused), "{refused}");
    server.get("/health/ready").await.expect(200);
}

/// A file system of 24 MB. `None` if this process may not mount one.
pub(crate) struct SmallDisk {
    mounted: tempfile::TempDir,
}

impl SmallDisk {
    #[expect(
        clippy::print_stderr,
        reason = "who reads the tests' output wants to know that this one was left out"
    )]
    pub(crate) fn new() -> Option<Self> {
        let mounted = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=24m", "tmpfs"]).arg(mounted.path());
        if !mount.status().is_ok_and(|status| status.success()) {
            eprintln!("skipped: this process may not mount a small file system");
            return None;
        }
        Some(Self { mounted })
    }

    pub(crate) fn path(&self) -> &Path {
        self.mounted.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Fills it, except for this number of bytes.
    pub(crate) fn fill(&self, left: u64) {
        let mut file = File::create(self.filler()).unwrap();
        let mut size = 0;
        for block in [vec![1; 1 << 16], vec![1; 1 << 10], vec![1; 1]] {
            while let Ok(written) = file.write(&block) {
                size += u64::try_from(written).unwrap();
            }
        }
        file.set_len(size.saturating_sub(left)).unwrap();
    }

    pub(crate) fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because an ending process may still use it.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

async fn is_ready(process: &Process) -> bool {
    process.get("/health/ready").await.status == 200
}

#[tokio::test]
async fn a_server_whose_disk_fills_up_goes_on_when_there_is_space() {
    let Some(disk) = SmallDisk::new() else { return };
    let installation = Installation::without_database_in(disk.path());
    let process = installation.start().await;
    let session = signup(&process, "first@example.com").await.expect(201).json();
    let token = session["access_token"].as_str().unwrap().to_owned();
    let mut kept = vec!["first@example.com".to_owned()];
    for pages in 0..12 {
        disk.fill(pages * 4096);
        let (mut refused, mut ready) = (0, true);
        // The last pages may be enough for a small write, but not for a sign-up, so that it is ready a moment longer.
        for _ in 0..300 {
            let email = unique("filling") + "@example.com";
            let answer = signup(&process, &email).await;
            if answer.status == 201 {
                kept.push(email);
                continue;
            }
            is_refused(&answer);
            refused += 1;
            ready = is_ready(&process).await;
            if !ready {
                break;
            }
        }
        assert!(refused > 0 && !ready, "{refused} refused, ready: {ready}");
        // Reads succeed, and readiness reports the problem.
        process.get("/api/v1/users/me").bearer(&token).await.expect(200);
        process.get("/health/live").await.expect(200);
        disk.empty();
        eventually("it says that it can work", async || is_ready(&process).await.then_some(())).await;
        let next = unique("next") + "@example.com";
        signup(&process, &next).await.expect(201);
        signup(&process, &next).await.expect(409);
        kept.push(next);
        for _ in 0..3 {
            let email = unique("after") + "@example.com";
            signup(&process, &email).await.expect(201);
            kept.push(email);
        }
    }
    for email in &kept {
        assert!(logs_in(&process, email).await, "{email} was acknowledged and is lost");
    }
    // A regular restart would lose uncommitted data.
    process.stop().await;
    let process = installation.start().await;
    for email in &kept {
        assert!(logs_in(&process, email).await, "{email} was acknowledged and is lost by a restart");
    }
    // No welcome mail is lost either. What failed while the disk was full is tried again, after longer and longer pauses.
    let is_sent = |sent: &[String]| kept.iter().all(|email| sent.contains(email));
    tokio::time::timeout(Duration::from_mins(3), async {
        while !is_sent(&recipients(&installation)) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await
    .expect("each account gets its welcome mail");
    process.stop().await;
}

/// After a migration failed because of the full disk, the next one succeeds.
#[tokio::test]
async fn a_migration_that_does_not_fit_is_undone() {
    let Some(disk) = SmallDisk::new() else { return };
    let mut refused = 0;
    for pages in [0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96] {
        let installation = Installation::without_database_in(disk.path());
        disk.fill(40 * 1024 + pages * 4096);
        let first = installation.run(&["migrate", "up"]).await;
        disk.empty();
        refused += usize::from(first.code != 0);
        let second = installation.run(&["migrate", "up"]).await;
        assert_eq!(second.code, 0, "after {first:?}: {second:?}");
        let status = installation.run(&["migrate", "status"]).await;
        assert!(status.stdout.lines().all(|line| line.starts_with("applied ")), "{status:?}");
    }
    assert!(refused >= 3, "{refused}");
}

/// If the log is on the full disk too, the server continues to run.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let mut installation = Installation::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    installation.set("ASHLAR_SERVER__BIND", &free.to_string());
    installation.set("ASHLAR_LOG_LEVEL", "debug");
    let process = installation.start_with_full_output(free).await;
    signup(&process, "ada@example.com").await.expect(201);
    signup(&process, "ada@example.com").await.expect(409);
    process.get("/api/v1/users/me").await.expect(401);
    assert!(is_ready(&process).await);
    process.stop().await;
}
