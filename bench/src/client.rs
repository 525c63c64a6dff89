//! HTTP/1.1 clients with little CPU time of their own: requests are built before, connections stay open, and two threads with
//! non-blocking sockets drive all of them. Each connection sends a request as soon as the previous one is answered.

use std::borrow::Cow;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// Number of threads that drive the connections.
const THREADS: usize = 2;

/// Number of connections that come from one address.
const CONNECTIONS_OF_A_CLIENT: usize = 400;

/// Longest wait for the answers to the last requests.
const PATIENCE: Duration = Duration::from_secs(30);

/// The requests of a route, for all connections.
#[derive(Debug, Default)]
pub struct Requests {
    turns: Vec<Turn>,
    expected: u16,
    /// Whether each request has the refresh token of the answer before it.
    rotates: bool,
}

/// Requests of one connection, sent in order and then again from the first. A run continues where the last one ended.
#[derive(Debug, Default)]
struct Turn {
    requests: Vec<Vec<u8>>,
    next: AtomicUsize,
    /// The next request, if it depends on the last answer.
    rotated: Mutex<Option<Vec<u8>>>,
}

impl Requests {
    /// Requests for each connection, each answered with status `expected`. More connections begin again with the first list.
    #[must_use]
    pub fn new(turns: Vec<Vec<Vec<u8>>>, expected: u16) -> Self {
        let turns = turns.into_iter().filter(|requests| !requests.is_empty());
        let turns = turns.map(|requests| Turn { requests, ..Turn::default() }).collect();
        Self { turns, expected, rotates: false }
    }

    /// One request for each connection, which sends it again with the refresh token of the last answer. All tokens have one length.
    #[must_use]
    pub fn rotating(requests: Vec<Vec<u8>>, expected: u16) -> Self {
        let turns = requests.into_iter().map(|request| vec![request]).collect();
        Self { rotates: true, ..Self::new(turns, expected) }
    }

    /// Status of the answers.
    #[must_use]
    pub fn expected(&self) -> u16 {
        self.expected
    }

    /// The first request.
    #[must_use]
    pub fn first(&self) -> Option<&[u8]> {
        self.turns.first()?.requests.first().map(Vec::as_slice)
    }

    /// The next request of a connection. The list is not empty, since [`Requests::new`] leaves out empty turns.
    fn next(&self, connection: usize) -> Cow<'_, [u8]> {
        let turn = &self.turns[connection % self.turns.len()];
        if let Some(rotated) = turn.rotated().take() {
            return rotated.into();
        }
        (&turn.requests[turn.next.fetch_add(1, Ordering::Relaxed) % turn.requests.len()]).into()
    }

    /// Makes the next request of a connection from an answer, if the requests are [rotating](Self::rotating).
    ///
    /// # Errors
    ///
    /// The answer has no refresh token.
    pub fn answered(&self, connection: usize, request: &[u8], answer: &[u8]) -> Result<()> {
        if self.rotates {
            let next = with_token_of(request, answer).context("an answer has no refresh token")?;
            *self.turns[connection % self.turns.len()].rotated() = Some(next);
        }
        Ok(())
    }
}

impl Turn {
    fn rotated(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.rotated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Result of a run.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Duration of each answer in microseconds, in ascending order.
    pub latencies: Vec<u32>,
    /// Time from the first request to the last answer.
    pub elapsed: Duration,
}

impl Sample {
    /// Number of answers.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a run has far fewer than 2^52 answers")]
    pub fn count(&self) -> f64 {
        self.latencies.len() as f64
    }

    /// Answers per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.count() / self.elapsed.as_secs_f64()
    }

    /// The smallest duration in microseconds that so many percent of the answers do not exceed.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100).saturating_sub(1);
        self.latencies.get(rank).copied().map_or(0.0, f64::from)
    }
}

/// Open connections to one server.
#[derive(Debug)]
pub struct Clients {
    threads: Vec<Thread>,
}

/// The connections of one thread. The runtime has a single thread: that which calls it.
#[derive(Debug)]
struct Thread {
    runtime: Runtime,
    connections: Vec<Connection>,
}

impl Clients {
    /// Opens `count` connections.
    ///
    /// # Errors
    ///
    /// The server refuses a connection.
    pub fn connect(address: SocketAddr, count: usize) -> Result<Self> {
        let thread = |first: usize| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let open = async {
                let mut connections = Vec::new();
                for number in (first..count).step_by(THREADS) {
                    connections.push(Connection::open(address, number).await?);
                }
                anyhow::Ok(connections)
            };
            let connections = runtime.block_on(open)?;
            anyhow::Ok(Thread { runtime, connections })
        };
        Ok(Self { threads: (0..THREADS).map(thread).collect::<Result<_>>()? })
    }

    /// Sends requests for `time`, and waits for the last answers.
    ///
    /// # Errors
    ///
    /// An answer has another status than the expected one, or a connection fails. The error contains the answer.
    pub fn run(&mut self, requests: &Arc<Requests>, time: Duration) -> Result<Sample> {
        ensure!(!requests.turns.is_empty(), "there is no request to send");
        let start = Instant::now();
        let end = start + time;
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .threads
                .iter_mut()
                .map(|thread| scope.spawn(move || thread.run(requests, end)))
                .collect();
            threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        let elapsed = start.elapsed();
        let mut latencies = Vec::new();
        for outcome in outcomes {
            let Ok(outcome) = outcome else { bail!("a thread of the clients panicked") };
            latencies.extend(outcome?);
        }
        latencies.sort_unstable();
        Ok(Sample { latencies, elapsed })
    }
}

impl Thread {
    fn run(&mut self, requests: &Arc<Requests>, end: Instant) -> Result<Vec<u32>> {
        let mut tasks = JoinSet::new();
        let connections = std::mem::take(&mut self.connections);
        let all = async {
            for connection in connections {
                tasks.spawn(connection.send_until(end, Arc::clone(requests)));
            }
            let mut latencies = Vec::new();
            while let Some(ended) = tasks.join_next().await {
                let (connection, more) = ended.context("a client panicked")??;
                self.connections.push(connection);
                latencies.extend(more);
            }
            Ok(latencies)
        };
        let limit = end.saturating_duration_since(Instant::now()) + PATIENCE;
        self.runtime.block_on(async {
            tokio::time::timeout(limit, all).await.unwrap_or_else(|_| bail!("the server does not answer"))
        })
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    number: usize,
    /// The answer, followed by bytes of earlier answers.
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects. `number` selects the requests that the connection sends.
    ///
    /// # Errors
    ///
    /// The server refuses the connection.
    pub async fn open(address: SocketAddr, number: usize) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source(number), 0).into())?;
        let stream = socket.connect(address).await.context("the server refuses a connection")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, number, buffer: vec![0; 16 * 1024] })
    }

    async fn send_until(mut self, end: Instant, requests: Arc<Requests>) -> Result<(Self, Vec<u32>)> {
        let mut latencies = Vec::new();
        let mut sent = Instant::now();
        while sent < end {
            let (number, request) = (self.number, requests.next(self.number));
            let (status, body) = self.exchange(&request).await?;
            if status != requests.expected {
                let (line, body) = (first_line(&request), String::from_utf8_lossy(body));
                bail!("{line} is answered with {status} instead of {}:\n{body}", requests.expected);
            }
            requests.answered(number, &request, body)?;
            let answered = Instant::now();
            latencies.push(u32::try_from((answered - sent).as_micros()).unwrap_or(u32::MAX));
            sent = answered;
        }
        Ok((self, latencies))
    }

    /// Sends a request. The status and the body of the answer.
    ///
    /// # Errors
    ///
    /// The connection fails, or the answer has no `Content-Length` (RFC 9112, section 6.2).
    pub async fn exchange(&mut self, request: &[u8]) -> Result<(u16, &[u8])> {
        self.stream.write_all(request).await.context("the request cannot be sent")?;
        let mut received = 0;
        loop {
            if received == self.buffer.len() {
                self.buffer.resize(2 * received, 0);
            }
            let read = self.stream.read(&mut self.buffer[received..]).await?;
            ensure!(read > 0, "the server closed the connection after {}", first_line(request));
            received += read;
            let Some(head) = Head::read(&self.buffer[..received])? else { continue };
            let length = head.length + head.content_length;
            ensure!(received <= length, "more than one answer to {}", first_line(request));
            if received == length {
                return Ok((head.status, &self.buffer[head.length..length]));
            }
        }
    }
}

/// The address that a connection comes from, in 127.0.0.0/8 (RFC 1122, section 3.2.1.3). The product limits the connections of one
/// address.
fn source(connection: usize) -> Ipv4Addr {
    let client = u32::try_from(connection / CONNECTIONS_OF_A_CLIENT).unwrap_or_default();
    Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits().saturating_add(client))
}

/// The request with the refresh token of an answer in the place of its own.
fn with_token_of(request: &[u8], answer: &[u8]) -> Option<Vec<u8>> {
    const MEMBER: &[u8] = b"\"refresh_token\":\"";
    let after = |text: &[u8]| Some(memchr::memmem::find(text, MEMBER)? + MEMBER.len());
    let new = answer.get(after(answer)?..)?.split(|byte| *byte == b'"').next()?;
    let (place, mut next) = (after(request)?, request.to_vec());
    next.get_mut(place..place + new.len())?.copy_from_slice(new);
    Some(next)
}

/// The parts of the head of an answer that the clients need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Length of the head itself, in bytes.
    length: usize,
    content_length: usize,
}

impl Head {
    /// `None` if the head is not complete.
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        const END: &[u8] = b"\r\n\r\n";
        const CONTENT_LENGTH: &[u8] = b"content-length:";
        let Some(end) = memchr::memmem::find(bytes, END) else { return Ok(None) };
        let head = &bytes[..end];
        let shown = || String::from_utf8_lossy(head);
        let status = head.get(9..12).and_then(number).with_context(|| format!("no status:\n{}", shown()))?;
        let length = head.split(|byte| *byte == b'\n').find_map(|line| {
            let (name, value) = line.split_at_checked(CONTENT_LENGTH.len())?;
            if name.eq_ignore_ascii_case(CONTENT_LENGTH) { number(value) } else { None }
        });
        let content_length = length.with_context(|| format!("no Content-Length:\n{}", shown()))?;
        Ok(Some(Self { status: u16::try_from(status)?, length: end + END.len(), content_length }))
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.trim().parse().ok()
}

fn first_line(request: &[u8]) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use actix_web::dev::ServerHandle;
    use actix_web::{App, HttpResponse, HttpServer, web};

    use super::*;

    /// A server on a free port, in a thread of its own.
    fn server() -> (SocketAddr, ServerHandle) {
        let (started, start) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let routes = || {
                    App::new()
                        .route("/short", web::get().to(async || HttpResponse::Ok().body("short")))
                        .route("/long", web::get().to(async || HttpResponse::Ok().body("x".repeat(100_000))))
                        .route(
                            "/busy",
                            web::get().to(async || HttpResponse::ServiceUnavailable().body("busy")),
                        )
                };
                let server = HttpServer::new(routes).workers(1).bind("127.0.0.1:0").unwrap();
                let address = server.addrs()[0];
                let server = server.run();
                started.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        start.recv().unwrap()
    }

    fn get(path: &str) -> Vec<u8> {
        format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n").into_bytes()
    }

    fn run(paths: &[&str]) -> Result<Sample> {
        let (address, server) = server();
        let turns = paths.iter().map(|path| vec![get(path)]).collect();
        let requests = Arc::new(Requests::new(turns, 200));
        let mut clients = Clients::connect(address, 5).unwrap();
        let first = clients.run(&requests, Duration::from_millis(20));
        let outcome = first.and_then(|_| clients.run(&requests, Duration::from_millis(20)));
        drop(server.stop(false));
        outcome
    }

    #[test]
    fn connections_send_requests_again_and_again() {
        let sample = run(&["/short", "/long"]).unwrap();
        assert!(sample.latencies.len() >= 5 && sample.latencies.is_sorted(), "{}", sample.latencies.len());
        assert!(sample.rate() > 0.0 && sample.percentile(50) <= sample.percentile(99));
    }

    #[test]
    fn an_answer_with_another_status_is_an_error_with_its_text() {
        let error = run(&["/short", "/busy"]).unwrap_err().to_string();
        assert!(error.contains("GET /busy") && error.contains("503") && error.contains("busy"), "{error}");
    }

    #[test]
    fn a_head_is_read_when_it_is_complete() {
        let head = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(Head::read(&head[..20]).unwrap(), None);
        let read = Head::read(head).unwrap().unwrap();
        assert_eq!(read, Head { status: 204, length: head.len(), content_length: 0 });
        assert!(Head::read(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let sample = Sample { latencies: (1..=200).collect(), elapsed: Duration::from_secs(2) };
        let figures = [sample.percentile(50), sample.percentile(99), sample.rate()];
        assert_eq!(figures.map(|figure| figure.to_string()), ["100", "198", "100"]);
        assert_eq!(Sample::default().percentile(99).to_string(), "0");
    }

    #[test]
    fn a_request_takes_the_token_of_an_answer() {
        let request = br#"POST / {"refresh_token":"abc","transport":"body"}"#;
        let next = with_token_of(request, br#"{"a":1,"refresh_token":"xyz"}"#).unwrap();
        assert_eq!(next, br#"POST / {"refresh_token":"xyz","transport":"body"}"#);
        assert_eq!(with_token_of(request, b"{}"), None);
    }

    #[test]
    fn connections_come_from_as_many_addresses_as_they_need() {
        assert_eq!(
            [0, 399, 400].map(|number| source(number).to_string()),
            ["127.0.0.1", "127.0.0.1", "127.0.0.2"]
        );
    }

    #[test]
    fn a_list_goes_on_where_it_ended() {
        let requests = Requests::new(vec![vec![b"a".to_vec(), b"b".to_vec()], vec![b"c".to_vec()]], 200);
        let sent: Vec<_> = [0, 1, 0, 2].map(|connection| requests.next(connection)).to_vec();
        assert_eq!(sent.concat(), b"acba");
    }
}
