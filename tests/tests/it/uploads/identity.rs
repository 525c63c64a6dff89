//! Tags and caching of uploads.

use serde_json::json;
use tests::TestServer;

use crate::identity::{tag, varies_by};

const UPLOADS: &str = "/api/v1/uploads";

#[tokio::test]
async fn the_tag_of_another_resource_deletes_no_upload() {
    let server = TestServer::start().await;
    let (ada, eve) = (server.signup().await, server.signup().await);
    let account = tag(&server.get_as(&ada, "/api/v1/users/me").await.expect(200));
    let path = format!("{UPLOADS}/{}", server.upload(&ada).await);
    let upload = tag(&server.get_as(&ada, &path).await.expect(200));
    let own = format!("{UPLOADS}/{}", server.upload(&eve).await);
    for known in [account.as_str(), &upload, &format!("{account}, {upload}")] {
        let request = server.delete(&own).bearer(&eve.token).header("if-match", known);
        request.await.problem(412, "precondition_failed");
        let request = server.patch("/api/v1/users/me").bearer(&eve.token).header("if-match", &upload);
        request.json(&json!({"name": "Lost"})).await.problem(412, "precondition_failed");
    }
}

#[tokio::test]
async fn what_is_announced_comes_with_its_tag() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let file = json!({"filename": "a.png", "content_type": "image/png", "size": 100});
    let made = server.post(UPLOADS).bearer(&ada.token).json(&file).await.expect(201);
    assert_eq!(made.header("cache-control"), Some("no-store"), "there is a presigned URL in it");
    let path = made.header("location").unwrap();
    assert_eq!(tag(&made), tag(&server.get_as(&ada, path).await.expect(200)));
    server.delete(path).bearer(&ada.token).header("if-match", &tag(&made)).await.expect(204);
}

#[tokio::test]
async fn a_download_depends_on_what_the_client_reads() {
    let server = TestServer::start().await;
    let ada = server.signup().await;
    let path = format!("{UPLOADS}/{}/download", server.upload(&ada).await);
    let answer = server.get_as(&ada, &path).await.expect(302);
    for name in ["Accept", "Authorization", "Origin"] {
        assert!(varies_by(&answer, name), "{name}: {answer:?}");
    }
}
