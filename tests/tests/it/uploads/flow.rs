use reqwest::Method;
use serde_json::{Value, json};
use tests::client::members;
use tests::store::{checksum, png};
use tests::{TestServer, unique};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{announce, announce_as, complete, path, publish, send};

fn time(value: &Value) -> OffsetDateTime {
    let text = value.as_str().unwrap();
    assert!(text.ends_with('Z'), "{text}");
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}

#[tokio::test]
async fn a_picture_is_announced_sent_completed_and_fetched() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let bytes = png(160, 120);
    let body = json!({
        "filename": "Hafen – 1.png", "content_type": "image/png", "size": bytes.len(), "checksum_sha256": checksum(&bytes),
        "visibility": "private",
    });
    let answer = announce_as(&server, &ada, &body).await.expect(201);
    let created = answer.json();
    assert_eq!(members(&created), ["expires_at", "request", "upload"]);
    let pending = created["upload"].clone();
    assert_eq!(answer.header("location"), Some(path(&pending).as_str()));
    let expected = [
        "checksum_sha256",
        "completed_at",
        "content_type",
        "created_at",
        "filename",
        "height",
        "id",
        "placeholder",
        "size",
        "status",
        "visibility",
        "width",
    ];
    assert_eq!(members(&pending), expected);
    for (name, value) in [
        ("filename", json!("Hafen – 1.png")),
        ("content_type", json!("image/png")),
        ("size", json!(bytes.len())),
        ("checksum_sha256", json!(checksum(&bytes))),
        ("visibility", json!("private")),
        ("status", json!("pending")),
        ("width", Value::Null),
        ("height", Value::Null),
        ("placeholder", Value::Null),
        ("completed_at", Value::Null),
    ] {
        assert_eq!(pending[name], value, "{name}");
    }
    assert!(pending["id"].as_str().unwrap().starts_with("upl_"));
    let request = &created["request"];
    assert_eq!(members(request), ["headers", "method", "url"]);
    assert_eq!(request["method"], "PUT");
    let headers = json!({
        "content-length": bytes.len().to_string(), "content-type": "image/png", "if-none-match": "*",
        "x-amz-checksum-sha256": checksum(&bytes),
    });
    assert_eq!(request["headers"], headers);
    let lifetime = time(&created["expires_at"]) - time(&pending["created_at"]);
    assert!((890..=900).contains(&lifetime.whole_seconds()), "{lifetime}");
    let url = request["url"].as_str().unwrap();
    assert!(url.starts_with(server.storage().as_str()), "{url}");
    for told in ["Hafen", pending["id"].as_str().unwrap(), ada.id.as_str()] {
        assert!(!url.contains(told), "the key tells {told}: {url}");
    }

    let get = server.get_as(&ada, &path(&pending)).await.expect(200);
    let pending_tag = get.header("etag").unwrap().to_owned();
    assert_eq!(get.json(), pending);

    send(&server, request, &bytes, &[]).await.expect(200);
    let answer = complete(&server, &ada, &pending).await.expect(200);
    let completed = answer.json();
    assert_eq!(completed["status"], "completed");
    assert_eq!((&completed["width"], &completed["height"]), (&json!(160), &json!(120)));
    assert!(time(&completed["completed_at"]) >= time(&completed["created_at"]));
    let tag = answer.header("etag").unwrap().to_owned();
    assert_ne!(tag, pending_tag);
    let get = server.get_as(&ada, &path(&pending)).await.expect(200);
    assert_eq!((get.json(), get.header("etag")), (completed.clone(), Some(tag.as_str())));
    let request = server.get(&path(&pending)).bearer(&ada.token).header("if-none-match", &tag);
    assert_eq!(request.await.expect(304).header("etag"), Some(tag.as_str()));

    let again = complete(&server, &ada, &pending).await.expect(200);
    assert_eq!(again.json(), completed, "whoever asks again gets the same answer");
    let with_body = server.post(&(path(&pending) + "/complete")).bearer(&ada.token).json(&json!({})).await;
    assert_eq!(with_body.expect(200).json(), completed);

    let download = path(&pending) + "/download";
    let redirect = server.get_as(&ada, &download).await.expect(302);
    assert_eq!(redirect.header("cache-control"), Some("no-store"));
    assert!(redirect.body.is_empty());
    let file = server.get(redirect.header("location").unwrap()).unchecked().await.expect(200);
    assert_eq!(file.body, bytes);
    assert_eq!(file.header("content-type"), Some("image/png"));
    let disposition = file.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment;"), "{disposition}");
    assert!(disposition.ends_with("filename*=UTF-8''Hafen%20%E2%80%93%201.png"), "{disposition}");
}

#[tokio::test]
async fn a_head_of_a_download_can_be_followed() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let upload = publish(&server, &ada, &png(8, 8)).await;
    let redirect =
        server.request(Method::HEAD, &(path(&upload) + "/download")).bearer(&ada.token).await.expect(302);
    let location = redirect.header("location").unwrap();
    let head = server.request(Method::HEAD, location).unchecked().await.expect(200);
    assert_eq!(head.header("content-length").unwrap(), upload["size"].to_string());
}

#[tokio::test]
async fn a_download_is_a_url_for_who_asks_for_json() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let bytes = png(8, 8);
    let upload = publish(&server, &ada, &bytes).await;
    for accept in ["application/json", "text/html;q=0.5, application/json"] {
        let request = server.get(&(path(&upload) + "/download")).bearer(&ada.token).header("accept", accept);
        let answer = request.await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let download = answer.json();
        assert_eq!(members(&download), ["expires_at", "url"]);
        time(&download["expires_at"]);
        let file = server.get(download["url"].as_str().unwrap()).unchecked().await.expect(200);
        assert_eq!(file.body, bytes);
    }
    let request = server.get(&(path(&upload) + "/download?disposition=inline")).bearer(&ada.token);
    let redirect = request.await.expect(302);
    let file = server.get(redirect.header("location").unwrap()).unchecked().await.expect(200);
    assert!(file.header("content-disposition").unwrap().starts_with("inline;"), "{file:?}");
    let wrong = server.get_as(&ada, &(path(&upload) + "/download?disposition=run")).await;
    wrong.invalid(&[("/disposition", "choice")]);
}

#[tokio::test]
async fn nothing_is_served_inline_that_a_browser_could_run() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let bytes = b"%PDF-1.7\n%%EOF\n";
    let body = json!({"filename": "a.pdf", "content_type": "application/pdf", "size": bytes.len()});
    let created = announce_as(&server, &ada, &body).await.expect(201).json();
    send(&server, &created["request"], bytes, &[]).await.expect(200);
    let upload = complete(&server, &ada, &created["upload"]).await.expect(200).json();
    assert_eq!((&upload["width"], &upload["height"]), (&Value::Null, &Value::Null));
    let redirect = server.get_as(&ada, &(path(&upload) + "/download?disposition=inline")).await.expect(302);
    let file = server.get(redirect.header("location").unwrap()).unchecked().await.expect(200);
    assert!(file.header("content-disposition").unwrap().starts_with("attachment;"), "{file:?}");
    assert!(file.header("content-security-policy").unwrap().contains("sandbox"), "{file:?}");
}

#[tokio::test]
async fn a_checksum_may_be_left_out() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let bytes = png(3, 2);
    let body = json!({"filename": "a.png", "content_type": "image/png", "size": bytes.len()});
    let created = announce_as(&server, &ada, &body).await.expect(201).json();
    assert_eq!(created["upload"]["checksum_sha256"], Value::Null);
    assert_eq!(created["upload"]["visibility"], "private", "by default");
    assert_eq!(members(&created["request"]["headers"]), ["content-length", "content-type", "if-none-match"]);
    send(&server, &created["request"], &bytes, &[]).await.expect(200);
    let upload = complete(&server, &ada, &created["upload"]).await.expect(200).json();
    assert_eq!((&upload["width"], &upload["height"]), (&json!(3), &json!(2)));
}

#[tokio::test]
async fn a_list_has_ones_own_uploads_the_newest_first() {
    let server = TestServer::start().await;
    let (ada, eve) = (server.signup().await, server.signup().await);
    let bytes = png(2, 2);
    let completed = publish(&server, &ada, &bytes).await;
    let text = json!({"filename": "a.txt", "content_type": "text/plain", "size": 3});
    let pending = announce_as(&server, &ada, &text).await.expect(201).json()["upload"].clone();
    publish(&server, &eve, &bytes).await;
    let list = async |query: &str| {
        let page = server.get_as(&ada, &format!("/api/v1/uploads{query}")).await.expect(200).json();
        assert_eq!(page["next_cursor"], Value::Null);
        page["items"].as_array().unwrap().clone()
    };
    assert_eq!(list("").await, [pending.clone(), completed.clone()]);
    assert_eq!(list("?status=completed").await, std::slice::from_ref(&completed));
    assert_eq!(list("?status=pending").await, std::slice::from_ref(&pending));
    assert_eq!(list("?content_type=image/png").await, std::slice::from_ref(&completed));
    assert_eq!(list("?content_type=image%2Fpng&status=pending").await, [] as [Value; 0]);
    assert_eq!(list("?offset=1").await, std::slice::from_ref(&completed));
    let page = server.get_as(&ada, "/api/v1/uploads?limit=1&include=total").await.expect(200);
    let first = page.json();
    assert_eq!((first["items"][0].clone(), &first["total"]), (pending, &json!(2)));
    let link = page.header("link").unwrap();
    let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    let second = server.get_as(&ada, next).await.expect(200);
    assert_eq!(second.header("link"), None);
    assert_eq!(second.json()["items"], json!([completed]));
    server.get_as(&ada, "/api/v1/uploads?status=done").await.invalid(&[("/status", "choice")]);
}

#[tokio::test]
async fn a_deleted_upload_is_gone() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let upload = publish(&server, &ada, &png(2, 2)).await;
    let stale = server.delete(&path(&upload)).bearer(&ada.token).header("if-match", "\"v999\"").await;
    stale.problem(412, "precondition_failed");
    let tag = server.get_as(&ada, &path(&upload)).await.expect(200).header("etag").unwrap().to_owned();
    server.delete(&path(&upload)).bearer(&ada.token).header("if-match", &tag).await.expect(204);
    for answer in [
        server.get_as(&ada, &path(&upload)).await,
        server.get_as(&ada, &(path(&upload) + "/download")).await,
        complete(&server, &ada, &upload).await,
        server.delete(&path(&upload)).bearer(&ada.token).await,
    ] {
        answer.problem(404, "upload_not_found");
    }
    let page = server.get_as(&ada, "/api/v1/uploads").await.expect(200).json();
    assert_eq!(page["items"], json!([]));
}

#[tokio::test]
async fn a_pending_upload_can_be_deleted() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let created = announce(&server, &ada, &png(2, 2)).await;
    server.delete(&path(&created["upload"])).bearer(&ada.token).await.expect(204);
    complete(&server, &ada, &created["upload"]).await.problem(404, "upload_not_found");
}

#[tokio::test]
async fn uploads_are_there_after_a_restart() {
    let mut server = TestServer::with_variables(&[("ASHLAR_SERVER__PUBLIC_URL", "http://ashlar.test")]).await;
    let ada = server.signup_as(json!({"username": unique("ada")})).await;
    let bytes = png(5, 4);
    let upload = publish(&server, &ada, &bytes).await;
    server.restart().await;
    let redirect = server.get_as(&ada, &(path(&upload) + "/download")).await.expect(302);
    let file = server.get(redirect.header("location").unwrap()).unchecked().await.expect(200);
    assert_eq!(file.body, bytes);
}
