//! What admins do to accounts, and that one is left.

use shared_kernel::json;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::repository::{Precondition, Revision};
use shared_kernel::session::Databases;
use shared_kernel::testing::{concurrently, events};
use user::dto::{AdminUpdateUser, UserStatus};
use user::error::UserError;
use user::event::UserUpdated;
use user::service::Users;

use crate::common::{
    admin_update, body, commit, database, delete, found, new_user, principal, registered, registered_admin,
    told, version,
};

const DEMOTE: &str = r#"{"is_admin": false}"#;
const SUSPEND: &str = r#"{"status": "suspended"}"#;

#[tokio::test]
async fn an_admin_changes_an_account() {
    let (database, _) = database().await;
    let root = registered_admin(&database, "root").await;
    let ada = registered(&database, new_user("ada")).await;
    let change = r#"{"name": "Ada King", "status": "suspended", "is_admin": true}"#;
    let changed = admin_update(&database, &root, ada.id, change).await.unwrap();
    assert_eq!((&*changed.name, changed.status, changed.is_admin), ("Ada King", UserStatus::Suspended, true));
    assert_eq!((version(&changed), &changed.email), (2, &ada.email));
    assert_eq!(found(&database, ada.id).await, Some(changed));
    let back =
        admin_update(&database, &root, ada.id, r#"{"status": "active", "is_admin": false}"#).await.unwrap();
    assert_eq!((&*back.name, back.status, back.is_admin), ("Ada King", UserStatus::Active, false));
    for nothing in ["{}", r#"{"status": "active", "is_admin": false, "name": "Ada King"}"#] {
        let kept = admin_update(&database, &root, ada.id, nothing).await.unwrap();
        assert_eq!((kept, 3), (back.clone(), version(&back)), "nothing is another than it was");
    }
    let versions = [2, 3].map(|version| UserUpdated::new(ada.id, version, None));
    assert_eq!(events::<UserUpdated>(&database).await, versions);
}

#[tokio::test]
async fn who_is_not_there_cannot_be_changed() {
    let (database, _) = database().await;
    let root = registered_admin(&database, "root").await;
    let ada = registered(&database, new_user("ada")).await;
    delete(&database, &ada).await;
    for change in ["{}", DEMOTE, SUSPEND, r#"{"name": "x"}"#] {
        let error = admin_update(&database, &root, ada.id, change).await.unwrap_err();
        assert!(matches!(error, UserError::NotFound), "{change}: {error:?}");
    }
    assert_eq!(events::<UserUpdated>(&database).await, []);
}

#[tokio::test]
async fn a_stale_change_is_refused() {
    let (database, _) = database().await;
    let root = registered_admin(&database, "root").await;
    let ada = registered(&database, new_user("ada")).await;
    let session = database.write();
    let changes: AdminUpdateUser = body(SUSPEND);
    // The state of another account is none of this one's.
    let stale = Precondition::OneOf(vec![Revision::new(ada.id, 7), Revision::new(root.id, 1)]);
    let error = Users.admin_update(&session, &principal(&root), ada.id, &stale, changes).await.unwrap_err();
    assert!(matches!(error, UserError::Kernel(KernelError::Stale)), "{error:?}");
}

#[test]
fn a_status_that_cannot_be_given_names_those_that_can() {
    for status in ["deleted", "Active", "", "banned"] {
        let body = format!(r#"{{"status": "{status}"}}"#);
        let Err(json::JsonError::Invalid(invalid)) = json::parse::<AdminUpdateUser>(body.as_bytes()) else {
            panic!("{body}")
        };
        let field = &invalid.0[0];
        assert_eq!((&*field.pointer, &*field.code), ("/status", "choice"));
        assert!(field.message.contains("active") && field.message.contains("suspended"), "{}", field.message);
    }
}

#[tokio::test]
async fn the_last_admin_stays() {
    let (database, _) = database().await;
    let root = registered_admin(&database, "root").await;
    let ada = registered(&database, new_user("ada")).await;
    for change in [DEMOTE, SUSPEND, r#"{"name": "x", "is_admin": false, "status": "suspended"}"#] {
        let error = admin_update(&database, &root, root.id, change).await.unwrap_err();
        assert_eq!(told(&error), ("last_admin", vec![]), "{change}");
    }
    assert_eq!(found(&database, root.id).await.as_ref(), Some(&root));
    // What takes nothing away from an admin is allowed, and so is anything to those who are none.
    admin_update(&database, &root, root.id, r#"{"name": "Root", "is_admin": true, "status": "active"}"#)
        .await
        .unwrap();
    admin_update(&database, &root, ada.id, DEMOTE).await.unwrap();
    admin_update(&database, &root, ada.id, SUSPEND).await.unwrap();
}

#[tokio::test]
async fn a_suspended_or_deleted_admin_does_not_count() {
    let (database, _) = database().await;
    let root = registered_admin(&database, "root").await;
    let second = registered_admin(&database, "second").await;
    let third = registered_admin(&database, "third").await;
    delete(&database, &third).await;
    admin_update(&database, &root, second.id, SUSPEND).await.unwrap();
    for change in [DEMOTE, SUSPEND] {
        let error = admin_update(&database, &root, root.id, change).await.unwrap_err();
        assert!(matches!(error, UserError::LastAdmin), "{change}: {error:?}");
    }
    // The suspended one is no loss.
    admin_update(&database, &root, second.id, DEMOTE).await.unwrap();
    admin_update(&database, &root, second.id, r#"{"is_admin": true, "status": "active"}"#).await.unwrap();
    admin_update(&database, &root, root.id, DEMOTE).await.unwrap();
    let error = admin_update(&database, &second, second.id, SUSPEND).await.unwrap_err();
    assert!(matches!(error, UserError::LastAdmin), "{error:?}");
}

/// Each would leave the other: together they would leave nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_admins_cannot_remove_each_other_at_once() {
    let (database, _) = database().await;
    let handle = Databases::clone(&database);
    for (round, change) in [DEMOTE, SUSPEND, DEMOTE, SUSPEND].into_iter().enumerate() {
        let ada = registered_admin(&database, &format!("ada{round}")).await;
        let bob = registered_admin(&database, &format!("bob{round}")).await;
        let both = [ada.clone(), bob.clone()];
        let outcomes = concurrently(2, |number| {
            let (databases, who, whom) = (handle.clone(), both[number].clone(), both[1 - number].clone());
            async move { admin_update(&databases, &who, whom.id, change).await }
        })
        .await;
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(UserError::LastAdmin))).count();
        assert_eq!(
            (refused, outcomes.iter().filter(|outcome| outcome.is_ok()).count()),
            (1, 1),
            "{outcomes:?}"
        );
        // For the next round there shall be no other admin than its own two.
        for user in both {
            delete(&database, &user).await;
        }
    }
}

/// Five admins each step down at once: one stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn when_all_admins_step_down_at_once_one_stays() {
    let (database, _) = database().await;
    let mut admins = Vec::new();
    for number in 0..5 {
        admins.push(registered_admin(&database, &format!("admin{number}")).await);
    }
    let handle = Databases::clone(&database);
    let outcomes =
        concurrently(5, |number| {
            let (databases, me) = (handle.clone(), admins[number].clone());
            async move {
                admin_update(&databases, &me, me.id, if number % 2 == 0 { DEMOTE } else { SUSPEND }).await
            }
        })
        .await;
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(UserError::LastAdmin))).count();
    assert_eq!((refused, outcomes.iter().filter(|outcome| outcome.is_ok()).count()), (1, 4), "{outcomes:?}");
}

#[tokio::test]
async fn promotion_makes_an_admin_and_is_told() {
    let (database, _) = database().await;
    let ada = registered(&database, new_user("ada")).await;
    let session = database.write();
    let promoted = Users.promote(&session, ada.id).await.unwrap();
    // Once more changes nothing.
    assert_eq!(Users.promote(&session, ada.id).await.unwrap(), promoted);
    commit(session).await;
    assert!(promoted.is_admin && found(&database, ada.id).await.unwrap().is_admin);
    assert_eq!(events::<UserUpdated>(&database).await, [UserUpdated::new(ada.id, 2, None)]);
    delete(&database, &ada).await;
    let session = database.write();
    assert!(matches!(Users.promote(&session, ada.id).await, Err(UserError::NotFound)));
    assert!(matches!(Users.promote(&session, session.new_id()).await, Err(UserError::NotFound)));
}
