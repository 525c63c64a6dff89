//! One's own account.

use std::time::Duration;

use shared_kernel::clock::Clock as _;
use shared_kernel::error::DomainError as _;
use shared_kernel::field::TextField;
use shared_kernel::json;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::principal::Principal;
use shared_kernel::repository::{Precondition, Revision};
use shared_kernel::session::Databases;
use shared_kernel::testing::{concurrently, events};
use user::dto::{NewUser, UpdateMe, User};
use user::error::UserError;
use user::event::UserUpdated;
use user::service::Users;

use crate::common::{
    admin_update, body, database, delete, found, new_user, phone, principal, registered, registered_admin,
    told, update_me, username, version,
};

#[tokio::test]
async fn an_account_is_there_for_itself_and_for_admins() {
    let (database, _) = database().await;
    let ada = registered(&database, new_user("ada")).await;
    let bob = registered(&database, new_user("bob")).await;
    let admin = registered_admin(&database, "root").await;
    let get = async |who: &Principal, whom: &User| Users.get(&database.read(None), who, whom.id).await;
    assert_eq!(get(&principal(&ada), &ada).await.unwrap(), ada);
    assert_eq!(get(&principal(&admin), &ada).await.unwrap(), ada);
    let hidden = get(&principal(&bob), &ada).await.unwrap_err();
    assert_eq!(told(&hidden), ("user_not_found", vec![]));
    delete(&database, &ada).await;
    for who in [&ada, &admin, &bob] {
        let gone = get(&principal(who), &ada).await.unwrap_err();
        assert_eq!(gone.to_string(), hidden.to_string(), "not there and not allowed are one answer");
        assert!(matches!(gone, UserError::NotFound));
    }
}

#[tokio::test]
async fn an_account_in_memory_is_that_of_the_database() {
    let (database, _) = database().await;
    let ada = registered(&database, new_user("ada")).await;
    let bob = registered(&database, new_user("bob")).await;
    let admin = registered_admin(&database, "root").await;
    let nobody = Principal::system("test");
    let both = async || {
        for who in [principal(&ada), principal(&bob), principal(&admin), nobody.clone()] {
            for whom in [ada.id, bob.id, database.write().new_id()] {
                let recent = Users.get(&database.read(None), &who, whom).await.map_err(|error| told(&error));
                let current = Users
                    .get_current(&database.read_primary(), &who, whom)
                    .await
                    .map_err(|error| told(&error));
                assert_eq!(recent, current, "{who:?} {whom}");
            }
        }
    };
    both().await;
    both().await;
    update_me(&database, &ada, r#"{"name": "Ada King", "username": "countess"}"#).await.unwrap();
    both().await;
    admin_update(&database, &admin, bob.id, r#"{"status": "suspended"}"#).await.unwrap();
    both().await;
}

#[tokio::test]
async fn absent_keeps_null_clears_and_a_value_sets() {
    let (database, clock) = database().await;
    let new =
        NewUser { username: Some(username("ada")), phone: Some(phone("+4915112345678")), ..new_user("ada") };
    let ada = registered(&database, new).await;
    clock.advance(Duration::from_mins(1));
    let kept = update_me(&database, &ada, "{}").await.unwrap();
    assert_eq!(kept, ada, "nothing was set, so nothing was changed");
    assert_eq!(version(&kept), 1);
    assert_eq!(events::<UserUpdated>(&database).await, []);
    let set = update_me(
        &database,
        &ada,
        r#"{"name": " Ada King ", "username": "Countess", "phone": "+441234567890"}"#,
    )
    .await
    .unwrap();
    assert_eq!(
        (&*set.name, set.username.as_deref(), set.phone.as_deref()),
        ("Ada King", Some("countess"), Some("+441234567890"))
    );
    clock.advance(Duration::from_mins(1));
    // What is so already is no change either, in whatever spelling.
    for same in [
        r#"{"name": "Ada King"}"#,
        r#"{"name": " Ada King ", "username": "COUNTESS", "phone": "+441234567890"}"#,
    ] {
        assert_eq!(update_me(&database, &ada, same).await.unwrap(), set, "{same}");
    }
    let cleared = update_me(&database, &ada, r#"{"username": null, "phone": null}"#).await.unwrap();
    assert_eq!(
        (&*cleared.name, cleared.username.as_deref(), cleared.phone.as_deref()),
        ("Ada King", None, None)
    );
    assert_eq!(version(&cleared), 3);
    assert_eq!(cleared.updated_at, clock.now());
    clock.advance(Duration::from_mins(1));
    assert_eq!(update_me(&database, &ada, r#"{"username": null, "phone": null}"#).await.unwrap(), cleared);
    assert_eq!(found(&database, ada.id).await, Some(cleared));
    let versions = [2, 3].map(|version| UserUpdated::new(ada.id, version, None));
    assert_eq!(events::<UserUpdated>(&database).await, versions);
}

#[test]
fn a_change_that_breaks_a_rule_is_refused_at_its_field() {
    let refused = |body: &str| match json::parse::<UpdateMe>(body.as_bytes()) {
        Err(json::JsonError::Invalid(invalid)) => invalid
            .fields()
            .into_iter()
            .map(|field| (field.pointer, field.code.into_owned()))
            .collect::<Vec<_>>(),
        other => panic!("{body}: {other:?}"),
    };
    for (body, pointer, code) in [
        (r#"{"name": null}"#, "/name", "type"),
        (r#"{"name": "  "}"#, "/name", "too_short"),
        (r#"{"username": "ab"}"#, "/username", "too_short"),
        (r#"{"username": "a b c"}"#, "/username", "username"),
        (r#"{"username": 5}"#, "/username", "type"),
        (r#"{"phone": "0151"}"#, "/phone", "phone"),
        (r#"{"is_admin": true}"#, "/is_admin", "unknown_field"),
        (r#"{"email": "new@example.com"}"#, "/email", "unknown_field"),
        (r#"{"status": "active"}"#, "/status", "unknown_field"),
    ] {
        assert_eq!(refused(body), [(pointer.to_owned(), code.to_owned())], "{body}");
    }
    let long = format!(r#"{{"name": "{}", "username": "{}"}}"#, "n".repeat(101), "u".repeat(51));
    assert_eq!(
        refused(&long),
        [("/name".into(), "too_long".into()), ("/username".into(), "too_long".into())]
    );
}

/// The longest values that the rules admit fit their columns, in characters and not in bytes.
#[tokio::test]
async fn the_longest_values_are_stored_whole() {
    let (database, _) = database().await;
    let ada = registered(&database, new_user("ada")).await;
    let name = "\u{1f4a1}".repeat(100);
    let json =
        format!(r#"{{"name": "{name}", "username": "{}", "phone": "+123456789012345"}}"#, "u".repeat(50));
    let user = update_me(&database, &ada, &json).await.unwrap();
    assert_eq!(
        (user.name, user.username, user.phone),
        (name, Some("u".repeat(50)), Some("+123456789012345".into()))
    );
    // Normalisation makes three letters of one, and the address may be as long as it gets.
    let local = "\u{fb03}".repeat(20);
    let email = TextField::parse(&format!("{local}@{}.com", "b.".repeat(90) + "c")).unwrap();
    let long = registered(
        &database,
        NewUser { email, name: TextField::parse(&"\u{fdfa}".repeat(100)).unwrap(), ..new_user("x") },
    )
    .await;
    assert_eq!(found(&database, long.id).await, Some(long));
}

#[tokio::test]
async fn what_another_has_is_taken() {
    let (database, _) = database().await;
    let bob =
        NewUser { username: Some(username("bob")), phone: Some(phone("+4915112345678")), ..new_user("bob") };
    let bob = registered(&database, bob).await;
    let ada = registered(&database, new_user("ada")).await;
    let taken = update_me(&database, &ada, r#"{"username": "BOB"}"#).await.unwrap_err();
    assert_eq!(told(&taken), ("username_taken", vec![("/username".into(), "taken".into())]));
    let taken = update_me(&database, &ada, r#"{"name": "x", "phone": "+4915112345678"}"#).await.unwrap_err();
    assert_eq!(told(&taken), ("phone_taken", vec![("/phone".into(), "taken".into())]));
    assert_eq!(found(&database, ada.id).await.as_ref(), Some(&ada), "nothing of it was stored");
    assert_eq!(events::<UserUpdated>(&database).await, []);
    // One's own is not taken.
    update_me(&database, &bob, r#"{"username": "Bob", "phone": "+4915112345678"}"#).await.unwrap();
    update_me(&database, &bob, r#"{"username": null}"#).await.unwrap();
    update_me(&database, &ada, r#"{"username": "bob"}"#).await.unwrap();
}

#[tokio::test]
async fn a_stale_change_is_refused() {
    let (database, _) = database().await;
    let ada = registered(&database, new_user("ada")).await;
    let at = |versions: Vec<i64>| {
        Precondition::OneOf(versions.into_iter().map(|version| Revision::new(ada.id, version)).collect())
    };
    let change = async |versions: Vec<i64>| {
        let session = database.write();
        let changes: UpdateMe = body(r#"{"name": "new"}"#);
        let user = Users.update_me(&session, &principal(&ada), &at(versions), changes).await?;
        Ok::<_, UserError>(session.commit(user).await?.into_value())
    };
    assert_eq!(version(&change(vec![1]).await.unwrap()), 2);
    for stale in [vec![1], vec![]] {
        let nothing = at(stale.clone());
        let session = database.write();
        let error =
            Users.update_me(&session, &principal(&ada), &nothing, UpdateMe::default()).await.unwrap_err();
        assert!(matches!(error, UserError::Kernel(KernelError::Stale)), "{error:?}");
        drop(session);
        let error = change(stale).await.unwrap_err();
        assert!(matches!(error, UserError::Kernel(KernelError::Stale)), "{error:?}");
        assert_eq!(told(&error), ("precondition_failed", vec![]));
    }
    delete(&database, &ada).await;
    assert!(matches!(change(vec![2]).await, Err(UserError::NotFound)));
    assert!(matches!(update_me(&database, &ada, "{}").await, Err(UserError::NotFound)));
    assert_eq!(events::<UserUpdated>(&database).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_want_one_user_name_one_gets_it() {
    let (database, _) = database().await;
    let mut users = Vec::new();
    for number in 0..10 {
        users.push(registered(&database, new_user(&format!("user{number}"))).await);
    }
    let handle = Databases::clone(&database);
    let outcomes = concurrently(10, |number| {
        let (databases, me) = (handle.clone(), users[number].clone());
        async move { update_me(&databases, &me, r#"{"username": "wanted"}"#).await }
    })
    .await;
    let taken = outcomes.iter().filter(|outcome| matches!(outcome, Err(UserError::UsernameTaken))).count();
    assert_eq!((outcomes.iter().filter(|outcome| outcome.is_ok()).count(), taken), (1, 9));
}
