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

/// The largest file that the server has in itself.
const BUNDLE: &str = "/redoc/redoc.standalone.js";

/// How many connections an address makes: fewer than `server.connections_per_address` allows.
const PER_ADDRESS: usize = 500;

/// How many connections may be left when the others are gone: those that the ordinary client keeps.
const KEPT: usize = 64;

/// How long after the load its memory is read again. The allocator gives back what it gives back before that.
const REST: Duration = Duration::from_secs(5);

/// How many sign-ins are measured, one after the other.
const LOGINS: usize = 3;

/// The result of one situation.
#[derive(Debug)]
pub struct Cost {
    /// The situation in words.
    situation: &'static str,
    /// How many of those requests were answered how, by status. Empty where nobody reads.
    answers: BTreeMap<u16, usize>,
    /// Connections to the server while it lasted.
    connections: usize,
    /// Resident memory before, in bytes; somebody had signed in already.
    before: u64,
    /// The same while it lasted.
    during: u64,
    /// The most there was meanwhile.
    peak: u64,
    /// The same afterwards.
    after: u64,
    /// The sign-ins of somebody else meanwhile.
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

/// A server that has nothing to do yet, and somebody who has an account there.
struct Site {
    server: Process,
    email: String,
    before: u64,
    open_files: usize,
}

impl Site {
    async fn quiet(binary: &Path) -> Self {
        let server = installation(binary).start().await;
        let email = unique("user") + "@example.com";
        let site = Self { server, email, before: 0, open_files: 0 };
        site.signup(&site.email, PASSWORD).await.expect(201);
        // Each thread that hashes passwords keeps the memory of a hash from its first one on.
        join_all((0..8).map(|_| site.login())).await;
        tokio::time::sleep(REST).await;
        site.server.forget_peak();
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

    /// Waits until nearly all are: for a new connection, one that is idle may have been closed.
    async fn is_connected(&self, count: usize) {
        let wanted = count - count / 10;
        eventually("all are connected", async || (self.connections() >= wanted).then_some(())).await;
    }

    /// What it costs while the load lasts, which `end` ends.
    async fn cost(self, situation: &'static str, end: impl Future<Output = BTreeMap<u16, usize>>) -> Cost {
        let logins = self.logins().await;
        let (during, connections) = (self.server.memory(), self.connections());
        let answers = end.await;
        eventually("nobody is connected", async || (self.connections() < KEPT).then_some(())).await;
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

/// From as many addresses as it takes; not from 127.0.0.1, where the ordinary client is.
async fn connect(address: SocketAddr, count: usize) -> Vec<Raw> {
    let source = |index: usize| Ipv4Addr::new(127, 0, 1, u8::try_from(1 + index / PER_ADDRESS).unwrap());
    join_all((0..count).map(|index| Raw::connect_from(source(index), address))).await
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: ashlar.test\r\n\r\n")
}

/// Ends the load by going away, when it is polled.
#[expect(clippy::unused_async, reason = "the clients go when it is polled, not when it is made")]
async fn dropped(clients: Vec<Raw>) -> BTreeMap<u16, usize> {
    drop(clients);
    BTreeMap::new()
}

/// Nobody but the one who signs in.
async fn nothing(binary: &Path) -> Cost {
    Site::quiet(binary).await.cost("nothing else", dropped(Vec::new())).await
}

/// Connections that send these requests to the API, and read nothing.
async fn unread(binary: &Path, situation: &'static str, count: usize, requests: &str) -> Cost {
    let site = Site::quiet(binary).await;
    let mut clients = connect(site.server.address, count).await;
    for client in &mut clients {
        client.send(requests).await;
    }
    site.is_connected(count).await;
    site.cost(situation, dropped(clients)).await
}

// domain: upload
/// Connections to the embedded object store that send nothing.
async fn idle_at_the_store(binary: &Path) -> Cost {
    const COUNT: usize = 1_100;
    let site = Site::quiet(binary).await;
    let port = url::Url::parse(&site.server.also["Objects"]).unwrap().port_or_known_default().unwrap();
    let clients = connect((Ipv4Addr::LOCALHOST, port).into(), COUNT).await;
    // More than the store takes: new ones get the places of idle ones, so not all of them stay.
    site.is_connected(COUNT / 2).await;
    site.cost("1,100 idle connections to the embedded object store", dropped(clients)).await
}
// end: upload

/// Requests with passwords that are as long, and as expensive to judge, as passwords can be.
async fn passwords(
    binary: &Path,
    situation: &'static str,
    request: fn(&Site, &str, &str) -> Request,
) -> Cost {
    const COUNT: usize = 40;
    let site = Site::quiet(binary).await;
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

/// A password of 128 characters, the longest that is taken, out of those that an estimate can read in the most ways.
pub fn expensive_password(seed: usize) -> String {
    let signs: Vec<char> = "4@8({[<3691!|170$5+7%2".chars().collect();
    (0..128).map(|index| signs[(index * 7 + index / 22 + seed) % signs.len()]).collect()
}

/// As many files as this process may have: each connection is one.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

/// The rows of the table: all situations, on this binary.
pub async fn table(binary: &Path) -> Vec<String> {
    raise_file_limit();
    let mut rows = Vec::new();
    let mut add = |cost: Cost| rows.push(cost.to_string());
    add(nothing(binary).await);
    let situation = "2,500 connections that ask for `/openapi.json` and read nothing";
    add(unread(binary, situation, 2_500, &get("/openapi.json")).await);
    let situation = "500 connections that ask four times for Redoc's bundle and read nothing";
    add(unread(binary, situation, 500, &get(BUNDLE).repeat(4)).await);
    let situation = "40 logins at once with the longest passwords";
    add(passwords(binary, situation, Site::login_as).await);
    let situation = "40 sign-ups at once with passwords that are expensive to judge";
    add(passwords(binary, situation, Site::signup).await);
    rows.push(idle_at_the_store(binary).await.to_string() + " <!-- domain: upload -->"); // domain: upload
    rows
}
