//! The outermost layer: what a client sees of a panic, and of errors that are none of ours, and what the log says of them.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failing test")]

use std::io;
use std::sync::{Arc, Mutex};

use actix_web::body::to_bytes;
use actix_web::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, test, web};
use http_kit::headers::REQUEST_ID;
use http_kit::request_log::request_log;

#[expect(clippy::panic, reason = "what this file is about")]
async fn explode() -> HttpResponse {
    panic!("canary-7f3a: the pool of sharks is empty")
}

async fn plain_error() -> HttpResponse {
    HttpResponse::BadGateway().content_type("text/plain").body("canary-7f3a")
}

async fn unavailable() -> HttpResponse {
    HttpResponse::ServiceUnavailable().finish()
}

macro_rules! app {
    () => {
        test::init_service(
            App::new()
                .route("/explode", web::get().to(explode))
                .route("/plain", web::get().to(plain_error))
                .route("/unavailable", web::get().to(unavailable))
                .wrap(from_fn(request_log)),
        )
        .await
    };
}

#[actix_web::test]
async fn a_panic_is_answered_with_a_problem_that_tells_nothing() {
    let app = app!();
    let request = test::TestRequest::get().uri("/explode").insert_header((REQUEST_ID, "my-id")).to_request();
    let error = test::try_call_service(&app, request).await.unwrap_err();
    let response = error.as_response_error().error_response();
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "application/problem+json");
    assert_eq!(response.headers().get(REQUEST_ID).unwrap(), "my-id");
    assert_eq!(response.headers().get(X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff");
    let body = String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap();
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(problem["code"], "internal_error");
    assert_eq!(problem["request_id"], "my-id");
    assert_eq!(problem["instance"], "/explode");
    assert!(!body.contains("canary") && !body.contains("shark"), "{body}");
}

#[actix_web::test]
async fn an_error_that_is_none_of_ours_becomes_a_problem_of_its_status() {
    let app = app!();
    for (path, status, code) in [("/plain", 500_u16, "internal_error"), ("/nowhere", 404, "not_found")] {
        let response = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), "application/problem+json");
        let body = test::read_body(response).await;
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (problem["code"].as_str(), problem["status"].as_u64()),
            (Some(code), Some(u64::from(status)))
        );
        assert!(!String::from_utf8_lossy(&body).contains("canary"));
    }
}

#[actix_web::test]
async fn an_unfit_request_id_is_replaced() {
    let app = app!();
    let request = test::TestRequest::get().uri("/nowhere").insert_header((REQUEST_ID, "a b")).to_request();
    let response = test::call_service(&app, request).await;
    assert_ne!(response.headers().get(REQUEST_ID).unwrap(), "a b");
}

/// What was logged, one JSON object a line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The levels of what was logged of one request.
    fn levels(&self, request_id: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let of_the_request = events.filter(|event| event["span"]["request_id"] == request_id);
        of_the_request.map(|event| event["level"].as_str().unwrap().to_owned()).collect()
    }
}

#[actix_web::test]
async fn what_is_away_for_a_while_is_a_warning_and_only_a_bug_an_error() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().json().with_writer(move || writer.clone()).init();
    let app = app!();
    for (path, status, level) in
        [("/unavailable", 503, "WARN"), ("/plain", 500, "ERROR"), ("/nowhere", 404, "INFO")]
    {
        let request_id = format!("answered-with-{status}");
        let request = test::TestRequest::get().uri(path).insert_header((REQUEST_ID, request_id.as_str()));
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(log.levels(&request_id), [level], "{path}");
    }
}
