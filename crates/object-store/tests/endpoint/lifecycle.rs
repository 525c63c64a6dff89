//! Starting, stopping, being killed, and what is found again.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use object_store::{ObjectStore, ObjectStoreError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{BUCKET, Server, config, declared, directory, files, put, read, sign};

const BODY: &[u8] = &[b'b'; 50_000];

#[tokio::test]
async fn objects_survive_a_restart() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    put(&server.client(), "kept", BODY).await;
    server.stop().await;
    let server = Server::start(directory.path()).await;
    assert_eq!(read(&server.client(), "kept").await.as_deref(), Some(BODY));
    assert_eq!(server.client().list_objects_v2().bucket(BUCKET).send().await.unwrap().contents().len(), 1);
}

#[tokio::test]
async fn a_start_removes_what_the_dead_left_and_spares_the_living() {
    let directory = directory();
    let dead = directory.path().join("staging").join("dead");
    std::fs::create_dir_all(&dead).unwrap();
    std::fs::write(dead.join("lock"), "").unwrap();
    std::fs::write(dead.join("half a body"), "half").unwrap();
    let living = Server::start(directory.path()).await;
    assert!(!dead.exists());

    let signed = sign(declared(&living.client(), "kept", BODY)).await;
    let mut socket = TcpStream::connect(living.address).await.unwrap();
    socket.write_all(signed.head("PUT").as_bytes()).await.unwrap();
    socket.write_all(&BODY[..30_000]).await.unwrap();
    // The upload has begun when its file is there.
    while files(directory.path()).is_empty() {
        tokio::task::yield_now().await;
    }
    let second = Server::start(directory.path()).await;
    socket.write_all(&BODY[30_000..]).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(read(&second.client(), "kept").await.as_deref(), Some(BODY));
}

#[tokio::test]
async fn a_start_leaves_alone_what_is_no_staging_directory() {
    let directory = directory();
    let staging = directory.path().join("staging");
    std::fs::create_dir_all(staging.join("lost+found")).unwrap();
    std::fs::write(staging.join(".DS_Store"), "Finder").unwrap();
    std::fs::write(staging.join("file"), "").unwrap();
    let server = Server::start(directory.path()).await;
    put(&server.client(), "kept", BODY).await;
    for stray in [".DS_Store", "file", "lost+found"] {
        assert!(staging.join(stray).exists(), "{stray}");
    }
}

#[tokio::test]
async fn stopping_lets_running_requests_finish() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let signed = sign(declared(&server.client(), "kept", BODY)).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(signed.head("PUT").as_bytes()).await.unwrap();
    socket.write_all(&BODY[..30_000]).await.unwrap();
    while files(directory.path()).is_empty() {
        tokio::task::yield_now().await;
    }
    server.cancel();
    socket.write_all(&BODY[30_000..]).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    server.stop().await;
    let server = Server::start(directory.path()).await;
    assert_eq!(read(&server.client(), "kept").await.as_deref(), Some(BODY));
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever_and_leaves_nothing() {
    let directory = directory();
    let mut config = config(directory.path());
    config.timeouts.drain = std::time::Duration::from_millis(50);
    let server = Server::start_with(config).await;
    let signed = sign(declared(&server.client(), "cut", BODY)).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(signed.head("PUT").as_bytes()).await.unwrap();
    while files(directory.path()).is_empty() {
        tokio::task::yield_now().await;
    }
    server.stop().await;
    assert!(files(directory.path()).is_empty());
}

#[tokio::test]
async fn a_damaged_object_is_an_error_and_hides_no_other() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    put(&client, "damaged", BODY).await;
    let file = files(directory.path()).pop().unwrap();
    std::fs::write(&file, &std::fs::read(&file).unwrap()[..BODY.len()]).unwrap();
    put(&client, "whole", BODY).await;
    let get =
        client.get_object().bucket(BUCKET).key("damaged").presigned(crate::support::soon()).await.unwrap();
    let answer = crate::support::code(crate::support::Signed::from(get).get().await).await;
    assert_eq!(answer, (500, "InternalError".to_owned()));
    let listed = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(listed.contents()[0].key(), Some("whole"));
    put(&client, "damaged", b"repaired").await;
    assert_eq!(read(&client, "damaged").await.as_deref(), Some(b"repaired".as_slice()));
}

#[tokio::test]
async fn what_can_not_be_opened_is_said() {
    let directory = directory();
    let free = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let mut wrong = config(directory.path());
    wrong.bucket = "../up".to_owned();
    let error = ObjectStore::bind(wrong, free).await.unwrap_err();
    assert!(matches!(error, ObjectStoreError::InvalidBucketName(_)));

    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = ObjectStore::bind(config(&file), free).await.unwrap_err();
    assert!(matches!(error, ObjectStoreError::Directory { .. }));

    let first = ObjectStore::bind(config(directory.path()), free).await.unwrap();
    let error = ObjectStore::bind(config(directory.path()), first.address()).await.unwrap_err();
    assert!(matches!(error, ObjectStoreError::Listen { .. }));
}

/// Not a test of its own: the process that the next one kills. It says where it listens and serves for ever.
#[tokio::test]
#[ignore = "started by `what_was_acknowledged_survives_kill_9`"]
#[expect(clippy::disallowed_methods, reason = "a test binary takes no arguments of its own")]
async fn serve_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let server = Server::start(Path::new(&directory)).await;
    println!("{LISTENING}{}", server.address);
    std::future::pending::<()>().await;
}

const DIRECTORY: &str = "OBJECT_STORE_TEST_DIRECTORY";
const LISTENING: &str = "listening on ";

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let directory = directory();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "lifecycle::serve_until_killed", "--include-ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| line.split_once(LISTENING)?.1.parse().ok());
    let client = crate::support::client_at(address.unwrap());
    put(&client, "overwritten", b"old").await;
    put(&client, "overwritten", BODY).await;
    // One upload is under way when the process dies.
    let signed = sign(declared(&client, "half", BODY)).await;
    let mut socket = TcpStream::connect(address.unwrap()).await.unwrap();
    socket.write_all(signed.head("PUT").as_bytes()).await.unwrap();
    socket.write_all(&BODY[..30_000]).await.unwrap();
    while files(directory.path()).len() < 2 {
        tokio::task::yield_now().await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(files(directory.path()).len(), 2, "a kill leaves no time to clean up");

    let server = Server::start(directory.path()).await;
    assert_eq!(files(directory.path()).len(), 1);
    assert_eq!(read(&server.client(), "overwritten").await.as_deref(), Some(BODY));
    assert_eq!(read(&server.client(), "half").await, None);
}
