//! The list of accounts that admins see.

use std::time::Duration;

use shared_kernel::clock::Clock as _;
use shared_kernel::error::DomainError as _;
use shared_kernel::field::TextField;
use shared_kernel::kernel_error::KernelError;
use shared_kernel::page::PageRequest;
use shared_kernel::session::Databases;
use shared_kernel::testing::TestDatabase;
use user::dto::{NewUser, User, UserFilter, UserSort, UserStatus};
use user::error::UserError;
use user::service::Users;

use crate::common::{
    admin_update, database, delete, moment, new_user, phone, registered, update_me, username,
};

/// A filter as the query string gives it.
fn filter(query: serde_json::Value) -> UserFilter {
    let filter: UserFilter = serde_json::from_value(query).unwrap();
    shared_kernel::json::validate(&filter).unwrap();
    filter
}

/// The names that the filter leaves, in the order of the list.
async fn names(databases: &Databases, query: serde_json::Value) -> Vec<String> {
    let filter = filter(query);
    let request = PageRequest::first(100).with_total();
    let page = Users.list(&databases.read(None), &filter, &request).await.unwrap();
    assert_eq!(page.total, Some(u64::try_from(page.items.len()).unwrap()));
    page.items.into_iter().map(|user| user.name).collect()
}

fn named(name: &str, email: &str) -> NewUser {
    NewUser {
        name: TextField::parse(name).unwrap(),
        email: TextField::parse(email).unwrap(),
        ..new_user("x")
    }
}

/// The oldest first: Ada, bob (suspended), Çelik, root (admin), and Zed, who is deleted. A second apart.
async fn five() -> (TestDatabase, Vec<User>) {
    let (database, clock) = database().await;
    let mut users = Vec::new();
    for new in [
        NewUser {
            username: Some(username("ada.l")),
            phone: Some(phone("+4915112345678")),
            ..named("Ada", "zz@example.com")
        },
        NewUser { username: Some(username("bob_b")), ..named("bob", "yy@example.com") },
        named("Çelik", "unal@example.org"),
        NewUser { is_admin: true, ..named("root", "WW@example.com") },
        named("Zed", "vv@example.com"),
    ] {
        users.push(registered(&database, new).await);
        clock.advance(Duration::from_secs(1));
    }
    admin_update(&database, &users[3], users[1].id, r#"{"status": "suspended"}"#).await.unwrap();
    delete(&database, &users[4]).await;
    (database, users)
}

#[tokio::test]
async fn each_filter_leaves_what_it_says() {
    let (database, _) = five().await;
    for (query, expected) in [
        (serde_json::json!({}), vec!["root", "Çelik", "bob", "Ada"]),
        (serde_json::json!({"status": "suspended"}), vec!["bob"]),
        (serde_json::json!({"status": "active"}), vec!["root", "Çelik", "Ada"]),
        (serde_json::json!({"is_admin": true}), vec!["root"]),
        (serde_json::json!({"is_admin": false}), vec!["Çelik", "bob", "Ada"]),
        (serde_json::json!({"deleted": true}), vec!["Zed"]),
        (serde_json::json!({"deleted": false, "is_admin": false, "status": "active"}), vec!["Çelik", "Ada"]),
        (serde_json::json!({"q": "example.com"}), vec!["root", "bob", "Ada"]),
        (serde_json::json!({"q": "example.com", "status": "suspended"}), vec!["bob"]),
        (serde_json::json!({"q": "example", "deleted": true}), vec!["Zed"]),
        (serde_json::json!({"q": "nobody"}), vec![]),
    ] {
        assert_eq!(names(&database, query.clone()).await, expected, "{query}");
    }
    let deleted = Users
        .list(&database.read(None), &filter(serde_json::json!({"deleted": true})), &PageRequest::first(1))
        .await;
    assert_eq!(deleted.unwrap().items[0].status, UserStatus::Deleted);
}

#[tokio::test]
async fn a_search_finds_a_part_of_what_people_are_known_by_in_any_case() {
    let (database, users) = five().await;
    for (q, expected) in [
        ("AD", vec!["Ada"]),
        (" ada ", vec!["Ada"]),
        ("ada.L", vec!["Ada"]),
        ("ZZ@EXAMPLE", vec!["Ada"]),
        ("+49151", vec!["Ada"]),
        ("1234", vec!["Ada"]),
        ("BOB_", vec!["bob"]),
        ("ww@", vec!["root"]),
        // Beyond ASCII, composed or not, in compatible forms.
        ("Çelik", vec!["Çelik"]),
        ("çelik", vec!["Çelik"]),
        ("ÇELIK", vec!["Çelik"]),
        ("C\u{327}EL", vec!["Çelik"]),
        ("\u{ff23}\u{327}elik", vec!["Çelik"]),
        ("\u{ff41}\u{ff44}\u{ff41}", vec!["Ada"]),
    ] {
        assert_eq!(names(&database, serde_json::json!({"q": q})).await, expected, "{q}");
    }
    // A new name is found, the old one no longer.
    update_me(&database, &users[0], r#"{"name": "Ÿvonne"}"#).await.unwrap();
    assert_eq!(names(&database, serde_json::json!({"q": "ÿVON"})).await, ["Ÿvonne"]);
    assert_eq!(names(&database, serde_json::json!({"q": "Ada"})).await, ["Ÿvonne"], "by the user name");
    admin_update(&database, &users[3], users[1].id, r#"{"name": "Øyvind"}"#).await.unwrap();
    assert_eq!(names(&database, serde_json::json!({"q": "øYV"})).await, ["Øyvind"]);
}

#[tokio::test]
async fn no_character_of_a_search_has_a_meaning() {
    let (database, _) = database().await;
    for (number, name) in
        ["100%", "a_b", r"back\slash", "it's", "[x]", "*", "plain", r"\%"].into_iter().enumerate()
    {
        registered(&database, named(name, &format!("u{number}@example.com"))).await;
    }
    for (q, expected) in [
        ("%", vec![r"\%", "100%"]),
        ("_", vec!["a_b"]),
        ("\\", vec![r"\%", r"back\slash"]),
        (r"\%", vec![r"\%"]),
        ("'", vec!["it's"]),
        ("[", vec!["[x]"]),
        ("*", vec!["*"]),
        ("a%b", vec![]),
        ("100%%", vec![]),
        ("' OR 1=1 --", vec![]),
        ("?", vec![]),
        ("$1", vec![]),
    ] {
        assert_eq!(names(&database, serde_json::json!({"q": q})).await, expected, "{q}");
    }
}

#[tokio::test]
async fn each_order_is_one_and_its_reverse() {
    let (database, _) = five().await;
    for (sort, expected) in [
        ("-created_at", ["root", "Çelik", "bob", "Ada"]),
        ("created_at", ["Ada", "bob", "Çelik", "root"]),
        // Whatever the case.
        ("name", ["Ada", "bob", "root", "Çelik"]),
        ("-name", ["Çelik", "root", "bob", "Ada"]),
        ("email", ["Çelik", "root", "bob", "Ada"]),
        ("-email", ["Ada", "bob", "root", "Çelik"]),
    ] {
        assert_eq!(names(&database, serde_json::json!({"sort": sort})).await, expected, "{sort}");
    }
    assert_eq!(UserSort::default(), UserSort::Newest);
}

#[tokio::test]
async fn a_walk_sees_each_account_once_in_every_order() {
    let (database, _) = database().await;
    let session = database.write();
    for number in 0..25 {
        let new = named(["Ada", "ada", "Bob"][number % 3], &format!("u{}@example.com", number * 7 % 25));
        Users.register(&session, new).await.unwrap();
    }
    crate::common::commit(session).await;
    for sort in ["-created_at", "created_at", "name", "-name", "email", "-email"] {
        let filter = filter(serde_json::json!({"sort": sort, "q": "example"}));
        let mut request = PageRequest::first(10);
        let (mut seen, mut pages) = (std::collections::BTreeSet::new(), Vec::new());
        loop {
            let page = Users.list(&database.read(None), &filter, &request).await.unwrap();
            pages.push(page.items.len());
            seen.extend(page.items.into_iter().map(|user| user.id));
            let Some(cursor) = page.next_cursor else { break };
            request = PageRequest::after(10, cursor);
        }
        assert_eq!((pages, seen.len()), (vec![10, 10, 5], 25), "{sort}");
    }
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let (database, _) = five().await;
    let reader = database.read(None);
    let by_name = filter(serde_json::json!({"sort": "name"}));
    let page = Users.list(&reader, &by_name, &PageRequest::first(1)).await.unwrap();
    let cursor = page.next_cursor.unwrap();
    for (query, cursor) in
        [(serde_json::json!({"sort": "email"}), &*cursor), (serde_json::json!({"sort": "name"}), "garbage")]
    {
        let error = Users.list(&reader, &filter(query), &PageRequest::after(1, cursor)).await.unwrap_err();
        assert!(matches!(error, UserError::Kernel(KernelError::Cursor)), "{error:?}");
        assert_eq!((error.problem().code, &*error.fields()[0].pointer), ("validation_failed", "/cursor"));
    }
}

/// The bounds are moments: whatever the length of the fraction, whatever the offset that they are written with.
#[tokio::test]
async fn the_bounds_of_creation_are_exclusive_to_the_microsecond() {
    let (database, clock) = database().await;
    let moments = [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00.000001Z",
        "2026-01-31T12:00:00.1Z",
        "2026-01-31T12:00:00.12Z",
        "2026-01-31T12:00:00.5Z",
        "2026-01-31T12:00:01Z",
        "2026-01-31T12:00:10Z",
    ];
    for (number, at) in moments.into_iter().enumerate() {
        clock.advance(moment(at).since(clock.now()));
        let user = registered(&database, new_user(&number.to_string())).await;
        assert_eq!(user.created_at, moment(at));
    }
    let numbers =
        |range: std::ops::Range<usize>| range.rev().map(|number| number.to_string()).collect::<Vec<_>>();
    for (number, at) in moments.into_iter().enumerate() {
        let after = names(&database, serde_json::json!({"created_after": at})).await;
        assert_eq!(after, numbers(number + 1..moments.len()), "after {at}");
        let before = names(&database, serde_json::json!({"created_before": at})).await;
        assert_eq!(before, numbers(0..number), "before {at}");
    }
    let between =
        |after: &str, before: &str| serde_json::json!({"created_after": after, "created_before": before});
    assert_eq!(names(&database, between(moments[0], moments[4])).await, numbers(1..4));
    assert_eq!(
        names(&database, between("2026-01-31T14:00:00.05+02:00", "2026-01-31T07:00:00.50-05:00")).await,
        numbers(2..4)
    );
    assert_eq!(
        names(&database, between("2026-01-31T11:59:59.999999Z", "2026-01-31T12:00:00.0000010Z")).await,
        numbers(0..1)
    );
    assert_eq!(
        names(&database, between("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")).await,
        numbers(0..7)
    );
    assert!(
        serde_json::from_value::<UserFilter>(
            serde_json::json!({"created_after": "9999-12-31T23:59:59-01:00"})
        )
        .is_err()
    );
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let refused = |query: serde_json::Value| {
        let filter: Result<UserFilter, _> = serde_json::from_value(query);
        filter.map_or(true, |filter| shared_kernel::json::validate(&filter).is_err())
    };
    for query in [
        serde_json::json!({"q": ""}),
        serde_json::json!({"q": "x".repeat(101)}),
        serde_json::json!({"q": "a\nb"}),
        serde_json::json!({"status": "deleted"}),
        serde_json::json!({"sort": "id"}),
        serde_json::json!({"sort": "name,email"}),
        serde_json::json!({"created_after": "yesterday"}),
        serde_json::json!({"admin": true}),
    ] {
        assert!(refused(query.clone()), "{query}");
    }
    assert!(!refused(serde_json::json!({"q": "x".repeat(100)})));
}
