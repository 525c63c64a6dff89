//! The command line of uploads, and their settings in its output.

use serde_json::Value;
use tests::process::Installation;

use crate::commands::{failed, succeeded};

#[tokio::test]
async fn the_object_store_can_be_opened_by_an_s3_client() {
    let installation = Installation::without_database();
    let text = succeeded(installation.run(&["uploads", "credentials"]).await);
    assert_eq!(text.lines().count(), 1, "{text}");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        tests::client::members(&told),
        ["access_key", "bucket", "endpoint", "path_style", "region", "secret_key"]
    );
    assert!(told["secret_key"].as_str().unwrap().len() >= 16, "{text}");
    // The keys of the store, which are the same in each call.
    assert_eq!(succeeded(installation.run(&["uploads", "credentials"]).await), text);
}

#[tokio::test]
async fn the_keys_of_the_store_are_not_shown() {
    let mut installation = Installation::without_database();
    installation.set("ASHLAR_STORAGE__ENDPOINT", "https://s3.example.com");
    installation.set("ASHLAR_STORAGE__ACCESS_KEY", "canary-access-key");
    installation.set("ASHLAR_STORAGE__SECRET_KEY", "canary-store-secret");
    let outcome = installation.run(&["config"]).await;
    for secret in ["canary-access-key", "canary-store-secret"] {
        assert!(
            !outcome.stdout.contains(secret) && !outcome.stderr.contains(secret),
            "{secret}: {outcome:?}"
        );
    }
    let line = "storage.secret_key = \"[redacted]\"  # environment variable ASHLAR_STORAGE__SECRET_KEY";
    let text = succeeded(outcome);
    assert!(text.lines().any(|other| other == line), "{text}");
}

#[tokio::test]
async fn a_store_whose_address_is_taken_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut installation = Installation::without_database();
    installation.set("ASHLAR_STORAGE__EMBEDDED_BIND", &address);
    let outcome = installation.run(&[]).await;
    let told = failed(&outcome, 1);
    assert!(told.contains(&address) && told.contains("in use"), "{outcome:?}");
}
