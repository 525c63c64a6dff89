//! Where a read goes when there are replicas.
//!
//! What needs no lag is tried with the same server in a replica's place, behind a door that can be shut. What lags is a
//! streaming replica, made for the test and only with `TEST_REPLICATION=1`, because that takes seconds and PostgreSQL's
//! server programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, DbBackend, FromQueryResult};
use secrecy::SecretString;
use shared_kernel::clock::SystemClock;
use shared_kernel::session::{
    ConnectError, ConsistencyToken, DatabaseSettings, Databases, Reader, SessionError,
};
use shared_kernel::testing::secret_key;

use crate::common::{
    Count, Door, create_widgets, database, insert, labels, opened_again, select_that_deletes, stored, until,
};

/// Long enough to connect on a busy machine, short enough to be waited for in vain.
const BRIEFLY: Duration = Duration::from_secs(2);

/// Whether a replica's connection answers: only those are set up to read only.
async fn asks_a_replica(reader: &impl Reader) -> Result<bool, SessionError> {
    #[derive(FromQueryResult)]
    struct Setting {
        value: String,
    }
    let mut select = SelectStatement::new();
    select.expr_as(Expr::cust("current_setting('default_transaction_read_only')"), "value");
    Ok(reader.rows::<Setting>(&select).await?.remove(0).value == "on")
}

async fn store(databases: &Databases, label: &str) -> ConsistencyToken {
    let session = databases.write();
    insert(&session, label).await.unwrap();
    session.commit(()).await.unwrap().into_parts().1.expect("there is a replica to wait for")
}

#[tokio::test]
async fn reads_go_to_a_replica_and_decisions_to_the_primary() {
    let database = database().await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let databases =
        opened_again(&database, |settings| settings.replica_urls = vec![database.url().into()]).await;
    let token = store(&databases, "a").await;
    // A server that is no standby has nothing to replay.
    for seen in [None, Some(token)] {
        assert!(asks_a_replica(&databases.read(seen)).await.unwrap(), "{seen:?}");
    }
    assert!(!asks_a_replica(&databases.read_primary()).await.unwrap());
    assert!(!asks_a_replica(&databases.write()).await.unwrap());
    let unused = databases.write();
    assert_eq!(unused.commit(()).await.unwrap().into_parts().1, None, "nothing was written");
}

#[tokio::test]
async fn a_replica_that_is_away_is_left_out_until_it_is_back() {
    let database = database().await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let (mut door, url) = Door::to(database.url()).await;
    let databases = opened_again(&database, |settings| {
        settings.replica_urls = vec![url.into()];
        settings.acquire_timeout = BRIEFLY;
    })
    .await;
    let token = store(&databases, "a").await;
    let session = databases.read(None);
    assert!(asks_a_replica(&session).await.unwrap());
    assert_eq!(databases.replicas_in_use(), [true]);
    door.shut().await;
    // In the middle of a session, and at the start of one.
    assert!(!asks_a_replica(&session).await.unwrap());
    // Whether it is away or only busy is found out beside the request.
    until("the replica is left out", async || databases.replicas_in_use() == [false]).await;
    for seen in [None, Some(token)] {
        assert_eq!(labels(&databases.read(seen)).await, ["a"]);
        assert!(!asks_a_replica(&databases.read(seen)).await.unwrap());
    }
    store(&databases, "b").await;
    door.open().await;
    until("the replica is in use again", async || databases.replicas_in_use() == [true]).await;
    assert!(asks_a_replica(&databases.read(None)).await.unwrap());
    // What it has read from the primary, the replica may not have yet.
    assert!(!asks_a_replica(&session).await.unwrap(), "a session does not go back in time");
}

#[tokio::test]
async fn one_replica_of_two_is_enough_and_none_at_the_start_is_no_obstacle() {
    let database = database().await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let (mut door, away) = Door::to(database.url()).await;
    door.shut().await;
    let databases = opened_again(&database, |settings| {
        settings.replica_urls = vec![away.into(), database.url().into()];
        settings.acquire_timeout = BRIEFLY;
    })
    .await;
    let token = store(&databases, "a").await;
    // In turn, so that the one that is away is found out.
    for seen in [None, Some(token), None, Some(token)] {
        assert_eq!(labels(&databases.read(seen)).await, ["a"]);
    }
    until("the one that is away is left out", async || databases.replicas_in_use() == [false, true]).await;
    for seen in [None, Some(token), None] {
        assert!(asks_a_replica(&databases.read(seen)).await.unwrap(), "the other one has all reads");
    }
}

/// All its connections are busy: that read goes elsewhere, and the replica stays.
#[tokio::test]
async fn a_replica_that_is_busy_is_not_away() {
    let database = database().await;
    if database.backend() != DbBackend::Postgres {
        return;
    }
    let databases = opened_again(&database, |settings| {
        settings.replica_urls = vec![database.url().into()];
        settings.pool_size = 1;
        settings.acquire_timeout = BRIEFLY;
    })
    .await;
    let token = store(&databases, "a").await;
    for seen in [None, Some(token)] {
        assert!(asks_a_replica(&databases.read(seen)).await.unwrap());
        let busy = tokio::spawn({
            let session = databases.read(None);
            async move {
                let mut sleep = SelectStatement::new();
                sleep.expr_as(Expr::cust("LENGTH(pg_sleep(4)::text)::bigint"), "count");
                session.rows::<Count>(&sleep).await.unwrap();
            }
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(!asks_a_replica(&databases.read(seen)).await.unwrap(), "{seen:?}");
        busy.await.unwrap();
        assert_eq!(databases.replicas_in_use(), [true]);
        until("it is asked again", async || asks_a_replica(&databases.read(seen)).await.unwrap()).await;
    }
}

/// A primary and its streaming replica, in a folder of their own.
struct Cluster {
    programs: PathBuf,
    folder: tempfile::TempDir,
    primary: u16,
    replica: u16,
}

impl Cluster {
    fn start() -> Self {
        let cluster = Self {
            programs: server_programs(),
            folder: tempfile::tempdir().unwrap(),
            primary: free_port(),
            replica: free_port(),
        };
        // The server refuses to run as root, so its own user must get in.
        run(Command::new("chmod").arg("777").arg(cluster.folder.path()));
        let folder = cluster.path("primary");
        run(cluster
            .program("initdb")
            .args(["--auth=trust", "--username=postgres", "--no-sync", "-D"])
            .arg(folder));
        cluster.serve("primary", cluster.primary);
        let copy = [
            "--host=127.0.0.1",
            "--username=postgres",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        ];
        let port = format!("--port={}", cluster.primary);
        run(cluster.program("pg_basebackup").args(copy).arg(port).arg("-D").arg(cluster.path("replica")));
        cluster.serve("replica", cluster.replica);
        cluster
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        let mut command = if root { Command::new("runuser") } else { Command::new(&program) };
        if root {
            command.args(["-u", "postgres", "--"]).arg(program);
        }
        command.current_dir(self.folder.path());
        command
    }

    fn serve(&self, name: &str, port: u16) {
        let sockets = self.folder.path().display();
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={sockets} -c fsync=off"
        );
        let log = self.path(&format!("{name}.log"));
        run(self
            .program("pg_ctl")
            .args(["start", "-w", "-o", &options, "-D"])
            .arg(self.path(name))
            .arg("-l")
            .arg(log));
    }

    fn stop(&self, name: &str) {
        run(self.program("pg_ctl").args(["stop", "-w", "-m", "immediate", "-D"]).arg(self.path(name)));
    }

    fn url(port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/postgres")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for name in ["replica", "primary"] {
            let mut stop = self.program("pg_ctl");
            let stop = stop.args(["stop", "-m", "immediate", "-D"]).arg(self.path(name));
            // It may be down already.
            let _stopped = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// Where the newest `initdb` and its companions are: Debian keeps them out of the path.
fn server_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max();
    newest.map_or_else(PathBuf::new, |version| {
        Path::new("/usr/lib/postgresql").join(version.to_string()).join("bin")
    })
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

async fn is_standby(databases: &Databases, seen: Option<ConsistencyToken>) -> bool {
    let mut select = SelectStatement::new();
    select.expr_as(Expr::cust("CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END::bigint"), "count");
    let answered: Vec<Count> = databases.read(seen).rows(&select).await.unwrap();
    answered[0].count == 1
}

async fn tell(replica: &DatabaseConnection, sql: &str) {
    replica.execute_unprepared(sql).await.unwrap();
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a setting of this test alone")]
async fn a_replica_that_lags_answers_only_who_has_not_seen_more() {
    if std::env::var("TEST_REPLICATION").as_deref() != Ok("1") {
        println!(
            "skipped: set TEST_REPLICATION=1 to build a streaming replica (needs PostgreSQL's server programs)"
        );
        return;
    }
    let cluster = Cluster::start();
    let mut settings = DatabaseSettings::new(SecretString::from(Cluster::url(cluster.primary)));
    settings.replica_urls = vec![SecretString::from(Cluster::url(cluster.replica))];
    settings.acquire_timeout = BRIEFLY;
    let databases = Databases::connect(&settings, SystemClock::shared(), &secret_key()).await.unwrap();
    create_widgets(&databases).await;

    let first = store(&databases, "a").await;
    until("the replica has the first row", async || is_standby(&databases, Some(first)).await).await;
    assert_eq!(labels(&databases.read(Some(first))).await, ["a"]);

    // From here the replica stands still.
    let replica = Database::connect(Cluster::url(cluster.replica)).await.unwrap();
    tell(&replica, "SELECT pg_wal_replay_pause()").await;
    until("the replay pauses", async || {
        let paused = "SELECT pg_get_wal_replay_pause_state() AS state";
        let row = replica
            .query_one_raw(sea_orm::Statement::from_string(DbBackend::Postgres, paused))
            .await
            .unwrap();
        row.unwrap().try_get::<String>("", "state").unwrap() == "paused"
    })
    .await;
    let second = store(&databases, "b").await;
    assert_ne!(second, first);
    assert!(is_standby(&databases, None).await && is_standby(&databases, Some(first)).await);
    assert_eq!(labels(&databases.read(Some(first))).await, ["a"], "no newer than asked for");
    assert!(!is_standby(&databases, Some(second)).await);
    assert_eq!(labels(&databases.read(Some(second))).await, ["a", "b"], "one's own write is seen");
    assert_eq!(labels(&databases.read_primary()).await, ["a", "b"]);
    assert_eq!(databases.replicas_in_use(), [true], "to lag is not to be away");
    tell(&replica, "SELECT pg_wal_replay_resume()").await;
    until("the replica catches up", async || is_standby(&databases, Some(second)).await).await;
    assert_eq!(labels(&databases.read(Some(second))).await, ["a", "b"]);

    let refused = databases.read(None).rows::<Count>(&select_that_deletes(DbBackend::Postgres)).await;
    let SessionError::Database(error) = refused.unwrap_err() else { panic!("the replica refuses it") };
    assert!(error.to_string().contains("read-only transaction"), "{error}");

    // A standby in the primary's place: from the start, and later.
    let mut misled = settings.clone();
    misled.replica_urls.clear();
    misled.url = SecretString::from(Cluster::url(cluster.replica));
    let refused = Databases::connect(&misled, SystemClock::shared(), &secret_key()).await;
    assert!(matches!(refused.unwrap_err(), ConnectError::Standby));
    let (mut door, url) = Door::to(&Cluster::url(cluster.primary)).await;
    misled.url = SecretString::from(url);
    let misled = Databases::connect(&misled, SystemClock::shared(), &secret_key()).await.unwrap();
    misled.ping().await.unwrap();
    door.shut().await;
    door.lead_to(format!("127.0.0.1:{}", cluster.replica));
    door.open().await;
    assert!(matches!(misled.ping().await.unwrap_err(), SessionError::Standby));

    cluster.stop("replica");
    assert!(!is_standby(&databases, None).await);
    assert_eq!(databases.replicas_in_use(), [false]);
    assert!(!is_standby(&databases, Some(first)).await);
    stored(&databases, "c").await;
    assert_eq!(labels(&databases.read(None)).await, ["a", "b", "c"]);
    cluster.serve("replica", cluster.replica);
    until("the replica is in use again", async || databases.replicas_in_use() == [true]).await;
    assert!(is_standby(&databases, None).await);
}
