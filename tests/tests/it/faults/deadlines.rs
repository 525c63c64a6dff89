//! How long a request may take.

use std::time::Duration;

use serde_json::{Value, json};
use tests::proxy::{Proxy, Way};
use tests::{Raw, TestServer, unique};

const SHORT: (&str, &str) = ("ASHLAR_SERVER__REQUEST_TIMEOUT", "1");

/// The time in which the client sends its body is the client's.
#[tokio::test]
async fn a_slow_body_costs_the_server_no_time() {
    let server = TestServer::with(&[SHORT]).await;
    let body = json!({"email": unique("slow") + "@example.com", "password": tests::PASSWORD, "name": "Ada"});
    let body = body.to_string();
    let (first, last) = body.split_at(body.len() / 2);
    let mut raw = Raw::connect(server.addresses().api).await;
    let head = format!(
        "POST /api/v1/auth/signup HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    raw.send(head.as_bytes()).await;
    raw.send(first.as_bytes()).await;
    // Longer than the request may take.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    raw.send(last.as_bytes()).await;
    assert_eq!(raw.answer("POST", "/api/v1/auth/signup").await.status, 201);
}

/// What says in the contract that it may take longer, may.
#[tokio::test]
async fn an_operation_that_declares_its_time_has_it() {
    let way = Proxy::to("127.0.0.1:1").await;
    way.set(Way::Silent);
    let endpoint = format!("http://{}", way.address());
    let server = TestServer::with(&[
        SHORT,
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
    // The store's own time ran out, and not the second that ordinary requests have.
    let problem = complete.await.problem(503, "service_unavailable");
    assert_eq!(problem["detail"], "the object store does not answer");
    // Readiness asks the same store and declares nothing.
    let problem = server.get("/health/ready").await.problem(503, "service_unavailable");
    assert_eq!(problem["detail"], "a dependency did not answer in time");
    let document: Value = server.get("/openapi.json").await.expect(200).json();
    let complete = &document["paths"]["/api/v1/uploads/{upload_id}/complete"]["post"];
    assert_eq!(complete["x-deadline-seconds"], 120);
}
