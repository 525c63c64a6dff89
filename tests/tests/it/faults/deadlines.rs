//! The time limit of requests.

use std::time::Duration;

use serde_json::json;
use tests::{Raw, TestServer, unique};

const SHORT: (&str, &str) = ("ASHLAR_SERVER__REQUEST_TIMEOUT", "1");

/// The time in which the client sends its body does not count.
#[tokio::test]
async fn a_slow_body_costs_the_server_no_time() {
    let server = TestServer::with_variables(&[SHORT]).await;
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
    // Longer than the time limit of the request.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    raw.send(last.as_bytes()).await;
    assert_eq!(raw.answer("POST", "/api/v1/auth/signup").await.status, 201);
}
