//! From the first request to the download.

use std::time::Duration;

use futures_util::future::{join, join_all};
use shared_kernel::clock::Clock as _;
use shared_kernel::error::DomainError as _;
use tokio::net::TcpListener;
use upload::dto::{Disposition, UploadStatus};
use upload::event::UploadCompleted;
use upload::storage::{PutOptions, Storage};

use crate::fixture::{
    DAY, Fixture, HOUR, MINUTE, checksum, code, declare, localhost, png, request, storage_settings,
};

#[tokio::test]
async fn a_file_is_uploaded_completed_and_downloaded() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let new = request(&serde_json::json!({
        "filename": "Hafen – Übersicht.png",
        "content_type": "image/png",
        "size": bytes.len(),
        "checksum_sha256": checksum(&bytes),
    }));

    let created = fixture.create(&ada, new).await;
    assert_eq!(created.upload.status, UploadStatus::Pending);
    assert_eq!((created.upload.width, created.upload.completed_at), (None, None));
    assert_eq!(created.expires_at.unix_seconds(), fixture.clock.now().unix_seconds() + 15 * 60);
    assert_eq!(fixture.put(&created.request, &bytes).await, 200);

    let completed = fixture.complete(&ada, created.upload.id).await.unwrap();
    assert_eq!(completed.status, UploadStatus::Completed);
    assert_eq!((completed.width, completed.height), (Some(2), Some(3)));
    assert_eq!(completed.completed_at, Some(fixture.clock.now()));
    assert_eq!(completed.checksum_sha256, Some(checksum(&bytes)));
    assert_eq!(completed.version, created.upload.version + 1);
    assert_eq!(fixture.get(&ada, completed.id).await.unwrap(), completed);

    let download = fixture.download(&ada, completed.id, Disposition::Inline).await.unwrap();
    let answer = fixture.fetch(&download.url).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert_eq!(
        answer.headers()["content-disposition"],
        "inline; filename=\"Hafen _ _bersicht.png\"; filename*=UTF-8''Hafen%20%E2%80%93%20%C3%9Cbersicht.png"
    );
    assert_eq!(answer.bytes().await.unwrap(), bytes);

    let events = fixture.events::<UploadCompleted>(completed.id).await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].owner_id, events[0].content_type.as_str()), (ada.user().unwrap(), "image/png"));
    assert_eq!((events[0].version, events[0].size), (2, completed.size));
}

#[tokio::test]
async fn what_goes_out_has_the_contracts_shape() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let created =
        serde_json::to_value(fixture.create(&ada, declare("a.png", "image/png", &bytes)).await).unwrap();
    let names =
        |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(names(&created), "expires_at request upload");
    assert_eq!(names(&created["request"]), "headers method url");
    assert_eq!(created["request"]["method"], "PUT");
    assert_eq!(
        created["request"]["headers"],
        serde_json::json!({
            "content-length": bytes.len().to_string(),
            "content-type": "image/png",
            "if-none-match": "*",
        })
    );
    assert_eq!(
        names(&created["upload"]),
        "checksum_sha256 completed_at content_type created_at filename height id placeholder size status visibility width"
    );
    assert_eq!(created["upload"]["visibility"], "private");
    assert_eq!(created["upload"]["status"], "pending");
    assert!(created["upload"]["placeholder"].is_null());
}

#[tokio::test]
async fn the_store_tells_the_checksum_that_was_not_declared() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let completed = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    assert_eq!(completed.checksum_sha256, Some(checksum(&bytes)));
}

#[tokio::test]
async fn completing_twice_is_completing_once() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let first = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    fixture.clock.advance(DAY);
    assert_eq!(fixture.complete(&ada, first.id).await.unwrap(), first);
    assert_eq!(fixture.events::<UploadCompleted>(first.id).await.len(), 1);
}

#[tokio::test]
async fn of_completes_at_once_one_counts_and_all_are_answered_alike() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let created = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await;
    assert_eq!(fixture.put(&created.request, &bytes).await, 200);
    let answers = join_all((0..8).map(|_| fixture.complete(&ada, created.upload.id))).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(answers[0].version, 2);
    assert_eq!(fixture.events::<UploadCompleted>(created.upload.id).await.len(), 1);
}

#[tokio::test]
async fn completing_before_the_bytes_came_is_a_conflict() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let created = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await;
    assert_eq!(code(fixture.complete(&ada, created.upload.id).await), "upload_incomplete");
    assert_eq!(fixture.put(&created.request, &bytes).await, 200);
    assert!(fixture.complete(&ada, created.upload.id).await.is_ok());
}

#[tokio::test]
async fn bytes_that_came_in_time_can_be_completed_later_and_nothing_else() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let arrived = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await;
    let missing = fixture.create(&ada, declare("b.png", "image/png", &bytes)).await;
    assert_eq!(fixture.put(&arrived.request, &bytes).await, 200);
    fixture.clock.advance(15 * MINUTE);
    assert!(fixture.complete(&ada, arrived.upload.id).await.is_ok());
    assert_eq!(code(fixture.complete(&ada, missing.upload.id).await), "upload_expired");
}

#[tokio::test]
async fn content_of_another_type_is_not_published() {
    let fixture = Fixture::new().await;
    let ada = fixture.user().await;
    let html = b"<!doctype html><script>alert(1)</script>";
    for content_type in
        ["image/png", "image/jpeg", "application/pdf", "video/mp4", "audio/mpeg", "application/zip"]
    {
        let created = fixture.create(&ada, declare("a", content_type, html)).await;
        assert_eq!(fixture.put(&created.request, html).await, 200);
        for _ in 0..2 {
            assert_eq!(
                code(fixture.complete(&ada, created.upload.id).await),
                "content_mismatch",
                "{content_type}"
            );
        }
        assert_eq!(fixture.get(&ada, created.upload.id).await.unwrap(), created.upload);
        let download = fixture.download(&ada, created.upload.id, Disposition::Inline).await;
        assert_eq!(code(download), "upload_incomplete");
        assert_eq!(fixture.events::<UploadCompleted>(created.upload.id).await, []);
    }
}

/// Our store refuses such bytes at the PUT; another may not.
#[tokio::test]
async fn an_object_of_another_size_or_checksum_is_not_published() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let other: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    for (sent, says) in [(&other, "bytes"), (&bytes, "SHA-256")] {
        let new = request(&serde_json::json!({
            "filename": "a.png", "content_type": "image/png", "size": bytes.len(), "checksum_sha256": checksum(&other),
        }));
        let created = fixture.create(&ada, new).await;
        let key = fixture.object_key(created.upload.id).await.unwrap();
        let declared = PutOptions {
            key: &key,
            size: i64::try_from(sent.len()).unwrap(),
            content_type: "image/png",
            checksum_sha256: None,
        };
        let behind_our_back = fixture.storage.presign_put(declared, HOUR).unwrap();
        assert_eq!(fixture.put(&behind_our_back.request, sent).await, 200);
        let error = fixture.complete(&ada, created.upload.id).await.unwrap_err();
        assert_eq!(error.problem().code, "content_mismatch");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn an_image_is_measured_although_its_bytes_are_many() {
    let fixture = Fixture::new().await;
    let ada = fixture.user().await;
    let mut bytes = png();
    bytes.resize(1_000_000, 7);
    let completed = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    assert_eq!((completed.width, completed.height), (Some(2), Some(3)));
}

#[tokio::test]
async fn without_the_store_the_answer_is_an_honest_no() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let created = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await;
    let closed = TcpListener::bind(localhost(0)).await.unwrap().local_addr().unwrap();
    let away = Storage::new(&storage_settings(closed), fixture.clock.clone());
    let error = fixture.complete_at(&away, &ada, created.upload.id).await.unwrap_err();
    assert_eq!(error.problem().code, "service_unavailable");
    assert!(error.retry_after().is_some());
    assert!(away.ping().await.is_err());
    assert!(fixture.storage.ping().await.is_ok());
    fixture.storage.ensure_bucket().await.unwrap();
    assert_eq!(fixture.get(&ada, created.upload.id).await.unwrap().status, UploadStatus::Pending);
}

#[tokio::test]
async fn while_the_store_is_asked_others_can_write() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let created = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await;
    let listener = TcpListener::bind(localhost(0)).await.unwrap();
    let silent = Storage::new(&storage_settings(listener.local_addr().unwrap()), fixture.clock.clone());
    let meanwhile = async {
        let asked = listener.accept().await.unwrap();
        // SQLite has one writing connection: this would wait for it in vain if `complete` held it.
        fixture.create(&ada, declare("b.png", "image/png", &bytes)).await;
        drop((asked, listener));
    };
    let (completed, ()) =
        join(Box::pin(fixture.complete_at(&silent, &ada, created.upload.id)), meanwhile).await;
    assert_eq!(code(completed), "service_unavailable");
}

#[tokio::test]
async fn a_presigned_url_begins_with_the_public_endpoint() {
    let fixture = Fixture::new().await;
    let mut settings = storage_settings(localhost(9));
    settings.public_endpoint = Some("https://files.example.com/".parse().unwrap());
    let storage = Storage::new(&settings, fixture.clock.clone());
    let declared =
        PutOptions { key: "uploads/1", size: 1, content_type: "text/plain", checksum_sha256: None };
    let presigned = storage.presign_put(declared, MINUTE).unwrap();
    assert!(
        presigned.request.url.starts_with("https://files.example.com/ashlar/uploads/1?"),
        "{}",
        presigned.request.url
    );
    assert!(storage.presign_put(declared, Duration::from_secs(604_801)).is_err());
    settings.path_style = false;
    let presigned = Storage::new(&settings, fixture.clock.clone()).presign_put(declared, MINUTE).unwrap();
    assert!(
        presigned.request.url.starts_with("https://ashlar.files.example.com/uploads/1?"),
        "{}",
        presigned.request.url
    );
}
