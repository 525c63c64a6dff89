//! Requests at the level of bytes that a client library would not send.

use serde_json::json;
use tests::{PASSWORD, PATIENCE, Raw, TestServer};

fn head(method: &str, path: &str, lines: &[&str]) -> String {
    let lines = lines.iter().fold(String::new(), |text, line| text + line + "\r\n");
    format!("{method} {path} HTTP/1.1\r\nhost: ashlar.test\r\n{lines}\r\n")
}

async fn connect(server: &TestServer) -> Raw {
    Raw::connect(server.addresses().api).await
}

const SECURED: &[(&str, &str)] = &[
    ("PATCH", "/api/v1/users/me"),
    // domain: upload
    ("POST", "/api/v1/uploads"),
    ("POST", "/api/v1/uploads/upl_01J9ZC3V8T5Q4X2M7N6P0R1S2T/complete"),
    ("DELETE", "/api/v1/uploads/upl_01J9ZC3V8T5Q4X2M7N6P0R1S2T"),
    // end: upload
    ("PATCH", "/api/v1/admin/users/usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"),
];

#[tokio::test]
async fn nobody_unauthenticated_gets_a_body_read() {
    let server = TestServer::start().await;
    for &(method, path) in SECURED {
        // The head declares a gigabyte, a few bytes are sent, and the response arrives.
        let mut raw = connect(&server).await;
        raw.send(head(method, path, &["content-type: application/json", "content-length: 1073741824"])).await;
        raw.send(r#"{"name": "#).await;
        raw.answer(method, path).await.problem(401, "invalid_token");

        // A body without an end.
        let mut raw = connect(&server).await;
        raw.send(head(method, path, &["content-type: application/json", "transfer-encoding: chunked"])).await;
        raw.send("4\r\n{\"na\r\n").await;
        raw.answer(method, path).await.problem(401, "invalid_token");
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_not_taken_in_for_ever() {
    let server = TestServer::start().await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for (method, path, status) in [
        ("PATCH", "/api/v1/users/me", 401),
        ("POST", "/api/v1/auth/login", 415),
        ("POST", "/nothing", 404),
        ("PUT", "/health", 405),
        ("GET", "/health", 200),
    ] {
        let mut raw = connect(&server).await;
        raw.send(head(method, path, &["content-type: text/plain", "transfer-encoding: chunked"])).await;
        raw.send(&chunk).await;
        raw.answer(method, path).await.expect(status);
        let endless = async { while raw.try_send(chunk.as_bytes()).await {} };
        let ended = tokio::time::timeout(PATIENCE, endless).await;
        assert!(ended.is_ok(), "{method} {path}: the connection stays open however much comes");
    }
    server.get("/health").await.expect(200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_and_while_it_comes() {
    let server = TestServer::start().await;
    let path = "/api/v1/auth/login";
    // With a `Content-Length`, it is rejected before any byte is sent.
    let mut raw = connect(&server).await;
    raw.send(head("POST", path, &["content-type: application/json", "content-length: 3145728"])).await;
    raw.answer("POST", path).await.problem(413, "body_too_large");
    // Without a `Content-Length`.
    let mut raw = connect(&server).await;
    raw.send(head("POST", path, &["content-type: application/json", "transfer-encoding: chunked"])).await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    for _ in 0..17 {
        // The server may already have responded and closed the connection.
        raw.try_send(chunk.as_bytes()).await;
    }
    raw.answer("POST", path).await.problem(413, "body_too_large");
    server.get("/health").await.expect(200);
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_is_read() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let path = "/api/v1/auth/login";
    let body = json!({"identifier": ada.email, "password": PASSWORD}).to_string();
    let mut raw = connect(&server).await;
    raw.send(head("POST", path, &["content-type: application/json", "transfer-encoding: chunked"])).await;
    for byte in body.bytes() {
        raw.send([b"1\r\n".as_slice(), &[byte], b"\r\n"].concat()).await;
    }
    raw.send("0\r\n\r\n").await;
    raw.answer("POST", path).await.expect(200);
}

#[tokio::test]
async fn what_is_not_http_gets_no_further() {
    let server = TestServer::start().await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(200_000));
    let many = (0..200).map(|index| format!("x-{index}: y")).collect::<Vec<_>>();
    let many = head("GET", "/health", &many.iter().map(String::as_str).collect::<Vec<_>>());
    for bytes in [
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\nhost: x\r\n\r\n".to_vec(),
        b"GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"GET /health HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n".to_vec(),
        b"GET /health HTTP/1.1\r\nhost x\r\n\r\n".to_vec(),
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n".to_vec(),
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_vec(),
        b"POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"
            .to_vec(),
        head("POST", "/api/v1/auth/login", &["content-length: 2", "transfer-encoding: chunked"]).into_bytes(),
        head("POST", "/api/v1/auth/login", &["transfer-encoding: gzip, x"]).into_bytes(),
        long.into_bytes(),
        many.into_bytes(),
    ] {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
        let mut raw = connect(&server).await;
        raw.try_send(&bytes).await;
        let answer = raw.answer("GET", "/").await;
        assert!((400..500).contains(&answer.status), "{text:?}: {answer:?}");
    }
    server.get("/health").await.expect(200);
}

#[tokio::test]
async fn a_refused_request_smuggles_no_second_one() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    // The body of the rejected request looks like another request.
    let inner =
        format!("GET /api/v1/users/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", ada.token);
    let mut raw = connect(&server).await;
    let length = format!("content-length: {}", inner.len());
    raw.send(head("PATCH", "/api/v1/users/me", &["content-type: application/json", &length])).await;
    raw.send(&inner).await;
    raw.answer("PATCH", "/api/v1/users/me").await.problem(401, "invalid_token");
    raw.try_send(head("GET", "/health", &["connection: close"]).as_bytes()).await;
    let rest = raw.until_closed().await;
    let rest = String::from_utf8_lossy(&rest);
    assert!(!rest.contains(&ada.email) && rest.matches("HTTP/1.1").count() <= 1, "{rest}");
}
