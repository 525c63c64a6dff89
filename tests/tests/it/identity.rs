//! The same URL has different responses for different users: no user receives the response of another, in spite of caches.

use reqwest::Method;
use serde_json::{Value, json};
use tests::contract::filled;
use tests::{Account, Answer, TestServer};

const ME: &str = "/api/v1/users/me";
const COOKIE: &str = "__Host-ashlar_refresh";

pub(crate) fn tag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_else(|| panic!("no ETag: {answer:?}")).to_owned()
}

/// Whether `Vary` lists the header.
pub(crate) fn varies_by(answer: &Answer, name: &str) -> bool {
    let names = answer.header("vary").unwrap_or_default();
    names.split(',').any(|other| other.trim().eq_ignore_ascii_case(name))
}

/// A user with rows.
struct Person {
    account: Account,
    /// Ids of the rows, by the names of path parameters.
    ids: Vec<(&'static str, String)>,
    document: Value,
}

impl Person {
    async fn new(server: &TestServer) -> Self {
        let account = server.admin().await;
        let ids = vec![
            ("user_id", account.id.clone()),
            ("upload_id", server.upload(&account).await), // domain: upload
        ];
        let document = server.get("/openapi.json").await.expect(200).json();
        Self { account, ids, document }
    }

    /// A path of the document with the ids of this user.
    fn path(&self, template: &str) -> String {
        let ids: Vec<_> = self.ids.iter().map(|(name, id)| (*name, id.as_str())).collect();
        filled(&self.document, template, &ids)
    }
}

/// The operations that require a signed-in user, with their paths.
async fn secured(server: &TestServer) -> Vec<(Method, String)> {
    let document = server.get("/openapi.json").await.expect(200).json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["security"] != json!([{}]) {
                found.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    assert!(found.len() >= 5, "{found:?}");
    found
}

#[tokio::test]
async fn a_tag_of_one_user_does_not_match_for_another() {
    let server = TestServer::start().await;
    let (ada, eve) = (Person::new(&server).await, Person::new(&server).await);
    let (mut tagged, mut kept) = (0, Vec::new());
    let reads: Vec<String> = secured(&server)
        .await
        .into_iter()
        .filter(|(method, _)| *method == Method::GET)
        .map(|(_, path)| path)
        .collect();
    for template in &reads {
        let answer = server.get_as(&ada.account, &ada.path(template)).await;
        kept.extend(answer.header("etag").map(str::to_owned));
        assert!(varies_by(&answer, "Authorization"), "{answer:?}");
        assert!(!answer.header("cache-control").unwrap().contains("public"), "{answer:?}");
    }
    let kept = kept.join(", ");
    for template in &reads {
        let request = server.get(&eve.path(template)).bearer(&eve.account.token);
        let answer = request.header("if-none-match", &kept).await;
        assert_ne!(answer.status, 304, "{answer:?}");
        let own = server.get_as(&eve.account, &eve.path(template)).await;
        if own.header("content-type") == Some("application/json") && !template.ends_with("/download") {
            assert_eq!(answer.json(), own.json(), "{template}");
        }
        let Some(tag) = own.header("etag") else { continue };
        tagged += 1;
        let again = server.get(&eve.path(template)).bearer(&eve.account.token).header("if-none-match", tag);
        again.await.expect(304);
    }
    assert!(tagged >= 2, "{tagged}");
}

#[tokio::test]
async fn a_tag_of_deleted_data_does_not_match() {
    let (before, after) = (TestServer::start().await, TestServer::start().await);
    // An account with the same data.
    let same = json!({"email": "ada@example.com"});
    let (old, new) = (before.signup_as(same.clone()).await, after.signup_as(same).await);
    let kept = tag(&before.get_as(&old, ME).await.expect(200));
    let request = after.get(ME).bearer(&new.token).header("if-none-match", &kept);
    assert_eq!(request.await.expect(200).json()["id"], new.id.as_str());
    let request = after.patch(ME).bearer(&new.token).header("if-match", &kept).json(&json!({"name": "Lost"}));
    request.await.problem(412, "precondition_failed");
}

#[tokio::test]
async fn the_tag_of_one_resource_does_not_match_another() {
    let server = TestServer::start().await;
    let (ada, eve) = (Person::new(&server).await, Person::new(&server).await);
    let account = tag(&server.get_as(&ada.account, ME).await.expect(200));
    let other = tag(&server.get_as(&server.signup().await, ME).await.expect(200));
    for known in [account.as_str(), &other, &format!("{account}, {other}")] {
        let request = server.patch(ME).bearer(&eve.account.token).header("if-match", known);
        request.json(&json!({"name": "Lost"})).await.problem(412, "precondition_failed");
        let path = eve.path("/api/v1/admin/users/{user_id}");
        let request = server.patch(&path).bearer(&ada.account.token).header("if-match", known);
        request.json(&json!({"name": "Lost"})).await.problem(412, "precondition_failed");
    }
    let own = tag(&server.get_as(&eve.account, ME).await.expect(200));
    let request =
        server.patch(ME).bearer(&eve.account.token).header("if-match", &format!("{account}, {own}"));
    assert_eq!(request.json(&json!({"name": "Eve"})).await.expect(200).json()["name"], "Eve");
}

#[tokio::test]
async fn responses_to_creations_and_changes_have_a_tag() {
    let server = TestServer::start().await;
    let body = json!({"email": "ada@example.com", "password": tests::PASSWORD, "name": "Ada"});
    let made = server.post("/api/v1/auth/signup").json(&body).await.expect(201);
    let token = made.json()["access_token"].as_str().unwrap().to_owned();
    let read = server.get(made.header("location").unwrap()).bearer(&token).await.expect(200);
    assert_eq!(tag(&made), tag(&read));
    let changed = server.patch(ME).bearer(&token).header("if-match", &tag(&made));
    let changed = changed.json(&json!({"name": "Ada King"})).await.expect(200);
    assert_ne!(tag(&changed), tag(&read));
    assert_eq!(tag(&changed), tag(&server.get(ME).bearer(&token).await.expect(200)));
}

#[tokio::test]
async fn errors_vary_by_the_caller_too() {
    let server = TestServer::start().await;
    let (ada, eve) = (Person::new(&server).await, server.signup().await);
    for (method, template) in secured(&server).await {
        let request = || server.request(method.clone(), &ada.path(&template));
        for answer in [
            request().await,
            request().bearer("nonsense").await,
            request().bearer(&eve.token).await,
            request().bearer(&eve.token).header("origin", "http://localhost:1").await,
        ] {
            assert!(varies_by(&answer, "Authorization"), "{answer:?}");
        }
    }
    for answer in [
        server.get("/health").bearer(&eve.token).await,
        server.get("/openapi.json").bearer(&eve.token).await,
        server.get("/.well-known/jwks.json").bearer(&eve.token).await,
        server.get("/docs").bearer(&eve.token).await,
        server.get("/nothing").bearer(&eve.token).await,
    ] {
        assert!(!varies_by(&answer, "Authorization"), "the same for everybody: {answer:?}");
    }
}

#[tokio::test]
async fn responses_that_depend_on_the_cookie_vary_by_it() {
    let server = TestServer::start().await;
    let cookie = format!("{COOKIE}=ashr_x");
    let send = |path: &str| {
        let request = server.post(path).header("origin", &server.origin());
        request.header("cookie", &cookie).into_future()
    };
    let answer = send("/api/v1/auth/refresh").await;
    assert!(varies_by(&answer, "Cookie") && !varies_by(&answer, "Authorization"), "{answer:?}");
    answer.problem(401, "invalid_refresh_token");
    let answer = send("/api/v1/auth/logout").await.expect(204);
    assert!(varies_by(&answer, "Cookie") && varies_by(&answer, "Authorization"), "{answer:?}");
}
