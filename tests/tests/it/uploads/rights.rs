//! Permissions on uploads, and the origins from which pages may send and fetch them.

use reqwest::Method;
use serde_json::{Value, json};
use tests::client::members;
use tests::store::png;
use tests::{Account, Answer, TestServer};

use super::{announce, announce_as, complete, path, publish, send};

#[tokio::test]
async fn anybody_elses_upload_is_not_there() {
    let server = TestServer::start().await;
    let (ada, eve, admin) = (server.signup().await, server.signup().await, server.admin().await);
    let bytes = png(2, 2);
    let completed = publish(&server, &ada, &bytes).await;
    let created = announce(&server, &ada, &bytes).await;
    send(&server, &created["request"], &bytes, &[]).await.expect(200);
    let none = json!({"id": "upl_01J9ZC3V8T5Q4X2M7N6P0R1S2T"});
    for other in [&eve, &admin] {
        for (method, suffix) in
            [(Method::GET, ""), (Method::DELETE, ""), (Method::GET, "/download"), (Method::POST, "/complete")]
        {
            let mut bodies = Vec::new();
            for upload in [&completed, &created["upload"], &none] {
                let request = server.request(method.clone(), &(path(upload) + suffix)).bearer(&other.token);
                let mut problem = request.await.problem(404, "upload_not_found");
                for name in ["instance", "request_id"] {
                    problem.as_object_mut().unwrap().remove(name);
                }
                bodies.push(problem);
            }
            assert!(
                bodies.iter().all(|body| *body == bodies[0]),
                "theirs and none look the same: {bodies:#?}"
            );
        }
        let page = server.get_as(other, "/api/v1/uploads").await.expect(200).json();
        assert_eq!(page["items"], json!([]));
    }
    complete(&server, &ada, &created["upload"]).await.expect(200);
    server.get_as(&ada, &path(&completed)).await.expect(200);
}

/// A public upload that is completed.
async fn publish_for_all(server: &TestServer, account: &Account, bytes: &[u8]) -> Value {
    let body = json!({"filename": "a.png", "content_type": "image/png", "size": bytes.len(), "visibility": "public"});
    let created = announce_as(server, account, &body).await.expect(201).json();
    send(server, &created["request"], bytes, &[]).await.expect(200);
    complete(server, account, &created["upload"]).await.expect(200).json()
}

#[tokio::test]
async fn a_public_upload_is_for_anyone_and_is_still_its_owners() {
    let server = TestServer::start().await;
    let (ada, eve, admin) = (server.signup().await, server.signup().await, server.admin().await);
    let bytes = png(2, 2);
    let body = json!({"filename": "a.png", "content_type": "image/png", "size": bytes.len(), "visibility": "public"});
    let created = announce_as(&server, &ada, &body).await.expect(201).json();
    let upload = &created["upload"];
    let download = path(upload) + "/download";
    for address in [&path(upload), &download] {
        server.get_as(&eve, address).await.problem(404, "upload_not_found");
        server.get(address).await.problem(404, "upload_not_found");
    }
    server.get_as(&ada, &download).await.problem(409, "upload_incomplete");
    send(&server, &created["request"], &bytes, &[]).await.expect(200);
    complete(&server, &eve, upload).await.problem(404, "upload_not_found");
    server.post(&(path(upload) + "/complete")).await.problem(401, "invalid_token");
    let completed = complete(&server, &ada, upload).await.expect(200).json();

    let tag = server.get_as(&ada, &path(upload)).await.expect(200).header("etag").unwrap().to_owned();
    for token in [None, Some(&eve.token), Some(&admin.token)] {
        let get = |address: &str| {
            let request = server.get(address).header("if-none-match", &tag);
            match token {
                Some(token) => request.bearer(token),
                None => request,
            }
        };
        let answer = get(&path(upload)).await.expect(200);
        assert_eq!((answer.header("etag"), answer.header("cache-control")), (None, Some("no-store")));
        assert!(answer.header("vary").unwrap().contains("Authorization"), "{answer:?}");
        let shown = answer.json();
        assert_eq!(
            members(&shown),
            ["content_type", "created_at", "filename", "height", "id", "size", "visibility", "width"]
        );
        for (name, value) in shown.as_object().unwrap() {
            assert_eq!(*value, completed[name], "{name}");
        }
        let redirect = get(&download).await.expect(302);
        assert_eq!(redirect.header("cache-control"), Some("no-store"));
        let file = server.get(redirect.header("location").unwrap()).unchecked().await.expect(200);
        assert_eq!(file.body, bytes);
        get(&(download.clone() + "?disposition=inline")).await.expect(302);
    }
    assert_eq!(server.get_as(&ada, &path(upload)).await.expect(200).json(), completed);
    server.delete(&path(upload)).bearer(&eve.token).await.problem(404, "upload_not_found");
    server.delete(&path(upload)).await.problem(401, "invalid_token");
    let page = server.get_as(&eve, "/api/v1/uploads").await.expect(200).json();
    assert_eq!(page["items"], json!([]));
    server.get("/api/v1/uploads").await.problem(401, "invalid_token");
    // A token must be valid even if it is optional.
    for address in [&path(upload), &download] {
        for header in ["Bearer nonsense", "Bearer ", "Basic YTpi", "nonsense"] {
            server.get(address).header("authorization", header).await.problem(401, "invalid_token");
        }
    }
    server.delete(&path(upload)).bearer(&ada.token).await.expect(204);
    for address in [&path(upload), &download] {
        server.get(address).await.problem(404, "upload_not_found");
    }
}

#[tokio::test]
async fn nothing_is_public_of_who_is_suspended() {
    let server = TestServer::start().await;
    let (ada, admin) = (server.signup().await, server.admin().await);
    let upload = publish_for_all(&server, &ada, &png(2, 2)).await;
    let private = publish(&server, &ada, &png(2, 2)).await;
    let addresses = [path(&upload), path(&upload) + "/download"];
    let become_one = async |status: &str| {
        let account = format!("/api/v1/admin/users/{}", ada.id);
        let request = server.request(Method::PATCH, &account).bearer(&admin.token);
        request.json(&json!({"status": status})).await.expect(200);
    };
    become_one("suspended").await;
    for address in &addresses {
        server.get(address).await.problem(404, "upload_not_found");
        server.get_as(&admin, address).await.problem(404, "upload_not_found");
    }
    become_one("active").await;
    server.get(&addresses[0]).await.expect(200);
    server.get(&addresses[1]).await.expect(302);
    server.get(&path(&private)).await.problem(404, "upload_not_found");
}

async fn preflight(server: &TestServer, url: &str, origin: &str, method: &str) -> Answer {
    let request = server.request(Method::OPTIONS, url).unchecked().header("origin", origin);
    let request = request.header("access-control-request-method", method);
    request
        .header("access-control-request-headers", "content-type, if-none-match, x-amz-checksum-sha256")
        .await
}

#[tokio::test]
async fn a_configured_page_may_send_and_any_page_that_has_the_url_may_fetch() {
    let server = TestServer::with_variables(&[("ASHLAR_CORS__ORIGINS", "https://app.example.com")]).await;
    let ada = server.signup().await;
    let bytes = png(2, 2);
    let created = announce(&server, &ada, &bytes).await;
    let url = created["request"]["url"].as_str().unwrap();
    let own = server.origin();
    for origin in ["https://app.example.com", own.as_str()] {
        let answer = preflight(&server, url, origin, "PUT").await.expect(204);
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-methods"), Some("PUT"));
        let allowed = answer.header("access-control-allow-headers").unwrap();
        assert_eq!(allowed, "content-type, if-none-match, x-amz-checksum-sha256");
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    for origin in ["https://evil.example.com", "null", "http://app.example.com"] {
        let answer = preflight(&server, url, origin, "PUT").await.expect(403);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    let origin = ("origin", Some("https://app.example.com"));
    let sent = send(&server, &created["request"], &bytes, &[origin]).await.expect(200);
    assert_eq!(sent.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(sent.header("access-control-expose-headers"), Some("ETag"));
    complete(&server, &ada, &created["upload"]).await.expect(200);
    let redirect = server.get_as(&ada, &(path(&created["upload"]) + "/download")).await.expect(302);
    // After a redirect, the browser sends the origin `null`.
    let file = server
        .get(redirect.header("location").unwrap())
        .unchecked()
        .header("origin", "null")
        .await
        .expect(200);
    assert_eq!(file.header("access-control-allow-origin"), Some("*"));
    assert_eq!(file.header("access-control-allow-credentials"), None);
}
