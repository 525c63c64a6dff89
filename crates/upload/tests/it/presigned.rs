//! What the store refuses of whoever holds a presigned URL.

use shared_kernel::clock::{Clock as _, SystemClock};
use upload::dto::{CreatedUpload, Disposition, PresignedRequest};

use crate::fixture::{Fixture, HOUR, checksum, code, declare, png, request};

fn with_header(request: &PresignedRequest, name: &str, value: Option<&str>) -> PresignedRequest {
    let mut changed = request.clone();
    match value {
        Some(value) => changed.headers.insert(name.into(), value.into()),
        None => changed.headers.remove(name),
    };
    changed
}

async fn declared_with_checksum(fixture: &Fixture, bytes: &[u8]) -> CreatedUpload {
    let ada = fixture.user().await;
    let new = request(&serde_json::json!({
        "filename": "a.png", "content_type": "image/png", "size": bytes.len(), "checksum_sha256": checksum(bytes),
    }));
    fixture.create(&ada, new).await
}

#[tokio::test]
async fn everything_that_was_declared_is_signed() {
    let fixture = Fixture::new().await;
    let created = declared_with_checksum(&fixture, &png()).await;
    let signed =
        "X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost%3Bif-none-match%3Bx-amz-checksum-sha256";
    assert!(created.request.url.contains(signed), "{}", created.request.url);
    let names: Vec<_> = created.request.headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["content-length", "content-type", "if-none-match", "x-amz-checksum-sha256"]);
}

#[tokio::test]
async fn the_store_refuses_what_was_not_declared() {
    let fixture = Fixture::new().await;
    let bytes = png();
    let created = declared_with_checksum(&fixture, &bytes).await;
    let request = &created.request;

    let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
    assert_eq!(fixture.put(request, &longer).await, 403, "one byte more");
    assert_eq!(fixture.put(request, &bytes[1..]).await, 403, "one byte less");
    let mut other = bytes.clone();
    other[1_000] ^= 1;
    assert_eq!(fixture.put(request, &other).await, 400, "other bytes");
    let its_own = with_header(request, "x-amz-checksum-sha256", Some(&checksum(&other)));
    assert_eq!(fixture.put(&its_own, &other).await, 403, "another checksum");
    for (name, value) in [
        ("content-type", Some("text/html")),
        ("content-type", None),
        ("x-amz-checksum-sha256", None),
        ("if-none-match", None),
        ("x-amz-copy-source", Some("/ashlar/uploads/another")),
        ("x-amz-acl", Some("public-read")),
        ("content-encoding", Some("gzip")),
        ("content-disposition", Some("inline")),
        ("content-language", Some("de")),
        ("expires", Some("Thu, 01 Jan 2099 00:00:00 GMT")),
    ] {
        let status = fixture.put(&with_header(request, name, value), &bytes).await;
        assert_eq!(status, 403, "{name}: {value:?}");
    }
    let elsewhere =
        PresignedRequest { url: request.url.replace("/uploads/", "/uploads/x"), ..request.clone() };
    assert_eq!(fixture.put(&elsewhere, &bytes).await, 403, "another key");

    let key = fixture.object_key(created.upload.id).await.unwrap();
    assert_eq!(fixture.storage.head(&key).await.unwrap(), None, "nothing of it was kept");
    assert_eq!(fixture.put(request, &bytes).await, 200);
    assert_eq!(fixture.put(request, &bytes).await, 412, "a second time");
}

#[tokio::test]
async fn the_store_refuses_what_is_late() {
    let fixture = Fixture::at(SystemClock.now() - HOUR).await;
    let (ada, bytes) = (fixture.user().await, png());
    let created = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await;
    assert_eq!(fixture.put(&created.request, &bytes).await, 403);
    fixture.clock.advance(HOUR);
    assert_eq!(code(fixture.complete(&ada, created.upload.id).await), "upload_expired");
}

#[tokio::test]
async fn a_download_url_is_good_for_its_object_alone() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    let download = fixture.download(&ada, published.id, Disposition::Attachment).await.unwrap();
    assert_eq!(fixture.fetch(&download.url).await.status(), 200);
    for changed in [
        download.url.replace("/uploads/", "/uploads/x"),
        download.url.replace("attachment", "inline"),
        download.url.replace("image%2Fpng", "text%2Fhtml"),
        download.url.split('?').next().unwrap().to_owned(),
    ] {
        assert_ne!(changed, download.url);
        assert_eq!(fixture.fetch(&changed).await.status(), 403, "{changed}");
    }
}

#[tokio::test]
async fn a_download_is_neither_cached_nor_decoded() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    let download = fixture.download(&ada, published.id, Disposition::Attachment).await.unwrap();
    let answer = fixture.fetch(&download.url).await;
    assert_eq!(answer.headers()["cache-control"], "private, no-store");
    assert_eq!(answer.headers()["content-encoding"], "identity");
    assert_eq!(answer.bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn an_old_download_url_does_not_work() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    // The store's clock does not move, so the URL is made in the past.
    let past = std::sync::Arc::new(shared_kernel::testing::FixedClock::new(fixture.clock.now() - HOUR));
    let key = fixture.object_key(published.id).await.unwrap();
    let wanted = upload::storage::GetOptions {
        key: &key,
        disposition: Disposition::Attachment,
        filename: "a.png",
        content_type: "image/png",
    };
    let presigned = fixture.storage_at(past).presign_get(wanted, HOUR / 4).unwrap();
    assert_eq!(fixture.fetch(&presigned.request.url).await.status(), 403);
}
