//! Registration, and how an account is found again.

use std::time::Duration;

use shared_kernel::clock::Clock as _;
use shared_kernel::contact::Email;
use shared_kernel::field::TextField;
use shared_kernel::session::Databases;
use shared_kernel::testing::{concurrently, envelopes, events};
use user::dto::{NewUser, UserStatus};
use user::error::UserError;
use user::event::UserCreated;
use user::service::Users;

use crate::common::{
    commit, database, delete, found, moment, new_user, phone, registered, told, try_register, username,
    version,
};

#[tokio::test]
async fn an_account_is_stored_as_it_was_given() {
    let (database, clock) = database().await;
    clock.advance(Duration::from_micros(123_456));
    let new = NewUser {
        email: Email::parse("  Ada@Example.COM ").unwrap(),
        username: Some(username("Ada_L")),
        phone: Some(phone("+4915112345678")),
        name: TextField::parse("Ada Lovelace \u{1f4a1} 'O\"Hara \\").unwrap(),
        ..new_user("ada")
    };
    let user = registered(&database, NewUser { is_admin: true, ..new }).await;
    assert_eq!(user.email, "Ada@Example.COM", "as it is written to");
    assert_eq!((user.username.as_deref(), user.phone.as_deref()), (Some("ada_l"), Some("+4915112345678")));
    assert_eq!(
        (&*user.name, user.status, user.is_admin),
        ("Ada Lovelace \u{1f4a1} 'O\"Hara \\", UserStatus::Active, true)
    );
    assert!(!user.email_verified);
    assert_eq!((user.created_at, user.updated_at, version(&user)), (clock.now(), clock.now(), 1));
    assert_eq!(user.created_at, moment("2026-01-31T12:00:00.123456Z"));
    assert_eq!(found(&database, user.id).await.as_ref(), Some(&user), "what is read is what was answered");
    let json = serde_json::to_value(&user).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "id",
        "email",
        "email_verified",
        "username",
        "phone",
        "name",
        "status",
        "is_admin",
        "created_at",
        "updated_at",
    ];
    expected.sort_unstable();
    assert_eq!(keys.len(), expected.len());
    assert!(keys.iter().all(|key| expected.contains(key)), "{keys:?}");
    assert_eq!(json["created_at"], "2026-01-31T12:00:00.123456Z");
    assert_eq!(json["status"], "active");
}

#[tokio::test]
async fn what_is_optional_may_be_absent_and_is_not_unique_then() {
    let (database, _) = database().await;
    let ada = registered(&database, new_user("ada")).await;
    let bob = registered(&database, new_user("bob")).await;
    assert_eq!((ada.username, ada.phone, bob.username, bob.phone), (None, None, None, None));
}

#[tokio::test]
async fn an_address_is_taken_in_any_spelling() {
    let (database, _) = database().await;
    let as_email = |text: &str| NewUser { email: Email::parse(text).unwrap(), ..new_user("x") };
    registered(&database, as_email("Ada@Example.com")).await;
    for spelling in ["ada@example.com", "ADA@EXAMPLE.COM", "\u{ff21}da@example.com", " ada@Example.com  "] {
        let error = try_register(&database, as_email(spelling)).await.unwrap_err();
        assert!(matches!(error, UserError::EmailTaken), "{spelling}: {error:?}");
        assert_eq!(told(&error), ("email_taken", vec![("/email".into(), "taken".into())]));
    }
    registered(&database, as_email("ada+tag@example.com")).await;
    assert_eq!(events::<UserCreated>(&database).await.len(), 2);
}

#[tokio::test]
async fn a_user_name_and_a_phone_number_are_unique() {
    let (database, _) = database().await;
    let ada =
        NewUser { username: Some(username("ada")), phone: Some(phone("+4915112345678")), ..new_user("ada") };
    registered(&database, ada).await;
    let taken = try_register(&database, NewUser { username: Some(username("ADA")), ..new_user("bob") })
        .await
        .unwrap_err();
    assert_eq!(told(&taken), ("username_taken", vec![("/username".into(), "taken".into())]));
    let taken = try_register(&database, NewUser { phone: Some(phone(" +4915112345678")), ..new_user("bob") })
        .await
        .unwrap_err();
    assert_eq!(told(&taken), ("phone_taken", vec![("/phone".into(), "taken".into())]));
    registered(&database, new_user("bob")).await;
}

/// 50 at once with one address: one account, 49 refusals, on every engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_registrations_of_one_address_one_succeeds() {
    let (database, _) = database().await;
    let handle = Databases::clone(&database);
    let outcomes = concurrently(50, |number| {
        let databases = handle.clone();
        let spelling = if number % 2 == 0 { "ada@example.com" } else { "ADA@example.com" };
        let new = NewUser { email: Email::parse(spelling).unwrap(), ..new_user(&format!("ada{number}")) };
        async move { try_register(&databases, new).await }
    })
    .await;
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Err(UserError::EmailTaken))).count();
    let stored: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
    assert_eq!((stored.len(), refused), (1, 49));
    let all = Users.list(&database.read_primary(), &user::dto::UserFilter::default(), &page()).await.unwrap();
    assert_eq!((all.items, all.total), (stored.clone(), Some(1)));
    let told = UserCreated::new(stored[0].id, 1, None);
    assert_eq!(events::<UserCreated>(&database).await, [told]);
}

fn page() -> shared_kernel::page::PageRequest {
    shared_kernel::page::PageRequest::first(100).with_total()
}

#[tokio::test]
async fn the_contacts_of_a_deleted_account_are_free_again() {
    let (database, _) = database().await;
    let new = || NewUser {
        username: Some(username("ada")),
        phone: Some(phone("+4915112345678")),
        ..new_user("ada")
    };
    let first = registered(&database, new()).await;
    delete(&database, &first).await;
    assert_eq!(found(&database, first.id).await, None);
    let second = registered(&database, new()).await;
    assert_ne!(first.id, second.id);
    let by_name = Users.find_by_identifier(&database.read(None), "ada").await.unwrap();
    assert_eq!(by_name, Some(second));
}

#[tokio::test]
async fn whoever_does_not_commit_has_no_account_and_tells_nobody() {
    let (database, _) = database().await;
    let session = database.write();
    let user = Users.register(&session, new_user("ada")).await.unwrap();
    drop(session);
    assert_eq!(found(&database, user.id).await, None);
    assert_eq!(events::<UserCreated>(&database).await, []);
    let session = database.write();
    Users.register(&session, new_user("ada")).await.unwrap();
    Users.register(&session, new_user("ada")).await.unwrap_err();
    session.commit(()).await.unwrap_err();
    assert_eq!(events::<UserCreated>(&database).await, []);
}

#[tokio::test]
async fn registration_is_told() {
    let (database, _) = database().await;
    let session = database.write();
    let ada = Users.register(&session, new_user("ada")).await.unwrap();
    let bob = Users.register(&session, new_user("bob")).await.unwrap();
    commit(session).await;
    let told = [&ada, &bob].map(|user| UserCreated::new(user.id, 1, None));
    assert_eq!(events::<UserCreated>(&database).await, told);
    for envelope in envelopes(&database).await {
        let payload = envelope.payload.to_string();
        assert!(!payload.contains('@') && !payload.to_lowercase().contains("ada"), "{payload}");
    }
}

#[tokio::test]
async fn an_account_is_found_by_each_of_its_contacts_in_any_spelling() {
    let (database, _) = database().await;
    let new = NewUser {
        username: Some(username("ada.l")),
        phone: Some(phone("+4915112345678")),
        ..new_user("ada")
    };
    let ada = registered(&database, new).await;
    registered(&database, NewUser { username: Some(username("bob")), ..new_user("bob") }).await;
    for identifier in [
        "ada@example.com",
        " ADA@example.com ",
        "Ada.L",
        "\u{ff41}da.l",
        "+4915112345678",
        " +4915112345678 ",
    ] {
        let user = Users.find_by_identifier(&database.read(None), identifier).await.unwrap();
        assert_eq!(user.as_ref(), Some(&ada), "{identifier}");
    }
    for identifier in
        ["", "ada", "4915112345678", "%", "ada_l", "a@b", "ada@example.com' OR '1'='1", "no one"]
    {
        let user = Users.find_by_identifier(&database.read(None), identifier).await.unwrap();
        assert_eq!(user, None, "{identifier}");
    }
    delete(&database, &ada).await;
    assert_eq!(Users.find_by_identifier(&database.read(None), "ada@example.com").await.unwrap(), None);
}
