//! Several processes on one data folder.

use futures_util::future::join_all;
use serde_json::json;
use tests::process::Installation;
use tests::{PASSWORD, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_that_migrate_at_once_agree() {
    for _ in 0..3 {
        let installation = Installation::new().await;
        let outcomes = join_all((0..8).map(|_| installation.run(&["migrate", "up"]))).await;
        assert!(outcomes.iter().all(|outcome| outcome.code == 0), "{outcomes:#?}");
        let applied = outcomes.iter().filter(|outcome| outcome.stdout.starts_with("applied ")).count();
        assert_eq!(applied, 1, "{outcomes:#?}");
        let status = installation.run(&["migrate", "status"]).await;
        assert!(status.stdout.lines().all(|line| line.starts_with("applied ")), "{status:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_and_a_command_that_migrate_at_once_agree() {
    for _ in 0..3 {
        let installation = Installation::new().await;
        let command = installation.run(&["migrate", "up"]);
        let (process, outcome) = tokio::join!(installation.start(), command);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
        process.post("/api/v1/auth/signup").json(&body).await.expect(201);
        process.stop().await;
    }
}

#[tokio::test]
async fn a_second_server_on_a_data_folder_is_refused_and_a_command_is_not() {
    let installation = Installation::new().await;
    let first = installation.start().await;
    let second = installation.run(&["serve"]).await;
    assert_eq!((second.code, second.stdout.as_str()), (1, ""), "{second:?}");
    assert!(second.stderr.contains(&format!("process {}", first.id())), "{second:?}");
    assert!(second.stderr.contains("ASHLAR_DATA_DIR"), "{second:?}");
    first.get("/health/ready").await.expect(200);
    assert_eq!(installation.run(&["migrate", "status"]).await.code, 0);
    let admin = ["admin", "create", "--email", "root@example.com", "--password-stdin"];
    let created = installation.run_with_input(&admin, &format!("{PASSWORD}\n")).await;
    assert_eq!(created.code, 0, "{created:?}");
    // Files of a killed server do not prevent a start.
    first.kill().await;
    let third = installation.start().await;
    eventually("the third one is ready", async || {
        (third.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    third.stop().await;
}

/// Settings by which no data is in the data folder, besides the database.
const ELSEWHERE: &[(&str, &str)] = &[
    // domain: upload
    ("ASHLAR_STORAGE__ENDPOINT", "http://127.0.0.1:9"),
    ("ASHLAR_STORAGE__ACCESS_KEY", "tests"),
    ("ASHLAR_STORAGE__SECRET_KEY", "a-secret-that-only-tests-have"),
    // end: upload
];

#[tokio::test]
async fn servers_with_nothing_of_their_own_in_a_data_folder_share_it() {
    let mut installation = Installation::new().await;
    if !installation.is_on_postgres() {
        return;
    }
    for (name, value) in ELSEWHERE {
        installation.set(name, value);
    }
    let (first, second) = (installation.start().await, installation.start().await);
    first.stop().await;
    second.stop().await;
}
