//! Passwords that are expensive to estimate, sent by clients without an account.

use std::time::Duration;

use serde_json::json;
use shared_kernel::clock::Stopwatch;
use tests::load::expensive_password;
use tests::{PASSWORD, TestServer, unique};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_expensive_passwords_does_not_hold_up_a_sign_in() {
    let server = TestServer::with_variables(&[
        ("ASHLAR_AUTH__ARGON2_MEMORY_KIB", "19456"),
        ("ASHLAR_AUTH__ARGON2_ITERATIONS", "2"),
        ("ASHLAR_AUTH__HASH_THREADS", "2"),
        ("ASHLAR_AUTH__HASH_WAIT_SECONDS", "3"),
    ])
    .await;
    let ada = server.signup().await;
    let mut signups = JoinSet::new();
    for number in 0..40 {
        let body = json!({"email": format!("{}@example.com", unique("flood")), "name": "Eve", "password": expensive_password(number)});
        let request = server.post("/api/v1/auth/signup").json(&body);
        signups.spawn(async move { request.await.status });
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let started = Stopwatch::start();
        let body = json!({"identifier": ada.email, "password": PASSWORD});
        server.post("/api/v1/auth/login").json(&body).await.expect(200);
        slowest = slowest.max(started.elapsed());
    }
    let started = Stopwatch::start();
    let mut statuses = Vec::new();
    while let Some(status) = signups.join_next().await {
        statuses.push(status.unwrap());
    }
    println!("slowest login: {slowest:?}; last sign-up after another {:?}: {statuses:?}", started.elapsed());
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    assert!(statuses.iter().all(|status| [201, 503].contains(status)), "{statuses:?}");
    assert!(statuses.contains(&201), "{statuses:?}");
}
