//! CORS: what a page is told, on success and on failure.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::support::{BUCKET, ORIGIN, Server, declared, directory, sign, soon};

const OTHER: &str = "https://evil.example";
const BODY: &[u8] = b"a picture";

async fn preflight(server: &Server, origin: &str, method: &str) -> (StatusCode, HeaderMap) {
    let request =
        reqwest::Client::new().request(Method::OPTIONS, server.url("/uploads/photo?X-Amz-Signature=x"));
    let request = request.header("origin", origin).header("access-control-request-method", method);
    let request =
        request.header("access-control-request-headers", "content-type,if-none-match,x-amz-checksum-sha256");
    let response = request.send().await.unwrap();
    (response.status(), response.headers().clone())
}

fn has_cors(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("access-control-"))
}

#[tokio::test]
async fn an_allowed_page_may_upload() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let (status, headers) = preflight(&server, ORIGIN, "PUT").await;
    assert_eq!(status, 204);
    assert_eq!(headers["access-control-allow-origin"], ORIGIN);
    assert_eq!(headers["access-control-allow-methods"], "PUT");
    assert_eq!(headers["access-control-allow-headers"], "content-type, if-none-match, x-amz-checksum-sha256");
    assert_eq!(headers["access-control-max-age"], "3600");
    assert!(headers["vary"].to_str().unwrap().contains("Origin"));
    assert!(!headers.contains_key("access-control-allow-credentials"));

    let signed = sign(declared(&server.client(), "photo", BODY)).await.with("origin", ORIGIN);
    for expected in [200, 412] {
        let response = signed.clone().put(BODY).await;
        assert_eq!(response.status(), expected);
        assert_eq!(response.headers()["access-control-allow-origin"], ORIGIN);
        assert_eq!(response.headers()["access-control-expose-headers"], "ETag");
        assert_eq!(response.headers()["vary"], "Origin");
    }
}

#[tokio::test]
async fn another_page_may_not() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    for (origin, method) in
        [(OTHER, "PUT"), ("null", "PUT"), (ORIGIN, "DELETE"), (ORIGIN, "POST"), (ORIGIN, "???")]
    {
        let (status, headers) = preflight(&server, origin, method).await;
        assert_eq!(status, 403, "{origin} {method}");
        assert!(!has_cors(&headers), "{origin} {method}");
        assert!(headers["vary"].to_str().unwrap().contains("Origin"));
    }
    let signed = sign(declared(&server.client(), "photo", BODY)).await.with("origin", OTHER);
    let response = signed.put(BODY).await;
    assert!(!has_cors(response.headers()));
    assert_eq!(response.headers()["vary"], "Origin");
}

#[tokio::test]
async fn any_page_may_read_what_it_has_a_url_for() {
    let directory = directory();
    let server = Server::start(directory.path()).await;
    let client = server.client();
    crate::support::put(&client, "photo", BODY).await;
    let (status, headers) = preflight(&server, "null", "GET").await;
    assert_eq!((status.as_u16(), headers["access-control-allow-origin"].as_bytes()), (204, b"*".as_slice()));

    for (key, expected) in [("photo", 200), ("none", 404)] {
        let get = client.get_object().bucket(BUCKET).key(key).presigned(soon()).await.unwrap();
        let response = crate::support::Signed::from(get).with("origin", "null").get().await;
        assert_eq!(response.status(), expected);
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        assert!(!response.headers().contains_key("access-control-allow-credentials"));
    }
    let forbidden = reqwest::get(server.url("/uploads/photo")).await.unwrap();
    assert_eq!(
        (forbidden.status().as_u16(), &forbidden.headers()["access-control-allow-origin"]),
        (403, &"*".parse().unwrap())
    );
}
