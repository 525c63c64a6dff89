//! Uploads: created at the API, sent to the store, and never through the API.

mod commands;
mod contract;
mod disk_full;
mod flow;
mod hostile;
mod identity;
mod operations;
mod people;
mod refusals;
mod rights;

use serde_json::{Value, json};
use tests::store::checksum;
use tests::{Account, Answer, TestServer};

/// Creates an upload of `bytes` as a picture, with its checksum.
async fn announce(server: &TestServer, account: &Account, bytes: &[u8]) -> Value {
    let body = json!({
        "filename": "harbour.png", "content_type": "image/png", "size": bytes.len(), "checksum_sha256": checksum(bytes),
    });
    announce_as(server, account, &body).await.expect(201).json()
}

async fn announce_as(server: &TestServer, account: &Account, body: &Value) -> Answer {
    server.post("/api/v1/uploads").bearer(&account.token).json(body).await
}

/// Sends `bytes` with exactly the returned method, URL and headers, except for `changes`: another value, or no header.
async fn send(
    server: &TestServer,
    request: &Value,
    bytes: &[u8],
    changes: &[(&str, Option<&str>)],
) -> Answer {
    let method = request["method"].as_str().unwrap().parse().unwrap();
    let mut sent = server.request(method, request["url"].as_str().unwrap()).unchecked();
    for (name, value) in request["headers"].as_object().unwrap() {
        // The client sets the length itself, as a browser does.
        if name != "content-length" && !changes.iter().any(|(changed, _)| changed == name) {
            sent = sent.header(name, value.as_str().unwrap());
        }
    }
    for (name, value) in changes {
        if let Some(value) = value {
            sent = sent.header(name, value);
        }
    }
    let answer = sent.bytes(bytes).await;
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{answer:?}");
    assert_eq!(answer.header("server"), None, "{answer:?}");
    answer
}

async fn complete(server: &TestServer, account: &Account, upload: &Value) -> Answer {
    let path = format!("/api/v1/uploads/{}/complete", upload["id"].as_str().unwrap());
    server.post(&path).bearer(&account.token).await
}

/// A completed upload.
async fn publish(server: &TestServer, account: &Account, bytes: &[u8]) -> Value {
    let created = announce(server, account, bytes).await;
    send(server, &created["request"], bytes, &[]).await.expect(200);
    complete(server, account, &created["upload"]).await.expect(200).json()
}

/// The path of an upload.
fn path(upload: &Value) -> String {
    format!("/api/v1/uploads/{}", upload["id"].as_str().unwrap())
}
