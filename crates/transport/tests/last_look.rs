//! A request that has arrived is read, whatever is about to close its connection.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails as a test does")]

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::pin::pin;
use std::time::Duration;

use futures_util::poll;
use tokio::io::AsyncReadExt as _;
use transport::{Connection, Limits, Listener, Timeouts};

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// A listener with one slot, and the connection of a client that has it.
async fn full() -> (Listener, SocketAddr, TcpStream, Connection) {
    let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let limits = Limits { in_all: 1, per_address: 1, exempt: Vec::new() };
    let listener = Listener::new(socket, limits).unwrap();
    let client = TcpStream::connect(address).unwrap();
    let minute = Duration::from_mins(1);
    let patience = Timeouts { head: minute, idle: minute, write: minute };
    let connection = listener.accept().await.open(patience).unwrap();
    (listener, address, client, connection)
}

/// The runtime looks for new bytes only after its tasks have had their turn. A busy one has not seen them yet when a connection is to be
/// closed.
#[tokio::test]
async fn a_request_that_the_runtime_has_not_seen_yet_is_read_before_the_connection_closes() {
    let (listener, address, mut client, mut connection) = full().await;
    let mut buffer = [0; 100];
    assert!(poll!(pin!(connection.read(&mut buffer))).is_pending(), "nothing was sent");
    // Longer than the resolution of timers, so that the end of an idle connection is due at once.
    tokio::time::sleep(Duration::from_millis(5)).await;
    client.write_all(HEAD).unwrap();
    let _next = TcpStream::connect(address).unwrap();
    assert!(poll!(pin!(listener.accept())).is_pending(), "it needs the only slot");
    let length = connection.read(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..length], HEAD);
}

#[tokio::test]
async fn a_connection_without_a_request_closes_for_the_next_one() {
    let (listener, address, _client, mut connection) = full().await;
    let mut buffer = [0; 100];
    assert!(poll!(pin!(connection.read(&mut buffer))).is_pending(), "nothing was sent");
    let _next = TcpStream::connect(address).unwrap();
    assert!(poll!(pin!(listener.accept())).is_pending(), "it needs the only slot");
    assert_eq!(connection.read(&mut buffer).await.unwrap(), 0, "the end");
    drop(connection);
    listener.accept().await;
}
