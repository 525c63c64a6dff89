//! Load by many concurrent clients: memory of the server, and the time of another user's login. Each situation runs on an
//! installation of its own, with default limits, and results in a [`Cost`], which
//! `cargo xtask load` writes into a table.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use shared_kernel::clock::Stopwatch;
use tokio::task::JoinSet;

use crate::process::{Installation, Process};
use crate::{PASSWORD, Raw, Request, eventually, unique};

/// The largest file that is embedded in the server.
const BUNDLE: &str = "/redoc/redoc.standalone.js";

/// Number of connections from each address: fewer than `server.connections_per_address` allows.
const PER_ADDRESS: usize = 500;

/// Number of connections that may remain after the load: those that the ordinary client keeps open.
const REMAINING: usize = 64;

/// Time from the end of the load until memory is measured again. The allocator returns memory to the system before that.
const REST: Duration = Duration::from_secs(5);

/// Number of sign-ins that are measured, one after the other.
const LOGINS: usize = 3;

/// The result of one situation.
#[derive(Debug)]
pub struct Cost {
    /// Description of the situation.
    situation: &'static str,
    /// Number of responses by status. Empty if the clients do not read.
    answers: BTreeMap<u16, usize>,
    /// Connections to the server during the load.
    connections: usize,
    /// Resident memory before the load, in bytes, after a first sign-in.
    before: u64,
    /// Resident memory during the load.
    during: u64,
    /// Peak resident memory.
    peak: u64,
    /// Resident memory after the load.
    after: u64,
    /// The sign-ins of another user during the load.
    logins: Logins,
}

/// A few sign-ins, one after the other.
#[derive(Debug, Default)]
struct Logins {
    slowest: Duration,
    refused: usize,
}

impl fmt::Display for Cost {
    /// A row of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { situation, answers, connections, before, during, peak, after, logins } = self;
        let answers: Vec<_> = answers.iter().map(|(status, count)| format!("{count} x {status}")).collect();
        let answers = if answers.is_empty() { "-".to_owned() } else { answers.join(", ") };
        let [before, during, peak, after] =
            [before, during, peak, after].map(|bytes| bytes.div_ceil(1 << 20));
        write!(
            f,
            "| {situation} | {answers} | {connections} | {before} | {during} | {peak} | {after} | {logins} |"
        )
    }
}

impl fmt::Display for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} s", self.slowest.as_secs_f64())?;
        if self.refused > 0 { write!(f, ", {} of {LOGINS} refused", self.refused) } else { Ok(()) }
    }
}

/// An idle server, and an account on it.
struct Site {
    server: Process,
    /// Its folder is removed when this is dropped.
    _installation: Installation,
    email: String,
    before: u64,
    open_files: usize,
}

impl Site {
    async fn idle(binary: &Path) -> Self {
        let installation = installation(binary);
        let server = installation.start().await;
        let email = unique("user") + "@example.com";
        let site = Self { server, _installation: installation, email, before: 0, open_files: 0 };
        site.signup(&site.email, PASSWORD).await.expect(201);
        // Each thread that hashes passwords retains the memory of its first hash.
        join_all((0..8).map(|_| site.login())).await;
        tokio::time::sleep(REST).await;
        site.server.reset_peak_memory();
        Self { before: site.server.memory(), open_files: site.server.open_files(), ..site }
    }

    fn signup(&self, email: &str, password: &str) -> Request {
        let body = json!({"email": email, "password": password, "name": "Ada"});
        self.server.post("/api/v1/auth/signup").json(&body)
    }

    fn login_as(&self, email: &str, password: &str) -> Request {
        let body = json!({"identifier": email, "password": password});
        self.server.post("/api/v1/auth/login").json(&body)
    }

    async fn login(&self) -> (u16, Duration) {
        let stopwatch = Stopwatch::start();
        let answer = self.login_as(&self.email, PASSWORD).await;
        (answer.status, stopwatch.elapsed())
    }

    async fn logins(&self) -> Logins {
        let mut logins = Logins::default();
        for _ in 0..LOGINS {
            let (status, time) = self.login().await;
            logins.slowest = logins.slowest.max(time);
            logins.refused += usize::from(status != 200);
        }
        logins
    }

    fn connections(&self) -> usize {
        self.server.open_files().saturating_sub(self.open_files)
    }

    /// Waits until nearly all are connected: the server may have closed an idle connection for a new one.
    async fn wait_connected(&self, count: usize) {
        let wanted = count - count / 10;
        eventually("all are connected", async || (self.connections() >= wanted).then_some(())).await;
    }

    /// Measures the cost during the load, which `end` ends.
    async fn cost(self, situation: &'static str, end: impl Future<Output = BTreeMap<u16, usize>>) -> Cost {
        let logins = self.logins().await;
        let (during, connections) = (self.server.memory(), self.connections());
        let answers = end.await;
        eventually("nobody is connected", async || (self.connections() < REMAINING).then_some(())).await;
        tokio::time::sleep(REST).await;
        let (peak, after) = (self.server.peak_memory(), self.server.memory());
        let cost = Cost { situation, answers, connections, before: self.before, during, peak, after, logins };
        self.server.stop().await;
        cost
    }
}

fn installation(binary: &Path) -> Installation {
    let mut installation = Installation::without_database();
    installation.use_binary(binary);
    installation.use_default_settings();
    installation
}

/// Connects from as many addresses as needed; not from 127.0.0.1, which the ordinary client uses.
async fn connect(address: SocketAddr, count: usize) -> Vec<Raw> {
    let source = |index: usize| Ipv4Addr::new(127, 0, 1, u8::try_from(1 + index / PER_ADDRESS).unwrap());
    join_all((0..count).map(|index| Raw::connect_from(source(index), address))).await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: ashlar.test\r\n\r\n")
}

/// Ends the load by closing the connections, when it is polled.
#[expect(
    clippy::unused_async,
    reason = "the connections are closed when the future is polled, not when it is created"
)]
async fn dropped(clients: Vec<Raw>) -> BTreeMap<u16, usize> {
    drop(clients);
    BTreeMap::new()
}

/// Only the user who signs in.
async fn nothing(binary: &Path) -> Cost {
    Site::idle(binary).await.cost("nothing else", dropped(Vec::new())).await
}

/// Connections that send these requests to the API, and read nothing.
async fn unread(binary: &Path, situation: &'static str, count: usize, requests: &str) -> Cost {
    let site = Site::idle(binary).await;
    let mut clients = connect(site.server.address, count).await;
    for client in &mut clients {
        client.send(requests).await;
    }
    site.wait_connected(count).await;
    site.cost(situation, dropped(clients)).await
}

// domain: upload
/// Connections to the embedded object store that send nothing.
async fn idle_at_the_store(binary: &Path) -> Cost {
    const COUNT: usize = 1_100;
    let site = Site::idle(binary).await;
    let port = url::Url::parse(&site.server.endpoints["Objects"]).unwrap().port_or_known_default().unwrap();
    let clients = connect((Ipv4Addr::LOCALHOST, port).into(), COUNT).await;
    // More than the store accepts: new connections replace idle ones, so not all of them stay open.
    site.wait_connected(COUNT / 2).await;
    site.cost("1,100 idle connections to the embedded object store", dropped(clients)).await
}
// end: upload

/// Requests with the longest passwords, which are the most expensive to estimate.
async fn passwords(
    binary: &Path,
    situation: &'static str,
    request: fn(&Site, &str, &str) -> Request,
) -> Cost {
    const COUNT: usize = 40;
    let site = Site::idle(binary).await;
    let mut flood = JoinSet::new();
    for number in 0..COUNT {
        let request = request(&site, &(unique("flood") + "@example.com"), &expensive_password(number));
        flood.spawn(async move { request.await.status });
    }
    let answers = async move {
        let mut answers = BTreeMap::new();
        while let Some(status) = flood.join_next().await {
            *answers.entry(status.unwrap()).or_default() += 1;
        }
        answers
    };
    site.cost(situation, answers).await
}

/// A password of 128 characters, the greatest length, from the characters that have the most meanings for the estimate.
pub fn expensive_password(seed: usize) -> String {
    let signs: Vec<char> = "4@8({[<3691!|170$5+7%2".chars().collect();
    (0..128).map(|index| signs[(index * 7 + index / 22 + seed) % signs.len()]).collect()
}

/// Raises the limit of open files to its maximum: each connection needs one.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// Produces all situations with this binary, and returns the rows of the table.
pub async fn table(binary: &Path) -> Vec<String> {
    raise_file_limit();
    let mut rows = Vec::new();
    let mut add = |cost: Cost| rows.push(cost.to_string());
    add(nothing(binary).await);
    let situation = "2,500 connections that request `/openapi.json` and read nothing";
    add(unread(binary, situation, 2_500, &get("/openapi.json")).await);
    let situation = "500 connections that request the bundle of Redoc four times and read nothing";
    add(unread(binary, situation, 500, &get(BUNDLE).repeat(4)).await);
    let situation = "40 concurrent logins with the longest passwords";
    add(passwords(binary, situation, Site::login_as).await);
    let situation = "40 concurrent sign-ups with passwords that are expensive to estimate";
    add(passwords(binary, situation, Site::signup).await);
    rows.push(idle_at_the_store(binary).await.to_string() + " <!-- domain: upload -->"); // domain: upload
    rows
}
