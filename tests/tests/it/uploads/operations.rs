//! The object store in operation: missing, stopped, restarted, and without its secrets in the log.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use tests::process::{Installation, Process};
use tests::proxy::{Mode, Proxy};
use tests::store::png;
use tests::{Client, PASSWORD, Raw, TestServer};
use url::Url;

use crate::faults::holds;

/// A new account.
async fn signed_up(process: &Process) -> Value {
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada Lovelace"});
    process.post("/api/v1/auth/signup").json(&body).await.expect(201).json()
}

#[tokio::test]
async fn without_its_store_a_server_lives_and_is_not_ready() {
    // No program listens on a port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = TestServer::with_variables(&[
        ("ASHLAR_STORAGE__ENDPOINT", &format!("http://{free}")),
        ("ASHLAR_STORAGE__ACCESS_KEY", "tests"),
        ("ASHLAR_STORAGE__SECRET_KEY", "a-secret-that-only-tests-have"),
    ])
    .await;
    server.get("/health").await.expect(200);
    server.get("/health/live").await.expect(200);
    let problem = server.get("/health/ready").await.problem(503, "service_unavailable");
    let expected =
        json!({"database": "ok", "schema": "ok", "replicas": "not_configured", "storage": "unavailable"});
    assert_eq!(problem["dependencies"], expected);
    // Requests without the store succeed; the others fail with `Retry-After`.
    let ada = server.signup().await;
    let body = json!({"filename": "a.png", "content_type": "image/png", "size": png(2, 2).len()});
    let created = server.post("/api/v1/uploads").bearer(&ada.token).json(&body).await;
    let id = match created.status {
        201 => created.json()["upload"]["id"].as_str().unwrap().to_owned(),
        _ => return drop(created.problem(503, "service_unavailable")),
    };
    let complete = server.post(&format!("/api/v1/uploads/{id}/complete")).bearer(&ada.token).await;
    complete.problem(503, "service_unavailable");
}

/// Uploads these bytes, and returns the path of the upload.
async fn uploaded(client: &Client, token: &str, bytes: &[u8]) -> String {
    let body = json!({"filename": "a.png", "content_type": "image/png", "size": bytes.len()});
    let created = client.post("/api/v1/uploads").bearer(token).json(&body).await.expect(201).json();
    let mut put = client.request(Method::PUT, created["request"]["url"].as_str().unwrap()).unchecked();
    for (name, value) in created["request"]["headers"].as_object().unwrap() {
        if name != "content-length" {
            put = put.header(name, value.as_str().unwrap());
        }
    }
    put.bytes(bytes).await.expect(200);
    let upload = format!("/api/v1/uploads/{}", created["upload"]["id"].as_str().unwrap());
    client.post(&format!("{upload}/complete")).bearer(token).await.expect(200);
    upload
}

/// The files below a folder whose contents begin with these bytes.
fn files_with(folder: &Path, begin: &[u8]) -> Vec<PathBuf> {
    let paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| std::fs::read(path).unwrap().starts_with(begin));
    files.chain(folders.iter().flat_map(|folder| files_with(folder, begin))).collect()
}

/// Operations on files cannot be cancelled. A pipe in place of a file hangs for ever, like a broken disk.
#[tokio::test]
async fn a_stop_leaves_behind_what_hangs() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let session = signed_up(&process).await;
    let token = session["access_token"].as_str().unwrap();
    let bytes = png(12, 9);
    let upload = uploaded(&process, token, &bytes).await;
    let redirect = process.get(&format!("{upload}/download")).bearer(token).await.expect(302);
    let url = Url::parse(redirect.header("location").unwrap()).unwrap();

    let stored = files_with(&installation.folder().join("data/objects"), &bytes);
    let [stored] = stored.as_slice() else { panic!("{stored:?}") };
    std::fs::remove_file(stored).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(stored).status().unwrap().success());
    let address = url.socket_addrs(|| None).unwrap()[0];
    let mut raw = Raw::connect(address).await;
    let target = &url[url::Position::BeforePath..];
    raw.send(format!("GET {target} HTTP/1.1\r\nhost: {address}\r\n\r\n")).await;
    let log = process.stop().await;
    assert!(log.contains("the object store cuts requests off to stop in time"), "{log}");
}

#[tokio::test]
async fn after_a_stop_and_a_start_the_files_are_there() {
    let installation = Installation::new().await;
    let process = installation.start().await;
    let session = signed_up(&process).await;
    let token = session["access_token"].as_str().unwrap();
    let bytes = png(12, 9);
    let upload = uploaded(&process, token, &bytes).await;
    let complete = process.get(&upload).bearer(token).await.expect(200).json();
    process.stop().await;

    let process = installation.start().await;
    assert_eq!(process.get(&upload).bearer(token).await.expect(200).json(), complete);
    let redirect = process.get(&format!("{upload}/download")).bearer(token).await.expect(302);
    let file = process.get(redirect.header("location").unwrap()).unchecked().await.expect(200);
    assert_eq!(file.body, bytes);
    process.stop().await;
}

#[tokio::test]
async fn no_signature_gets_into_the_log() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_LOG_LEVEL", "trace");
    let process = installation.start().await;
    let session = signed_up(&process).await;
    let token = session["access_token"].as_str().unwrap();
    let bytes = png(2, 2);
    let body = json!({"filename": "a.png", "content_type": "image/png", "size": bytes.len()});
    let created = process.post("/api/v1/uploads").bearer(token).json(&body).await.expect(201).json();
    let url = created["request"]["url"].as_str().unwrap();
    let mut put = process.request(Method::PUT, url).unchecked();
    for (name, value) in created["request"]["headers"].as_object().unwrap() {
        if name != "content-length" {
            put = put.header(name, value.as_str().unwrap());
        }
    }
    put.bytes(bytes).await.expect(200);
    let upload = format!("/api/v1/uploads/{}", created["upload"]["id"].as_str().unwrap());
    process.post(&format!("{upload}/complete")).bearer(token).await.expect(200);
    let redirect = process.get(&format!("{upload}/download")).bearer(token).await.expect(302);
    let download = redirect.header("location").unwrap().to_owned();
    process.get(&download).unchecked().await.expect(200);
    process.get("/health").header("x-request-id", "the-last-request").await.expect(200);
    let log = process.stop().await;
    assert!(log.contains("the-last-request"), "the log is complete");
    for url in [url, &download] {
        let signature = url.split("X-Amz-Signature=").nth(1).unwrap();
        let found = log.lines().find(|line| line.contains(signature));
        assert!(found.is_none(), "a signature is in the log: {found:?}");
    }
}

#[tokio::test]
async fn production_is_warned_that_no_browser_reaches_its_embedded_store() {
    let mut installation = Installation::new().await;
    installation.set("ASHLAR_DATABASE__AUTO_MIGRATE", "true");
    let warned = async |installation: &Installation| {
        let log = installation.start().await.stop().await;
        let events = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut warnings = events.filter(|event| event["level"] == "WARN");
        warnings.any(|event| event["message"].as_str().unwrap().contains("ASHLAR_STORAGE__PUBLIC_ENDPOINT"))
    };
    assert!(!warned(&installation).await, "in development the browser is on the same machine");
    for name in ["ASHLAR_AUTH__ARGON2_MEMORY_KIB", "ASHLAR_AUTH__ARGON2_ITERATIONS"] {
        installation.unset(name);
    }
    installation.set("ASHLAR_ENVIRONMENT", "production");
    installation.set("ASHLAR_SERVER__PUBLIC_URL", "https://api.example.com");
    assert!(warned(&installation).await);
    installation.set("ASHLAR_STORAGE__PUBLIC_ENDPOINT", "https://files.example.com");
    assert!(!warned(&installation).await, "it is reached there");
}

#[tokio::test]
async fn nothing_comes_back_from_the_store() {
    holds(Some(tests::uploads::store_silent().await));
}

/// An operation that declares a longer time limit may take longer.
#[tokio::test]
async fn an_operation_that_declares_its_time_has_it() {
    let proxy = Proxy::to("127.0.0.1:1").await;
    proxy.set_mode(Mode::Stalled);
    let endpoint = format!("http://{}", proxy.address());
    let server = TestServer::with_variables(&[
        ("ASHLAR_SERVER__REQUEST_TIMEOUT", "1"),
        ("ASHLAR_STORAGE__ENDPOINT", &endpoint),
        ("ASHLAR_STORAGE__ACCESS_KEY", "ashlar"),
        ("ASHLAR_STORAGE__SECRET_KEY", "a secret that only tests may have"),
    ])
    .await;
    let ada = server.signup().await;
    let file = json!({"filename": "a.png", "content_type": "image/png", "size": 8, "visibility": "private"});
    let upload = server.post("/api/v1/uploads").bearer(&ada.token).json(&file).await.expect(201).json();
    let id = upload["upload"]["id"].as_str().or(upload["id"].as_str()).unwrap().to_owned();
    let complete = server.post(&format!("/api/v1/uploads/{id}/complete")).bearer(&ada.token);
    // The time limit of the store applied, and not the second of ordinary requests.
    let problem = complete.await.problem(503, "service_unavailable");
    assert_eq!(problem["detail"], "the object store does not answer");
    // Readiness uses the same store, but declares no time limit.
    let problem = server.get("/health/ready").await.problem(503, "service_unavailable");
    assert_eq!(problem["detail"], "a dependency did not answer in time");
    let document: Value = server.get("/openapi.json").await.expect(200).json();
    let complete = &document["paths"]["/api/v1/uploads/{upload_id}/complete"]["post"];
    assert_eq!(complete["x-deadline-seconds"], 120);
}
