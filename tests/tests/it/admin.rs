//! The operations of admins on all accounts.

use std::collections::HashSet;

use serde_json::{Value, json};
use tests::client::members;
use tests::{Account, Answer, TestServer};

const USERS: &str = "/api/v1/admin/users";

async fn list(server: &TestServer, admin: &Account, query: &str) -> Answer {
    server.get_as(admin, &format!("{USERS}{query}")).await
}

fn emails(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap().to_owned()).collect()
}

async fn change(server: &TestServer, admin: &Account, id: &str, changes: Value) -> Answer {
    server.patch(&format!("{USERS}/{id}")).bearer(&admin.token).json(&changes).await
}

/// Accounts with these names and addresses `<name>@example.com`, in this order.
async fn sign_up(server: &TestServer, names: &[&str]) {
    for name in names {
        let email = format!("{}@example.com", name.to_lowercase());
        server.signup_as(json!({"email": email, "name": name})).await;
    }
}

#[tokio::test]
async fn authentication_is_checked_before_the_request() {
    let server = TestServer::start().await;
    let (ada, admin) = (server.signup().await, server.admin().await);
    let one = format!("{USERS}/{}", ada.id);
    let none = format!("{USERS}/usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T");
    for path in [USERS.to_owned(), format!("{USERS}?limit=0"), format!("{USERS}?x=1")] {
        server.get(&path).await.problem(401, "invalid_token");
        server.get_as(&ada, &path).await.problem(403, "admin_required");
    }
    for path in [&one, &none, &format!("{USERS}/x")] {
        for body in ["{", "{\"x\": 1}", "{\"is_admin\": true}"] {
            server.patch(path).body("application/json", body).await.problem(401, "invalid_token");
            let answer = server.patch(path).bearer(&ada.token).body("application/json", body).await;
            answer.problem(403, "admin_required");
        }
    }
    assert_eq!(server.get_as(&ada, "/api/v1/users/me").await.expect(200).json()["is_admin"], false);
    change(&server, &admin, "usr_01J9ZC3V8T5Q4X2M7N6P0R1S2T", json!({"name": "x"}))
        .await
        .problem(404, "user_not_found");
    change(&server, &admin, "x", json!({"name": "x"})).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_name_is_found_in_any_case() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for (email, name) in [
        ("o@example.com", "\u{39f}\u{394}\u{3a5}\u{3a3}\u{3a3}\u{395}\u{38e}\u{3a3}"),
        ("s@m\u{fc}nchen.de", "Stra\u{df}er"),
    ] {
        server.signup_as(json!({"email": email, "name": name})).await;
    }
    for (q, found) in [
        // Odysseus in lowercase: the last letter, sigma, has another form at the end of a word.
        ("%CE%9F%CE%B4%CF%85%CF%83%CF%83%CE%B5%CF%8D%CF%82", "o@example.com"),
        ("STRASSER", "s@m\u{fc}nchen.de"),
        ("stra%C3%9Fer", "s@m\u{fc}nchen.de"),
        ("S@M%C3%9CNCHEN.de", "s@m\u{fc}nchen.de"),
        ("xn--mnchen-3ya", "s@m\u{fc}nchen.de"),
    ] {
        let page = list(&server, &admin, &format!("?q={q}")).await.expect(200).json();
        assert_eq!(emails(&page), [found], "{q}");
    }
}

#[tokio::test]
async fn a_page_has_items_a_cursor_and_on_request_a_total() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    sign_up(&server, &["Ada", "Bob", "Cyd"]).await;
    let plain = list(&server, &admin, "").await.expect(200);
    assert_eq!(plain.header("link"), None, "the last page");
    let page = plain.json();
    assert_eq!(members(&page), ["items", "next_cursor"]);
    assert_eq!(page["next_cursor"], Value::Null);
    let newest = ["cyd@example.com", "bob@example.com", "ada@example.com", &admin.email];
    assert_eq!(emails(&page), newest);
    let me = server.get_as(&admin, "/api/v1/users/me").await.expect(200).json();
    assert_eq!(page["items"][3], me, "the same shape everywhere");
    let page = list(&server, &admin, "?include=total&limit=2").await.expect(200).json();
    assert_eq!(members(&page), ["items", "next_cursor", "total"]);
    assert_eq!((&page["total"], emails(&page).len()), (&json!(4), 2));
    let page = list(&server, &admin, "?offset=3&limit=2").await.expect(200).json();
    assert_eq!((emails(&page), &page["next_cursor"]), (vec![admin.email.clone()], &Value::Null));
    assert_eq!(list(&server, &admin, "?offset=10000").await.expect(200).json()["items"], json!([]));
}

#[tokio::test]
async fn filters_and_orders() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    sign_up(&server, &["Bob", "ada", "Cyd"]).await;
    server.signup_as(json!({"email": "zoe@example.com", "name": "Zoë 100%_\\", "username": "zo-e", "phone": "+4915112345678"})).await;
    let bob = list(&server, &admin, "?q=bob").await.expect(200).json()["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    change(&server, &admin, &bob, json!({"status": "suspended"})).await.expect(200);
    let found = async |query: &str| emails(&list(&server, &admin, query).await.expect(200).json());
    let names = ["ada@example.com", &admin.email, "bob@example.com", "cyd@example.com", "zoe@example.com"];
    let by_name: Vec<&str> = names.to_vec();
    assert_eq!(found("?sort=name").await, by_name);
    assert_eq!(found("?sort=-name").await, by_name.iter().rev().copied().collect::<Vec<_>>());
    let mut by_email = by_name.clone();
    by_email.sort_unstable();
    assert_eq!(found("?sort=email").await, by_email);
    assert_eq!(found("?sort=-email").await, by_email.iter().rev().copied().collect::<Vec<_>>());
    let oldest = [&admin.email, "bob@example.com", "ada@example.com", "cyd@example.com", "zoe@example.com"];
    assert_eq!(found("?sort=created_at").await, oldest);
    assert_eq!(found("?sort=-created_at").await, found("").await);
    assert_eq!(found("?status=suspended").await, ["bob@example.com"]);
    assert_eq!(found("?status=active").await.len(), 4);
    assert_eq!(found("?is_admin=true").await, [admin.email.as_str()]);
    assert_eq!(found("?is_admin=false").await.len(), 4);
    assert_eq!(found("?deleted=true").await, [] as [&str; 0]);
    for query in ["CYD", "cyd@", "Cyd@Example.Com"] {
        assert_eq!(found(&format!("?q={query}")).await, ["cyd@example.com"], "{query}");
    }
    for query in ["zo-", "15112345", "zo%C3%AB", "ZO%C3%8B", "zoe%CC%88", "100%25", "%25_%5C", "%5C"] {
        assert_eq!(found(&format!("?q={query}")).await, ["zoe@example.com"], "{query}");
    }
    assert_eq!(found("?q=nobody").await, [] as [&str; 0]);
    assert_eq!(
        found("?q=example.com&status=active&is_admin=false&sort=email").await,
        ["ada@example.com", "cyd@example.com", "zoe@example.com"]
    );
    let me = server.get_as(&admin, "/api/v1/users/me").await.expect(200).json();
    let moment = me["created_at"].as_str().unwrap();
    assert_eq!(found(&format!("?created_after={moment}")).await.len(), 4);
    assert_eq!(found(&format!("?created_before={moment}")).await, [] as [&str; 0]);
    assert_eq!(
        found("?created_after=2020-01-01T00:00:00%2B02:00").await.len(),
        5,
        "any offset is understood"
    );
}

#[tokio::test]
async fn all_errors_of_a_query_are_reported_together() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let path = "/api/v1/admin/users?sort=foo81374&limit=1000&is_admin=maybe81374&q=&include=all";
    let problem = server.get_as(&admin, path).await.invalid(&[
        ("/sort", "choice"),
        ("/limit", "too_large"),
        ("/is_admin", "type"),
        ("/q", "too_short"),
        ("/include", "choice"),
    ]);
    let errors = problem["errors"].to_string();
    assert!(!errors.contains("81374"), "{errors}");
    assert!(errors.contains(r#""message":"must be at most 100","params":{"max":100}"#), "{errors}");
}

#[tokio::test]
async fn a_parameter_that_breaks_a_rule_is_named() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for (query, pointer, code) in [
        ("limit=0", "/limit", "too_small"),
        ("limit=101", "/limit", "too_large"),
        ("limit=-1", "/limit", "too_small"),
        ("limit=x", "/limit", "type"),
        ("limit=%2B5", "/limit", "type"),
        ("limit=+5", "/limit", "type"),
        ("limit=005", "/limit", "type"),
        ("limit=1.5", "/limit", "type"),
        ("limit=", "/limit", "type"),
        ("limit=99999999999999999999", "/limit", "type"),
        ("offset=10001", "/offset", "too_large"),
        ("offset=-1", "/offset", "too_small"),
        ("include=everything", "/include", "choice"),
        ("sort=password", "/sort", "choice"),
        ("sort=", "/sort", "choice"),
        ("is_admin=yes", "/is_admin", "type"),
        ("is_admin=1", "/is_admin", "type"),
        ("deleted=maybe", "/deleted", "type"),
        ("status=deleted", "/status", "choice"),
        ("q=", "/q", "too_short"),
        ("page=2", "/page", "unknown_parameter"),
        ("limit=5&limit=5", "/limit", "duplicate_parameter"),
        ("status=active&status=suspended", "/status", "duplicate_parameter"),
        ("offset=1&cursor=x", "/offset", "exclusive"),
    ] {
        list(&server, &admin, &format!("?{query}")).await.invalid(&[(pointer, code)]);
    }
    for moment in ["yesterday", "2026-01-01", "2026-13-01T00:00:00Z", "1700000000"] {
        let problem = list(&server, &admin, &format!("?created_after={moment}"))
            .await
            .problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["pointer"], "/created_after");
    }
    let refusal = list(&server, &admin, "?status=gone").await.invalid(&[("/status", "choice")]);
    for valid in ["active", "suspended"] {
        assert!(refusal["errors"][0]["message"].as_str().unwrap().contains(valid), "{refusal}");
    }
    list(&server, &admin, "?limit=1").await.expect(200);
    list(&server, &admin, "?limit=100&offset=0").await.expect(200);
}

#[tokio::test]
async fn a_cursor_of_another_list_is_invalid() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    sign_up(&server, &["Ada", "Bob"]).await;
    let page = list(&server, &admin, "?limit=1&sort=name").await.expect(200).json();
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    list(&server, &admin, &format!("?limit=1&sort=name&cursor={cursor}")).await.expect(200);
    let (head, tail) = cursor.split_at(cursor.len() / 2);
    let changed = format!("{head}{}{}", if tail.starts_with('A') { "B" } else { "A" }, &tail[1..]);
    for bad in
        ["", "x", "AAAA", "%F0%9F%92%A9", head, changed.as_str(), &format!("{cursor}A"), &"x".repeat(1_900)]
    {
        list(&server, &admin, &format!("?sort=name&cursor={bad}")).await.invalid(&[("/cursor", "cursor")]);
    }
    let long = "x".repeat(12_001);
    list(&server, &admin, &format!("?cursor={long}")).await.invalid(&[("/cursor", "too_long")]);
    // A cursor of another sort order, and of another list.
    list(&server, &admin, &format!("?sort=email&cursor={cursor}")).await.invalid(&[("/cursor", "cursor")]);
    list(&server, &admin, &format!("?cursor={cursor}")).await.invalid(&[("/cursor", "cursor")]);
    list(&server, &admin, &format!("?sort=name&cursor={cursor}&offset=1"))
        .await
        .invalid(&[("/offset", "exclusive")]);
}

#[tokio::test]
async fn following_the_links_returns_each_row_once_although_rows_are_added_and_deleted() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let mut expected = HashSet::from([admin.email.clone()]);
    let mut existing = Vec::new();
    for index in 0..23 {
        let account = server.signup_as(json!({"name": format!("Name {}", index % 3)})).await;
        expected.insert(account.email.clone());
        existing.push(account);
    }
    for sort in ["-created_at", "created_at", "name", "-name", "email", "-email"] {
        let mut met = Vec::new();
        let mut next = Some(format!("{USERS}?limit=5&sort={sort}&is_admin=false&include=total"));
        while let Some(path) = next {
            let answer = server.get_as(&admin, &path).await.expect(200);
            let page = answer.json();
            met.extend(emails(&page));
            let link = answer.header("link").map(|link| {
                link.strip_prefix('<')
                    .and_then(|link| link.strip_suffix(">; rel=\"next\""))
                    .unwrap()
                    .to_owned()
            });
            assert_eq!(link.is_some(), page["next_cursor"].is_string(), "{answer:?}");
            if let Some(link) = &link {
                for kept in ["limit=5", &format!("sort={sort}"), "is_admin=false", "include=total"] {
                    assert!(link.contains(kept), "{kept}: {link}");
                }
            }
            next = link;
            // The last row of the page is deleted, and a new user sorts before it.
            let gone = met.last().unwrap().clone();
            server.execute(&format!("UPDATE users SET is_admin = TRUE WHERE email = '{gone}'")).await;
            server.signup_as(json!({"name": "Name 1"})).await;
        }
        let distinct: HashSet<&String> = met.iter().collect();
        assert_eq!(distinct.len(), met.len(), "{sort}: nobody twice");
        for account in &existing {
            assert!(distinct.contains(&account.email), "{sort}: {} was missed", account.email);
        }
        let ids: Vec<String> = existing.iter().map(|account| format!("'{}'", account.id)).collect();
        let ids = ids.join(", ");
        server.execute(&format!("UPDATE users SET is_admin = FALSE WHERE id IN ({ids})")).await;
    }
}

#[tokio::test]
async fn an_admin_changes_an_account() {
    let server = TestServer::start().await;
    let (ada, admin) = (server.signup_as(json!({"username": "ada"})).await, server.admin().await);
    let answer = change(&server, &admin, &ada.id, json!({"name": "Ada King"})).await.expect(200);
    let tag = answer.header("etag").unwrap().to_owned();
    let user = answer.json();
    assert_eq!(
        (&user["name"], &user["username"], &user["status"]),
        (&json!("Ada King"), &json!("ada"), &json!("active"))
    );
    let both = json!({"status": "suspended", "is_admin": true});
    let user = change(&server, &admin, &ada.id, both).await.expect(200).json();
    assert_eq!(
        (&user["status"], &user["is_admin"], &user["name"]),
        (&json!("suspended"), &json!(true), &json!("Ada King"))
    );
    let stale = server.patch(&format!("{USERS}/{}", ada.id)).bearer(&admin.token).header("if-match", &tag);
    stale.json(&json!({"name": "Lost"})).await.problem(412, "precondition_failed");
    for (field, value, code) in [
        ("status", json!("deleted"), "choice"),
        ("is_admin", json!("true"), "type"),
        ("is_admin", json!(null), "type"),
        ("email", json!("eve@example.com"), "unknown_field"),
        ("id", json!(admin.id), "unknown_field"),
    ] {
        let pointer = format!("/{field}");
        change(&server, &admin, &ada.id, json!({field: value})).await.invalid(&[(&pointer, code)]);
    }
    let problem =
        change(&server, &admin, &ada.id, json!({"status": "gone"})).await.invalid(&[("/status", "choice")]);
    let message = problem["errors"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("active") && message.contains("suspended"),
        "it names the valid ones: {message}"
    );
    let user = server.get_as(&admin, &format!("/api/v1/users/{}", ada.id)).await.expect(200).json();
    assert_eq!((&user["name"], &user["email"]), (&json!("Ada King"), &json!(ada.email)));
}

#[tokio::test]
async fn the_last_admin_cannot_be_demoted() {
    let server = TestServer::start().await;
    let (ada, admin) = (server.signup().await, server.admin().await);
    for changes in [json!({"is_admin": false}), json!({"status": "suspended"})] {
        change(&server, &admin, &admin.id, changes).await.problem(409, "last_admin");
    }
    change(&server, &admin, &admin.id, json!({"name": "Root", "is_admin": true, "status": "active"}))
        .await
        .expect(200);
    // A suspended admin does not count.
    change(&server, &admin, &ada.id, json!({"is_admin": true, "status": "suspended"})).await.expect(200);
    change(&server, &admin, &admin.id, json!({"is_admin": false})).await.problem(409, "last_admin");
    change(&server, &admin, &ada.id, json!({"status": "active"})).await.expect(200);
    change(&server, &admin, &admin.id, json!({"is_admin": false})).await.expect(200);
    server.get_as(&admin, USERS).await.problem(403, "admin_required");
}

#[tokio::test]
async fn two_admins_cannot_demote_each_other_at_once() {
    let server = TestServer::start().await;
    for _ in 0..5 {
        let (a, b) = (server.admin().await, server.admin().await);
        server
            .execute(&format!("UPDATE users SET is_admin = FALSE WHERE id NOT IN ('{}', '{}')", a.id, b.id))
            .await;
        let demote = json!({"is_admin": false});
        let (first, second) =
            tokio::join!(change(&server, &a, &b.id, demote.clone()), change(&server, &b, &a.id, demote));
        let admins = server.count("SELECT count(*) FROM users WHERE is_admin = TRUE").await;
        assert_eq!(admins, 1, "{first:?} {second:?}");
        for answer in [first, second] {
            match answer.status {
                200 => {}
                // The later request was sent by a user who was no longer an admin.
                403 => drop(answer.problem(403, "admin_required")),
                _ => drop(answer.problem(409, "last_admin")),
            }
        }
    }
}
