//! What a request costs, in figures that do not depend on the machine: allocations of the server, and bytes of the answer. Whoever adds
//! to a hot request changes a number here, knowingly. The statements of requests are counted in `it/statements.rs`.
//!
//! A binary of its own, with nothing beside the one test: the allocator counts for the whole process. The log is not on, and costs
//! nothing here.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failing test")]

use std::alloc::System;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tests::server::{Account, TestServer};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Room for what differs from run to run: work in the background, and sizes of tables.
const ROOM: usize = 10;

/// A client that allocates nothing while it is measured.
struct Client {
    stream: TcpStream,
    buffer: Box<[u8]>,
}

impl Client {
    fn connect(server: &TestServer) -> Self {
        let stream = TcpStream::connect(server.addresses().api).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 64 * 1024].into() }
    }

    /// Sends a request, and returns the number of bytes of the answer.
    fn exchange(&mut self, request: &[u8]) -> usize {
        self.stream.write_all(request).unwrap();
        let mut received = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[received..]).unwrap();
            assert!(read > 0, "the server closed the connection");
            received += read;
            if self.is_complete(received) {
                return received;
            }
        }
    }

    /// Sends a refresh, puts the refresh token of the answer into the request, and returns the number of bytes of the answer.
    fn refresh(&mut self, request: &mut [u8]) -> usize {
        let received = self.exchange(request);
        let token = |bytes: &[u8]| {
            let name = b"\"refresh_token\":\"";
            let start = bytes.windows(name.len()).position(|part| part == name).unwrap() + name.len();
            start..start + bytes[start..].iter().position(|byte| *byte == b'"').unwrap()
        };
        let (old, new) = (token(request), token(&self.buffer[..received]));
        request[old].copy_from_slice(&self.buffer[new]);
        received
    }

    fn is_complete(&self, received: usize) -> bool {
        let text = std::str::from_utf8(&self.buffer[..received]).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        assert!(head.starts_with("HTTP/1.1 2"), "{text}");
        let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        body.len() == length.parse::<usize>().unwrap()
    }
}

/// Cost of one request.
#[derive(Debug)]
struct Cost {
    allocations: usize,
    bytes: usize,
}

/// The mean cost of `count` requests, each of which `send` sends. The first fifth of them is not counted; of the others, those count
/// between which the least work was done in the background.
fn measure(count: usize, mut send: impl FnMut(usize) -> usize) -> Cost {
    let fifth = count / 5;
    (0..fifth).for_each(|number| {
        send(number);
    });
    let costs = (1..5).map(|part| {
        let region = Region::new(ALLOCATOR);
        let bytes: usize = (part * fifth..(part + 1) * fifth).map(&mut send).sum();
        let counted = region.change();
        let allocations = (counted.allocations + counted.reallocations) / fifth;
        Cost { allocations, bytes: bytes / fifth }
    });
    costs.min_by_key(|cost| cost.allocations).unwrap()
}

impl Cost {
    fn assert_about(&self, name: &str, allocations: usize, bytes: usize) {
        let fits = |counted: usize, expected: usize| counted.abs_diff(expected) <= expected / ROOM;
        assert!(
            fits(self.allocations, allocations) && fits(self.bytes, bytes),
            "{name}: {self:?} instead of {allocations} and {bytes}"
        );
    }
}

fn request(account: Option<&Account>, line: &str, body: Option<&serde_json::Value>) -> Vec<u8> {
    let authorization =
        account.map(|account| format!("authorization: Bearer {}\r\n", account.token)).unwrap_or_default();
    let body = body.map(ToString::to_string).unwrap_or_default();
    let head = format!("{line} HTTP/1.1\r\nhost: ashlar.test\r\n{authorization}");
    let content = match body.len() {
        0 => String::new(),
        length => format!("content-type: application/json\r\ncontent-length: {length}\r\n"),
    };
    format!("{head}{content}\r\n{body}").into_bytes()
}

#[tokio::test]
async fn requests_allocate_and_answer_no_more_than_they_need() {
    let settings: &[(&str, &str)] = &[
        // They poll.
        ("ASHLAR_JOBS__IN_SERVER", "false"),
        ("ASHLAR_UPLOADS__MAX_PENDING", "1000"), // domain: upload
    ];
    let server = TestServer::with_variables(settings).await;
    let admin = server.admin().await;
    let mut accounts = Vec::new();
    for _ in 0..40 {
        accounts.push(server.signup().await);
    }
    let own = format!("GET /api/v1/users/{}", admin.id);
    let patches = (0..200).map(|number| {
        let body = json!({ "name": format!("Ada {}", number % 10) });
        request(Some(&admin), "PATCH /api/v1/users/me", Some(&body))
    });
    // domain: upload
    // On PostgreSQL a lock is taken first.
    let for_upload = if server.backend() == sea_orm::DbBackend::Postgres { 625 } else { 590 };
    let upload = json!({"filename": "harbour.png", "content_type": "image/png", "size": 48_213});
    // end: upload
    let again = |request: Vec<u8>| vec![request; 400];
    let mut client = Client::connect(&server);
    let cold = accounts.iter().map(|account| request(Some(account), "GET /api/v1/users/me", None)).collect();
    for (name, requests, allocations, bytes) in [
        ("live", again(request(None, "GET /health/live", None)), 29, 702),
        ("me", again(request(Some(&admin), "GET /api/v1/users/me", None)), 52, 982),
        ("user", again(request(Some(&admin), &own, None)), 54, 982),
        ("me, by sessions that were not used before", cold, 156, 983),
        ("list", again(request(Some(&admin), "GET /api/v1/admin/users?limit=20", None)), 382, 6_240),
        // domain: upload
        ("upload", again(request(Some(&admin), "POST /api/v1/uploads", Some(&upload))), for_upload, 1_650),
        // end: upload
        ("patch", patches.collect(), 306, 1_008),
    ] {
        let cost = measure(requests.len(), |number| client.exchange(&requests[number]));
        cost.assert_about(name, allocations, bytes);
    }
    let body = json!({"refresh_token": admin.refresh_token});
    let mut refresh = request(None, "POST /api/v1/auth/refresh", Some(&body));
    measure(200, |_| client.refresh(&mut refresh)).assert_about("refresh", 330, 1_659);
}
