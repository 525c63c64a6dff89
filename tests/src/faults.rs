//! Fault injection: how the server behaves while a dependency is broken. Each situation runs on an installation of its own,
//! with default limits, and results in a [`Finding`], which a test checks against the documented guarantees
//! and `cargo xtask faults` writes into a table.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{
    ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction, TransactionTrait as _,
};
use serde_json::json;
use shared_kernel::clock::Stopwatch;
use shared_kernel::testing::TestDatabase;

use crate::process::{Installation, Process};
use crate::proxy::{Mode, Proxy};
use crate::{Account, Answer, PASSWORD, Request, eventually, unique};

/// Maximum time of an ordinary request, with a margin for a busy machine.
pub const DEADLINE: Duration = Duration::from_millis(5_500);

/// The result of one situation.
#[derive(Debug)]
pub struct Finding {
    /// The fault, and the requests.
    pub situation: &'static str,
    /// Responses to requests that need the broken dependency.
    pub asked: Answers,
    /// Responses to other requests meanwhile.
    pub others: Answers,
    /// Time from the end of the fault until the same request succeeded.
    pub recovered: Duration,
}

/// The responses to several requests.
#[derive(Debug, Default)]
pub struct Answers {
    /// Time of the slowest response.
    pub slowest: Duration,
    /// Number of responses by status.
    pub statuses: BTreeMap<u16, usize>,
    /// Whether each 503 had `Retry-After`.
    pub all_have_retry_after: bool,
}

impl Answers {
    pub(crate) async fn to(requests: Vec<Request>) -> Self {
        let answers = join_all(requests.into_iter().map(timed)).await;
        let mut statuses = BTreeMap::new();
        for (answer, _) in &answers {
            *statuses.entry(answer.status).or_default() += 1;
        }
        let has_retry_after =
            |answer: &Answer| answer.status != 503 || answer.header("retry-after").is_some();
        Self {
            slowest: answers.iter().map(|(_, time)| *time).max().unwrap_or_default(),
            statuses,
            all_have_retry_after: answers.iter().all(|(answer, _)| has_retry_after(answer)),
        }
    }

    /// Whether all have this status.
    pub fn all_are(&self, status: u16) -> bool {
        self.statuses.keys().eq([&status])
    }
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statuses: Vec<_> =
            self.statuses.iter().map(|(status, count)| format!("{count} x {status}")).collect();
        write!(f, "{} | {:.1} s", statuses.join(", "), self.slowest.as_secs_f64())
    }
}

impl fmt::Display for Finding {
    /// A row of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { situation, asked, others, recovered } = self;
        write!(f, "| {situation} | {asked} | {others} | {:.1} s |", recovered.as_secs_f64())
    }
}

async fn timed(request: Request) -> (Answer, Duration) {
    let stopwatch = Stopwatch::start();
    let answer = request.await;
    (answer, stopwatch.elapsed())
}

/// An installation whose connections can be broken.
pub struct Site {
    /// The running server.
    pub server: Process,
    /// Its database, reached directly.
    pub database: TestDatabase,
    /// The proxy between the server and the database.
    pub proxy: Proxy,
    ada: Account,
    bob: Account,
}

impl Site {
    /// Starts a server with two users. `None` on SQLite, which has no connection that could break.
    pub async fn on_postgres(change: impl AsyncFnOnce(&mut Installation, &TestDatabase)) -> Option<Self> {
        let database = TestDatabase::empty().await;
        if database.backend() != sea_orm::DbBackend::Postgres {
            return None;
        }
        let (proxy, url) = Proxy::to_database(database.url()).await;
        let mut installation = installation(&url);
        change(&mut installation, &database).await;
        let server = installation.start().await;
        let (ada, bob) = (signup(&server).await, signup(&server).await);
        Some(Self { server, database, proxy, ada, bob })
    }

    /// A read that the primary answers, not the memory of the server: it has the token of a write in the far future.
    fn read(&self, account: &Account) -> Request {
        self.server.get("/api/v1/users/me").bearer(&account.token).header("consistency-token", "E677D21FDBFF")
    }

    /// The same for a write that every replica has, so that one of them answers.
    fn read_replica(&self, account: &Account) -> Request {
        self.server
            .get("/api/v1/users/me")
            .bearer(&account.token)
            .header("consistency-token", "E677D21FDBFF-0/1")
    }

    fn write(&self, account: &Account) -> Request {
        self.server.patch("/api/v1/users/me").bearer(&account.token).json(&json!({"name": unique("Name ")}))
    }

    fn live(&self) -> Request {
        self.server.get("/health/live")
    }

    /// Another connection to the same database, not through the proxy.
    async fn direct_connection(&self) -> DatabaseConnection {
        Database::connect(self.database.url()).await.unwrap()
    }

    /// Opens a transaction on another connection and executes `sql` in it.
    async fn transaction_with(&self, sql: &str) -> DatabaseTransaction {
        let transaction = self.direct_connection().await.begin().await.unwrap();
        transaction.execute_unprepared(sql).await.unwrap();
        transaction
    }

    async fn recovers(&self, request: impl Fn() -> Request) -> Duration {
        let stopwatch = Stopwatch::start();
        eventually("it works again", async || (request().await.status == 200).then_some(())).await;
        stopwatch.elapsed()
    }
}

pub(crate) fn installation(url: &str) -> Installation {
    let mut installation = Installation::without_database();
    installation.set("ASHLAR_DATABASE__URL", url);
    // The limits keep their defaults.
    for name in [
        "ASHLAR_SERVER__REQUEST_TIMEOUT",
        "ASHLAR_DATABASE__ACQUIRE_TIMEOUT",
        "ASHLAR_DATABASE__STATEMENT_TIMEOUT",
        "ASHLAR_DATABASE__POOL_SIZE",
    ] {
        installation.unset(name);
    }
    installation
}

pub(crate) async fn signup(server: &Process) -> Account {
    let body = json!({"email": unique("user") + "@example.com", "password": PASSWORD, "name": "Ada"});
    Account::from(&server.post("/api/v1/auth/signup").json(&body).await.expect(201).json())
}

async fn unchanged(_: &mut Installation, _: &TestDatabase) {}

/// The primary does not respond; the connections to it were used before.
pub async fn primary_silent() -> Option<Finding> {
    let site = Site::on_postgres(unchanged).await?;
    Answers::to((0..6).map(|_| site.read(&site.ada)).collect()).await;
    site.proxy.set_mode(Mode::Stalled);
    let requests =
        (0..6).map(|_| site.read(&site.ada)).chain((0..2).map(|_| site.write(&site.ada))).collect();
    let (asked, others) = tokio::join!(Answers::to(requests), Answers::to(vec![site.live()]));
    site.proxy.set_mode(Mode::Forward);
    let recovered = site.recovers(|| site.read(&site.ada)).await;
    Some(Finding { situation: "the primary does not respond", asked, others, recovered })
}

/// The server receives SIGTERM while the primary does not respond. Returns the responses, its exit status, and the time until it ended.
pub async fn stop_while_primary_silent() -> Option<(Answers, ExitStatus, Duration)> {
    let mut site = Site::on_postgres(unchanged).await?;
    site.proxy.set_mode(Mode::Stalled);
    let (requests, live) = ((0..3).map(|_| site.read(&site.ada)).collect(), site.live());
    let stop = async {
        // The other requests were sent before this response.
        live.await;
        let stopwatch = Stopwatch::start();
        site.server.terminate();
        (site.server.wait().await, stopwatch.elapsed())
    };
    let (asked, (status, time)) = tokio::join!(Answers::to(requests), stop);
    Some((asked, status, time))
}

/// The only replica does not respond.
pub async fn replica_silent() -> Option<Finding> {
    let mut proxy = None;
    let site = Site::on_postgres(async |installation: &mut Installation, database: &TestDatabase| {
        let (to_replica, url) = Proxy::to_database(database.url()).await;
        installation.set("ASHLAR_DATABASE__REPLICA_URLS", &url);
        proxy = Some(to_replica);
    })
    .await?;
    let proxy = proxy?;
    Answers::to((0..6).map(|_| site.read_replica(&site.ada)).collect()).await;
    proxy.set_mode(Mode::Stalled);
    let asked = Answers::to((0..8).map(|_| site.read_replica(&site.ada)).collect()).await;
    let state = async || site.server.get("/health/ready").await.json()["dependencies"]["replicas"].clone();
    eventually("the replica is excluded", async || (state().await == "degraded").then_some(())).await;
    let others = Answers::to((0..8).map(|_| site.read_replica(&site.bob)).collect()).await;
    proxy.set_mode(Mode::Forward);
    let stopwatch = Stopwatch::start();
    eventually("the replica is in use again", async || (state().await == "ok").then_some(())).await;
    let recovered = stopwatch.elapsed();
    let situation = "the replica does not respond (others: after it is excluded)";
    Some(Finding { situation, asked, others, recovered })
}

/// The response to a `COMMIT` is lost.
pub async fn commit_unanswered() -> Option<Finding> {
    let site = Site::on_postgres(unchanged).await?;
    site.proxy.set_mode(Mode::DropResponsesAfterCommit);
    let (asked, others) =
        tokio::join!(Answers::to(vec![site.write(&site.ada)]), Answers::to(vec![site.live()]));
    site.proxy.set_mode(Mode::Forward);
    let recovered = site.recovers(|| site.write(&site.ada)).await;
    Some(Finding { situation: "the response to a commit is lost", asked, others, recovered })
}

/// The primary refuses connections.
pub async fn primary_refuses() -> Option<Finding> {
    let mut site = Site::on_postgres(unchanged).await?;
    site.proxy.close().await;
    let requests = (0..4).map(|_| site.read(&site.ada)).chain([site.write(&site.ada)]).collect();
    let (asked, others) = tokio::join!(Answers::to(requests), Answers::to(vec![site.live()]));
    site.proxy.listen().await;
    let recovered = site.recovers(|| site.read(&site.ada)).await;
    Some(Finding { situation: "the primary refuses connections", asked, others, recovered })
}

/// All connections to the primary are closed, as in a restart of it.
pub async fn primary_restarts() -> Option<Finding> {
    let site = Site::on_postgres(unchanged).await?;
    Answers::to((0..6).map(|_| site.read(&site.ada)).collect()).await;
    site.proxy.reset_connections();
    let asked =
        Answers::to((0..6).map(|_| site.read(&site.ada)).chain([site.write(&site.bob)]).collect()).await;
    let others = Answers::to(vec![site.live()]).await;
    let recovered = site.recovers(|| site.read(&site.ada)).await;
    Some(Finding { situation: "the primary was restarted", asked, others, recovered })
}

/// Another transaction holds a lock on a whole table.
pub async fn table_locked() -> Option<Finding> {
    let site = Site::on_postgres(unchanged).await?;
    let lock = site.transaction_with("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await;
    let requests =
        (0..6).map(|_| site.read(&site.ada)).chain((0..2).map(|_| site.write(&site.ada))).collect();
    let (asked, others) = tokio::join!(Answers::to(requests), Answers::to(vec![site.live()]));
    lock.rollback().await.unwrap();
    let recovered = site.recovers(|| site.read(&site.ada)).await;
    Some(Finding { situation: "a table is locked", asked, others, recovered })
}

/// Another transaction holds a lock on one row, and more requests change this row than there are connections.
pub async fn row_locked() -> Option<Finding> {
    let site = Site::on_postgres(unchanged).await?;
    let lock =
        site.transaction_with(&format!("SELECT 1 FROM users WHERE id = '{}' FOR UPDATE", site.ada.id)).await;
    let patches = Answers::to((0..12).map(|_| site.write(&site.ada)).collect());
    let reads = async {
        // Reads start once the writers use all connections that they may use.
        let waiting =
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let direct = site.direct_connection().await;
        eventually("the writers wait", async || {
            let rows = direct.query_all_raw(statement(waiting)).await.unwrap();
            (rows.len() >= 4).then_some(())
        })
        .await;
        Answers::to((0..6).map(|_| site.read(&site.bob)).collect()).await
    };
    let (asked, others) = tokio::join!(patches, reads);
    lock.rollback().await.unwrap();
    let recovered = site.recovers(|| site.write(&site.ada)).await;
    let situation = "one row is locked, and 12 requests want to change it (others: another user's reads)";
    Some(Finding { situation, asked, others, recovered })
}

/// The operator has set a `lock_timeout` in the URL.
pub async fn operators_limit() -> Option<Finding> {
    let site = Site::on_postgres(async |installation: &mut Installation, database: &TestDatabase| {
        // Not through the proxy, which this situation does not need.
        let separator = if database.url().contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}options[lock_timeout]=200", database.url());
        installation.set("ASHLAR_DATABASE__URL", &url);
    })
    .await?;
    let lock =
        site.transaction_with(&format!("SELECT 1 FROM users WHERE id = '{}' FOR UPDATE", site.ada.id)).await;
    let (asked, others) =
        tokio::join!(Answers::to(vec![site.write(&site.ada)]), Answers::to(vec![site.read(&site.bob)]));
    lock.rollback().await.unwrap();
    let recovered = site.recovers(|| site.write(&site.ada)).await;
    Some(Finding {
        situation: "a row is locked, and the operator's own lock_timeout is 0.2 s",
        asked,
        others,
        recovered,
    })
}

/// Another process holds the only write lock of SQLite.
pub async fn file_locked() -> Finding {
    let installation = {
        let mut installation = installation("");
        installation.unset("ASHLAR_DATABASE__URL");
        installation
    };
    let server = installation.start().await;
    let (ada, bob) = (signup(&server).await, signup(&server).await);
    let file = installation.folder().join("data/ashlar.sqlite");
    let other = Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    let lock = other.begin_with_options(immediate()).await.unwrap();
    let write =
        || server.patch("/api/v1/users/me").bearer(&ada.token).json(&json!({"name": unique("Name ")}));
    let read = || server.get("/api/v1/users/me").bearer(&bob.token);
    let (asked, others) = tokio::join!(
        Answers::to((0..3).map(|_| write()).collect()),
        Answers::to((0..6).map(|_| read()).collect())
    );
    lock.rollback().await.unwrap();
    let stopwatch = Stopwatch::start();
    eventually("it works again", async || (write().await.status == 200).then_some(())).await;
    let situation = "SQLite: another process holds the write lock (others: reads)";
    Finding { situation, asked, others, recovered: stopwatch.elapsed() }
}

fn statement(sql: &str) -> sea_orm::Statement {
    sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql)
}

fn immediate() -> sea_orm::TransactionOptions {
    sea_orm::TransactionOptions {
        sqlite_transaction_mode: Some(sea_orm::SqliteTransactionMode::Immediate),
        ..sea_orm::TransactionOptions::default()
    }
}

/// Produces all situations, in the order of the table.
pub async fn all() -> Vec<Finding> {
    let on_postgres = [
        primary_silent().await,
        replica_silent().await,
        commit_unanswered().await,
        primary_refuses().await,
        primary_restarts().await,
        table_locked().await,
        row_locked().await,
        operators_limit().await,
    ];
    let mut findings: Vec<_> = on_postgres.into_iter().flatten().collect();
    findings.push(file_locked().await);
    findings
}
