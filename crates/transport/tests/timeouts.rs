//! When a connection ends by itself, and what is passed on of what it reads.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use transport::{BodyLength, Connection, Limits, Listener, Timeouts};

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const MINUTE: Duration = Duration::from_mins(1);
const SHORT: Duration = Duration::from_secs(1);
/// A connection that does not end fails the test after this.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client and its connection.
async fn connected(timeouts: Timeouts) -> (TcpStream, Connection) {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let limits = Limits { in_all: 10, per_address: 10, exempt: Vec::new() };
    let listener = Listener::new(socket, limits).unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let connection = listener.accept().await.open(timeouts).unwrap();
    (client, connection)
}

/// Sends a head, and answers it.
async fn exchange(client: &mut TcpStream, connection: &mut Connection) {
    client.write_all(HEAD).await.unwrap();
    let mut head = [0; 100];
    let length = connection.read(&mut head).await.unwrap();
    assert_eq!(&head[..length], HEAD);
    let turn = connection.state().begin(BodyLength::Known(0));
    // The application looks for the next request before it answers, so the timer of the connection runs.
    let mut none = [0; 1];
    assert!(futures_util::poll!(std::pin::pin!(connection.read(&mut none))).is_pending());
    drop(turn);
}

/// The time until the connection ends by itself.
async fn end(connection: &mut Connection) -> Duration {
    let since = Instant::now();
    let mut none = [0; 1];
    let read = tokio::time::timeout(PATIENCE, connection.read(&mut none)).await;
    assert_eq!(read.unwrap().unwrap(), 0, "nothing was sent");
    since.elapsed()
}

#[tokio::test]
async fn each_request_moves_the_end_of_an_idle_connection() {
    let (mut client, mut connection) = connected(Timeouts { head: MINUTE, idle: SHORT, write: MINUTE }).await;
    for _ in 0..3 {
        // The timer is set to the end of this pause, and found to be too early then.
        let mut none = [0; 1];
        let waited = tokio::time::timeout(SHORT / 10, connection.read(&mut none)).await;
        assert!(waited.is_err(), "the connection is in use");
        exchange(&mut client, &mut connection).await;
    }
    assert!(end(&mut connection).await >= SHORT);
}

#[tokio::test]
async fn a_head_that_does_not_go_on_ends_a_connection_that_may_be_idle_for_long() {
    let (mut client, mut connection) = connected(Timeouts { head: SHORT, idle: MINUTE, write: MINUTE }).await;
    exchange(&mut client, &mut connection).await;
    let mut none = [0; 1];
    assert!(futures_util::poll!(std::pin::pin!(connection.read(&mut none))).is_pending(), "idle");
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut begun = [0; 16];
    connection.read_exact(&mut begun).await.unwrap();
    let waited = end(&mut connection).await;
    assert!(waited < PATIENCE, "{waited:?}");
}

/// Requests that come at once, read with a buffer that has no room for one.
#[tokio::test]
async fn requests_are_passed_on_one_after_the_other_whatever_the_buffer() {
    let (mut client, mut connection) =
        connected(Timeouts { head: MINUTE, idle: MINUTE, write: MINUTE }).await;
    let post = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n";
    client.write_all(&[HEAD, post, b"12345", HEAD].concat()).await.unwrap();
    for (head, body) in [(HEAD, &b""[..]), (post, b"12345"), (HEAD, b"")] {
        assert_eq!(receive(&mut connection, head.len()).await, head);
        let turn = connection.state().begin(BodyLength::Known(body.len() as u64));
        assert_eq!(receive(&mut connection, body.len()).await, body);
        drop(turn);
    }
}

/// So many bytes, a few at a time.
async fn receive(connection: &mut Connection, length: usize) -> Vec<u8> {
    let mut received = Vec::new();
    while received.len() < length {
        let mut small = [0; 7];
        let length = connection.read(&mut small).await.unwrap();
        received.extend_from_slice(&small[..length]);
    }
    received
}
