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
use crate::proxy::{Proxy, Way};
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
    pub all_say_when: bool,
}

impl Answers {
    pub(crate) async fn to(requests: Vec<Request>) -> Self {
        let answers = join_all(requests.into_iter().map(timed)).await;
        let mut statuses = BTreeMap::new();
        for (answer, _) in &answers {
            *statuses.entry(answer.status).or_default() += 1;
        }
        let says_when = |answer: &Answer| answer.status != 503 || answer.header("retry-after").is_some();
        Self {
            slowest: answers.iter().map(|(_, time)| *time).max().unwrap_or_default(),
            statuses,
            all_say_when: answers.iter().all(|(answer, _)| says_when(answer)),
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
    pub way: Proxy,
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
        let (way, url) = Proxy::to_database(database.url()).await;
        let mut installation = installation(&url);
        change(&mut installation, &database).await;
        let server = installation.start().await;
        let (ada, bob) = (signup(&server).await, signup(&server).await);
        Some(Self { server, database, way, ada, bob })
    }

    fn read(&self, account: &Account) -> Request {
        self.server.get("/api/v1/users/me").bearer(&account.token)
    }

    fn write(&self, account: &Account) -> Request {
        self.server.patch("/api/v1/users/me").bearer(&account.token).json(&json!({"name": unique("Name ")}))
    }

    fn live(&self) -> Request {
        self.server.get("/health/live")
    }

    /// Another connection to the same database, past the broken way.
    async fn beside(&self) -> DatabaseConnection {
        Database::connect(self.database.url()).await.unwrap()
    }

    /// A transaction beside the server's, which did this.
    async fn holding(&self, sql: &str) -> DatabaseTransaction {
        let transaction = self.beside().await.begin().await.unwrap();
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
    // What an operator has who sets nothing.
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

async fn plain(_: &mut Installation, _: &TestDatabase) {}

/// Nothing comes back from the primary; the connections to it are warm.
pub async fn primary_silent() -> Option<Finding> {
    let site = Site::on_postgres(plain).await?;
    Answers::to((0..6).map(|_| site.read(&site.ada)).collect()).await;
    site.way.set(Way::Silent);
    let requests =
        (0..6).map(|_| site.read(&site.ada)).chain((0..2).map(|_| site.write(&site.ada))).collect();
    let (asked, others) = tokio::join!(Answers::to(requests), Answers::to(vec![site.live()]));
    site.way.set(Way::Open);
    let recovered = site.recovers(|| site.read(&site.ada)).await;
    Some(Finding { situation: "nothing comes back from the primary", asked, others, recovered })
}

/// The same, and meanwhile it is told to stop: what was asked of it, how it ended, and after how long.
pub async fn stop_while_primary_silent() -> Option<(Answers, ExitStatus, Duration)> {
    let mut site = Site::on_postgres(plain).await?;
    site.way.set(Way::Silent);
    let (requests, live) = ((0..3).map(|_| site.read(&site.ada)).collect(), site.live());
    let stop = async {
        // The others were sent before.
        live.await;
        let stopwatch = Stopwatch::start();
        site.server.terminate();
        (site.server.ended().await, stopwatch.elapsed())
    };
    let (asked, (status, time)) = tokio::join!(Answers::to(requests), stop);
    Some((asked, status, time))
}

/// Nothing comes back from the only replica.
pub async fn replica_silent() -> Option<Finding> {
    let mut way = None;
    let site = Site::on_postgres(async |installation: &mut Installation, database: &TestDatabase| {
        let (proxy, url) = Proxy::to_database(database.url()).await;
        installation.set("ASHLAR_DATABASE__REPLICA_URLS", &url);
        way = Some(proxy);
    })
    .await?;
    let way = way?;
    Answers::to((0..6).map(|_| site.read(&site.ada)).collect()).await;
    way.set(Way::Silent);
    let asked = Answers::to((0..8).map(|_| site.read(&site.ada)).collect()).await;
    let state = async || site.server.get("/health/ready").await.json()["dependencies"]["replicas"].clone();
    eventually("the replica is left out", async || (state().await == "degraded").then_some(())).await;
    let others = Answers::to((0..8).map(|_| site.read(&site.bob)).collect()).await;
    way.set(Way::Open);
    let stopwatch = Stopwatch::start();
    eventually("the replica is in use again", async || (state().await == "ok").then_some(())).await;
    let recovered = stopwatch.elapsed();
    let situation = "nothing comes back from the replica (others: once it is left out)";
    Some(Finding { situation, asked, others, recovered })
}

/// The answer to a `COMMIT` is lost.
pub async fn commit_unanswered() -> Option<Finding> {
    let site = Site::on_postgres(plain).await?;
    site.way.set(Way::DeafFromCommit);
    let (asked, others) =
        tokio::join!(Answers::to(vec![site.write(&site.ada)]), Answers::to(vec![site.live()]));
    site.way.set(Way::Open);
    let recovered = site.recovers(|| site.write(&site.ada)).await;
    Some(Finding { situation: "the answer to a commit is lost", asked, others, recovered })
}

/// The server behind the address is gone: connections are refused.
pub async fn primary_refuses() -> Option<Finding> {
    let mut site = Site::on_postgres(plain).await?;
    site.way.shut().await;
    let requests = (0..4).map(|_| site.read(&site.ada)).chain([site.write(&site.ada)]).collect();
    let (asked, others) = tokio::join!(Answers::to(requests), Answers::to(vec![site.live()]));
    site.way.open().await;
    let recovered = site.recovers(|| site.read(&site.ada)).await;
    Some(Finding { situation: "the primary refuses connections", asked, others, recovered })
}

/// All connections to the primary end, as in a restart of it.
pub async fn primary_restarts() -> Option<Finding> {
    let site = Site::on_postgres(plain).await?;
    Answers::to((0..6).map(|_| site.read(&site.ada)).collect()).await;
    site.way.reset();
    let asked =
        Answers::to((0..6).map(|_| site.read(&site.ada)).chain([site.write(&site.bob)]).collect()).await;
    let others = Answers::to(vec![site.live()]).await;
    let recovered = site.recovers(|| site.read(&site.ada)).await;
    Some(Finding { situation: "the primary was restarted", asked, others, recovered })
}

/// Somebody holds a lock on a whole table.
pub async fn table_locked() -> Option<Finding> {
    let site = Site::on_postgres(plain).await?;
    let lock = site.holding("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await;
    let requests =
        (0..6).map(|_| site.read(&site.ada)).chain((0..2).map(|_| site.write(&site.ada))).collect();
    let (asked, others) = tokio::join!(Answers::to(requests), Answers::to(vec![site.live()]));
    lock.rollback().await.unwrap();
    let recovered = site.recovers(|| site.read(&site.ada)).await;
    Some(Finding { situation: "a table is locked", asked, others, recovered })
}

/// Somebody holds a lock on one row, and more requests want to change it than there are connections.
pub async fn row_locked() -> Option<Finding> {
    let site = Site::on_postgres(plain).await?;
    let lock = site.holding(&format!("SELECT 1 FROM users WHERE id = '{}' FOR UPDATE", site.ada.id)).await;
    let patches = Answers::to((0..12).map(|_| site.write(&site.ada)).collect());
    let reads = async {
        // Once all connections that writers may have are theirs.
        let waiting =
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let beside = site.beside().await;
        eventually("the writers wait", async || {
            let rows = beside.query_all_raw(statement(waiting)).await.unwrap();
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

/// The operator has set a limit of their own.
pub async fn operators_limit() -> Option<Finding> {
    let site = Site::on_postgres(async |installation: &mut Installation, database: &TestDatabase| {
        // Past the way, which this does not need.
        let separator = if database.url().contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}options[lock_timeout]=200", database.url());
        installation.set("ASHLAR_DATABASE__URL", &url);
    })
    .await?;
    let lock = site.holding(&format!("SELECT 1 FROM users WHERE id = '{}' FOR UPDATE", site.ada.id)).await;
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

/// Another process holds SQLite's only write lock.
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

/// All of them, in the order of the table.
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
