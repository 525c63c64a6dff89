//! Files of uploads as other domains have them.

use std::sync::Arc;
use std::time::Duration;

use shared_kernel::error::DomainError as _;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::principal::Principal;
use shared_kernel::reference::{self, ReferenceField};
use shared_kernel::testing::{FixedClock, as_admin};
use upload::files::SignedFiles;
use upload::storage::PutOptions;
use upload_port::{Files as _, StoredFile, UploadId};

use crate::fixture::{DAY, Fixture, HOUR, declare, png, request};

async fn url(fixture: &Fixture, id: UploadId) -> Option<String> {
    let mut files =
        upload_port::linked_files(&fixture.files(), &fixture.database.read(None), [id]).await.unwrap();
    files.remove(&id).map(|file| file.url)
}

#[tokio::test]
async fn a_file_can_be_had_at_its_url() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let image =
        fixture.publish(&ada, declare("Hafen – \"Übersicht\" 1'.png", "image/png", &bytes), &bytes).await;
    let text = "ä,b".as_bytes();
    let table = fixture.publish(&ada, declare("a b.csv", "text/csv", text), text).await;

    // While a transaction is open, and with one statement.
    let session = fixture.database.write();
    let files = upload_port::linked_files(&fixture.files(), &session, [image.id, table.id]).await.unwrap();
    drop(session);
    let shown = &files[&image.id];
    assert_eq!(
        (&*shown.filename, &*shown.content_type, shown.size, shown.width, shown.height),
        (&*image.filename, "image/png", image.size, image.width, image.height)
    );
    assert!(shown.width.is_some());
    assert_eq!((files[&table.id].width, &*files[&table.id].content_type), (None, "text/csv"));
    let answer = fixture.fetch(&shown.url).await;
    assert_eq!(answer.status(), 200);
    let headers = answer.headers();
    assert_eq!(headers["content-type"], "image/png");
    assert_eq!(
        headers["content-disposition"],
        "inline; filename=\"Hafen _ __bersicht_ 1'.png\"; \
         filename*=UTF-8''Hafen%20%E2%80%93%20%22%C3%9Cbersicht%22%201%27.png"
    );
    assert_eq!(
        (&headers["cache-control"], &headers["content-encoding"]),
        (&"private, no-store".parse().unwrap(), &"identity".parse().unwrap())
    );
    assert_eq!(answer.bytes().await.unwrap(), bytes);

    let answer = fixture.fetch(&files[&table.id].url).await;
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let disposition = answer.headers()["content-disposition"].to_str().unwrap();
    assert_eq!(disposition, "attachment; filename=\"a b.csv\"; filename*=UTF-8''a%20b.csv");
    assert_eq!(answer.bytes().await.unwrap(), text);
}

#[tokio::test]
async fn what_is_not_there_has_no_url() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let pending = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await.upload.id;
    let deleted = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await.id;
    assert!(url(&fixture, deleted).await.is_some());
    fixture.delete(&ada, deleted).await.unwrap();
    for id in [pending, deleted] {
        assert_eq!(url(&fixture, id).await, None);
    }
}

#[tokio::test]
async fn a_url_is_good_for_what_was_signed_and_nothing_else() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    let url = url(&fixture, published.id).await.unwrap();
    assert_eq!(fixture.fetch(&url).await.status(), 200);
    let (place, query) = url.split_once('?').unwrap();
    let parameters: Vec<&str> = query.split('&').collect();
    assert!(
        parameters.contains(&"X-Amz-Expires=900") && parameters.contains(&"X-Amz-SignedHeaders=host"),
        "{url}"
    );
    for (at, parameter) in parameters.iter().enumerate() {
        let (name, value) = parameter.split_once('=').unwrap();
        let last = if value.ends_with('1') { "2" } else { "1" };
        let other = format!("{name}={}{last}", &value[..value.len() - 1]);
        for instead in [vec![&*other], vec![], vec![*parameter, &*other]] {
            let mut changed = parameters.clone();
            changed.splice(at..=at, instead);
            let changed = format!("{place}?{}", changed.join("&"));
            let status = fixture.fetch(&changed).await.status().as_u16();
            assert!(status >= 400, "{status}: {changed}");
        }
    }
    let more = format!("{url}&response-content-language=de");
    assert_eq!(fixture.fetch(&more).await.status(), 403);
    let elsewhere = url.replace("/uploads/", "/uploads/x");
    assert_eq!(fixture.fetch(&elsewhere).await.status(), 403);
}

#[tokio::test]
async fn a_url_expires() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    let file = StoredFile {
        id: published.id,
        object_key: fixture.object_key(published.id).await.unwrap(),
        filename: published.filename,
        content_type: published.content_type,
        charset: None,
        size: published.size,
        width: published.width,
        height: published.height,
    };
    // The store's clock does not move, so the URLs are made in the past.
    for (age, ttl, status) in
        [(HOUR, 2 * HOUR, 200), (HOUR, HOUR / 2, 403), (DAY, 7 * DAY, 200), (8 * DAY, 7 * DAY, 403)]
    {
        let past = Arc::new(FixedClock::new(shared_kernel::clock::Clock::now(&*fixture.clock) - age));
        let files = SignedFiles::new(fixture.storage_at(past), ttl);
        assert_eq!(fixture.fetch(&files.url(&file).unwrap()).await.status(), status, "{age:?} {ttl:?}");
    }
    let too_long = SignedFiles::new(fixture.storage.clone(), 7 * DAY + Duration::from_secs(1));
    assert_eq!(too_long.url(&file).unwrap_err().to_string(), "the URL of a file cannot be made");
}

/// Keys are made by us and are plain; this is what would happen if they were not.
#[tokio::test]
async fn strange_keys_and_names_are_signed_as_they_are() {
    let fixture = Fixture::new().await;
    let bytes = b"strange".as_slice();
    for name in ["a b", "Übergröße", "\"quoted\" 'twice'", "100%25+1&x=y?#~*", "文件 (1)", "a,b;c=d:e@f!$"]
    {
        let key = format!("uploads/{name}.txt");
        let declared = PutOptions { key: &key, size: 7, content_type: "text/plain", checksum_sha256: None };
        let put = fixture.storage.presign_put(declared, HOUR).unwrap();
        assert_eq!(fixture.put(&put.request, bytes).await, 200, "{name}");
        let file = StoredFile {
            id: UploadId::new(shared_kernel::clock::Clock::now(&*fixture.clock)),
            object_key: key,
            filename: format!("{name}.txt"),
            content_type: "text/plain".into(),
            charset: None,
            size: 7,
            width: None,
            height: None,
        };
        let answer = fixture.fetch(&fixture.files().url(&file).unwrap()).await;
        assert_eq!(answer.status(), 200, "{name}");
        assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("inline; filename="));
        assert_eq!(answer.bytes().await.unwrap(), bytes, "{name}");
    }
}

/// Whether `principal` may write a row that refers to that upload.
async fn may_refer(fixture: &Fixture, principal: &Principal, id: UploadId) -> bool {
    let session = fixture.database.write();
    let pointed = [ReferenceField::new("/cover_upload_id", "uploads", Some(id))];
    let refused = reference::check_references(&session, principal, &pointed).await;
    let Err(error) = refused else { return true };
    let [field] = error.fields().try_into().unwrap();
    assert_eq!((&*field.pointer, &*field.code), ("/cover_upload_id", "reference"));
    false
}

#[tokio::test]
async fn only_its_owner_refers_to_an_upload_and_only_when_it_is_there() {
    let fixture = Fixture::new().await;
    let (ada, eve, bytes) = (fixture.user().await, fixture.user().await, png());
    let new = request(&serde_json::json!({
        "filename": "a.png", "content_type": "image/png", "size": bytes.len(), "visibility": "public",
    }));
    let created = fixture.create(&ada, new).await;
    let id = created.upload.id;
    assert!(!may_refer(&fixture, &ada, id).await, "it is pending");
    assert_eq!(fixture.put(&created.request, &bytes).await, 200);
    fixture.complete(&ada, id).await.unwrap();
    assert!(may_refer(&fixture, &ada, id).await);
    assert!(!may_refer(&fixture, &eve, id).await, "others may download it, and no more");
    let admin = as_admin(&eve);
    assert!(!may_refer(&fixture, &admin, id).await);
    fixture.delete(&ada, id).await.unwrap();
    assert!(!may_refer(&fixture, &ada, id).await);
}

#[tokio::test]
async fn a_store_that_cannot_be_addressed_is_our_own_fault() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    let files = SignedFiles::new(fixture.storage.clone(), 8 * DAY);
    let error =
        upload_port::linked_files(&files, &fixture.database.read(None), [published.id]).await.unwrap_err();
    assert!(matches!(error, KernelError::Port(_)), "{error:?}");
}
