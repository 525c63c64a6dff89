//! Limits on connections: their number, duration and memory.

use futures_util::future::join_all;
use tests::process::{Installation, Process, Signal};
use tests::{Raw, TestServer, eventually};
use tokio::time::timeout;

const REDOC: &str = "/redoc/redoc.standalone.js";
const KIB: u64 = 1024;

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: ashlar.test\r\n\r\n")
}

async fn connect(process: &Process, count: usize) -> Vec<Raw> {
    join_all((0..count).map(|_| Raw::connect(process.address))).await
}

/// Sends until the server stops reading.
async fn send_until_full(raw: &mut Raw, bytes: &[u8], most: usize) -> usize {
    let mut sent = 0;
    while sent < most
        && timeout(std::time::Duration::from_secs(1), raw.try_send(bytes)).await.is_ok_and(|taken| taken)
    {
        sent += bytes.len();
    }
    sent
}

#[tokio::test]
async fn clients_that_read_nothing_use_little_memory_for_a_limited_time() {
    const COUNT: usize = 100;
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_SERVER__WRITE_TIMEOUT", "2");
    let process = installation.start().await;
    let size = process.get(REDOC).await.expect(200).body.len();
    assert!(size > 500_000, "{size}");
    let (memory, files) = (process.memory(), process.open_files());

    let mut clients = connect(&process, COUNT).await;
    let requests = get(REDOC).repeat(4);
    for client in &mut clients {
        client.send(&requests).await;
    }
    eventually("all are connected", async || (process.open_files() >= files + COUNT).then_some(())).await;
    process.get("/health").await.expect(200);
    let grown = process.memory().saturating_sub(memory);
    assert!(grown < u64::try_from(COUNT).unwrap() * 192 * KIB, "{} KiB", grown / KIB);
    eventually("they are closed", async || (process.open_files() < files + COUNT / 10).then_some(())).await;
    drop(clients);
    process.stop().await;
}

#[tokio::test]
async fn pipelined_requests_without_a_reader_are_not_buffered() {
    const COUNT: usize = 8;
    let installation = Installation::new().await;
    let process = installation.start().await;
    let tag = process.get("/openapi.json").await.expect(200).header("etag").unwrap().to_owned();
    let memory = process.memory();
    // Small responses, empty ones, and ones that query the database.
    for request in [
        get("/health"),
        format!("GET /openapi.json HTTP/1.1\r\nhost: x\r\nif-none-match: {tag}\r\n\r\n"),
        get("/health/ready"),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
    ] {
        let mut clients = connect(&process, COUNT).await;
        let requests = request.repeat(2_000);
        let most = 256 << 20;
        let all = clients.iter_mut().map(|client| send_until_full(client, requests.as_bytes(), most));
        let sent = join_all(all).await;
        assert!(sent.iter().all(|sent| *sent < most), "{request:?}: {sent:?}");
        let grown = process.memory().saturating_sub(memory);
        assert!(grown < 16 * KIB * KIB, "{request:?}: {} KiB", grown / KIB);
    }
    process.get("/health").await.expect(200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start().await;
    let mut raw = Raw::connect(server.addresses().api).await;
    let paths = ["/health", "/nothing", "/openapi.json", "/health/live"];
    raw.send(paths.map(get).concat().repeat(10)).await;
    let chunked = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                   transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let known = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
                 content-length: 4\r\n\r\n{\n\n}";
    raw.send([chunked, known, chunked, known, &get("/health")].concat()).await;
    for (path, status) in paths.into_iter().zip([200, 404, 200, 200]).cycle().take(40) {
        raw.answer("GET", path).await.expect(status);
    }
    for _ in 0..4 {
        raw.answer("POST", "/api/v1/auth/login").await.expect(422);
    }
    raw.answer("GET", "/health").await.expect(200);
}

#[tokio::test]
async fn each_head_has_a_time_limit() {
    let server = TestServer::with_variables(&[("ASHLAR_SERVER__CLIENT_TIMEOUT", "1")]).await;
    let mut raw = Raw::connect(server.addresses().api).await;
    raw.send(get("/health")).await;
    raw.answer("GET", "/health").await.expect(200);
    raw.send("GET /health HTT").await;
    assert!(raw.until_closed().await.is_empty());
}

/// The handler does not read a chunked body, and the time limit for the next head applies nevertheless.
#[tokio::test]
async fn a_head_after_an_unread_body_has_a_time_limit() {
    let server = TestServer::with_variables(&[("ASHLAR_SERVER__CLIENT_TIMEOUT", "1")]).await;
    for next in ["", "GET /health HTT"] {
        let mut raw = Raw::connect(server.addresses().api).await;
        let chunked = "GET /health/ready HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
        raw.send(chunked).await;
        raw.answer("GET", "/health/ready").await.expect(200);
        raw.try_send(next.as_bytes()).await;
        assert!(raw.until_closed().await.is_empty(), "{next}");
    }
}

#[tokio::test]
async fn connections_of_one_address_are_limited() {
    let server = TestServer::with_variables(&[("ASHLAR_SERVER__CONNECTIONS_PER_ADDRESS", "4")]).await;
    let address = server.addresses().api;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut raw = Raw::connect(address).await;
        raw.send(get("/health")).await;
        raw.answer("GET", "/health").await.expect(200);
        clients.push(raw);
    }
    // It replaces the connection that is idle longest.
    let mut fifth = Raw::connect(address).await;
    fifth.send(get("/health")).await;
    fifth.answer("GET", "/health").await.expect(200);
    assert!(clients[0].until_closed().await.is_empty());
    // Connections with an active request are not closed.
    let begin = "POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
                 expect: 100-continue\r\n\r\n";
    clients.remove(0);
    clients.push(fifth);
    for raw in &mut clients {
        raw.send(begin).await;
        // Until then the server considers it idle, and could close it.
        assert!(raw.until_closed_or(b"\r\n\r\n").await.starts_with(b"HTTP/1.1 100 "));
    }
    eventually("the next one is refused", async || {
        let mut next = Raw::connect(address).await;
        next.try_send(get("/health").as_bytes()).await;
        next.until_closed_or(b"\r\n\r\n").await.is_empty().then_some(())
    })
    .await;
    for raw in &mut clients {
        raw.send("{}").await;
        raw.answer("POST", "/api/v1/auth/login").await.expect(422);
    }
}

#[tokio::test]
async fn little_is_read_after_a_rejected_request() {
    let server = TestServer::start().await;
    for length in ["content-length: 4294967296", "transfer-encoding: chunked"] {
        let mut raw = Raw::connect(server.addresses().api).await;
        raw.send(format!("POST /nothing HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n")).await;
        let chunk = format!("100000\r\n{}\r\n", "x".repeat(0x10_0000));
        let mut taken = 0;
        while taken < 1024 && raw.try_send(chunk.as_bytes()).await {
            taken += 1;
        }
        // The buffers of the operating system are additional.
        assert!(taken < 64, "{length}: {taken} MiB");
    }
}

#[tokio::test]
async fn a_stop_answers_received_requests() {
    const COUNT: usize = 64;
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let installation = Installation::new().await;
        let mut process = installation.start().await;
        let mut clients = connect(&process, COUNT).await;
        for raw in &mut clients[..COUNT / 2] {
            raw.send(get("/health")).await;
            raw.answer("GET", "/health").await.expect(200);
        }
        // Half of the connections were used before, half are new; the server may not have read from either yet.
        for raw in &mut clients {
            raw.send(get("/openapi.json")).await;
        }
        process.signal(signal);
        for raw in &mut clients {
            raw.answer("GET", "/openapi.json").await.expect(200);
        }
        assert_eq!(process.wait().await.code(), Some(0), "{}", process.log());
        assert!(process.log().contains("stopping"), "{}", process.log());
    }
}

#[tokio::test]
async fn a_stop_is_announced_before_it_takes_effect() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_SERVER__DRAIN_DELAY", "3");
    let mut process = installation.start().await;
    let mut kept = Raw::connect(process.address).await;
    kept.send(get("/health")).await;
    assert_eq!(kept.answer("GET", "/health").await.header("connection"), None);
    process.terminate();
    eventually("readiness is red", async || {
        // A new connection for each request, because the response closes it.
        let mut raw = Raw::connect(process.address).await;
        raw.send(get("/health/ready")).await;
        let answer = raw.answer("GET", "/health/ready").await;
        (answer.status == 503).then(|| assert_eq!(answer.header("connection"), Some("close")))
    })
    .await;
    kept.send(get("/health")).await;
    let answer = kept.answer("GET", "/health").await.expect(200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(kept.until_closed().await.is_empty());
    assert_eq!(process.wait().await.code(), Some(0), "{}", process.log());
}
