//! What other domains may refer to.

use shared_kernel::error::DomainError as _;
use shared_kernel::id::UserId;
use shared_kernel::reference::{self, ReferenceField};
use shared_kernel::session::Databases;
use user::dto::User;

use crate::common::{admin_update, database, delete, new_user, principal, registered, registered_admin};

/// Whether `user` may write a row that refers to that account.
async fn may_refer(databases: &Databases, user: &User, to: UserId) -> bool {
    let session = databases.write();
    let pointed = [ReferenceField::new("/author_id", "users", Some(to))];
    let refused = reference::check_references(&session, &principal(user), &pointed).await;
    let Err(error) = refused else { return true };
    let [field] = error.fields().try_into().unwrap();
    assert_eq!((&*field.pointer, &*field.code), ("/author_id", "reference"));
    false
}

#[tokio::test]
async fn whoever_is_signed_in_refers_to_accounts_in_use() {
    let (database, _) = database().await;
    let (ada, eve) =
        (registered(&database, new_user("ada")).await, registered(&database, new_user("eve")).await);
    let admin = registered_admin(&database, "grace").await;
    for user in [&ada, &eve, &admin] {
        assert!(may_refer(&database, user, ada.id).await);
    }
    admin_update(&database, &admin, ada.id, r#"{"status": "suspended"}"#).await.unwrap();
    assert!(!may_refer(&database, &eve, ada.id).await && !may_refer(&database, &admin, ada.id).await);
    delete(&database, &eve).await;
    assert!(!may_refer(&database, &admin, eve.id).await);
}
