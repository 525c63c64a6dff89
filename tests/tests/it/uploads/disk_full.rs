//! A full disk while an upload is created, sent and completed.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tests::process::Installation;
use tests::store::png;
use tests::{Account, Answer, Client};

use crate::faults::disk_full::{
    ENOUGH, SmallDisk, is_refused, leave_pages, on_sqlite, signup, writes_are_kept,
};

#[tokio::test]
async fn an_upload_at_any_of_its_statements() {
    let Some(server) = on_sqlite().await else { return };
    let ada = server.signup().await;
    let bytes = png(3, 3);
    let (mut refused, mut created) = (0, Value::Null);
    for pages in 0..ENOUGH {
        leave_pages(&server, pages).await;
        let answer = announce(&server, &ada, &bytes).await;
        if answer.status == 201 {
            created = answer.json();
            break;
        }
        is_refused(&answer);
        refused += 1;
        writes_are_kept(&server).await;
    }
    assert!((1..ENOUGH).contains(&refused), "{refused}");
    put(&server, &created, &bytes).await.expect(200);
    let complete = format!("/api/v1/uploads/{}/complete", created["upload"]["id"].as_str().unwrap());
    let mut refused = 0;
    for pages in 0..ENOUGH {
        leave_pages(&server, pages).await;
        let answer = server.post(&complete).bearer(&ada.token).await;
        if answer.status == 200 {
            break;
        }
        is_refused(&answer);
        refused += 1;
        writes_are_kept(&server).await;
    }
    assert!((1..ENOUGH).contains(&refused), "{refused}");
    let path = complete.trim_end_matches("/complete");
    assert_eq!(server.get_as(&ada, path).await.expect(200).json()["status"], "completed");
}

async fn announce(client: &Client, account: &Account, bytes: &[u8]) -> Answer {
    let body = json!({"filename": "a.png", "content_type": "image/png", "size": bytes.len()});
    client.post("/api/v1/uploads").bearer(&account.token).json(&body).await
}

async fn put(client: &Client, created: &Value, bytes: &[u8]) -> Answer {
    let request = &created["request"];
    let mut put = client.request(reqwest::Method::PUT, request["url"].as_str().unwrap()).unchecked();
    for (name, value) in request["headers"].as_object().unwrap() {
        if name != "content-length" {
            put = put.header(name, value.as_str().unwrap());
        }
    }
    put.bytes(bytes.to_vec()).await
}

#[tokio::test]
async fn a_file_that_does_not_fit_leaves_nothing_behind_and_can_be_sent_again() {
    let Some(disk) = SmallDisk::new() else { return };
    let installation = Installation::without_database_in(disk.path());
    let process = installation.start().await;
    let session = signup(&process, "ada@example.com").await.expect(201).json();
    let ada = Account::from(&session);
    let bytes = png(900, 900);
    let created = announce(&process, &ada, &bytes).await.expect(201).json();
    disk.fill(64 * 1024);
    let refused = put(&process, &created, &bytes).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let objects = installation.folder().join("data").join("objects");
    let left: u64 = sizes(&objects.join("staging")) + sizes(&objects.join("buckets"));
    assert_eq!(left, 0, "bytes of a refused file are left");
    disk.empty();
    put(&process, &created, &bytes).await.expect(200);
    let complete = format!("/api/v1/uploads/{}/complete", created["upload"]["id"].as_str().unwrap());
    process.post(&complete).bearer(&ada.token).await.expect(200);
    process.stop().await;
}

/// The bytes of all files below a folder.
fn sizes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| {
        let data = entry.metadata().unwrap();
        if data.is_dir() { sizes(&entry.path()) } else { data.len() }
    };
    entries.map(|entry| size(entry.unwrap())).sum()
}
