//! What is deleted, what is given up, and what is left of it.

use shared_kernel::error::DomainError as _;
use shared_kernel::reference;
use shared_kernel::repository::{Precondition, Revision};
use tokio::net::TcpListener;
use upload::dto::Disposition;
use upload::event::UploadDeleted;
use upload::service::Purged;
use upload::storage::Storage;

use crate::fixture::{DAY, Fixture, HOUR, MINUTE, code, declare, localhost, png, storage_settings};

async fn purge(fixture: &Fixture) -> Purged {
    fixture.service().purge(&fixture.database).await.unwrap()
}

fn purged(abandoned: usize, removed: usize) -> Purged {
    Purged { abandoned, removed, failed: 0 }
}

#[tokio::test]
async fn what_is_deleted_is_not_there_any_more() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    let pending = fixture.create(&ada, declare("b.png", "image/png", &bytes)).await;
    for id in [published.id, pending.upload.id] {
        fixture.delete(&ada, id).await.unwrap();
        assert_eq!(code(fixture.get(&ada, id).await), "upload_not_found");
        assert_eq!(code(fixture.download(&ada, id, Disposition::Attachment).await), "upload_not_found");
        assert_eq!(code(fixture.complete(&ada, id).await), "upload_not_found");
        assert_eq!(code(fixture.delete(&ada, id).await), "upload_not_found");
        let events = fixture.events::<UploadDeleted>(id).await;
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].id, events[0].owner_id), (id, ada.user()));
    }
    // The URL of a deleted upload still puts, but nothing can be made of it.
    assert_eq!(fixture.put(&pending.request, &bytes).await, 200);
    assert_eq!(code(fixture.complete(&ada, pending.upload.id).await), "upload_not_found");
}

#[tokio::test]
async fn who_read_an_old_version_does_not_delete() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    let session = fixture.database.write();
    let stale = Precondition::OneOf(vec![Revision::new(published.id, published.version - 1)]);
    let refused = fixture.service().delete(&session, &ada, published.id, &stale).await;
    assert_eq!(code(refused), "precondition_failed");
    drop(session);
    let session = fixture.database.write();
    let current = Precondition::OneOf(vec![Revision::new(published.id, published.version)]);
    fixture.service().delete(&session, &ada, published.id, &current).await.unwrap();
    session.commit(()).await.unwrap().into_value();
    assert_eq!(code(fixture.get(&ada, published.id).await), "upload_not_found");
}

#[tokio::test]
async fn a_deleted_object_goes_after_its_grace_period_and_others_stay() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let kept = fixture.publish(&ada, declare("kept.png", "image/png", &bytes), &bytes).await;
    let deleted = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    fixture.clock.advance(HOUR);
    fixture.delete(&ada, deleted.id).await.unwrap();
    let key = fixture.object_key(deleted.id).await.unwrap();

    fixture.clock.advance(6 * DAY + 23 * HOUR);
    assert_eq!(purge(&fixture).await, purged(0, 0));
    assert!(fixture.storage.head(&key).await.unwrap().is_some());

    fixture.clock.advance(HOUR);
    assert_eq!(purge(&fixture).await, purged(0, 1));
    assert_eq!(fixture.storage.head(&key).await.unwrap(), None);
    assert_eq!(fixture.rows(&[deleted.id]).await, 0);
    assert_eq!(purge(&fixture).await, purged(0, 0));

    assert_eq!(fixture.get(&ada, kept.id).await.unwrap(), kept);
    let download = fixture.download(&ada, kept.id, Disposition::Attachment).await.unwrap();
    assert!(download.expires_at > kept.created_at);
    let key = fixture.object_key(kept.id).await.unwrap();
    assert!(fixture.storage.head(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn what_was_never_completed_is_given_up() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let empty = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await.upload.id;
    let arrived = fixture.create(&ada, declare("b.png", "image/png", &bytes)).await;
    assert_eq!(fixture.put(&arrived.request, &bytes).await, 200);
    let deleted = fixture.create(&ada, declare("c.png", "image/png", &bytes)).await.upload.id;
    fixture.delete(&ada, deleted).await.unwrap();
    let key = fixture.object_key(arrived.upload.id).await.unwrap();

    // As long as a slow PUT may still arrive, nothing is touched: what it brought would stay for ever.
    fixture.clock.advance(DAY);
    assert_eq!(purge(&fixture).await, purged(0, 0));

    fixture.clock.advance(15 * MINUTE);
    assert_eq!(purge(&fixture).await, purged(2, 3));
    assert_eq!(fixture.storage.head(&key).await.unwrap(), None);
    assert_eq!(fixture.rows(&[empty, arrived.upload.id, deleted]).await, 0);
    for id in [empty, arrived.upload.id, deleted] {
        assert_eq!(fixture.events::<UploadDeleted>(id).await.len(), 1);
    }
}

#[tokio::test]
async fn a_purge_takes_on_as_many_as_there_are_in_small_batches() {
    let mut fixture = Fixture::new().await;
    fixture.settings.purge_batch = 2;
    let (ada, bytes) = (fixture.user().await, png());
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(fixture.create(&ada, declare("a.png", "image/png", &bytes)).await.upload.id);
    }
    fixture.clock.advance(2 * DAY);
    assert_eq!(purge(&fixture).await, purged(5, 5));
    assert_eq!(fixture.rows(&ids).await, 0);
}

#[tokio::test]
async fn a_purge_without_the_store_loses_nothing() {
    let fixture = Fixture::new().await;
    let (ada, bytes) = (fixture.user().await, png());
    let id = fixture.create(&ada, declare("a.png", "image/png", &bytes)).await.upload.id;
    fixture.clock.advance(2 * DAY);
    let closed = TcpListener::bind(localhost(0)).await.unwrap().local_addr().unwrap();
    let away = Storage::new(&storage_settings(closed), fixture.clock.clone());
    let error = fixture.service_with(&away).purge(&fixture.database).await.unwrap_err();
    assert_eq!(error.problem().code, "service_unavailable");
    assert_eq!(fixture.rows(&[id]).await, 1);
    assert_eq!(purge(&fixture).await, purged(0, 1));
    assert_eq!(fixture.rows(&[id]).await, 0);
}

#[tokio::test]
async fn what_something_else_needs_is_not_deleted() {
    let fixture = Fixture::with_frames().await;
    let (ada, bytes) = (fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    fixture.execute(&format!("INSERT INTO frames VALUES ('frm_1', 1, NULL, NULL, '{}')", published.id)).await;
    assert_eq!(code(fixture.delete(&ada, published.id).await), "still_referenced");
    assert_eq!(fixture.get(&ada, published.id).await.unwrap(), published);
    fixture.execute("UPDATE frames SET deleted_at = CURRENT_TIMESTAMP").await;
    fixture.delete(&ada, published.id).await.unwrap();
    assert_eq!(fixture.events::<UploadDeleted>(published.id).await.len(), 1);
}

/// A deleted row of another table keeps the id, and its foreign key the row; the object goes all the same.
#[tokio::test]
async fn a_row_that_a_foreign_key_keeps_stays_and_the_others_go() {
    let fixture = Fixture::with_frames().await;
    let (ada, bytes) = (fixture.user().await, png());
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await.id);
    }
    let key = fixture.object_key(ids[1]).await.unwrap();
    let moment = "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP";
    fixture.execute(&format!("INSERT INTO frames VALUES ('frm_1', 2, {moment}, '{}')", ids[1])).await;
    for id in &ids {
        fixture.delete(&ada, *id).await.unwrap();
    }
    fixture.clock.advance(7 * DAY);
    for expected in [Purged { removed: 2, failed: 1, abandoned: 0 }, Purged { failed: 1, ..purged(0, 0) }] {
        assert_eq!(purge(&fixture).await, expected);
        assert_eq!((fixture.rows(&ids).await, fixture.rows(&[ids[1]]).await), (1, 1));
        assert_eq!(fixture.storage.head(&key).await.unwrap(), None);
    }
    fixture.execute("DELETE FROM frames").await;
    assert_eq!(purge(&fixture).await, purged(0, 1));
    assert_eq!(fixture.rows(&ids).await, 0);
}

#[tokio::test]
async fn the_uploads_of_a_deleted_account_go_with_it() {
    let fixture = Fixture::new().await;
    let (ada, eve, bytes) = (fixture.user().await, fixture.user().await, png());
    let published = fixture.publish(&ada, declare("a.png", "image/png", &bytes), &bytes).await;
    let pending = fixture.create(&ada, declare("b.png", "image/png", &bytes)).await.upload;
    let other = fixture.publish(&eve, declare("c.png", "image/png", &bytes), &bytes).await;
    let session = fixture.database.write();
    reference::apply_on_delete(&session, "users", &[ada.user().unwrap()]).await.unwrap();
    session.commit(()).await.unwrap().into_value();
    for id in [published.id, pending.id] {
        assert_eq!(code(fixture.get(&ada, id).await), "upload_not_found");
        let [event] = fixture.events::<UploadDeleted>(id).await.try_into().unwrap();
        assert_eq!(event.owner_id, ada.user());
    }
    assert_eq!(fixture.get(&eve, other.id).await.unwrap(), other);
}
