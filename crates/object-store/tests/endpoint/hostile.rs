//! Clients that are slow, vanish or send what nobody should.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{
    BUCKET, Server, Signed, code, config, declared, directory, files, put, read, sign, soon, until_empty,
};

const BODY: &[u8] = &[b'b'; 100_000];

/// Sends bytes and reads what comes until the store hangs up. It takes a client that has closed its half for one that
/// is gone, so this one does not.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    rest(&mut socket).await
}

async fn rest(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset instead of an end is an end as well.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let signed = sign(declared(&client, "photo", BODY)).await;
    let request = [signed.head("PUT").as_bytes(), &BODY[..BODY.len() / 2]].concat();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(&request).await.unwrap();
    socket.shutdown().await.unwrap();
    let answer = rest(&mut socket).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    until_empty(directory.path()).await;
    assert_eq!(read(&client, "photo").await, None);
}

#[tokio::test]
async fn bytes_behind_the_body_are_not_part_of_it() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    let signed = sign(declared(&client, "photo", BODY)).await;
    let request = [signed.head("PUT").as_bytes(), BODY, b"more"].concat();
    let answer = exchange(server.address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(read(&client, "photo").await.as_deref(), Some(BODY));
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_fool_the_signature() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let signed = sign(declared(&server.client(), "photo", BODY)).await;
    let head = signed.head("PUT").replace("\r\nhost:", "\r\ntransfer-encoding: chunked\r\nhost:");
    let answer = exchange(server.address, &[head.as_bytes(), b"1\r\nx\r\n0\r\n\r\n"].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_given_up() {
    let directory = directory();
    let mut config = config(directory.path());
    config.timeouts.body = Duration::from_millis(50);
    let server = Server::start_with(config).await;
    let signed = sign(declared(&server.client(), "photo", BODY)).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(signed.head("PUT").as_bytes()).await.unwrap();
    socket.write_all(&BODY[..10]).await.unwrap();
    let answer = rest(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("RequestTimeout"), "{answer}");
    until_empty(directory.path()).await;
}

#[tokio::test]
async fn a_head_that_stops_arriving_is_given_up() {
    let directory = directory();
    let mut config = config(directory.path());
    config.timeouts.header = Duration::from_millis(50);
    let server = Server::start_with(config).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"GET /uploads/x HTTP/1.1\r\nhost:").await.unwrap();
    let answer = rest(&mut socket).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
}

#[tokio::test]
async fn a_reader_that_stops_reading_is_given_up() {
    let directory = directory();
    let mut config = config(directory.path());
    config.timeouts.write = Duration::from_millis(50);
    config.timeouts.drain = Duration::from_hours(1);
    let server = Server::start_with(config).await;
    let client = server.client();
    // More than the buffers of both sockets hold.
    let large = vec![0; 30 * 1024 * 1024];
    put(&client, "large", &large).await;
    let get = client.get_object().bucket(BUCKET).key("large").presigned(soon()).await.unwrap();
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(Signed::from(get).head("GET").as_bytes()).await.unwrap();
    let mut begin = [0; 12];
    socket.read_exact(&mut begin).await.unwrap();
    assert_eq!(&begin, b"HTTP/1.1 200");
    // Stopping waits an hour for running connections: it returns only because this one was cut off.
    tokio::time::timeout(Duration::from_mins(2), server.stop()).await.unwrap();
    assert!(rest(&mut socket).await.len() < large.len());
}

#[tokio::test]
async fn a_refused_body_is_taken_in_so_that_the_answer_is_heard() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let body = vec![0; 20 * 1024 * 1024];
    let signed = sign(declared(&server.client(), "photo", &body)).await.with("content-type", "text/html");
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(signed.head("PUT").as_bytes()).await.unwrap();
    // Like a browser: all of it first, only then a look at the answer. A closed connection would fail here.
    socket.write_all(&body).await.unwrap();
    let answer = rest(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

/// RFC 9112, section 9.6: else a client takes the end of the connection for a failure of its next request.
#[tokio::test]
async fn who_waits_to_be_asked_for_a_body_is_told_that_the_connection_ends() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    put(&server.client(), "photo", b"there").await;
    let signed = sign(declared(&server.client(), "photo", BODY)).await;
    let head = signed.head("PUT").replace("\r\nconnection: close\r\n", "\r\nexpect: 100-continue\r\n");
    let answer = exchange(server.address, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 412"), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nconnection: close\r\n"), "{answer}");
}

#[tokio::test]
async fn an_endless_body_is_not_taken_in() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let head = "PUT /uploads/photo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &vec![0; 0x10000], b"\r\n"].concat();
    // It ends only because the store hangs up.
    while socket.write_all(&chunk).await.is_ok() {}
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn forms_never_reach_the_memory() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let form = reqwest::Client::new().post(server.url("/uploads"));
    let form = form.header("content-type", "Multipart/Form-Data; boundary=b").body(vec![0; 1024 * 1024]);
    assert_eq!(code(form.send().await.unwrap()).await, (501, "NotImplemented".to_owned()));
}

#[tokio::test]
async fn garbage_is_refused_and_the_store_lives() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let huge = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(1024 * 1024));
    for request in [
        "\0\0\0\r\n\r\n",
        "GET /%ff%fe HTTP/1.1\r\nhost: x\r\n\r\n",
        &huge,
        "GET /uploads?%zz=&X-Amz-Signature=1 HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        // The store may hang up before all of it was sent.
        let _ = socket.write_all(request.as_bytes()).await;
        let _ = socket.shutdown().await;
        let answer = rest(&mut socket).await;
        assert!(!answer.starts_with("HTTP/1.1 2") && !answer.starts_with("HTTP/1.1 5"), "{answer}");
    }
    put(&server.client(), "k", b"v").await;
}

#[tokio::test]
async fn idle_clients_keep_nobody_out() {
    let directory = directory();
    let mut config = config(directory.path());
    config.limits.connections.in_all = 16;
    let server = Server::start_with(config).await;
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    put(&server.client(), "k", b"v").await;
    // The server that the store is embedded in has connections of its own, busy clients or not.
    let slow = sign(declared(&server.client(), "slow", BODY)).await;
    let mut busy = Vec::new();
    for index in 0..16 {
        let key = format!("busy-{index}");
        let signed = sign(declared(&server.client(), &key, BODY)).await;
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(signed.head("PUT").as_bytes()).await.unwrap();
        busy.push(socket);
    }
    while files(directory.path()).len() < 17 {
        tokio::task::yield_now().await;
    }
    put(&crate::support::client_at(server.own_address), "own", b"v").await;
    drop(busy);
    assert_eq!(slow.put(BODY).await.status(), 200);
}

#[tokio::test]
async fn a_url_used_many_times_at_once_fills_the_disk_once() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let signed = sign(declared(&server.client(), "photo", BODY)).await;
    let (mut answers, mut writers) = (tokio::task::JoinSet::new(), Vec::new());
    for index in 0..25 {
        let (mut reader, mut writer) = TcpStream::connect(server.address).await.unwrap().into_split();
        let begin = [signed.head("PUT").as_bytes(), &BODY[..BODY.len() - 1]].concat();
        writer.write_all(&begin).await.unwrap();
        writers.push(writer);
        answers.spawn(async move {
            let mut begin = [0; 12];
            reader.read_exact(&mut begin).await.unwrap();
            (index, String::from_utf8_lossy(&begin[9..]).into_owned())
        });
    }
    // The last that the store took up goes on; the others are told.
    let mut open: Vec<usize> = (0..25).collect();
    while open.len() > 1 {
        let (index, status) = answers.join_next().await.unwrap().unwrap();
        assert_eq!(status, "409");
        open.retain(|other| *other != index);
    }
    assert_eq!(files(directory.path()).len(), 1);
    writers[open[0]].write_all(b"b").await.unwrap();
    assert_eq!(answers.join_next().await.unwrap().unwrap().1, "200");
    assert_eq!(read(&server.client(), "photo").await.as_deref(), Some(BODY));
}

#[tokio::test]
async fn unfinished_uploads_have_a_bound() {
    let directory = directory();
    let mut config = config(directory.path());
    config.limits.unfinished = BODY.len() as u64 * 6 / 5;
    let server = Server::start_with(config).await;
    let client = server.client();
    let first = sign(declared(&client, "first", BODY)).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(first.head("PUT").as_bytes()).await.unwrap();
    // What is only declared keeps nobody out.
    let third = sign(declared(&client, "third", BODY)).await;
    assert_eq!(third.put(BODY).await.status(), 200);
    let (most, last) = BODY.split_at(BODY.len() - 1);
    socket.write_all(most).await.unwrap();
    // Before the store has all of it, the next one could take the room that the rest needs.
    let sizes = || {
        files(directory.path()).iter().map(|file| file.metadata().map_or(0, |file| file.len())).sum::<u64>()
    };
    while sizes() < (BODY.len() + most.len()) as u64 {
        tokio::task::yield_now().await;
    }
    let second = sign(declared(&client, "second", BODY)).await;
    assert_eq!(code(second.clone().put(BODY).await).await, (503, "SlowDown".to_owned()));
    socket.write_all(last).await.unwrap();
    assert!(rest(&mut socket).await.starts_with("HTTP/1.1 200"));
    assert_eq!(second.put(BODY).await.status(), 200);
}

/// The end of a chunked body is in the body, and nobody reads that of a preflight: the connection is idle all the same.
#[tokio::test]
async fn silence_behind_a_body_that_nobody_read_is_not_waited_for() {
    let directory = directory();
    let mut config = config(directory.path());
    config.timeouts.header = Duration::from_secs(1);
    let server = Server::start_with(config).await;
    for method in ["OPTIONS", "PUT", "GET"] {
        let head = format!(
            "{method} /{BUCKET}/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        );
        let closed = tokio::time::timeout(Duration::from_secs(20), exchange(server.address, head.as_bytes()));
        let answer = closed.await.unwrap_or_else(|_| panic!("{method}: the connection is kept"));
        assert!(answer.starts_with("HTTP/1.1 "), "{method}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_does_just_enough_is_given_up() {
    let directory = directory();
    let mut config = config(directory.path());
    config.timeouts.body = Duration::from_secs(1);
    config.timeouts.rate = 1024 * 1024;
    let server = Server::start_with(config).await;
    let large = vec![0; 1024 * 1024];
    let signed = sign(declared(&server.client(), "photo", &large)).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(signed.head("PUT").as_bytes()).await.unwrap();
    // 16 KiB each half of the time that a piece of a body may take.
    let (mut answer, mut socket) = socket.split();
    let trickle = async {
        for piece in large.chunks(16 * 1024) {
            if socket.write_all(piece).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let mut begin = [0; 12];
    tokio::select! {
        () = trickle => panic!("it was let go on"),
        read = answer.read_exact(&mut begin) => { read.unwrap(); }
    }
    assert_eq!(&begin, b"HTTP/1.1 400");
    until_empty(directory.path()).await;
}

#[tokio::test]
async fn a_stop_answers_what_has_arrived() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    put(&server.client(), "k", BODY).await;
    let get = server.client().get_object().bucket(BUCKET).key("k").presigned(soon()).await.unwrap();
    let head = Signed::from(get).head("GET").replace("connection: close\r\n", "");
    let mut sockets = Vec::new();
    for index in 0..64 {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        if index % 2 == 0 {
            socket.write_all(b"OPTIONS / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
            let mut answer = [0; 12];
            socket.read_exact(&mut answer).await.unwrap();
        }
        sockets.push(socket);
    }
    for socket in &mut sockets {
        socket.write_all(head.as_bytes()).await.unwrap();
    }
    server.cancel();
    for mut socket in sockets {
        let answer = rest(&mut socket).await;
        assert!(answer.contains("HTTP/1.1 200") && answer.ends_with(&"b".repeat(100)), "{answer:.300}");
    }
    server.stop().await;
}
