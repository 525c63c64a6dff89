//! Who may do what, how much, and what lists show.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use shared_kernel::error::DomainError as _;
use shared_kernel::page::PageRequest;
use shared_kernel::testing::as_admin;
use upload::dto::{CreateUpload, Disposition, Upload, UploadFilter, UploadStatus, UploadVisibility};

use crate::fixture::{DAY, Fixture, code, declare, png, request};

#[tokio::test]
async fn other_peoples_uploads_are_not_there() {
    let fixture = Fixture::new().await;
    let (ada, eve, bytes) = (fixture.user().await, fixture.user().await, png());
    let admin = as_admin(&fixture.user().await);
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    let pending = fixture.create(&ada, declare("b.png", "image/png", &bytes)).await.upload;
    for other in [&eve, &admin] {
        for id in [published.id, pending.id] {
            assert_eq!(code(fixture.get(other, id).await), "upload_not_found");
            assert_eq!(code(fixture.complete(other, id).await), "upload_not_found");
            assert_eq!(code(fixture.download(other, id, Disposition::Attachment).await), "upload_not_found");
            assert_eq!(code(fixture.delete(other, id).await), "upload_not_found");
        }
        let page = fixture.list(other, &UploadFilter::default(), &PageRequest::first(100)).await;
        assert_eq!(page.items, []);
    }
    assert_eq!(fixture.get(&ada, published.id).await.unwrap(), published);
}

#[tokio::test]
async fn a_public_upload_is_anybodys_once_it_is_completed() {
    let fixture = Fixture::new().await;
    let (ada, eve, bytes) = (fixture.user().await, fixture.user().await, png());
    let created = fixture.create(&ada, public(&bytes)).await;
    let id = created.upload.id;
    assert_eq!(created.upload.visibility, UploadVisibility::Public);
    for other in [None, Some(&eve)] {
        assert_eq!(code(fixture.download(other, id, Disposition::Attachment).await), "upload_not_found");
        assert_eq!(code(fixture.show(other, id).await), "upload_not_found");
    }
    assert_eq!(code(fixture.download(&ada, id, Disposition::Attachment).await), "upload_incomplete");
    assert_eq!(fixture.put(&created.request, &bytes).await, 200);
    let completed = fixture.complete(&ada, id).await.unwrap();

    for other in [None, Some(&eve)] {
        let download = fixture.download(other, id, Disposition::Attachment).await.unwrap();
        assert_eq!(fixture.fetch(&download.url).await.bytes().await.unwrap(), bytes);
        let shown = serde_json::to_value(fixture.show(other, id).await.unwrap()).unwrap();
        let own = serde_json::to_value(&completed).unwrap();
        let names: Vec<&String> = shown.as_object().unwrap().keys().collect();
        assert_eq!(
            names,
            ["content_type", "created_at", "filename", "height", "id", "size", "visibility", "width"]
        );
        for (name, value) in shown.as_object().unwrap() {
            assert_eq!(*value, own[name], "{name}");
        }
    }
    assert_eq!(fixture.get(&ada, id).await.unwrap(), completed);
    assert_eq!(code(fixture.complete(&eve, id).await), "upload_not_found");
    assert_eq!(code(fixture.delete(&eve, id).await), "upload_not_found");
    fixture.delete(&ada, id).await.unwrap();
    for other in [None, Some(&eve)] {
        assert_eq!(code(fixture.download(other, id, Disposition::Attachment).await), "upload_not_found");
        assert_eq!(code(fixture.show(other, id).await), "upload_not_found");
    }
}

#[tokio::test]
async fn what_belongs_to_an_account_that_is_not_in_use_is_not_public() {
    let fixture = Fixture::new().await;
    let (ada, eve, bytes) = (fixture.user().await, fixture.user().await, png());
    let id = fixture.publish(&ada, public(&bytes), &bytes).await.id;
    let readable = async || {
        let download = fixture.download(None, id, Disposition::Attachment).await;
        let shown = fixture.show(Some(&eve), id).await;
        assert_eq!(download.is_ok(), shown.is_ok());
        shown.map_err(|error| error.problem().code)
    };
    let set = async |values: &str| {
        fixture.execute(&format!("UPDATE users SET {values} WHERE id = '{ada}'")).await;
    };
    assert!(readable().await.is_ok());
    set("status = 'suspended'").await;
    assert_eq!(readable().await, Err("upload_not_found"));
    set("status = 'active'").await;
    assert!(readable().await.is_ok());
    // Without what otherwise goes with an account.
    set("deleted_at = updated_at").await;
    assert_eq!(readable().await, Err("upload_not_found"));
}

fn public(bytes: &[u8]) -> CreateUpload {
    request(&serde_json::json!({
        "filename": "a.png", "content_type": "image/png", "size": bytes.len(), "visibility": "public",
    }))
}

#[tokio::test]
async fn what_a_browser_could_run_is_saved_and_not_shown() {
    let mut fixture = Fixture::new().await;
    fixture.settings.allowed_types.extend(["image/svg+xml".to_owned(), "text/html".to_owned()]);
    let ada = fixture.user().await;
    let script = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".as_slice();
    for (content_type, bytes, shown, served) in [
        ("image/svg+xml", script, "attachment", "image/svg+xml"),
        ("text/html", script, "attachment", "text/html; charset=utf-8"),
        ("application/pdf", b"%PDF-1.7".as_slice(), "attachment", "application/pdf"),
        ("text/csv", b"a,b", "attachment", "text/csv; charset=utf-8"),
        ("text/plain", script, "inline", "text/plain; charset=utf-8"),
    ] {
        let published = fixture.publish(&ada, declare("a", content_type, bytes), bytes).await;
        let download = fixture.download(&ada, published.id, Disposition::Inline).await.unwrap();
        let answer = fixture.fetch(&download.url).await;
        assert_eq!(answer.headers()["content-type"], served);
        let disposition = answer.headers()["content-disposition"].to_str().unwrap();
        assert!(disposition.starts_with(shown), "{content_type}: {disposition}");
    }
}

#[tokio::test]
async fn a_type_or_a_size_that_is_not_taken_is_refused_by_name() {
    let fixture = Fixture::new().await;
    let ada = fixture.user().await;
    for content_type in [
        "text/html",
        "image/svg+xml",
        "image/png; charset=utf-8",
        "image/*",
        "application/vnd.ms-excel",
        "png",
    ] {
        let error = fixture.try_create(&ada, declare("a", content_type, b"a")).await.unwrap_err();
        assert_eq!(error.problem().code, "validation_failed");
        let [field] = error.fields().try_into().unwrap();
        assert_eq!(
            (field.pointer.as_str(), field.code.as_ref()),
            ("/content_type", "choice"),
            "{content_type}"
        );
        assert!(field.message.contains("image/png, image/gif"), "{}", field.message);
    }
    let sized =
        |size: i64| request(&serde_json::json!({"filename": "a", "content_type": "image/png", "size": size}));
    assert!(fixture.try_create(&ada, sized(fixture.settings.max_size)).await.is_ok());
    for size in [fixture.settings.max_size + 1, i64::MAX] {
        let [field] = fixture.try_create(&ada, sized(size)).await.unwrap_err().fields().try_into().unwrap();
        assert_eq!((field.pointer.as_str(), field.code.as_ref()), ("/size", "too_large"));
    }
    let both = request(&serde_json::json!({"filename": "a", "content_type": "x", "size": i64::MAX}));
    assert_eq!(fixture.try_create(&ada, both).await.unwrap_err().fields().len(), 2);
}

#[tokio::test]
async fn a_quota_counts_all_uploads_of_one_user_until_their_objects_are_gone() {
    let mut fixture = Fixture::new().await;
    let (ada, eve, bytes) = (fixture.user().await, fixture.user().await, png());
    fixture.settings.quota = i64::try_from(bytes.len()).unwrap() * 2;
    let first = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    fixture.create(&ada, declare("b.png", "image/png", &bytes)).await;
    let error = fixture.try_create(&ada, declare("c.txt", "text/plain", b"c")).await.unwrap_err();
    assert_eq!(error.problem().code, "quota_exceeded");
    assert_eq!(error.fields()[0].pointer, "/size");
    assert!(fixture.try_create(&eve, declare("a.png", "image/png", &bytes)).await.is_ok());
    fixture.delete(&ada, first.id).await.unwrap();
    assert_eq!(code(fixture.try_create(&ada, declare("c.txt", "text/plain", b"c")).await), "quota_exceeded");
    // The deleted one goes a week later, and by then the pending one has been given up.
    fixture.clock.advance(7 * DAY);
    fixture.service().purge(&fixture.database).await.unwrap();
    assert!(fixture.try_create(&ada, declare("c.png", "image/png", &bytes)).await.is_ok());
}

#[tokio::test]
async fn deleting_before_the_bytes_come_does_not_pass_the_quota() {
    let mut fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    fixture.settings.quota = i64::try_from(bytes.len()).unwrap();
    let created = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await;
    fixture.delete(&ada, created.upload.id).await.unwrap();
    assert_eq!(fixture.put(&created.request, &bytes).await, 200, "its URL still puts");
    let refused = fixture.try_create(&ada, declare("b.txt", "text/plain", b"b")).await;
    assert_eq!(code(refused), "quota_exceeded");
}

#[tokio::test]
async fn only_so_many_uploads_of_one_user_are_pending_at_once() {
    let mut fixture = Fixture::new().await;
    let (ada, eve) = (fixture.user().await, fixture.user().await);
    fixture.settings.max_pending = 2;
    let text = || declare("a.txt", "text/plain", b"text");
    let first = fixture.create(&ada, text()).await;
    fixture.create(&ada, text()).await;
    let error = fixture.try_create(&ada, text()).await.unwrap_err();
    assert_eq!(error.problem().code, "quota_exceeded");
    assert!(error.to_string().contains("2 of your uploads"), "{error}");
    assert!(fixture.try_create(&eve, text()).await.is_ok());
    // What is completed is not pending any more.
    assert_eq!(fixture.put(&first.request, b"text").await, 200);
    fixture.complete(&ada, first.upload.id).await.unwrap();
    let third = fixture.create(&ada, text()).await;
    // What is deleted still is: its URL puts on.
    fixture.delete(&ada, third.upload.id).await.unwrap();
    assert_eq!(code(fixture.try_create(&ada, text()).await), "quota_exceeded");
    fixture.clock.advance(2 * DAY);
    fixture.service().purge(&fixture.database).await.unwrap();
    assert!(fixture.try_create(&ada, text()).await.is_ok());
}

#[tokio::test]
async fn uploads_at_once_do_not_pass_the_quota_together() {
    let mut fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    fixture.settings.quota = i64::try_from(bytes.len()).unwrap() * 3;
    let outcomes =
        join_all((0..8).map(|_| fixture.try_create(&ada, declare("a.png", "image/png", &bytes)))).await;
    let refused = outcomes.into_iter().filter_map(Result::err).map(|error| error.problem().code);
    assert_eq!(refused.collect::<Vec<_>>(), ["quota_exceeded"; 5]);
}

#[tokio::test]
async fn a_list_shows_ones_own_newest_first_in_pages_and_filtered() {
    let fixture = Fixture::new().await;
    let (ada, eve, bytes) = (fixture.user().await, fixture.user().await, png());
    fixture.create(&eve, declare("eve.png", "image/png", &bytes)).await;
    let mut made = Vec::new();
    for number in 0..5 {
        made.push(
            fixture.create(&ada, declare(&format!("{number}.txt"), "text/plain", b"text")).await.upload.id,
        );
    }
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await.id;
    made.push(published);
    made.reverse();

    let everything = UploadFilter::default();
    let ids = |items: &[Upload]| items.iter().map(|upload| upload.id).collect::<Vec<_>>();
    let first = fixture.list(&ada, &everything, &PageRequest::first(4).with_total()).await;
    assert_eq!((ids(&first.items), first.total), (made[..4].to_vec(), Some(6)));
    fixture.delete(&ada, made[5]).await.unwrap();
    fixture.create(&ada, declare("new.txt", "text/plain", b"text")).await;
    let second = fixture.list(&ada, &everything, &PageRequest::after(4, first.next_cursor.unwrap())).await;
    assert_eq!((ids(&second.items), second.next_cursor), (made[4..5].to_vec(), None));

    let filtered = |json| {
        let filter = serde_json::from_value(json).unwrap();
        let (fixture, ada) = (&fixture, &ada);
        async move { fixture.list(ada, &filter, &PageRequest::first(100)).await.items }
    };
    assert_eq!(ids(&filtered(serde_json::json!({"status": "completed"})).await), [published]);
    for name in ["image/png", "IMAGE/PNG", "image/x-png"] {
        assert_eq!(ids(&filtered(serde_json::json!({"content_type": name})).await), [published], "{name}");
    }
    assert_eq!(filtered(serde_json::json!({"content_type": "nonsense; x"})).await, []);
    assert_eq!(filtered(serde_json::json!({"status": "pending", "content_type": "image/png"})).await, []);
    let pending = filtered(serde_json::json!({"status": "pending"})).await;
    assert_eq!(pending.len(), 5);
    assert!(pending.iter().all(|upload| upload.status == UploadStatus::Pending));

    let invalid = PageRequest::after(4, "nonsense");
    let refused = fixture.service().list(&fixture.database.read(None), &ada, &everything, &invalid).await;
    assert_eq!(code(refused), "validation_failed");
}

#[test]
fn every_code_is_listed_once() {
    let codes: BTreeSet<_> = upload::error::PROBLEMS.iter().map(|problem| problem.code).collect();
    assert_eq!(codes.len(), upload::error::PROBLEMS.len());
    for code in
        ["upload_not_found", "upload_incomplete", "upload_expired", "content_mismatch", "quota_exceeded"]
    {
        assert!(codes.contains(code), "{code}");
    }
}
