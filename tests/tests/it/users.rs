//! The account of the caller.

use serde_json::{Value, json};
use tests::{Account, Answer, Request, TestServer};

const ME: &str = "/api/v1/users/me";

/// Number of writes of which another instance is asked. Without the token, nearly all of its answers are stale.
const ROUNDS: usize = 50;

fn patch(server: &TestServer, account: &Account) -> Request {
    server.patch(ME).bearer(&account.token)
}

/// The version in the `ETag` of a response.
fn tag(answer: &Answer) -> String {
    let tag = answer.header("etag").unwrap_or_else(|| panic!("no ETag: {answer:?}"));
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "a strong tag: {tag}");
    tag.to_owned()
}

#[tokio::test]
async fn me_and_my_id_are_one() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let me = server.get_as(&ada, ME).await.expect(200);
    let by_id = server.get_as(&ada, &format!("/api/v1/users/{}", ada.id)).await.expect(200);
    assert_eq!((me.json(), tag(&me)), (by_id.json(), tag(&by_id)));
    assert_eq!(me.json()["id"], ada.id.as_str());
}

#[tokio::test]
async fn others_are_not_there_and_an_admin_sees_them() {
    let server = TestServer::start().await;
    let (ada, eve, admin) = (server.signup().await, server.signup().await, server.admin().await);
    let path = format!("/api/v1/users/{}", eve.id);
    let mut theirs = server.get_as(&ada, &path).await.problem(404, "user_not_found");
    let none = "/api/v1/users/usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T";
    let mut nobodys = server.get_as(&ada, none).await.problem(404, "user_not_found");
    for problem in [&mut theirs, &mut nobodys] {
        for name in ["instance", "request_id"] {
            problem.as_object_mut().unwrap().remove(name);
        }
    }
    assert_eq!(theirs, nobodys);
    assert_eq!(server.get_as(&admin, &path).await.expect(200).json()["email"], eve.email.as_str());
    server.get_as(&admin, none).await.problem(404, "user_not_found");
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_not_found() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    for id in ["x", "1", "usr_x", "abc_01J9ZC3V8T5Q4X2M7N6P0R1S2T", "00000000-0000-0000-0000-000000000000"] {
        server.get_as(&ada, &format!("/api/v1/users/{id}")).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_patch_keeps_what_is_absent_and_clears_what_is_null() {
    let server = TestServer::start().await;
    let ada = server.signup_as(json!({"username": "ada", "phone": "+4915112345678"})).await;
    let before = server.get_as(&ada, ME).await.expect(200);

    let after = patch(&server, &ada).json(&json!({"name": "  Ada King "})).await.expect(200);
    assert_ne!(tag(&after), tag(&before));
    let changed = after.json();
    assert_eq!(changed["name"], "Ada King");
    for kept in ["id", "email", "username", "phone", "created_at", "is_admin", "status"] {
        assert_eq!(changed[kept], before.json()[kept], "{kept}");
    }
    assert!(changed["updated_at"].as_str() >= before.json()["updated_at"].as_str());

    let cleared =
        patch(&server, &ada).json(&json!({"username": null, "phone": null})).await.expect(200).json();
    assert_eq!((&cleared["username"], &cleared["phone"]), (&Value::Null, &Value::Null));
    assert_eq!(cleared["name"], "Ada King");

    let set = json!({"username": "ADA.King", "phone": "+4915187654321"});
    let set = patch(&server, &ada).json(&set).await.expect(200).json();
    assert_eq!((&set["username"], &set["phone"]), (&json!("ada.king"), &json!("+4915187654321")));
    assert_eq!(server.get_as(&ada, ME).await.expect(200).json(), set);

    let nothing = patch(&server, &ada).json(&json!({})).await.expect(200).json();
    assert_eq!(nothing["name"], set["name"]);
}

#[tokio::test]
async fn what_changes_nothing_makes_no_version_and_tells_nobody() {
    let server = TestServer::start().await;
    let (ada, admin) = (server.signup_as(json!({"username": "ada"})).await, server.admin().await);
    let before = server.get_as(&ada, ME).await.expect(200);
    let told = format!("SELECT count(*) FROM outbox_events WHERE aggregate_id = '{}'", ada.id);
    let events = server.count(&told).await;
    for nothing in
        [json!({"phone": null}), json!({"name": before.json()["name"], "username": "ADA"}), json!({})]
    {
        let after = patch(&server, &ada).header("if-match", &tag(&before)).json(&nothing).await.expect(200);
        assert_eq!((tag(&after), after.json()), (tag(&before), before.json()), "{nothing}");
    }
    let by_admin = server.patch(&format!("/api/v1/admin/users/{}", ada.id)).bearer(&admin.token);
    let by_admin = by_admin.json(&json!({"is_admin": false, "status": "active"})).await.expect(200);
    assert_eq!((tag(&by_admin), by_admin.json()), (tag(&before), before.json()));
    assert_eq!(server.count(&told).await, events);
    patch(&server, &ada).json(&json!({"phone": "+4915112345678"})).await.expect(200);
    assert_eq!(server.count(&told).await, events + 1);
}

#[tokio::test]
async fn a_patch_changes_nothing_else() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    for (field, value, code) in [
        ("is_admin", json!(true), "unknown_field"),
        ("status", json!("active"), "unknown_field"),
        ("email", json!("eve@example.com"), "unknown_field"),
        ("id", json!("usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T"), "unknown_field"),
        ("password", json!("x"), "unknown_field"),
        ("email_verified", json!(true), "unknown_field"),
        ("version", json!(9), "unknown_field"),
        ("name", json!(null), "type"),
        ("name", json!(""), "too_short"),
        ("name", json!("a".repeat(101)), "too_long"),
        ("username", json!("a b"), "username"),
        ("username", json!(""), "too_short"),
        ("phone", json!("123"), "phone"),
    ] {
        let pointer = format!("/{field}");
        patch(&server, &ada).json(&json!({field: value})).await.invalid(&[(&pointer, code)]);
    }
    let me = server.get_as(&ada, ME).await.expect(200);
    assert_eq!(me.json()["created_at"], me.json()["updated_at"], "untouched");
}

#[tokio::test]
async fn what_another_has_is_taken() {
    let server = TestServer::start().await;
    let ada = server.signup_as(json!({"username": "ada", "phone": "+4915112345678"})).await;
    let eve = server.signup().await;
    patch(&server, &eve).json(&json!({"username": "Ada"})).await.problem(409, "username_taken");
    patch(&server, &eve).json(&json!({"phone": "+4915112345678"})).await.problem(409, "phone_taken");
    // A user's own values do not conflict.
    patch(&server, &ada).json(&json!({"username": "ada", "phone": "+4915112345678"})).await.expect(200);
    patch(&server, &ada).json(&json!({"username": null})).await.expect(200);
    patch(&server, &eve).json(&json!({"username": "ada"})).await.expect(200);
}

#[tokio::test]
async fn who_has_the_version_gets_304() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let own = format!("/api/v1/users/{}", ada.id);
    for path in [ME, own.as_str()] {
        let tag = tag(&server.get_as(&ada, path).await.expect(200));
        let get =
            |value: String| server.get(path).bearer(&ada.token).header("if-none-match", &value).into_future();
        let weak = format!("W/{tag}");
        let compressed = format!("{}-gzip\"", tag.trim_end_matches('"'));
        for value in [tag.clone(), weak, compressed, format!("\"x\", {tag}"), "*".to_owned()] {
            let answer = get(value.clone()).await;
            assert_eq!(answer.status, 304, "{value}");
            assert_eq!(answer.header("etag"), Some(tag.as_str()));
        }
        for value in
            ["\"x\"".to_owned(), "\"v999\"".to_owned(), tag.trim_matches('"').to_owned(), String::new()]
        {
            get(value).await.expect(200);
        }
    }
}

#[tokio::test]
async fn who_changes_a_version_that_is_gone_gets_412() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let first = tag(&server.get_as(&ada, ME).await.expect(200));
    let change = |name: &str, value: &str| {
        patch(&server, &ada).header("if-match", value).json(&json!({"name": name})).into_future()
    };
    let second = tag(&change("Ada King", &first).await.expect(200));
    assert_ne!(first, second);
    for stale in [first.as_str(), "\"x\"", "\"v0\"", "\"\"", &format!("W/{second}")] {
        change("Lost", stale).await.problem(412, "precondition_failed");
    }
    assert_eq!(server.get_as(&ada, ME).await.expect(200).json()["name"], "Ada King");
    let third = tag(&change("Ada", &format!("{first}, {second}")).await.expect(200));
    let compressed = format!("{}-br\"", third.trim_end_matches('"'));
    change("Ada L.", &compressed).await.expect(200);
    change("Ada Lovelace", "*").await.expect(200);
    patch(&server, &ada).header("if-match", "nonsense").json(&json!({"name": "x"})).await.expect(412);
}

#[tokio::test]
async fn of_many_changes_of_one_version_one_wins() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let tag = tag(&server.get_as(&ada, ME).await.expect(200));
    let changes = (0..10).map(|index| {
        patch(&server, &ada)
            .header("if-match", &tag)
            .json(&json!({"name": format!("Ada {index}")}))
            .into_future()
    });
    let answers = futures_util::future::join_all(changes).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(server.get_as(&ada, ME).await.expect(200).json(), won[0].json());
    for answer in answers.into_iter().filter(|answer| answer.status != 200) {
        answer.problem(412, "precondition_failed");
    }
}

#[tokio::test]
async fn what_one_wrote_one_reads_with_the_token_of_the_write() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let written = patch(&server, &ada).json(&json!({"name": "Ada King"})).await.expect(200);
    let seen = written.header("consistency-token").unwrap();
    let read = server.get(ME).bearer(&ada.token).header("consistency-token", seen).await.expect(200);
    assert_eq!(read.json()["name"], "Ada King");
    let last =
        server.get(ME).bearer(&ada.token).header("consistency-token", "E677D21FDBFF").await.expect(200);
    assert_eq!(last.json(), read.json(), "the last time that there is");
    let made_up = server.get(ME).bearer(&ada.token).header("consistency-token", "made up").await;
    made_up.problem(422, "validation_failed");
}

/// The other instance keeps the account in memory for a second, which is why the token is needed.
#[tokio::test]
async fn with_the_token_of_a_write_no_instance_answers_with_what_was_before() {
    // Instances of one installation have one address, of which their access tokens are.
    let server = TestServer::with_variables(&[("ASHLAR_SERVER__PUBLIC_URL", "http://api.test")]).await;
    let (other, ada) = (server.start_instance().await, server.signup().await);
    let mut stale_without = 0;
    for round in 0..ROUNDS {
        let name = format!("Ada {round}");
        let written = patch(&server, &ada).json(&json!({ "name": name })).await.expect(200);
        let token = written.header("consistency-token").unwrap();
        let without = other.get(ME).bearer(&ada.token).await.expect(200);
        stale_without += usize::from(without.json()["name"] != name.as_str());
        let with = other.get(ME).bearer(&ada.token).header("consistency-token", token).await.expect(200);
        assert_eq!(with.json()["name"], name.as_str(), "round {round}");
    }
    assert!(stale_without > 0, "the other instance never answered from memory");
}
