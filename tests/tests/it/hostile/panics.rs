//! A handler that panics is a bug. No route of the product panics, so the test adds one behind the same middleware.

use std::net::SocketAddr;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use http_kit::request_log::request_log;
use serde_json::json;
use tests::{Client, PATIENCE, Raw};
use tokio::sync::oneshot;

async fn panics() -> HttpResponse {
    panic!("canary-of-the-panic")
}

/// A server with a route that panics and one that does not, until the returned sender is dropped.
async fn start() -> (SocketAddr, oneshot::Sender<()>) {
    let (started, starts) = oneshot::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let server = HttpServer::new(|| {
                let app = App::new().route("/panics", web::to(panics));
                app.route("/works", web::to(HttpResponse::Ok)).wrap(from_fn(request_log))
            });
            let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
            let address = server.addrs()[0];
            let server = server.run();
            let handle = server.handle();
            let _ = started.send(address);
            let stopped = async {
                drop(stopped.await);
                handle.stop(false).await;
            };
            let _ = tokio::join!(server, stopped);
        });
    });
    (starts.await.unwrap(), stop)
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing_and_the_others_go_on() {
    let (address, _stop) = start().await;
    let client = Client::new(format!("http://{address}"));
    for _ in 0..3 {
        let answer = client.get("/panics").header("x-request-id", "the-panic").unchecked().await.expect(500);
        answer.check_headers();
        answer.check_error();
        assert!(!answer.text().contains("canary"), "{answer:?}");
        let expected = json!({
            "type": "/problems/internal_error", "title": "Unexpected server error", "status": 500,
            "detail": "The log has the cause under the request id.", "instance": "/panics", "code": "internal_error",
            "request_id": "the-panic", "errors": [],
        });
        assert_eq!(answer.json(), expected);
        client.get("/works").header("x-request-id", "the-next").await.expect(200);
    }
}

#[tokio::test]
async fn a_panic_leaves_no_endless_body_open() {
    let (address, _stop) = start().await;
    let mut raw = Raw::connect(address).await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    raw.send("POST /panics HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let endless = async { while raw.try_send(chunk.as_bytes()).await {} };
    let ended = tokio::time::timeout(PATIENCE, endless).await;
    assert!(ended.is_ok(), "the connection stays open however much comes");
}
